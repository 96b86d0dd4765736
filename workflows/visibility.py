"""What operators see in Temporal without asking: list filters and the details panel. No personal data (PRODUCT 6)."""

from datetime import UTC, datetime
from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributePair, SearchAttributeUpdate, TypedSearchAttributes

from workflows.domain.dates import local_time
from workflows.domain.provisioning.provisioning import Provisioned
from workflows.domain.state import ClientState
from workflows.domain.systems import System

STATUS = SearchAttributeKey.for_keyword("ClientStatus")
TYPE = SearchAttributeKey.for_keyword("ClientType")
SITE = SearchAttributeKey.for_keyword("ClientSite")
PROVISIONING = SearchAttributeKey.for_keyword("ClientProvisioning")
NEXT_CHANGE_AT = SearchAttributeKey.for_datetime("ClientNextChangeAt")
KEYS: tuple[SearchAttributeKey[Any], ...] = (STATUS, TYPE, SITE, PROVISIONING, NEXT_CHANGE_AT)


def attributes_at_start(state: ClientState) -> TypedSearchAttributes:
    """What a run is found by, and remembered in its state as said; given at the start it costs no event of its own."""
    state.attributes = _attributes(state)
    return TypedSearchAttributes([SearchAttributePair(key, _value(key, text)) for key, text in _texts(state)])


def show(state: ClientState) -> None:
    """Publish what is new; every upsert is a line of history, the details are none.

    What is new is told by the state, never by what the server says: an attribute may have been removed there and added
    again, and a replay would then do otherwise.
    """
    before, state.attributes = state.attributes, _attributes(state)
    updates: list[SearchAttributeUpdate[Any]] = [
        key.value_set(_value(key, text)) for key, text in _texts(state) if before.get(key.name) != text
    ]
    updates += [key.value_unset() for key in KEYS if key.name in before.keys() - state.attributes.keys()]
    if updates:
        workflow.upsert_search_attributes(updates)
    details = _details(state)
    if details != workflow.get_current_details():
        workflow.set_current_details(details)


def _attributes(state: ClientState) -> dict[str, str]:
    """What a client is found by, as texts; what has no value is missing."""
    at = state.client.next_moment()
    words: dict[SearchAttributeKey[Any], str | None] = {
        STATUS: state.client.status.value,
        TYPE: state.client.services.type.value,
        SITE: state.client.site,
        PROVISIONING: Provisioned.ATTENTION.value if state.provisioned is Provisioned.ATTENTION else None,
        NEXT_CHANGE_AT: at.astimezone(UTC).isoformat() if at else None,
    }
    return {key.name: word for key, word in words.items() if word is not None}


def _texts(state: ClientState) -> list[tuple[SearchAttributeKey[Any], str]]:
    return [(key, state.attributes[key.name]) for key in KEYS if key.name in state.attributes]


def _value(key: SearchAttributeKey[Any], text: str) -> str | datetime:
    return datetime.fromisoformat(text) if key is NEXT_CHANGE_AT else text


def next_moment_text(state: ClientState) -> str:
    """What the loop's timer says in the Temporal UI."""
    change = next(iter(state.client.schedule), None)
    at = state.next_moment()
    if change is not None and change.at == at:
        return change.describe(state.client.timezone)
    return "next attempt" if at is not None else ""


def _details(state: ClientState) -> str:
    client, zone = state.client, state.client.timezone
    lines = [f"**{client.status.capitalize()}**, provisioning {state.provisioned}, revision {client.revision}"]
    lines += [f"- planned: {change.describe(zone)}" for change in client.schedule]
    lines += [f"- held by {source}" for source in sorted(client.holds)]
    lines += [
        "",
        "| system | state | proven | attempts failed | next attempt | last error |",
        "|---|---|---|---|---|---|",
    ]
    lines += [_row(state, system) for system in state.provisioning]
    return "\n".join(lines)


def _row(state: ClientState, system: System) -> str:
    standing, zone = state.provisioning.standing[system], state.client.timezone
    word = "attention" if standing.attention else "to do" if state.drifts(system) else "as decided"
    proven = local_time(standing.proven_at, zone) if standing.proven_at else "-"
    retry = local_time(standing.retry_at, zone) if standing.retry_at else "-"
    error = standing.last_error.replace("|", "/").replace("\n", " ") or "-"
    return f"| {system} | {word} | {proven} | {standing.attempts} | {retry} | {error} |"
