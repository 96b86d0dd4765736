"""Events as they are read from the directory, to be listed, streamed and sent (numbering.py numbers them)."""

from datetime import datetime
from typing import Any, Literal, TypeAlias

import asyncpg
from pydantic import Field

from workflows.domain.dates import at_site
from workflows.domain.lifecycle import Kind
from workflows.wire.fields import KindName
from workflows.wire.messages import Model

EventKind: TypeAlias = Literal["requested", "effective", "proven", "failed", "drifted"]

_COMMANDS = {kind.value for kind in Kind} | {"create"}

COLUMNS = """
  e.seq, e.event_id, e.kind, h.at, e.client_id, e.site_id, s.timezone, h.event, h.kind AS about, h.by, h.source,
  coalesce(nullif(e.command_id, ''), h.command_id) AS command_id, e.request_id, h.revision, h.facts, e.settled,
  e.billable_from, e.billable_until, e.history_id"""
FROM = "events e JOIN history h USING (history_id) LEFT JOIN sites s ON s.site_id = e.site_id"
"""What ``event_of`` reads an event from."""


class ClientEvent(Model):
    """What happened to a client.

    ``requested``: a command was accepted, for now or for later; ``effective``: a decision counts, at once or because it
    was due; ``proven``: a system was seen to do what was decided; ``failed``: a command or a due plan was refused, or a
    system did not do it; ``drifted``: a system was found otherwise than it was left.

    ``seq`` counts without gaps. ``event_id`` is the same however often the event is sent. ``command`` is the kind of
    the command, empty where the event is of none. ``command_id`` and ``request_id`` are that command's; a proof, a
    failure, drift and an activation on the start date have those of the newest command that they follow from.
    ``request_id`` is empty for what came by signal, both are for what no command led to. ``systems`` are those that the
    event is about; ``by`` and ``source`` say who. ``status`` is the client's after a decision, ``planned_for`` when the
    plan is, or was, due. ``settled``: all that was decided for the client is proven. It is billable from its
    activation, through suspensions, until its service ends: what has come to be, or else is planned, when the event was
    numbered. ``history_id`` is the line of the client's history, which has its words and reasons.
    """

    seq: int = Field(examples=[4711])
    event_id: str
    kind: EventKind
    at: datetime
    client_id: str
    site: str
    command: str
    command_id: str
    request_id: str
    by: str
    source: str
    revision: int
    systems: list[KindName]
    status: str | None
    change_id: str | None
    planned_for: datetime | None
    settled: bool
    billable_from: datetime | None
    billable_until: datetime | None
    history_id: int


def event_of(row: asyncpg.Record) -> ClientEvent:
    """The event of a row with COLUMNS, in the time of the client's site."""
    zone, facts, about = row["timezone"] or "UTC", row["facts"], row["about"]
    return ClientEvent(
        seq=row["seq"],
        event_id=str(row["event_id"]),
        kind=row["kind"],
        at=at_site(row["at"], zone),
        client_id=row["client_id"],
        site=row["site_id"],
        command=about if about in _COMMANDS else "",
        command_id=row["command_id"],
        request_id=row["request_id"],
        by=row["by"],
        source=row["source"],
        revision=row["revision"],
        systems=_systems(row["event"], about, facts),
        status=facts.get("status") if row["kind"] == "effective" else None,
        change_id=facts.get("change_id"),
        planned_for=_at(facts.get("planned_for"), zone),
        settled=row["settled"],
        billable_from=_at(row["billable_from"], zone),
        billable_until=_at(row["billable_until"], zone),
        history_id=row["history_id"],
    )


def _systems(event: str, about: str, facts: dict[str, Any]) -> list[str]:
    if "system" in facts:
        return [facts["system"]]
    return [about] if event in ("attempted", "proven") else []


def _at(moment: datetime | str | None, zone: str) -> datetime | None:
    parsed = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return at_site(parsed, zone) if parsed else None
