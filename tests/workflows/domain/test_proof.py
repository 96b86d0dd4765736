"""What was proven line by line, what was not, and the second look at what is off (PRODUCT.md section 5)."""

from datetime import timedelta

from tests.support.builders import (
    LIFT,
    LINE,
    NOW,
    RESIDENTIAL,
    SECOND,
    account,
    in_directory,
    lines_proven,
    lines_wanted,
    prove,
    tenant,
)
from workflows.domain.client.client import Client
from workflows.domain.commands import (
    ChangeServices,
    Convert,
    Decommission,
    MarkDone,
    Retry,
    RotateCredentials,
    Skip,
    Suspend,
    Unsuspend,
)
from workflows.domain.lifecycle import Status
from workflows.domain.provisioning.provisioning import Provisioned
from workflows.domain.provisioning.standing import Doubt, Found, Limits, Proof
from workflows.domain.provisioning.telephony import numbers_in_use
from workflows.domain.services import ClientType, Services
from workflows.domain.state import ClientState
from workflows.domain.systems import BUILT_IN, DIRECTORY, INTERNET, TELEPHONY

LIMITS = Limits(attempt=120, first_pause=15, second_look=60)
SILENT = Doubt(Proof.NOT_PROVEN, "10.0.0.1 did not answer")
REFUSED = Doubt(Proof.FAILED, "the row is refused")
LATER = NOW + timedelta(seconds=60)


def settled(client: Client | None = None) -> ClientState:
    """A client all of whose services are proven to be as decided."""
    state = in_directory(client or tenant(), LIMITS)
    prove(state)
    assert state.settled
    return state


def told(state: ClientState) -> list[str]:
    return [entry.text for entry in state.journal.waiting]


def lines_found(state: ClientState, doubts: dict[str, Doubt], seconds: float = 0) -> None:
    """The telephone system was ordered what is wanted now, and this came of it."""
    state.provisioning.begin(TELEPHONY)
    found = Found(state.client.revision, NOW + timedelta(seconds=seconds), doubts=doubts)
    state.found(TELEPHONY, dict(state.provisioning.systems[TELEPHONY].wanted), found, 1.0)


# -- one line at a time -----------------------------------------------------------------------------------------------


def test_one_line_that_is_refused_needs_a_person_and_holds_up_no_other() -> None:
    state = settled()
    state.obey(Suspend(), NOW)
    lines_found(state, {SECOND.number: REFUSED})
    assert lines_proven(state) == {LINE.number: False}
    assert state.drifts(TELEPHONY)
    assert state.provisioned is Provisioned.ATTENTION
    standing = state.provisioning.standing[TELEPHONY]
    assert standing.last_error == f"not done: {SECOND.number}: the row is refused"
    assert standing.attention_since == NOW
    assert standing.retry_at == NOW + timedelta(seconds=15)
    assert told(state)[-1] == f"Telephony not done: {SECOND.number}: the row is refused"
    assert numbers_in_use(state.provisioning.systems[TELEPHONY]) == {SECOND.number}


def test_silence_is_neither_success_nor_failure_until_it_has_lasted_as_long_as_an_attempt_may() -> None:
    state = settled()
    state.obey(Suspend(), NOW)
    for seconds in (0, 60, 119):
        lines_found(state, {SECOND.number: SILENT}, seconds)
        assert state.provisioning.standing[TELEPHONY].doubts == {SECOND.number: SILENT}
        assert not state.provisioning.standing[TELEPHONY].attention
        assert state.provisioned is Provisioned.CHANGING
    lines_found(state, {SECOND.number: SILENT}, 120)
    assert state.provisioned is Provisioned.ATTENTION
    lines_found(state, {}, 180)
    assert not state.drifts(TELEPHONY)
    standing = state.provisioning.standing[TELEPHONY]
    assert (standing.attention, standing.doubts, standing.last_error, standing.short_since) == (False, {}, "", None)


def test_the_same_doubt_is_told_once_and_again_when_it_needs_a_person() -> None:
    state = settled()
    state.obey(Suspend(), NOW)
    before = len(told(state))
    for seconds in (0, 60, 119, 130, 300):
        lines_found(state, {SECOND.number: SILENT}, seconds)
    assert len(told(state)) == before + 2


def test_a_new_decision_starts_the_patience_anew() -> None:
    state = settled()
    state.obey(Suspend(), NOW)
    lines_found(state, {SECOND.number: SILENT})
    state.obey(Unsuspend(), NOW)
    state.obey(Suspend(), NOW)
    assert state.provisioning.standing[TELEPHONY].doubts == {}
    lines_found(state, {SECOND.number: SILENT}, 125)
    assert not state.provisioning.standing[TELEPHONY].attention


def test_every_line_knows_when_it_was_last_proven() -> None:
    state = settled()
    proofs = state.provisioning.standing[TELEPHONY].proofs
    assert proofs == {LINE.number: NOW, SECOND.number: NOW}
    state.obey(Suspend(), NOW)
    lines_found(state, {SECOND.number: SILENT}, 30)
    proofs = state.provisioning.standing[TELEPHONY].proofs
    assert proofs == {LINE.number: NOW + timedelta(seconds=30), SECOND.number: NOW}
    state.obey(ChangeServices(remove_lines=(SECOND.number,)), NOW)
    lines_found(state, {}, 40)
    assert set(state.provisioning.standing[TELEPHONY].proofs) == {LINE.number}


def test_a_removed_line_that_is_not_proven_off_is_attempted_until_it_is() -> None:
    state = settled()
    state.obey(ChangeServices(remove_lines=(SECOND.number,)), NOW)
    lines_found(state, {SECOND.number: SILENT})
    assert lines_wanted(state) == {LINE.number: True, SECOND.number: False}
    assert SECOND.number in state.numbers, "nobody else may have it yet"
    lines_found(state, {}, 20)
    assert SECOND.number not in state.numbers


# -- the second look --------------------------------------------------------------------------------------------------


def test_what_was_switched_off_is_looked_at_again_after_the_delay() -> None:
    state = settled()
    assert state.next_look() is None, "nothing was switched off"
    state.obey(Suspend(), NOW)
    prove(state)
    assert state.settled, "the second look keeps nobody waiting"
    assert state.next_look() == LATER
    assert not state.may_look(TELEPHONY, LATER - timedelta(seconds=1))
    assert all(state.may_look(system, LATER) for system in BUILT_IN)
    assert state.provisioning.systems[TELEPHONY].to_look_at == [LINE.number, SECOND.number]
    assert state.provisioning.systems[INTERNET].to_look_at == ["acme"]
    for system in BUILT_IN:
        state.looked(system, Found(state.client.revision, LATER), 0.5)
    assert state.next_look() is None
    assert set(state.provisioning.standing[TELEPHONY].proofs.values()) == {LATER}


def test_without_a_delay_there_is_no_second_look() -> None:
    state = in_directory(tenant(), Limits())
    state.obey(Suspend(), NOW)
    prove(state)
    assert state.next_look() is None


def test_a_line_found_alive_is_drift_and_is_switched_off_again() -> None:
    state = settled()
    state.obey(Suspend(), NOW)
    prove(state)
    alive = {SECOND.number: Doubt(Proof.FAILED, "registered again")}
    state.looked(TELEPHONY, Found(state.client.revision, LATER, doubts=alive), 0.5)
    assert told(state)[-1] == f"Telephony found alive at the second look: {SECOND.number}: registered again"
    assert state.may_attempt(TELEPHONY, LATER)
    assert not state.settled
    prove(state, now=LATER)
    assert state.provisioning.systems[TELEPHONY].to_look_at == [LINE.number, SECOND.number]
    assert state.next_look() == LATER, "the network's own look is due"
    assert state.provisioned is Provisioned.SETTLED, "once is drift, no more"


def revive(state: ClientState, times: int) -> None:
    """The same line is found alive at second look after second look, and proven off each time."""
    alive = {SECOND.number: Doubt(Proof.FAILED, "registered again")}
    for _ in range(times):
        state.looked(TELEPHONY, Found(state.client.revision, LATER, doubts=alive), 1.0)
        prove(state, now=LATER)


def test_what_is_switched_on_again_and_again_needs_a_person_however_often_it_is_proven_off() -> None:
    state = settled()
    state.obey(Suspend(), NOW)
    prove(state)
    revive(state, 1)
    alive = {SECOND.number: Doubt(Proof.FAILED, "registered again")}
    state.looked(TELEPHONY, Found(state.client.revision, LATER, doubts=alive), 1.0)
    standing = state.provisioning.standing[TELEPHONY]
    assert standing.last_error == f"alive again, 2 times in a row: {SECOND.number}: registered again"
    assert not state.may_attempt(TELEPHONY, LATER), "pauses grow, instead of flapping for ever"
    assert standing.retry_at == LATER + timedelta(seconds=15)
    prove(state, now=LATER)
    assert not state.drifts(TELEPHONY)
    assert standing.attention, "a proof alone does not end it"
    revision = state.client.revision
    state.looked(TELEPHONY, Found(revision, LATER), 1.0)
    assert state.client.revision > revision, "which is published"
    prove(state, DIRECTORY)
    assert state.provisioned is Provisioned.SETTLED
    assert (standing.last_error, standing.revived) == ("", 0)


def test_a_new_decision_forgets_that_a_line_came_alive_again() -> None:
    state = settled()
    state.obey(Suspend(), NOW)
    prove(state)
    revive(state, 3)
    state.obey(Unsuspend(), NOW)
    prove(state)
    assert state.provisioned is Provisioned.SETTLED


def test_a_second_look_that_cannot_be_taken_for_long_needs_a_person_who_can_act() -> None:
    for command in (
        Retry(system=TELEPHONY),
        Skip(system=TELEPHONY, reason="away"),
        MarkDone(system=TELEPHONY, reason="x"),
    ):
        state = settled()
        state.obey(Decommission(), NOW)
        prove(state)
        state.looked(INTERNET, Found(state.client.revision, LATER), 0.5)
        for _ in range(5):
            assert state.provisioned is Provisioned.SETTLED
            state.look_failed(TELEPHONY, "no answer", LATER, 1.0)
        prove(state, DIRECTORY)
        assert state.provisioned is Provisioned.ATTENTION
        assert state.provisioning.standing[TELEPHONY].last_error == "not looked at again: no answer"
        assert not state.finished
        assert state.obey(command, LATER).changed
        prove(state, DIRECTORY)
        assert state.may_look(TELEPHONY, LATER) is isinstance(command, Retry)
        assert state.finished is not isinstance(command, Retry)


def test_what_a_person_has_accepted_stays_accepted_when_it_is_found_otherwise() -> None:
    state = settled()
    state.obey(Suspend(), NOW)
    state.provisioning.begin(TELEPHONY)
    state.failed(TELEPHONY, "no answer", NOW, 1.0)
    state.obey(Skip(system=TELEPHONY, reason="the line card is replaced on Monday"), NOW)
    state.doubted(TELEPHONY, "it rang", NOW, "monitoring")
    assert state.provisioning.standing[TELEPHONY].skipped is not None
    assert not state.may_attempt(TELEPHONY, LATER)


def test_a_protected_line_that_is_added_during_a_suspension_does_not_come_into_service() -> None:
    state = settled()
    state.obey(Suspend(), NOW)
    state.obey(ChangeServices(add_lines=(LIFT,)), NOW)
    assert lines_wanted(state)[LIFT.number] is False
    state.obey(Unsuspend(), NOW)
    assert lines_wanted(state)[LIFT.number] is True
    state.obey(Suspend(), NOW)
    assert lines_wanted(state)[LIFT.number] is True, "now it stays"


def test_a_proof_is_dated_by_the_clock_of_the_system() -> None:
    state = settled()
    state.obey(Suspend(), NOW)
    state.provisioning.begin(INTERNET)
    seen_at = NOW - timedelta(seconds=3)
    found = Found(state.client.revision, NOW, seen_at=seen_at)
    state.found(INTERNET, dict(state.provisioning.systems[INTERNET].wanted), found, 0)
    standing = state.provisioning.standing[INTERNET]
    assert (standing.proven_at, standing.proofs["acme"]) == (seen_at, seen_at)
    assert standing.look_at == LATER, "but the second look is our own clock's"


def test_a_removed_number_found_alive_is_taken_back_until_it_is_off() -> None:
    state = settled()
    state.obey(ChangeServices(remove_lines=(SECOND.number,)), NOW)
    prove(state)
    assert SECOND.number not in lines_wanted(state)
    alive = {SECOND.number: Doubt(Proof.FAILED, "in service again")}
    state.looked(TELEPHONY, Found(state.client.revision, LATER, doubts=alive), 0.5)
    assert lines_wanted(state)[SECOND.number] is False
    assert state.drifts(TELEPHONY)


def test_an_account_ended_by_a_conversion_found_alive_is_switched_off_again_as_it_was() -> None:
    state = settled()
    state.obey(Convert(to=ClientType.VIRTUAL), NOW)
    prove(state)
    assert state.provisioning.systems[INTERNET].wanted == {}
    alive = {"acme": Doubt(Proof.FAILED, "a session of 10.0.0.7")}
    state.looked(INTERNET, Found(state.client.revision, LATER, doubts=alive), 0.5)
    wanted = state.provisioning.systems[INTERNET].wanted["acme"]
    assert wanted == account(False, 100, 20, 110)


def test_what_cannot_be_seen_at_the_second_look_is_looked_at_again_with_growing_pauses() -> None:
    state = settled()
    state.obey(Suspend(), NOW)
    prove(state)
    state.look_failed(TELEPHONY, "no answer", LATER, 1.0)
    assert state.provisioning.standing[TELEPHONY].look_at == LATER + timedelta(seconds=15)
    state.looked(TELEPHONY, Found(1, LATER, doubts={LINE.number: SILENT}), 1.0)
    assert state.provisioning.standing[TELEPHONY].look_at == LATER + timedelta(seconds=30)
    assert state.settled
    state.looked(TELEPHONY, Found(1, LATER), 1.0)
    assert state.provisioning.standing[TELEPHONY].looks_failed == 0


def test_what_is_switched_on_again_needs_no_second_look() -> None:
    state = settled()
    state.obey(Suspend(), NOW)
    prove(state)
    state.obey(Unsuspend(), NOW)
    prove(state)
    assert state.next_look() is None
    assert state.provisioning.systems[TELEPHONY].look == {}
    assert state.provisioning.systems[INTERNET].look == {}


def test_a_decommissioned_client_ends_only_after_the_second_look() -> None:
    state = settled()
    state.obey(Decommission(), NOW)
    prove(state)
    assert state.settled
    assert not state.numbers, "its numbers are free already"
    assert not state.finished
    for system in BUILT_IN:
        state.looked(system, Found(state.client.revision, LATER), 0.5)
    assert state.finished


def test_a_second_look_that_the_directory_could_not_take_down_is_told_by_the_client() -> None:
    state = settled()
    state.obey(Suspend(), NOW)
    prove(state)
    state.looked(INTERNET, Found(state.client.revision, LATER, recorded=False), 0.5)
    assert told(state) == ["Internet looked at again: still off"]


# -- protected lines and rotated secrets ------------------------------------------------------------------------------


def test_a_protected_line_is_not_looked_at_because_it_stays_in_service() -> None:
    state = settled(tenant(services=Services(ClientType.RESIDENTIAL, (LINE, LIFT), RESIDENTIAL.internet)))
    state.obey(Suspend(), NOW)
    prove(state)
    assert lines_proven(state) == {LINE.number: False, LIFT.number: True}
    assert state.provisioning.systems[TELEPHONY].to_look_at == [LINE.number]


def test_rotated_credentials_are_proven_on_both_systems_also_while_suspended() -> None:
    for status in (Status.ACTIVE, Status.SUSPENDED):
        state = settled(tenant(status))
        wanted = dict(lines_wanted(state))
        answer = state.obey(RotateCredentials(), NOW)
        assert answer.changed
        assert answer.message == "Credentials rotated, to version 2"
        assert all(state.drifts(system) for system in BUILT_IN)
        assert lines_wanted(state) == wanted, "nothing is switched by it"
        prove(state)
        assert state.settled


def test_rotating_the_credentials_of_a_client_that_has_nothing_in_service_changes_the_version_only() -> None:
    state = in_directory(tenant(Status.NEW), LIMITS)
    prove(state, DIRECTORY)
    state.obey(RotateCredentials(), NOW)
    assert state.client.secret_version == 2
    assert not any(state.drifts(system) for system in BUILT_IN)
