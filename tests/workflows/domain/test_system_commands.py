"""Retry, skip and mark done: what a person may do about a system that is not as decided (PRODUCT.md section 5)."""

from datetime import timedelta
from typing import Any

import pytest

from tests.support.builders import LINE, NOW, SECOND, in_directory, lines_proven, prove, tenant
from workflows.attempts import order_for
from workflows.domain.commands import (
    ChangeServices,
    Convert,
    Decommission,
    Edit,
    MarkDone,
    Retry,
    Skip,
    Suspend,
    SystemCommand,
    Unsuspend,
)
from workflows.domain.errors import InvalidField
from workflows.domain.lifecycle import Status
from workflows.domain.provisioning.provisioning import Provisioned
from workflows.domain.provisioning.standing import Limits, Skipped
from workflows.domain.provisioning.telephony import numbers_in_use
from workflows.domain.services import ClientType
from workflows.domain.state import BULK_LAST, OPERATOR_FIRST, ClientState
from workflows.domain.systems import BUILT_IN, DIRECTORY, INTERNET, TELEPHONY, System

SYSTEM_COMMANDS: list[type[SystemCommand]] = [Retry, Skip, MarkDone]


def in_attention(status: Status = Status.ACTIVE) -> ClientState:
    """A client that was just told to end its services, which the telephone system does not do."""
    state = in_directory(tenant(status), Limits())
    prove(state)
    state.obey(Suspend(source="operator"), NOW) if status is Status.ACTIVE else state.obey(Decommission(), NOW)
    state.provisioning.begin(TELEPHONY)
    state.failed(TELEPHONY, "SystemUnavailable: no answer", NOW, 1.0)
    prove(state, INTERNET, DIRECTORY)
    assert state.provisioned is Provisioned.ATTENTION
    assert not state.may_attempt(TELEPHONY, NOW)
    return state


def send(state: ClientState, kind: type[SystemCommand], system: System = TELEPHONY, **fields: Any) -> str:
    reason = fields.pop("reason", "" if kind is Retry else "ticket 4711")
    answer = state.obey(kind(system=system, reason=reason, by="ann", command_id=f"{kind.__name__}-1"), NOW)
    assert answer.changed
    return answer.message


def test_what_comes_of_a_retry_is_told_though_it_is_the_same_as_before() -> None:
    state = in_attention()
    before = len(state.journal.waiting)
    for asked, lines in ((False, 0), (True, 2)):
        if asked:
            send(state, Retry)  # a line of its own
        assert state.provisioning.standing[TELEPHONY].asked is asked
        state.provisioning.begin(TELEPHONY)
        state.failed(TELEPHONY, "SystemUnavailable: no answer", NOW, 1.0, must_tell=asked)
        assert len(state.journal.waiting) == before + lines
    assert not state.provisioning.standing[TELEPHONY].asked


def test_a_retry_that_nobody_asked_for_is_not_told() -> None:
    state = in_attention()
    state.obey(Retry(system=TELEPHONY, by="connect", source="recovery", command_id="r-1"), NOW)
    assert not state.provisioning.standing[TELEPHONY].asked
    send(state, Retry)
    state.obey(Suspend(source="billing"), NOW)
    state.obey(Unsuspend(source="all"), NOW)
    assert not state.provisioning.standing[TELEPHONY].asked, "the next attempt is for a decision"


def test_a_retry_is_due_at_once_and_stays_attention_until_proven() -> None:
    state = in_attention()
    assert send(state, Retry) == "Trying telephone lines again"
    assert state.may_attempt(TELEPHONY, NOW)
    assert state.provisioned is Provisioned.ATTENTION
    prove(state)
    assert state.settled


def test_a_retry_abandons_what_is_under_way() -> None:
    state = in_attention()
    before = state.client.revision
    send(state, Retry)
    assert state.provisioning.standing[TELEPHONY].wanted_since > before


def test_a_skipped_system_is_left_with_its_difference_shown_and_is_not_attempted() -> None:
    state = in_attention()
    send(state, Skip)
    assert state.provisioning.standing[TELEPHONY].skipped == Skipped("ticket 4711", "ann", NOW)
    prove(state, DIRECTORY)
    assert state.settled
    assert state.provisioned is Provisioned.SKIPPED
    assert state.provisioning.differs(TELEPHONY, state.client)
    assert not state.may_attempt(TELEPHONY, NOW + timedelta(days=365))
    assert numbers_in_use(state.provisioning.systems[TELEPHONY]) == {LINE.number, SECOND.number}


def test_a_skip_ends_with_the_next_decision_that_concerns_the_system() -> None:
    state = in_attention()
    send(state, Skip)
    state.obey(Unsuspend(), NOW)
    assert state.provisioning.standing[TELEPHONY].skipped is None
    assert state.may_attempt(TELEPHONY, NOW)


def test_a_skip_ends_with_a_retry() -> None:
    state = in_attention()
    send(state, Skip)
    send(state, Retry)
    assert state.may_attempt(TELEPHONY, NOW)


def test_a_decommission_is_not_content_with_an_attempt_that_was_for_a_suspension() -> None:
    state = in_directory(tenant())
    prove(state)
    state.obey(Suspend(source="operator"), NOW)
    state.provisioning.begin(TELEPHONY)
    state.obey(Decommission(), NOW)
    assert state.provisioning.standing[TELEPHONY].wanted_since == state.client.revision


def test_a_decommission_ends_the_skip_of_a_suspended_client() -> None:
    state = in_attention()
    send(state, Skip)
    state.obey(Decommission(), NOW)
    assert state.provisioning.standing[TELEPHONY].skipped is None
    assert state.may_attempt(TELEPHONY, NOW)


def test_giving_up_a_line_ends_the_skip_of_a_suspended_client() -> None:
    state = in_attention()
    send(state, Skip)
    state.obey(ChangeServices(remove_lines=(SECOND.number,)), NOW)
    assert state.provisioning.standing[TELEPHONY].skipped is None
    assert state.may_attempt(TELEPHONY, NOW)


def test_a_conversion_ends_the_skip_of_a_suspended_clients_internet_access() -> None:
    state = in_directory(tenant())
    prove(state)
    state.obey(Suspend(source="operator"), NOW)
    send(state, Skip, INTERNET)
    state.obey(Convert(to=ClientType.VIRTUAL), NOW)
    assert state.provisioning.standing[INTERNET].skipped is None
    assert state.may_attempt(INTERNET, NOW)


def test_giving_up_a_line_is_not_content_with_an_attempt_that_was_for_a_suspension() -> None:
    """That attempt does not release the number: nobody else could ever have it."""
    state = in_directory(tenant())
    prove(state)
    state.obey(Suspend(source="operator"), NOW)
    state.provisioning.begin(TELEPHONY)
    state.obey(ChangeServices(remove_lines=(SECOND.number,)), NOW)
    assert state.provisioning.standing[TELEPHONY].wanted_since == state.client.revision
    assert order_for(state, TELEPHONY).release == [SECOND.number]  # type: ignore[union-attr]  # an Ensure


def test_a_decision_that_concerns_no_system_leaves_a_skip_standing() -> None:
    state = in_attention()
    send(state, Skip)
    state.obey(Edit(name="Acme and Sons"), NOW)
    assert state.provisioning.standing[TELEPHONY].skipped is not None


def test_a_decommissioned_client_whose_system_is_skipped_does_not_end_until_it_is_done() -> None:
    state = in_attention(Status.SUSPENDED)
    send(state, Skip)
    prove(state, DIRECTORY)
    assert state.settled
    assert not state.finished
    assert state.numbers == {LINE.number, SECOND.number}, "what is not proven off is not free"
    send(state, MarkDone)
    prove(state, DIRECTORY)
    assert state.finished
    assert not state.numbers


def test_a_system_marked_done_counts_as_proven_by_hand_and_by_whom() -> None:
    state = in_attention()
    assert send(state, MarkDone) == "Telephone lines marked as done by hand"
    standing = state.provisioning.standing[TELEPHONY]
    assert (standing.method, standing.by, standing.proven_at) == ("by hand", "ann", NOW)
    assert standing.proofs == {LINE.number: NOW, SECOND.number: NOW}
    assert lines_proven(state) == {LINE.number: False, SECOND.number: False}
    assert state.journal.waiting[-1].reason == "ticket 4711"
    prove(state, DIRECTORY)
    assert state.settled


def test_what_is_marked_done_is_switched_again_by_the_next_decision() -> None:
    state = in_attention()
    send(state, MarkDone)
    state.obey(Unsuspend(), NOW)
    assert state.may_attempt(TELEPHONY, NOW)
    prove(state)
    assert state.provisioning.standing[TELEPHONY].by == ""


@pytest.mark.parametrize("kind", SYSTEM_COMMANDS)
def test_a_system_that_is_as_decided_needs_no_command(kind: type[SystemCommand]) -> None:
    state = in_attention()
    revision = state.client.revision
    answer = state.obey(kind(system=INTERNET, reason="why not"), NOW)
    assert not answer.changed
    assert answer.message == "With internet access, all is as decided"
    assert state.client.revision == revision


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (Skip(system=TELEPHONY), "reason"),
        (Skip(system=TELEPHONY, reason="   "), "reason"),
        (MarkDone(system=TELEPHONY), "note"),
        (MarkDone(system=TELEPHONY, reason="x" * 501), "note"),
        (Skip(system=TELEPHONY, reason="\0"), "reason"),
        (Retry(system=DIRECTORY), "system"),
    ],
)
def test_a_system_command_not_well_said_is_refused_and_changes_nothing(command: SystemCommand, field: str) -> None:
    state = in_attention()
    with pytest.raises(InvalidField) as foretold:
        state.check(command, NOW)
    with pytest.raises(InvalidField) as refused:
        state.obey(command, NOW)
    assert refused.value.field == foretold.value.field == field
    assert refused.value.situation.status is Status.SUSPENDED
    assert state.provisioned is Provisioned.ATTENTION


def test_the_same_system_command_twice_is_one() -> None:
    state = in_attention()
    skip = Skip(system=TELEPHONY, reason="ticket 4711", command_id="s1")
    first = state.obey(skip, NOW)
    revision = state.client.revision
    assert state.obey(skip, NOW) == first
    assert state.client.revision == revision


def test_a_recovered_system_keeps_the_priority_of_the_decision_that_waits_for_it() -> None:
    state = in_attention()
    state.priority = BULK_LAST
    state.obey(Retry(system=TELEPHONY, source="recovery"), NOW)
    assert state.priority == BULK_LAST
    state.obey(Retry(system=TELEPHONY), NOW)
    assert state.priority == OPERATOR_FIRST


def test_one_skipped_system_leaves_the_other_alone() -> None:
    state = in_directory(tenant())
    for system in BUILT_IN:
        state.failed(system, "no answer", NOW, 1.0)
    send(state, Skip)
    assert state.drifts(INTERNET)
    assert state.provisioned is Provisioned.ATTENTION
