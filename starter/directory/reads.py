"""What Connect shows without asking a workflow: SELECTs on the read model (PRODUCT.md sections 1 and 7.2).

Only these are written here: sites, refusals and notes that no workflow could record, and who looked at credentials.
"""

from collections.abc import Collection, Mapping, Sequence
from copy import copy
from datetime import datetime
from typing import Any

import asyncpg

from activities.database import Database
from activities.fence import SeenLogin
from starter.contract.answers import (
    AttentionPage,
    ClientNote,
    HistoryEntry,
    HistoryPage,
    MatterPage,
    NotePage,
    Site,
    SiteHistory,
    SitePage,
    SystemPage,
)
from starter.contract.bodies import AttentionFilter, ClientFilter, MatterFilter, SiteEdit, SiteGiven
from starter.contract.events import EventFilter, EventPage
from starter.directory import events, sites
from starter.directory.attention import systems, those_waiting
from starter.directory.canaries import check_not_reserved
from starter.directory.listing import counting, cursor_of, picking
from starter.directory.lookalikes import Lookalikes, lookalikes
from starter.directory.matters import days_at_sites, open_matters, with_matters
from starter.directory.paging import DirectoryDatabase, Where, opened, sealed
from starter.errors import ClientErased, NoSuchSite
from workflows.domain.commands import Contracting
from workflows.domain.dates import at_site
from workflows.domain.errors import BillingRefTaken, ExternalIdTaken, NumberTaken, Refusal, Taken
from workflows.domain.journal import Entry, Event
from workflows.domain.provisioning.provisioning import Provisioned
from workflows.domain.systems import MAIN
from workflows.domain.text import folded
from workflows.wire.messages import AnyMessage, ContractingMessage
from workflows.wire.views import ClientView, CommandAnswer, SystemView, end_date_passed

# With the newest proof of each system that is proven to do what is wanted; done by hand, it has none.
_CLIENT = """
SELECT c.client_id, c.revision, c.document::text AS document, c.provisioning, c.management, c.erased_at,
  (SELECT jsonb_object_agg(s.system, to_jsonb(p)) FROM client_systems s LEFT JOIN proofs p
     ON (p.client_id, p.system, p.revision, p.kind) = (s.client_id, s.system, s.proven, 'change')
   WHERE s.client_id = c.client_id AND s.proven >= s.wanted) AS proofs,
  c.provisioning <> 'settled' OR c.waits_to_start
    OR EXISTS (SELECT FROM matters m WHERE m.client_id = c.client_id) AS perhaps_open
"""
_ONE = f"{_CLIENT} FROM clients c WHERE c.client_id = $1"
_AFTER_END = """
WITH answered AS (
  INSERT INTO answers (client_id, command_id, fingerprint, kind, changed, message) VALUES ($1, $2, $3, $4, $5, $6)
  ON CONFLICT DO NOTHING RETURNING client_id)
INSERT INTO history (client_id, event, at, kind, text, by, source, reason, command_id, revision, request_id)
SELECT c.client_id, $7, $8, $4, $9, $10, $11, $12, $2, c.revision, $13 FROM clients c JOIN answered USING (client_id)"""

_LINE = """
SELECT history_id, event, at, at::text AS sort_key, kind, text, by, source, reason, command_id, revision, facts
FROM history h
"""


def view_of(row: asyncpg.Record, now: datetime) -> ClientView:
    """A client of the directory, with the proofs since it was published."""
    published = ClientView.model_validate_json(row["document"])
    passed = end_date_passed(published.end_date, now, published.timezone)
    return with_proofs(published.model_copy(update={"end_date_passed": passed}), row)


def with_proofs(view: ClientView, row: asyncpg.Record) -> ClientView:
    """The client with the directory's newest proofs, which are there before the workflow publishes them."""
    systems = [_with_proof(system, row["proofs"] or {}, view.timezone) for system in view.systems]
    return view.model_copy(update={"systems": systems, "provisioning": Provisioned(row["provisioning"])})


def _with_proof(system: SystemView, proofs: Mapping[str, Any], zone: str) -> SystemView:
    """The system with its newest proof, if it is proven. What is skipped is not, though the directory has no more to
    wait for."""
    if system.system not in proofs or system.skipped:
        return system
    proof = proofs[system.system] or {}
    proven_at = at_site(datetime.fromisoformat(proof["at"]), zone) if proof else system.proven_at
    seen = {finding["subject"]: finding["seen"] for finding in proof.get("findings", ())}
    subjects = [
        subject.model_copy(
            update={
                "actual": subject.desired,
                "state": "proven",
                "last_actual": None,
                "last_seen_at": None,
                "why": "",
                "proven_at": proven_at if subject.subject in seen else subject.proven_at,
                "seen": seen.get(subject.subject, subject.seen),  # done by hand, its evidence is a note
            }
        )
        for subject in system.subjects
    ]
    update: dict[str, object] = {"actual": dict(system.desired), "proven_at": proven_at, "subjects": subjects}
    if proof:
        update |= {"method": proof["method"], "by": "", "note": ""}
    if system.state != "attention":  # the end of attention is published, and then shown
        update |= {"state": "settled", "attempts": 0, "last_error": "", "next_attempt_at": None}
    return system.model_copy(update=update)


class DirectoryReads:
    """The read model. Every method raises DirectoryAway when its database does not answer."""

    def __init__(self, database: Database, timeout: float = 5.0) -> None:
        self.database = DirectoryDatabase(database, timeout)

    def within(self, sites: Sequence[str] | None) -> "DirectoryReads":
        """The same reads, for a caller who sees these sites alone; None: all."""
        limited = copy(self)
        limited.database = self.database.within(sites)
        return limited

    async def ready(self) -> None:
        """Return when the database has our tables, and a write of ours is committed there."""
        await self.database.try_write("sites")

    # -- sites ------------------------------------------------------------------------------------------------------

    async def sites(self) -> SitePage:
        """All sites, retired ones included, by name."""
        return await sites.every_site(self.database)

    async def site(self, site_id: str) -> Site | None:
        return await sites.one_site(self.database, site_id)

    async def add_site(self, new: SiteGiven, by: str = "") -> Site:
        """Add the site. The same site twice is no error. Raises SiteIdTaken when another site has the id."""
        return await sites.add_site(self.database, new, by)

    async def edit_site(self, site_id: str, edit: SiteEdit, by: str = "") -> Site:
        """Change a site. Raises NoSuchSite, SiteInUse or InstanceInUse."""
        if self.database.sites is not None and site_id not in self.database.sites:
            raise NoSuchSite(site_id)
        return await sites.edit_site(self.database, site_id, edit, by)

    async def site_history(self, site_id: str) -> SiteHistory:
        """Who changed what of a site, the newest first. Raises NoSuchSite."""
        return await sites.changes_of_site(self.database, site_id)

    async def at_site(self, client_id: str, message: AnyMessage) -> AnyMessage:
        """The message with the instances that serve the client's site now, where it does not say them."""
        command = message.command()
        if not (isinstance(message, ContractingMessage) and isinstance(command, Contracting)):
            return message
        if not (unsaid := {*command.systems} - message.instances.keys()):
            return message
        rows = await self.database.read(
            "SELECT s.systems FROM clients c JOIN sites s USING (site_id) WHERE c.client_id = $1", client_id
        )
        named = {system: row["systems"].get(system, MAIN) for row in rows for system in unsaid}
        return message.model_copy(update={"instances": message.instances | named})

    # -- clients ----------------------------------------------------------------------------------------------------

    async def timezone(self, client_id: str) -> str | None:
        """The time zone that the client's days are of; None where there is no such client. Raises DirectoryAway."""
        rows = await self.database.read(
            "SELECT s.timezone FROM clients c JOIN sites s ON s.site_id = c.site_id WHERE c.client_id = $1", client_id
        )
        return rows[0]["timezone"] if rows else None

    async def client(self, client_id: str, now: datetime) -> ClientView | None:
        """The client; None: there is none. Raises ClientErased."""
        rows = await self.database.read(_ONE, client_id)
        if rows and rows[0]["erased_at"]:
            raise ClientErased(client_id, rows[0]["erased_at"])
        return await self._view(rows[0], now) if rows else None

    async def with_proofs(self, view: ClientView, now: datetime) -> ClientView:
        """A client as its workflow shows it, with the proofs that are ahead of the workflow, and its open matters."""
        rows = await self.database.read(_ONE, view.client_id)
        if not rows:
            return view
        [view] = await self._with_matters([view], rows, now)
        return with_proofs(view, rows[0]) if rows[0]["revision"] >= view.revision else view

    async def _view(self, row: asyncpg.Record, now: datetime) -> ClientView:
        [view] = await self._with_matters([view_of(row, now)], [row], now)
        return view

    async def _with_matters(
        self, views: Sequence[ClientView], rows: Sequence[asyncpg.Record], now: datetime
    ) -> Sequence[ClientView]:
        """The clients of these rows with their open matters, which are looked for only where there may be any."""
        some = [view for view, row in zip(views, rows, strict=True) if row["perhaps_open"] or view.end_date_passed]
        found = {view.client_id: view for view in await with_matters(self.database, some, now)}
        return [found.get(view.client_id, view.model_copy(update={"matters": []})) for view in views]

    async def visible(self, client_ids: Collection[str]) -> bool:
        """Whether one of these clients is there to be seen."""
        return bool(await self.database.read("SELECT 1 FROM clients WHERE client_id = ANY($1) LIMIT 1", [*client_ids]))

    async def incarnation(self, client_id: str) -> str:
        """The first run of a client's workflow; empty for an id that no client has, or ever had."""
        rows = await self.database.read("SELECT incarnation FROM clients WHERE client_id = $1", client_id)
        return rows[0]["incarnation"] if rows else ""

    async def check_not_reserved(self, client_id: str) -> None:
        """Raises ClientIdReserved for an id that only a canary may have."""
        await check_not_reserved(self.database, client_id)

    async def clients(self, filters: ClientFilter, now: datetime) -> tuple[list[ClientView], str | None]:
        """A page of the list, the management client of a site first, and the cursor of the next one.

        Raises NoSuchPage.
        """
        picked = picking(filters, await self._days(filters, now))
        rows, last = await self.database.page(
            f"{_CLIENT}, l.sort_key::text AS sort_text, l.sort_name "
            f"FROM ({picked.query}) l JOIN clients c USING (client_id) ORDER BY {picked.order}",
            picked.values,
            filters.limit,
        )
        views = await self._with_matters([view_of(row, now) for row in rows], rows, now)
        return [*views], last and cursor_of(filters, last)

    async def those(self, client_ids: Sequence[str], now: datetime) -> list[ClientView]:
        """These clients, in the order of the list; without those that there are not."""
        query = f"{_CLIENT} FROM clients c WHERE c.client_id = ANY($1) ORDER BY c.sort_name, c.client_id"
        rows = await self.database.read(query, list(client_ids))
        return [*await self._with_matters([view_of(row, now) for row in rows], rows, now)]

    async def counts(self, filters: ClientFilter, now: datetime) -> dict[str, int]:
        """The number of clients of each status. The filter applies, but for its status."""
        query, values = counting(filters, await self._days(filters, now))
        return {row["status"]: row["number"] for row in await self.database.read(query, *values)}

    async def _days(self, filters: ClientFilter, now: datetime) -> dict[str, str]:
        return await days_at_sites(self.database, now) if filters.open else {}

    async def find_settled(self, client_id: str, revision: int, now: datetime) -> ClientView | None:
        """The client, if everything that was decided up to ``revision`` is done, or accepted as it is, and shown."""
        rows = await self.database.read(
            f"{_ONE} AND c.revision >= $2 AND c.provisioning IN ('settled', 'skipped')", client_id, revision
        )
        return await self._view(rows[0], now) if rows else None

    async def logins(self, client_id: str) -> dict[str, SeenLogin]:
        """The logins of a client's lines and accounts as they were last seen; those never seen are not in it."""
        rows = await self.database.read(
            "SELECT DISTINCT ON (f->>'subject') f->>'subject' AS subject, f->'seen'->>'secret' AS secret, "
            "f->'seen'->>'known_as' AS known_as FROM proofs p, jsonb_array_elements(p.findings) f "
            "WHERE p.client_id = $1 AND p.kind <> 'look' AND f->'seen' ? 'secret' "
            "ORDER BY f->>'subject', p.revision DESC, p.at DESC",
            client_id,
        )
        return {row["subject"]: SeenLogin.of(row["secret"], row["known_as"] or "") for row in rows}

    async def lookalikes(
        self, client_id: str, site: str | None, offices: Collection[str], name: str | None
    ) -> Lookalikes:
        """What is odd about such a client beside others of the site; of the client's own, if none is given."""
        return await lookalikes(self.database, client_id, site, offices, name)

    async def find_taken(
        self, client_id: str, numbers: Sequence[str], billing_ref: str | None, external_ids: Collection[str] = ()
    ) -> Taken | None:
        """The refusal, if another client holds one of these numbers, external ids or this billing reference."""
        sql = "SELECT number FROM numbers WHERE number = ANY($1) AND client_id <> $2 ORDER BY number"
        if rows := await self.database.read(sql, list(numbers), client_id):
            return NumberTaken(
                f"{', '.join(row['number'] for row in rows)} belong{'s' * (len(rows) == 1)} to another client",
                "Choose another number, or have it ceased there first",
                field="lines",
            )
        if billing_ref and await self.database.read(
            "SELECT 1 FROM billing_refs WHERE key = $1 AND client_id <> $2", folded(billing_ref), client_id
        ):
            return BillingRefTaken(
                f"Billing reference {billing_ref} belongs to another client",
                "Choose another, or leave it blank to have one generated",
                field="billing_ref",
            )
        if held := await self.external_ids_taken(external_ids, client_id):
            return ExternalIdTaken(
                f"External id {', '.join(held)} belongs to another client",
                "Choose another, or take it from that client first",
                field="external_ids",
            )
        return None

    async def external_ids_taken(self, external_ids: Collection[str], client_id: str | None = None) -> dict[str, str]:
        """Which of these (``crm:4711``) another client has, or had when it ended, and which client; empty for one that
        the caller does not see."""
        keys = {folded(name): name for name in external_ids}
        sql = "SELECT * FROM external_ids WHERE external_id = ANY($1) AND client_id IS DISTINCT FROM $2"
        rows = await self.database.read(sql, [*keys], client_id) if keys else []
        return {keys[row["external_id"]]: row["client_id"] for row in rows}

    # -- systems ----------------------------------------------------------------------------------------------------

    async def attention(self, filters: AttentionFilter) -> AttentionPage:
        """A page of the clients that need a person, by system, the oldest first. Raises NoSuchPage."""
        return await those_waiting(self.database, filters)

    async def matters(self, filters: MatterFilter, now: datetime) -> MatterPage:
        """A page of the open matters, the oldest first, and how many there are of each kind. Raises NoSuchPage."""
        return await open_matters(self.database, filters, now)

    async def systems(self) -> SystemPage:
        """The state of each system as the workers find it, and the number of clients that wait for it."""
        return await systems(self.database)

    # -- history ----------------------------------------------------------------------------------------------------

    async def history(self, client_id: str, limit: int, cursor: str | None, event: str = "") -> HistoryPage | None:
        """A page of a client's history, or of its lines of one kind, newest first; None for an unknown client.

        Raises NoSuchPage.
        """
        where = Where(["h.client_id = $1"], [client_id])
        where.equal({"h.event": event})
        counting = f"SELECT count(*) FROM history h {where}"  # noqa: S608  # the terms are ours, the values parameters
        known = await self.database.read(
            f"SELECT s.timezone, ({counting}) AS total "  # noqa: S608  # see above
            "FROM clients c JOIN sites s USING (site_id) WHERE c.client_id = $1",
            *where.values,
        )
        if not known:
            return None
        if cursor:
            where.beyond(
                "(h.at, h.history_id) < ({}::text::timestamptz, {}::bigint)", opened(cursor, "history", (str, int))
            )
        order = f"ORDER BY h.at DESC, h.history_id DESC LIMIT {where.parameter(limit + 1)}"
        rows, last = await self.database.page(f"{_LINE} {where} {order}", where.values, limit)
        return HistoryPage(
            items=[_entry(row, known[0]["timezone"]) for row in rows],
            next=last and sealed("history", (last["sort_key"], last["history_id"])),
            total=known[0]["total"],
        )

    async def events(self, filters: EventFilter) -> EventPage:
        """The events after a number. Raises EventsForgotten, InvalidField."""
        return await events.events(self.database, filters)

    async def notes(self, client_id: str, limit: int, cursor: str | None) -> NotePage | None:
        """A page of the notes about a client, newest first; None for an unknown client. Raises NoSuchPage."""
        page = await self.history(client_id, limit, cursor, Event.NOTED)
        if page is None:
            return None
        notes = [ClientNote(note_id=it.history_id, at=it.at, by=it.by, text=it.text) for it in page.items]
        return NotePage(items=notes, next=page.next, total=page.total)

    async def write_after_end(self, client_id: str, entry: Entry, digest: str, answer: CommandAnswer) -> None:
        """Append a line to the history of a client whose workflow has ended, and keep the answer. The same command is
        one line."""
        await self.database.write(
            _AFTER_END,
            *(client_id, entry.command_id, digest, entry.kind, answer.changed, answer.message),
            *(entry.event.value, entry.at, entry.text, entry.by, entry.source, entry.reason),
            entry.request_id,
        )

    async def note_refusal(self, client_id: str, message: AnyMessage, refusal: Refusal, now: datetime) -> None:
        """Append a refusal to a client's history, with who asked and why. The same command is noted once."""
        await self.database.write(
            "INSERT INTO history (client_id, event, at, kind, text, by, source, reason, command_id, revision, facts, "
            "request_id) SELECT client_id, 'refused', $2, $3, $4, $5, $6, $7, $8, revision, $9, $10 FROM clients "
            "WHERE client_id = $1 AND NOT EXISTS (SELECT FROM history h WHERE h.client_id = $1 "
            "AND (h.event, h.kind, h.command_id, h.text) = ('refused', $3, $8, $4))",
            *(client_id, now, message.kind.value, str(refusal), message.by, message.source, message.reason),
            *(message.command_id, refusal.facts, message.request_id),
        )

    async def note_look(self, client_id: str, by: str, now: datetime) -> None:
        """Append to a client's history that somebody looks at its credentials. It is no decision of the client's."""
        await self.database.write(
            "INSERT INTO history (client_id, event, at, kind, text, by, source, reason, command_id, revision, facts) "
            "SELECT client_id, 'asked', $2, 'credentials', 'Credentials shown', $3, '', '', '', revision, '{}' "
            "FROM clients WHERE client_id = $1",
            *(client_id, now, by),
        )


def _entry(row: asyncpg.Record, timezone: str) -> HistoryEntry:
    return HistoryEntry(**{**row, "at": at_site(row["at"], timezone)})
