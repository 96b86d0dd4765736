"""What was proven line by line, what was not, and what is found alive though proven off (PRODUCT.md section 5)."""

import copy
from datetime import datetime, timedelta

from tests.support.builders import (
    LIFT,
    LINE,
    NOW,
    RESIDENTIAL,
    SECOND,
    desired_lines,
    in_directory,
    lines_proven,
    prove,
    tenant,
)
from workflows.domain.client.client import Client
from workflows.domain.commands import (
    ChangeServices,
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
from workflows.domain.systems import BUILT_IN, DIRECTORY, INTERNET, TELEPHONY, System

LIMITS = Limits(attempt=120, first_pause=15, longest_pause=600)
SILENT = Doubt(Proof.NOT_PROVEN, "10.0.0.1 did not answer")
REFUSED = Doubt(Proof.FAILED, "the row is refused")
LATER = NOW + timedelta(seconds=60)


def settled(client: Client | None = None) -> ClientState:
    """A client all of whose services are proven to be as decided."""
    state = in_directory(client or tenant(), LIMITS)
    prove(state)
    assert state.settled
    return state


def texts(state: ClientState) -> list[str]:
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
    assert texts(state)[-1] == f"Telephone lines not done: {SECOND.number}: the row is refused"
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
    before = len(texts(state))
    for seconds in (0, 60, 119, 130, 300):
        lines_found(state, {SECOND.number: SILENT}, seconds)
    assert len(texts(state)) == before + 2


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
    assert desired_lines(state) == {LINE.number: True, SECOND.number: False}
    assert SECOND.number in state.numbers, "nobody else may have it yet"
    lines_found(state, {}, 20)
    assert SECOND.number not in state.numbers


# -- what is found alive ----------------------------------------------------------------------------------------------


def suspended() -> ClientState:
    """A client whose services were proven off at NOW."""
    state = settled()
    state.obey(Suspend(), NOW)
    prove(state)
    return state


def report(state: ClientState, now: datetime = LATER, system: System = TELEPHONY, **alive: str) -> None:
    """Somebody saw the second line, or what is named, alive."""
    signs = alive or {SECOND.number: "registered again"}
    state.found_alive(system, signs, now, now, "connect", 1.0)


def test_a_line_found_alive_is_drift_and_is_switched_off_again() -> None:
    state = suspended()
    report(state)
    assert texts(state)[-1] == f"Telephone lines found alive again: {SECOND.number}: registered again"
    assert state.may_attempt(TELEPHONY, LATER)
    assert not state.settled
    assert lines_proven(state) == {LINE.number: False}, "the other is as it was"
    prove(state, now=LATER)
    assert state.provisioned is Provisioned.SETTLED, "once is drift, no more"


def test_what_is_seen_of_something_that_should_be_on_is_being_switched_or_was_proven_off_since_says_nothing() -> None:
    active = settled()
    being_switched = settled()
    being_switched.obey(Suspend(), NOW)
    being_switched.provisioning.begin(TELEPHONY)
    proven_since = suspended()
    for state, seen_at in ((active, LATER), (being_switched, LATER), (proven_since, NOW)):
        before = copy.deepcopy(state)
        state.found_alive(TELEPHONY, {SECOND.number: "registered", "+440": "unknown"}, seen_at, LATER, "connect", 1.0)
        assert state == before
    report(proven_since)
    assert proven_since.drifts(TELEPHONY)


def test_what_is_found_alive_twice_in_the_time_that_its_end_takes_is_told_once() -> None:
    state = suspended()
    report(state)
    after = copy.deepcopy(state)
    report(state)
    assert state == after


def test_a_report_about_a_system_that_the_client_does_not_have_says_nothing() -> None:
    state = suspended()
    before = copy.deepcopy(state)
    report(state, system="doors", main="open")
    report(state, system=DIRECTORY, acme="open")
    assert state == before


def test_what_is_switched_on_again_and_again_needs_a_person_until_it_has_been_quiet_for_the_longest_pause() -> None:
    state = suspended()
    report(state)
    prove(state, now=LATER)
    report(state, LATER + timedelta(seconds=1))
    standing = state.provisioning.standing[TELEPHONY]
    assert standing.last_error == f"alive again, 2 times in a row: {SECOND.number}: registered again"
    assert not state.may_attempt(TELEPHONY, LATER), "pauses grow, instead of flapping for ever"
    assert standing.retry_at == LATER + timedelta(seconds=16)
    prove(state, now=LATER)
    assert not state.drifts(TELEPHONY)
    assert standing.attention, "a proof alone does not end it"
    quiet = LATER + timedelta(seconds=600)
    assert state.next_moment() == quiet
    state.advance(quiet - timedelta(seconds=1))
    assert standing.attention
    revision = state.client.revision
    state.advance(quiet)
    assert state.client.revision > revision, "which is published"
    prove(state, DIRECTORY)
    assert state.provisioned is Provisioned.SETTLED
    assert (standing.last_error, standing.revived) == ("", 0)
    assert state.next_moment() is None


def test_what_is_found_alive_long_after_the_last_time_is_no_row_of_times() -> None:
    state = suspended()
    for days in range(1, 5):
        report(state, NOW + timedelta(days=days))
        prove(state, now=NOW + timedelta(days=days))
        assert state.provisioned is Provisioned.SETTLED


def revive(state: ClientState, times: int) -> None:
    """The same line is found alive again and again, and proven off each time."""
    for n in range(times):
        report(state, LATER + timedelta(seconds=n + 1))
        prove(state, now=LATER + timedelta(seconds=n + 1))


def test_a_new_decision_forgets_that_a_line_came_alive_again() -> None:
    state = suspended()
    revive(state, 3)
    state.obey(Unsuspend(), NOW)
    prove(state)
    assert state.provisioned is Provisioned.SETTLED


def test_a_person_can_act_on_what_is_alive_again_and_again() -> None:
    for command in (
        Retry(system=TELEPHONY),
        Skip(system=TELEPHONY, reason="away"),
        MarkDone(system=TELEPHONY, reason="x"),
    ):
        state = settled()
        state.obey(Decommission(), NOW)
        prove(state)
        state = in_attention_though_proven(state)
        assert not state.finished, "its workflow stays until it is quiet"
        assert state.obey(command, LATER).changed
        prove(state, DIRECTORY)
        assert state.may_attempt(TELEPHONY, LATER) is isinstance(command, Retry)
        assert state.finished is not isinstance(command, Retry)
        prove(state, now=LATER)
        assert state.provisioned is Provisioned.SETTLED


def in_attention_though_proven(state: ClientState) -> ClientState:
    standing = state.provisioning.standing[TELEPHONY]
    standing.revived = 1
    standing.revive("a line: registered again", LATER, state.limits, 1.0)
    prove(state, now=LATER)
    assert state.provisioned is Provisioned.ATTENTION
    return state


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
    assert desired_lines(state)[LIFT.number] is False
    state.obey(Unsuspend(), NOW)
    assert desired_lines(state)[LIFT.number] is True
    state.obey(Suspend(), NOW)
    assert desired_lines(state)[LIFT.number] is True, "now it stays"


def test_a_proof_is_dated_by_the_clock_of_the_system() -> None:
    state = settled()
    state.obey(Suspend(), NOW)
    state.provisioning.begin(INTERNET)
    seen_at = NOW - timedelta(seconds=3)
    found = Found(state.client.revision, NOW, seen_at=seen_at)
    state.found(INTERNET, dict(state.provisioning.systems[INTERNET].wanted), found, 0)
    standing = state.provisioning.standing[INTERNET]
    assert (standing.proven_at, standing.proofs["acme"]) == (seen_at, seen_at)


def test_a_decommissioned_client_ends_once_it_is_proven_off() -> None:
    state = settled()
    state.obey(Decommission(), NOW)
    assert not state.finished
    prove(state)
    assert not state.numbers, "its numbers are free already"
    assert state.finished


def test_every_line_of_a_proof_that_the_directory_could_not_take_down_is_told_by_the_client() -> None:
    """The directory watches what it reads there."""
    state = settled()
    state.obey(Suspend(), NOW)
    state.provisioning.begin(TELEPHONY)
    off = dict.fromkeys(desired_lines(state), "off")
    found = Found(state.client.revision, LATER, facts=off, recorded=False)
    state.found(TELEPHONY, dict(state.provisioning.systems[TELEPHONY].wanted), found, 0.5)
    assert (texts(state)[-1], state.journal.waiting[-1].facts) == ("Telephone lines proven", off)


# -- protected lines and rotated secrets ------------------------------------------------------------------------------


def test_a_protected_line_that_is_seen_in_service_is_as_it_should_be() -> None:
    state = settled(tenant(services=Services(ClientType.RESIDENTIAL, (LINE, LIFT), RESIDENTIAL.internet)))
    state.obey(Suspend(), NOW)
    prove(state)
    assert lines_proven(state) == {LINE.number: False, LIFT.number: True}
    state.found_alive(TELEPHONY, {LIFT.number: "in service"}, LATER, LATER, "connect", 1.0)
    assert state.settled


def test_rotated_credentials_are_proven_on_both_systems_also_while_suspended() -> None:
    for status in (Status.ACTIVE, Status.SUSPENDED):
        state = settled(tenant(status))
        wanted = dict(desired_lines(state))
        answer = state.obey(RotateCredentials(), NOW)
        assert answer.changed
        assert answer.message == "Credentials rotated, to version 2"
        assert all(state.drifts(system) for system in BUILT_IN)
        assert desired_lines(state) == wanted, "nothing is switched by it"
        prove(state)
        assert state.settled


def test_rotating_the_credentials_of_a_client_that_has_nothing_in_service_changes_the_version_only() -> None:
    state = in_directory(tenant(Status.NEW), LIMITS)
    prove(state, DIRECTORY)
    state.obey(RotateCredentials(), NOW)
    assert state.client.secret_version == 2
    assert not any(state.drifts(system) for system in BUILT_IN)
