"""What operators see in Temporal without asking: list filters and the details panel. No personal data (PRODUCT 6)."""

from datetime import datetime
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
KEYS: tuple[SearchAttributeKey[str] | SearchAttributeKey[datetime], ...] = (
    STATUS,
    TYPE,
    SITE,
    PROVISIONING,
    NEXT_CHANGE_AT,
)


def attributes_at_start(state: ClientState) -> TypedSearchAttributes:
    """What a new client is found by; given at the start they cost no event of their own."""
    pairs: list[SearchAttributePair[str] | SearchAttributePair[datetime]] = [
        SearchAttributePair(STATUS, state.client.status.value),
        SearchAttributePair(TYPE, state.client.services.type.value),
        SearchAttributePair(SITE, state.client.site),
    ]
    if (at := state.client.next_moment()) is not None:
        pairs.append(SearchAttributePair(NEXT_CHANGE_AT, at))
    return TypedSearchAttributes(pairs)


def show(state: ClientState) -> None:
    """Publish what is new; every upsert is a line of history, the details are none."""
    known = workflow.info().typed_search_attributes
    if updates := _news(state, known):
        workflow.upsert_search_attributes(updates)
    details = _details(state)
    if details != workflow.get_current_details():
        workflow.set_current_details(details)


def _news(state: ClientState, known: TypedSearchAttributes) -> list[SearchAttributeUpdate[Any]]:
    attention = state.provisioned is Provisioned.ATTENTION
    words = {
        STATUS: state.client.status.value,
        TYPE: state.client.services.type.value,
        SITE: state.client.site,
        PROVISIONING: Provisioned.ATTENTION.value if attention else None,
    }
    updates: list[SearchAttributeUpdate[Any]] = [
        key.value_unset() if word is None else key.value_set(word)
        for key, word in words.items()
        if known.get(key) != word
    ]
    if known.get(NEXT_CHANGE_AT) != (at := state.client.next_moment()):
        updates.append(NEXT_CHANGE_AT.value_unset() if at is None else NEXT_CHANGE_AT.value_set(at))
    return updates


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
