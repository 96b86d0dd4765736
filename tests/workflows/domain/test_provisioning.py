"""What the systems should do, what is proven of them, and what is unknown (PRODUCT.md section 5)."""

from datetime import timedelta

import pytest

from tests.support.builders import (
    LAST_DAY,
    LIFT,
    LINE,
    NOW,
    RESIDENTIAL,
    SECOND,
    THIRD,
    VIRTUAL,
    account,
    dated,
    desired_lines,
    in_directory,
    lines_proven,
    prove,
    settled,
    tenant,
)
from workflows.domain.commands import ChangeServices, Convert, Decommission, Edit, Suspend, Unsuspend
from workflows.domain.lifecycle import Status
from workflows.domain.provisioning.provisioning import Provisioned
from workflows.domain.provisioning.standing import Limits
from workflows.domain.services import ClientType, Internet, Services
from workflows.domain.state import ClientState
from workflows.domain.systems import BUILT_IN, DIRECTORY, INTERNET, TELEPHONY

LIMITS = Limits(first_pause=15, longest_pause=3600)


# -- wanted, proven, unknown ------------------------------------------------------------------------------------------


def test_nothing_is_wanted_of_the_systems_for_a_new_client() -> None:
    state = in_directory(tenant(Status.NEW))
    assert not state.drifts(TELEPHONY)
    assert not state.drifts(INTERNET)
    assert desired_lines(state) == {}


def test_nothing_is_switched_for_a_client_that_the_directory_does_not_know() -> None:
    state = ClientState(tenant(Status.NEW), LIMITS)
    state.advance(NOW + timedelta(days=200))
    assert state.client.status is Status.NEW
    assert not any(state.may_attempt(system, NOW) for system in BUILT_IN)
    assert state.may_attempt(DIRECTORY, NOW)
    assert not state.settled


def test_unknown_counts_as_drift() -> None:
    state = settled()
    state.provisioning.systems[TELEPHONY].proven.pop(LINE.number)
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
    assert lines_proven(state) == {LINE.number: True}
    state.obey(ChangeServices(add_lines=(SECOND,)), NOW)
    assert desired_lines(state) == {LINE.number: True, SECOND.number: True}
    assert state.drifts(TELEPHONY), "it may have been switched off"
    prove(state)
    assert lines_proven(state) == {LINE.number: True, SECOND.number: True}


def test_a_removed_line_that_comes_back_before_any_attempt_is_as_it_was() -> None:
    state = settled()
    state.obey(ChangeServices(remove_lines=(SECOND.number,)), NOW)
    state.obey(ChangeServices(add_lines=(SECOND,)), NOW)
    assert not state.drifts(TELEPHONY)


def test_an_abandoned_attempt_on_internet_leaves_the_account_unknown() -> None:
    state = settled()
    state.obey(ChangeServices(internet=Internet(5, 5)), NOW)
    state.provisioning.begin(INTERNET)
    assert state.provisioning.systems[INTERNET].proven == {}
    state.obey(ChangeServices(internet=RESIDENTIAL.internet or "none"), NOW)
    assert state.drifts(INTERNET)


def test_a_removed_line_is_wanted_off_and_keeps_its_number_until_it_is_proven_off() -> None:
    state = settled()
    state.obey(ChangeServices(remove_lines=(SECOND.number,)), NOW)
    assert desired_lines(state) == {LINE.number: True, SECOND.number: False}
    assert SECOND.number in state.numbers
    prove(state, INTERNET, DIRECTORY)
    assert SECOND.number in state.numbers
    prove(state, TELEPHONY)
    assert SECOND.number not in state.numbers
    assert desired_lines(state) == lines_proven(state) == {LINE.number: True}


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
    assert SECOND.number not in desired_lines(state)
    assert state.settled


def test_internet_removed_is_rejected_then_forgotten() -> None:
    state = settled()
    state.obey(ChangeServices(internet="none"), NOW)
    assert state.provisioning.systems[INTERNET].wanted == {"acme": account(False, 100, 20, 110)}
    prove(state)
    assert state.provisioning.systems[INTERNET].wanted == state.provisioning.systems[INTERNET].proven == {}
    assert state.settled


def test_a_suspension_ceases_everything_and_an_unsuspension_restores_exactly_what_is_contracted() -> None:
    state = settled()
    on = (dict(desired_lines(state)), dict(state.provisioning.systems[INTERNET].wanted))
    state.obey(Suspend(), NOW)
    assert not any(desired_lines(state).values())
    assert not any(access.on for access in state.provisioning.systems[INTERNET].wanted.values())
    prove(state)
    assert state.settled
    state.obey(Unsuspend(), NOW)
    assert (desired_lines(state), state.provisioning.systems[INTERNET].wanted) == on


def test_protected_lines_stay_on_through_a_suspension_but_not_beyond_the_end() -> None:
    state = settled(Services(ClientType.RESIDENTIAL, (LINE, LIFT)))
    state.obey(Suspend(), NOW)
    assert desired_lines(state) == {LINE.number: False, LIFT.number: True}
    state.obey(Decommission(), NOW)
    assert desired_lines(state) == {LINE.number: False, LIFT.number: False}


def test_protected_lines_of_a_client_that_never_was_active_stay_off() -> None:
    state = in_directory(tenant(Status.NEW, services=Services(ClientType.RESIDENTIAL, (LINE, LIFT))))
    state.obey(Suspend(), NOW)
    state.advance(NOW + timedelta(days=200))
    assert state.client.status is Status.SUSPENDED
    assert desired_lines(state) == {LINE.number: False, LIFT.number: False}


@pytest.mark.parametrize("suspended", [False, True])
def test_a_decommissioned_client_is_finished_once_everything_is_proven_off_and_published(suspended: bool) -> None:
    state = settled()
    if suspended:
        state.obey(Suspend(), NOW)
        prove(state)
    state.obey(Decommission(), NOW)
    for system in (TELEPHONY, INTERNET, DIRECTORY):
        assert not state.finished
        assert state.numbers if system == TELEPHONY else not state.numbers
        prove(state, system)
    assert state.finished
    assert lines_proven(state) == {LINE.number: False, SECOND.number: False}


def test_a_new_client_that_is_decommissioned_is_proven_off_all_the_same() -> None:
    state = in_directory(tenant(Status.NEW))
    state.obey(Decommission(), NOW)
    assert state.drifts(TELEPHONY)
    assert state.drifts(INTERNET)
    prove(state)
    assert state.finished


def test_the_numbers_of_a_planned_addition_are_held_until_the_plan_goes() -> None:
    state = settled()
    state.obey(dated(ChangeServices(add_lines=(THIRD,), last_day=LAST_DAY)), NOW)
    assert THIRD.number in state.numbers
    assert not state.drifts(TELEPHONY)
    state.obey(dated(ChangeServices(internet="none", last_day=LAST_DAY)), NOW)
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
