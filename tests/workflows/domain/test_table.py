"""Every cell of the table in PRODUCT.md section 3: what each command does now, in each status."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.builders import (
    AFTER_LAST_DAY,
    LATER,
    NOW,
    STARTS,
    VIRTUAL,
    desired_lines,
    in_directory,
    leaving,
    living,
    planned,
    refusal,
    tenant,
    unchanged,
)
from workflows.domain.commands import (
    Activate,
    ChangeServices,
    Convert,
    Decommission,
    Suspend,
    Unsuspend,
)
from workflows.domain.errors import (
    IllegalTransition,
)
from workflows.domain.journal import Event
from workflows.domain.lifecycle import Status
from workflows.domain.services import ClientType, Internet, Line
from workflows.domain.systems import BUILT_IN, DIRECTORY, INTERNET, TELEPHONY

NEW, ACTIVE, SUSPENDED, DECOMMISSIONED = Status


# -- activate by hand -------------------------------------------------------------------------------------------------


def test_activate_makes_a_new_client_active_and_its_planned_activation_goes() -> None:
    client = tenant(NEW)
    assert planned(client) == ["activate"]
    assert client.obey(Activate(), NOW).changed
    assert client.status is ACTIVE
    assert client.first_active_at == NOW
    assert planned(client) == []


def test_activate_makes_a_new_client_with_a_hold_suspended_and_says_who_holds_it() -> None:
    client = tenant(NEW)
    client.obey(Suspend(source="billing"), NOW)
    assert client.obey(Activate(), NOW).message == "Activated: the client is suspended, held by billing"
    assert client.status is SUSPENDED
    assert client.first_active_at is None


def test_activate_does_not_change_an_active_client_and_says_so() -> None:
    assert unchanged(tenant(ACTIVE), Activate()).message == "Already active"


def test_activate_is_refused_for_a_suspended_client_which_is_to_be_unsuspended_instead() -> None:
    refused = refusal(tenant(SUSPENDED), Activate())
    assert isinstance(refused, IllegalTransition)
    assert "Unsuspend it instead" in str(refused)
    assert "unsuspend" in refused.situation.allowed
    assert "activate" not in refused.situation.allowed


def test_activate_is_refused_for_a_decommissioned_client() -> None:
    assert isinstance(refusal(tenant(DECOMMISSIONED), Activate()), IllegalTransition)


def test_activate_leaves_a_planned_decommission_planned() -> None:
    client = leaving(NEW)
    client.obey(Activate(), NOW)
    assert client.status is ACTIVE
    assert planned(client) == ["decommission"]


# -- the planned activation is due ------------------------------------------------------------------------------------


def test_a_planned_activation_makes_a_new_client_active_at_the_first_instant_of_its_start_date() -> None:
    client = tenant(NEW)
    assert client.next_moment() == STARTS == datetime(2026, 5, 31, 23, tzinfo=UTC)
    assert client.advance(STARTS - timedelta(microseconds=1)) == []
    assert client.status is NEW
    (entry,) = client.advance(STARTS)
    assert client.status is ACTIVE
    assert (entry.event, entry.kind, entry.reason) == (Event.DECIDED, "activate", "start date 2026-06-01")


def test_a_planned_activation_makes_a_client_with_a_hold_suspended() -> None:
    client = tenant(NEW)
    client.obey(Suspend(source="security"), NOW)
    client.advance(STARTS)
    assert client.status is SUSPENDED
    assert client.first_active_at is None


def test_the_earlier_of_a_planned_activation_and_a_planned_decommission_happens_first() -> None:
    client = leaving(NEW)
    assert planned(client) == ["activate", "decommission"]
    client.advance(STARTS)
    assert client.status is ACTIVE
    client.advance(AFTER_LAST_DAY)
    assert client.status is DECOMMISSIONED


def test_what_came_due_during_an_outage_happens_in_order_all_at_once() -> None:
    client = leaving(NEW)
    entries = client.advance(AFTER_LAST_DAY + timedelta(days=9))
    assert [entry.kind for entry in entries] == ["activate", "decommission"]
    assert client.status is DECOMMISSIONED
    assert [entry.revision for entry in entries] == [client.revision - 1, client.revision]


# -- suspend ----------------------------------------------------------------------------------------------------------


def test_suspend_records_a_hold_on_a_new_client_and_says_what_will_come_of_it() -> None:
    client = tenant(NEW)
    outcome = client.obey(Suspend(source="billing"), NOW)
    assert outcome.changed
    assert outcome.message == "Hold of billing added: the client will be suspended once it is activated"
    assert client.status is NEW
    assert list(client.holds) == ["billing"]
    assert planned(client) == ["activate"]


def test_services_of_a_client_suspended_while_new_never_come_on() -> None:
    state = in_directory(tenant(NEW))
    state.obey(Suspend(source="billing"), NOW)
    state.advance(STARTS)
    assert state.client.status is SUSPENDED
    assert not any(desired_lines(state).values())
    assert not any(access.on for access in state.provisioning.systems[INTERNET].wanted.values())


def test_suspend_makes_an_active_client_suspended() -> None:
    client = tenant(ACTIVE)
    assert client.obey(Suspend(source="billing", reason="unpaid", by="bo"), NOW).message == "Suspended by billing"
    assert client.status is SUSPENDED
    assert client.holds["billing"].placed_at == NOW


def test_suspend_by_another_source_adds_a_hold() -> None:
    client = tenant(SUSPENDED)
    assert client.obey(Suspend(source="security"), NOW).message == "Hold of security added"
    assert sorted(client.holds) == ["billing", "security"]


def test_suspend_by_the_same_source_updates_its_hold_and_keeps_when_it_was_placed() -> None:
    client = tenant(SUSPENDED)
    placed_at = client.holds["billing"].placed_at
    assert client.obey(Suspend(source="billing", reason="two invoices"), NOW).message == "Hold of billing updated"
    assert (client.holds["billing"].reason, client.holds["billing"].placed_at) == ("two invoices", placed_at)


def test_suspend_that_says_what_stands_already_changes_nothing() -> None:
    same = Suspend(source="billing", reason="invoice 1042 unpaid", by="bo")
    assert unchanged(tenant(SUSPENDED), same).message == "Already held by billing"


def test_a_second_hold_switches_nothing_twice() -> None:
    state = in_directory(tenant(ACTIVE))
    state.obey(Suspend(source="billing"), NOW)
    wanted_since = {system: state.provisioning.standing[system].wanted_since for system in (*BUILT_IN, DIRECTORY)}
    state.obey(Suspend(source="security"), NOW)
    state.obey(Suspend(source="billing", reason="still unpaid"), NOW)
    for system in (TELEPHONY, INTERNET):
        assert state.provisioning.standing[system].wanted_since == wanted_since[system]


def test_suspend_is_refused_for_a_decommissioned_client() -> None:
    assert isinstance(refusal(tenant(DECOMMISSIONED), Suspend()), IllegalTransition)


@living
def test_suspend_leaves_a_planned_decommission_planned(status: Status) -> None:
    client = leaving(status)
    client.obey(Suspend(source="security"), NOW)
    assert "decommission" in planned(client)
    client.advance(AFTER_LAST_DAY)
    assert client.status is DECOMMISSIONED


# -- unsuspend --------------------------------------------------------------------------------------------------------


def test_unsuspend_lifts_the_hold_of_a_new_client_which_stays_new() -> None:
    client = tenant(NEW)
    client.obey(Suspend(source="billing"), NOW)
    assert client.obey(Unsuspend(source="billing"), NOW).message == "Hold of billing lifted"
    assert (client.status, client.holds) == (NEW, {})
    client.advance(STARTS)
    assert client.status is ACTIVE


def test_unsuspend_does_not_change_an_active_client_and_says_so() -> None:
    assert unchanged(tenant(ACTIVE), Unsuspend()).message == "Not held by operator"


def test_unsuspend_lifts_the_hold_of_its_source_alone_and_the_last_one_activates() -> None:
    client = tenant(SUSPENDED)
    client.obey(Suspend(source="security"), NOW)
    assert client.obey(Unsuspend(source="billing"), NOW).message == "Hold of billing lifted; still held by security"
    assert client.status is SUSPENDED
    lifted = client.obey(Unsuspend(source="security"), NOW)
    assert lifted.message == "Hold of security lifted: the client is active again"
    assert client.status is ACTIVE


def test_unsuspend_by_a_source_that_holds_nothing_changes_nothing_and_says_who_does() -> None:
    assert unchanged(tenant(SUSPENDED), Unsuspend(source="operator")).message == "Not held by operator; held by billing"


def test_unsuspend_all_lifts_every_hold() -> None:
    client = tenant(SUSPENDED)
    client.obey(Suspend(source="security"), NOW)
    client.obey(Unsuspend(source="all"), NOW)
    assert (client.status, client.holds) == (ACTIVE, {})


def test_unsuspend_all_without_a_hold_changes_nothing() -> None:
    assert unchanged(tenant(ACTIVE), Unsuspend(source="all")).message == "Not held"


def test_unsuspend_is_refused_for_a_decommissioned_client() -> None:
    assert isinstance(refusal(tenant(DECOMMISSIONED), Unsuspend()), IllegalTransition)


def test_unsuspend_leaves_a_planned_decommission_planned() -> None:
    client = leaving(SUSPENDED)
    client.obey(Unsuspend(source="billing"), NOW)
    assert client.status is ACTIVE
    assert planned(client) == ["decommission"]


# -- decommission now -------------------------------------------------------------------------------------------------


@living
def test_decommission_ends_a_living_client_at_once(status: Status) -> None:
    client = tenant(status)
    assert client.obey(Decommission(), NOW).changed
    assert (client.status, client.decommissioned_at) == (DECOMMISSIONED, NOW)
    assert (client.holds, planned(client)) == ({}, [])


def test_decommission_of_a_suspended_client_has_lines_and_internet_verified_off_once_more() -> None:
    state = in_directory(tenant(ACTIVE))
    state.obey(Suspend(), NOW)
    state.provisioning.systems[TELEPHONY].proven = dict(state.provisioning.systems[TELEPHONY].wanted)
    state.provisioning.systems[INTERNET].proven = dict(state.provisioning.systems[INTERNET].wanted)
    assert not state.drifts(TELEPHONY)
    assert not state.drifts(INTERNET)
    state.obey(Decommission(), NOW)
    assert state.drifts(TELEPHONY)
    assert state.drifts(INTERNET)
    assert not any(desired_lines(state).values())


def test_decommission_does_not_change_a_decommissioned_client_and_says_since_when() -> None:
    message = unchanged(tenant(DECOMMISSIONED), Decommission()).message
    assert message == "Already decommissioned at 2026-01-31 10:00 Europe/London"


@living
def test_decommission_now_clears_every_plan_and_says_which(status: Status) -> None:
    client = leaving(status)
    client.obey(Suspend(at=NOW + timedelta(days=3)), NOW)
    client.obey(Convert(to=ClientType.VIRTUAL, at=NOW + timedelta(days=4)), NOW)
    outcome = client.obey(Decommission(), NOW)
    assert planned(client) == []
    assert "decommission at 2026-09-01 00:00 Europe/London" in outcome.message
    assert "suspend at 2026-03-05 10:00 Europe/London" in outcome.message
    assert client.advance(LATER) == []


# -- convert ----------------------------------------------------------------------------------------------------------


@living
@pytest.mark.parametrize("plan", [False, True])
def test_a_living_client_can_be_converted_also_while_a_decommission_is_planned(status: Status, plan: bool) -> None:
    client = leaving(status) if plan else tenant(status)
    before = planned(client)
    assert client.obey(Convert(to=ClientType.VIRTUAL), NOW).message == "Converted to virtual"
    assert client.services == VIRTUAL
    assert (client.status, planned(client)) == (status, before)


def test_converting_a_suspended_client_turns_nothing_on() -> None:
    state = in_directory(tenant(SUSPENDED, services=VIRTUAL))
    state.obey(Convert(to=ClientType.RESIDENTIAL, offices=("3.12",), internet=Internet(100, 20)), NOW)
    assert state.client.services.internet == Internet(100, 20)
    assert not any(desired_lines(state).values())
    assert not any(access.on for access in state.provisioning.systems[INTERNET].wanted.values())
    state.obey(Unsuspend(source="billing"), NOW)
    assert all(desired_lines(state).values())
    assert all(access.on for access in state.provisioning.systems[INTERNET].wanted.values())


def test_a_decommissioned_client_is_not_converted() -> None:
    assert isinstance(refusal(tenant(DECOMMISSIONED), Convert(to=ClientType.VIRTUAL)), IllegalTransition)


def test_converting_to_what_a_client_is_already_changes_nothing() -> None:
    assert unchanged(tenant(), Convert(to=ClientType.RESIDENTIAL, offices=("9",))).message == "Already residential"


def test_conversion_both_ways_keeps_numbers_and_protection() -> None:
    client = tenant()
    client.obey(ChangeServices(add_lines=(Line("+442079460009", "Lift", protected=True),)), NOW)
    client.obey(Convert(to=ClientType.VIRTUAL), NOW)
    assert client.services.office_label == "Virtual Client"
    placed = (Line("+442079460001", "4.1"), Line("+442079460002", "4.1"), Line("+442079460009", "Lift"))
    client.obey(Convert(to=ClientType.RESIDENTIAL, lines=placed), NOW)
    assert client.services.offices == ("4.1", "Lift")
    assert [line.protected for line in client.services.lines] == [False, False, True]
    assert client.services.internet is None
