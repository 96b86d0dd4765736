"""What the systems should do, what is proven of them, and the patience in between (PRODUCT.md section 5)."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tests.support.builders import (
    LAST_DAY,
    LIFT,
    LINE,
    NOW,
    RESIDENTIAL,
    SECOND,
    THIRD,
    VIRTUAL,
    in_directory,
    prove,
    tenant,
)
from workflows.domain.answers import fingerprint
from workflows.domain.commands import ChangeServices, Convert, Decommission, Edit, Suspend, Unsuspend
from workflows.domain.errors import Refusal, TooManyWaiting
from workflows.domain.lifecycle import Status
from workflows.domain.provisioning.ledger import Access, Provisioned
from workflows.domain.provisioning.standing import Limits, Standing
from workflows.domain.services import ClientType, Internet, Line, Services
from workflows.domain.state import ClientState
from workflows.domain.systems import SWITCHED, System

TELEPHONY, INTERNET, DIRECTORY = System
LIMITS = Limits(first_pause=15, longest_pause=3600)


def settled(services: Services = RESIDENTIAL) -> ClientState:
    """An Active client all of whose services are proven on."""
    state = in_directory(tenant(services=services))
    prove(state)
    assert state.settled
    return state


# -- patience ---------------------------------------------------------------------------------------------------------


@settings(derandomize=True, deadline=None, database=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=80))
def test_pauses_grow_are_jittered_and_never_exceed_the_longest(chances: list[float]) -> None:
    standing, before = Standing(), 0.0
    for chance in chances:
        standing.fail("no answer", NOW, LIMITS, chance)
        assert standing.retry_at is not None
        pause = (standing.retry_at - NOW).total_seconds()
        assert 0 < pause <= LIMITS.longest_pause
        assert pause > before or pause >= 0.75 * LIMITS.longest_pause
        before = pause
    assert standing.attempts == len(chances)


def test_the_same_failure_pauses_differently_with_another_chance() -> None:
    early, late = Standing(), Standing()
    early.fail("no answer", NOW, LIMITS, 0.0)
    late.fail("no answer", NOW, LIMITS, 1.0)
    assert early.retry_at == NOW + timedelta(seconds=11.25)
    assert late.retry_at == NOW + timedelta(seconds=15)


def test_a_failed_system_is_attention_with_its_error_and_is_tried_again_when_its_time_comes() -> None:
    state = in_directory(tenant())
    state.provisioning.begin(TELEPHONY)
    state.failed(TELEPHONY, "SystemUnavailable: no answer", NOW, 1.0)
    standing = state.provisioning.standing[TELEPHONY]
    assert (standing.last_error, standing.attempts) == ("SystemUnavailable: no answer", 1)
    assert state.provisioned is Provisioned.ATTENTION
    assert not state.may_attempt(TELEPHONY, NOW)
    assert state.may_attempt(INTERNET, NOW), "the other system is not held up"
    assert state.next_moment() == NOW + timedelta(seconds=15)
    assert state.may_attempt(TELEPHONY, NOW + timedelta(seconds=15))


def test_a_new_decision_makes_the_next_attempt_due_at_once_and_stays_attention_until_proven() -> None:
    state = settled()
    state.obey(Suspend(), NOW)
    for _ in range(9):
        state.provisioning.begin(TELEPHONY)
        state.failed(TELEPHONY, "no answer", NOW, 1.0)
    assert not state.may_attempt(TELEPHONY, NOW)
    state.obey(Unsuspend(), NOW)
    assert state.may_attempt(TELEPHONY, NOW)
    assert state.provisioning.standing[TELEPHONY].attempts == 0
    assert state.provisioned is Provisioned.ATTENTION
    prove(state)
    assert state.settled
    assert state.provisioning.standing[TELEPHONY].last_error == ""


def test_a_decision_that_wants_nothing_else_of_a_system_leaves_it_its_pause() -> None:
    state = settled()
    state.obey(Suspend(), NOW)
    state.failed(TELEPHONY, "no answer", NOW, 1.0)
    state.obey(Edit(name="Acme & Sons"), NOW)
    assert not state.may_attempt(TELEPHONY, NOW)


def test_a_failure_is_told_once_for_each_new_error() -> None:
    state = settled()
    state.obey(Suspend(), NOW)
    written = state.journal.written
    for error in ("no answer", "no answer", "locked", "locked"):
        state.failed(TELEPHONY, error, NOW, 0.5)
    assert state.journal.written == written + 2


def test_a_failing_directory_is_attention_too_and_tells_itself_nothing() -> None:
    state = in_directory(tenant())
    written, revision = state.journal.written, state.client.revision
    state.failed(DIRECTORY, "no answer", NOW, 0.5)
    assert (state.journal.written, state.client.revision) == (written, revision)
    assert state.provisioned is Provisioned.ATTENTION
    assert not state.may_attempt(DIRECTORY, NOW)
    assert state.next_moment() is not None


# -- wanted, proven, unknown ------------------------------------------------------------------------------------------


def test_nothing_is_wanted_of_the_systems_for_a_new_client() -> None:
    state = in_directory(tenant(Status.NEW))
    assert not state.drifts(TELEPHONY)
    assert not state.drifts(INTERNET)
    assert state.provisioning.lines_wanted == {}


def test_nothing_is_switched_for_a_client_that_the_directory_does_not_know() -> None:
    state = ClientState(tenant(Status.NEW), LIMITS)
    state.advance(NOW + timedelta(days=200))
    assert state.client.status is Status.NEW
    assert not any(state.may_attempt(system, NOW) for system in SWITCHED)
    assert state.may_attempt(DIRECTORY, NOW)
    assert not state.settled


def test_unknown_counts_as_drift() -> None:
    state = settled()
    state.provisioning.lines.pop(LINE.number)
    assert state.drifts(TELEPHONY)
    assert state.provisioned is Provisioned.CHANGING


def test_off_is_not_unknown_and_unknown_is_not_off() -> None:
    state = in_directory(tenant())
    state.obey(Suspend(), NOW)
    assert state.drifts(TELEPHONY), "never proven off"
    assert state.numbers == {LINE.number, SECOND.number}


def test_an_abandoned_attempt_leaves_what_it_was_to_change_unknown_and_the_rest_known() -> None:
    state = settled()
    state.obey(ChangeServices(remove_lines=(SECOND.number,)), NOW)
    state.provisioning.begin(TELEPHONY)
    assert state.provisioning.lines == {LINE.number: True}
    state.obey(ChangeServices(add_lines=(SECOND,)), NOW)
    assert state.provisioning.lines_wanted == {LINE.number: True, SECOND.number: True}
    assert state.drifts(TELEPHONY), "it may have been switched off"
    prove(state)
    assert state.provisioning.lines == {LINE.number: True, SECOND.number: True}


def test_a_removed_line_that_comes_back_before_any_attempt_is_as_it_was() -> None:
    state = settled()
    state.obey(ChangeServices(remove_lines=(SECOND.number,)), NOW)
    state.obey(ChangeServices(add_lines=(SECOND,)), NOW)
    assert not state.drifts(TELEPHONY)


def test_an_abandoned_attempt_on_internet_leaves_the_account_unknown() -> None:
    state = settled()
    state.obey(ChangeServices(internet=Internet(5, 5)), NOW)
    state.provisioning.begin(INTERNET)
    assert state.provisioning.access == {}
    state.obey(ChangeServices(internet=RESIDENTIAL.internet or "none"), NOW)
    assert state.drifts(INTERNET)


def test_a_removed_line_is_wanted_off_and_keeps_its_number_until_it_is_proven_off() -> None:
    state = settled()
    state.obey(ChangeServices(remove_lines=(SECOND.number,)), NOW)
    assert state.provisioning.lines_wanted == {LINE.number: True, SECOND.number: False}
    assert SECOND.number in state.numbers
    prove(state, INTERNET, DIRECTORY)
    assert SECOND.number in state.numbers
    prove(state, TELEPHONY)
    assert SECOND.number not in state.numbers
    assert state.provisioning.lines_wanted == state.provisioning.lines == {LINE.number: True}


def test_a_line_removed_during_a_suspension_is_proven_off_once_more_before_its_number_is_free() -> None:
    """Otherwise nobody would release it, and a later order of this client could still cut whoever has it next."""
    state = settled()
    state.obey(Suspend(), NOW)
    prove(state)
    proven = state.provisioning.standing[TELEPHONY].proven_revision
    state.obey(ChangeServices(remove_lines=(SECOND.number,)), NOW)
    assert state.drifts(TELEPHONY)
    assert state.provisioning.standing[TELEPHONY].wanted_since > proven
    assert SECOND.number in state.numbers
    prove(state)
    assert SECOND.number not in state.numbers
    assert SECOND.number not in state.provisioning.lines_wanted
    assert state.settled


def test_internet_removed_is_rejected_then_forgotten() -> None:
    state = settled()
    state.obey(ChangeServices(internet="none"), NOW)
    assert state.provisioning.access_wanted == {"acme": Access("acme", False, 100, 20, 110)}
    prove(state)
    assert state.provisioning.access_wanted == state.provisioning.access == {}
    assert state.settled


def test_a_suspension_ceases_everything_and_an_unsuspension_restores_exactly_what_is_contracted() -> None:
    state = settled()
    on = (dict(state.provisioning.lines_wanted), dict(state.provisioning.access_wanted))
    state.obey(Suspend(), NOW)
    assert not any(state.provisioning.lines_wanted.values())
    assert not any(access.on for access in state.provisioning.access_wanted.values())
    prove(state)
    assert state.settled
    state.obey(Unsuspend(), NOW)
    assert (state.provisioning.lines_wanted, state.provisioning.access_wanted) == on


def test_protected_lines_stay_on_through_a_suspension_but_not_beyond_the_end() -> None:
    state = settled(Services(ClientType.RESIDENTIAL, (LINE, LIFT)))
    state.obey(Suspend(), NOW)
    assert state.provisioning.lines_wanted == {LINE.number: False, LIFT.number: True}
    state.obey(Decommission(), NOW)
    assert state.provisioning.lines_wanted == {LINE.number: False, LIFT.number: False}


def test_protected_lines_of_a_client_that_never_was_active_stay_off() -> None:
    state = in_directory(tenant(Status.NEW, services=Services(ClientType.RESIDENTIAL, (LINE, LIFT))))
    state.obey(Suspend(), NOW)
    state.advance(NOW + timedelta(days=200))
    assert state.client.status is Status.SUSPENDED
    assert state.provisioning.lines_wanted == {LINE.number: False, LIFT.number: False}


@pytest.mark.parametrize("suspended", [False, True])
def test_a_decommissioned_client_is_finished_once_everything_is_proven_off_and_published(suspended: bool) -> None:
    state = settled()
    if suspended:
        state.obey(Suspend(), NOW)
        prove(state)
    state.obey(Decommission(), NOW)
    for system in (TELEPHONY, INTERNET, DIRECTORY):
        assert not state.finished
        assert state.numbers if system is TELEPHONY else not state.numbers
        prove(state, system)
    assert state.finished
    assert state.provisioning.lines == {LINE.number: False, SECOND.number: False}


def test_a_new_client_that_is_decommissioned_is_proven_off_all_the_same() -> None:
    state = in_directory(tenant(Status.NEW))
    state.obey(Decommission(), NOW)
    assert state.drifts(TELEPHONY)
    assert state.drifts(INTERNET)
    prove(state)
    assert state.finished


def test_the_numbers_of_a_planned_addition_are_held_until_the_plan_goes() -> None:
    state = settled()
    state.obey(ChangeServices(add_lines=(THIRD,), last_day=LAST_DAY), NOW)
    assert THIRD.number in state.numbers
    assert not state.drifts(TELEPHONY)
    state.obey(ChangeServices(internet="none", last_day=LAST_DAY), NOW)
    assert THIRD.number not in state.numbers, "another plan of the kind replaced it"


# -- conversions ------------------------------------------------------------------------------------------------------


def converting() -> ClientState:
    """A client being converted to virtual while one line is not proven yet."""
    state = settled()
    state.obey(ChangeServices(add_lines=(THIRD,)), NOW)
    state.obey(Convert(to=ClientType.VIRTUAL), NOW)
    return state


def test_a_conversion_ends_internet_only_after_the_telephones_are_proven() -> None:
    state = converting()
    assert state.may_attempt(TELEPHONY, NOW)
    assert state.drifts(INTERNET)
    assert not state.may_attempt(INTERNET, NOW)
    prove(state, TELEPHONY)
    assert state.may_attempt(INTERNET, NOW)


def test_a_conversion_whose_telephones_are_proven_already_ends_internet_at_once() -> None:
    state = settled()
    state.obey(Convert(to=ClientType.VIRTUAL), NOW)
    assert not state.drifts(TELEPHONY)
    assert state.may_attempt(INTERNET, NOW)


def test_an_edit_does_not_make_a_conversion_forget_to_wait() -> None:
    state = converting()
    state.obey(Edit(name="Acme Virtual"), NOW)
    assert not state.may_attempt(INTERNET, NOW)


def test_changes_due_together_with_a_conversion_do_not_make_it_forget_to_wait() -> None:
    state = settled()
    later = NOW + timedelta(days=1)
    state.obey(Convert(to=ClientType.VIRTUAL, at=later), NOW)
    state.obey(ChangeServices(remove_lines=(SECOND.number,), at=later), NOW)
    state.advance(later)
    assert state.may_attempt(TELEPHONY, later)
    assert not state.may_attempt(INTERNET, later)


@pytest.mark.parametrize("command", [Suspend(), Decommission()])
def test_a_client_that_is_cut_off_during_a_conversion_is_cut_off_on_both_systems_at_once(
    command: Suspend | Decommission,
) -> None:
    state = converting()
    state.failed(TELEPHONY, "no answer", NOW, 1.0)
    state.obey(command, NOW)
    assert state.may_attempt(INTERNET, NOW), "one failing system never blocks the other's change"


def test_a_conversion_to_residential_admits_internet_without_waiting_for_the_telephones() -> None:
    state = settled(VIRTUAL)
    state.doubted(TELEPHONY, "", NOW, "monitoring")
    state.obey(Convert(to=ClientType.RESIDENTIAL, offices=("1.1",), internet=Internet(10, 10)), NOW)
    assert state.drifts(TELEPHONY)
    assert state.may_attempt(INTERNET, NOW)


def test_a_line_added_after_a_conversion_was_proven_does_not_hold_up_its_end() -> None:
    state = converting()
    prove(state, TELEPHONY)
    state.provisioning.begin(INTERNET)
    state.failed(INTERNET, "no answer", NOW, 0.0)
    state.obey(ChangeServices(remove_lines=(SECOND.number,)), NOW)
    assert state.drifts(TELEPHONY)
    assert state.may_attempt(INTERNET, NOW + timedelta(minutes=1))


# -- reports ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("system", SWITCHED)
def test_reported_drift_makes_a_system_unknown_and_has_it_proven_anew(system: System) -> None:
    state = settled()
    revision = state.client.revision
    state.doubted(system, "phone rings though off", NOW, "monitoring")
    assert state.client.revision == revision + 1
    assert state.drifts(system)
    assert not any(state.drifts(other) for other in SWITCHED if other is not system)
    assert state.may_attempt(system, NOW)
    entry = state.journal.waiting[-1]
    assert entry.text == f"Drift of {system} reported: phone rings though off"
    prove(state)
    assert state.settled


def test_a_system_that_obeyed_a_later_revision_is_decided_above_it() -> None:
    state = settled()
    state.obey(Suspend(), NOW)
    state.overtaken(TELEPHONY, 90, NOW)
    assert state.client.revision == 91
    assert state.provisioning.standing[TELEPHONY].wanted_since == 91
    assert state.may_attempt(TELEPHONY, NOW)


def test_a_system_that_is_ahead_of_every_revision_is_tried_at_a_pace_and_shown() -> None:
    state = settled()
    state.obey(Suspend(), NOW)
    standing = state.provisioning.standing[TELEPHONY]
    due = []
    for _ in range(5):
        state.overtaken(TELEPHONY, state.client.revision + 1, NOW)
        due.append(standing.retry_at or NOW)
    assert due[0] == due[1] == NOW  # after a reset it is decided anew at once
    assert NOW < due[2] < due[3] < due[4]
    assert standing.attention
    assert "has obeyed revision" in standing.last_error
    prove(state)
    assert (standing.outrun, standing.attention, state.settled) == (0, False, True)


def test_lines_that_wait_for_the_directory_are_bounded_in_all() -> None:
    state = settled()
    many = [Line(f"+44207{n:07}", "1") for n in range(1200)]
    for start in (0, 500):
        state.claim(ChangeServices(add_lines=tuple(many[start : start + 500]), command_id=f"c{start}"))
    with pytest.raises(TooManyWaiting):
        state.claim(ChangeServices(add_lines=tuple(many[1000:]), command_id="more"))
    assert len(state.claims) == 2


def test_the_directory_drifts_while_it_does_not_show_the_newest_revision_or_line() -> None:
    state = settled()
    state.refuse("nonsense", "signal", NOW)
    assert state.drifts(DIRECTORY)
    prove(state, DIRECTORY)
    assert state.settled
    state.client.revision += 1
    assert state.provisioned is Provisioned.CHANGING


# -- claims -----------------------------------------------------------------------------------------------------------


def test_a_command_that_needs_something_unique_waits_and_is_carried_out_when_granted() -> None:
    state = settled()
    command = ChangeServices(add_lines=(THIRD,), command_id="c1")
    assert state.needs_of(command).numbers == (THIRD.number,)
    state.claim(command)
    state.claim(command)
    assert state.claims == [command]
    assert THIRD.number not in state.client.services.numbers
    assert state.drifts(DIRECTORY)
    answer = state.won(None, NOW)
    assert not isinstance(answer, Refusal)
    assert answer.changed
    assert state.client.services.lines[-1] == THIRD
    assert state.obey(command, NOW) == answer


def test_a_generated_billing_reference_is_taken_and_the_command_keeps_its_answer() -> None:
    state = settled()
    command = Edit(billing_ref="", command_id="c1")
    state.claim(command)
    answer = state.won("B-77", NOW)
    assert state.client.billing_ref == "B-77"
    assert state.obey(command, NOW) == answer


def test_a_claim_that_became_illegal_while_it_waited_is_refused_and_recorded() -> None:
    state = settled()
    state.claim(ChangeServices(add_lines=(THIRD,), command_id="c1"))
    state.obey(Decommission(), NOW)
    assert isinstance(state.won(None, NOW), Refusal)
    assert state.claims == []
    assert state.journal.waiting[-1].command_id == "c1"
    assert THIRD.number not in state.client.services.numbers


def test_a_command_waiting_for_the_directory_has_it_attempted_at_once() -> None:
    state = settled()
    state.client.revision += 1
    state.failed(DIRECTORY, "no answer", NOW, 1.0)
    state.claim(Edit(billing_ref="B-2"))
    assert state.may_attempt(DIRECTORY, NOW)
    assert state.provisioning.standing[DIRECTORY].attempts == 0


def test_one_command_has_one_fingerprint_however_its_time_was_read() -> None:
    """A renewal reads times by another library's zone objects than the caller's."""
    given = Suspend(at=datetime(2027, 1, 1, tzinfo=UTC), command_id="c1")
    read = Suspend(at=datetime.fromisoformat("2027-01-01T00:00:00+00:00"), command_id="c1")
    from_json = Suspend(command_id="c1", at=_from_json("2027-01-01T00:00:00Z"))
    assert fingerprint(given) == fingerprint(read) == fingerprint(from_json)
    assert fingerprint(given) != fingerprint(Suspend(at=datetime(2027, 1, 2, tzinfo=UTC), command_id="c1"))
    assert fingerprint(given) != fingerprint(Unsuspend(at=given.at, command_id="c1"))


def _from_json(text: str) -> datetime:
    return TypeAdapter(datetime).validate_json(f'"{text}"')
