"""Every cell of the table in PRODUCT.md section 3, and the notes below it."""

from datetime import UTC, date, datetime, timedelta

import pytest

from tests.support.builders import (
    AFTER_LAST_DAY,
    LAST_DAY,
    LINE,
    LONDON,
    NOW,
    RESIDENTIAL,
    SECOND,
    START,
    THIRD,
    TODAY,
    VIRTUAL,
    in_directory,
    leaving,
    manual,
    planned,
    refusal,
    tenant,
    unchanged,
)
from workflows.domain.answers import fingerprint
from workflows.domain.commands import (
    Activate,
    CancelPlanned,
    CancelScheduledDecommission,
    ChangeServices,
    ClientCommand,
    Convert,
    Decommission,
    Edit,
    PlannableCommand,
    RotateCredentials,
    Suspend,
    Unsuspend,
)
from workflows.domain.dates import first_instant
from workflows.domain.errors import (
    BeforeStart,
    CommandIdReused,
    IllegalTransition,
    ManagementClient,
    MomentInThePast,
    NothingPlanned,
)
from workflows.domain.journal import Event
from workflows.domain.lifecycle import Activation, Kind, Status
from workflows.domain.services import ClientType, Internet, Line
from workflows.domain.systems import System

NEW, ACTIVE, SUSPENDED, DECOMMISSIONED = Status
LIVING = (NEW, ACTIVE, SUSPENDED)
STARTS = first_instant(START, LONDON)
LATER = NOW + timedelta(days=200)
living = pytest.mark.parametrize("status", LIVING)
every_status = pytest.mark.parametrize("status", list(Status))


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
    assert not any(state.provisioning.lines_wanted.values())
    assert not any(access.on for access in state.provisioning.access_wanted.values())


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
    wanted_since = {system: state.provisioning.standing[system].wanted_since for system in System}
    state.obey(Suspend(source="security"), NOW)
    state.obey(Suspend(source="billing", reason="still unpaid"), NOW)
    for system in (System.TELEPHONY, System.INTERNET):
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
    state.provisioning.lines = dict(state.provisioning.lines_wanted)
    state.provisioning.access = dict(state.provisioning.access_wanted)
    assert not state.drifts(System.TELEPHONY)
    assert not state.drifts(System.INTERNET)
    state.obey(Decommission(), NOW)
    assert state.drifts(System.TELEPHONY)
    assert state.drifts(System.INTERNET)
    assert not any(state.provisioning.lines_wanted.values())


def test_decommission_does_not_change_a_decommissioned_client_and_says_since_when() -> None:
    told = unchanged(tenant(DECOMMISSIONED), Decommission()).message
    assert told == "Already decommissioned at 2026-01-31 10:00 Europe/London"


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


# -- plan a decommission ----------------------------------------------------------------------------------------------


@living
def test_a_decommission_can_be_planned_for_a_living_client_whose_status_stays(status: Status) -> None:
    client = tenant(status)
    outcome = client.obey(Decommission(last_day=LAST_DAY), NOW)
    assert outcome.changed
    assert outcome.message == "Planned: decommission at 2026-09-01 00:00 Europe/London"
    assert client.status is status
    client.advance(AFTER_LAST_DAY - timedelta(seconds=1))
    assert client.status is not DECOMMISSIONED
    client.advance(AFTER_LAST_DAY)
    assert client.status is DECOMMISSIONED


@pytest.mark.parametrize(
    "moment",
    [
        Decommission(last_day=START - timedelta(days=1)),
        Decommission(last_day=TODAY),
        Decommission(at=STARTS - timedelta(seconds=1)),
    ],
)
def test_a_decommission_of_a_new_client_is_not_planned_before_its_start(moment: Decommission) -> None:
    refused = refusal(tenant(NEW), moment)
    assert isinstance(refused, BeforeStart)
    assert refused.field == ("last_day" if moment.last_day else "at")
    assert "2026-06-01" in str(refused)


def test_a_decommission_may_be_planned_for_the_first_day_itself() -> None:
    client = tenant(NEW)
    assert client.obey(Decommission(last_day=START), NOW).changed
    client.advance(STARTS)
    assert client.status is ACTIVE


def test_a_client_that_starts_and_ends_at_the_same_instant_ends() -> None:
    client = tenant(NEW)
    client.obey(Decommission(at=STARTS), NOW)
    client.advance(STARTS)
    assert client.status is DECOMMISSIONED


def test_the_start_date_of_a_client_activated_by_hand_does_not_bind_its_decommission() -> None:
    client = tenant(NEW)
    client.obey(Activate(), NOW)
    assert client.obey(Decommission(last_day=TODAY), NOW).changed


@pytest.mark.parametrize(
    "plan",
    [
        Decommission(last_day=LAST_DAY),
        Suspend(last_day=LAST_DAY),
        Unsuspend(at=LATER),
        Convert(to=ClientType.VIRTUAL, at=LATER),
        ChangeServices(internet="none", at=LATER),
    ],
)
def test_nothing_can_be_planned_for_a_decommissioned_client(plan: PlannableCommand) -> None:
    refused = refusal(tenant(DECOMMISSIONED), plan)
    assert isinstance(refused, IllegalTransition)
    assert "already decommissioned at 2026-01-31 10:00 Europe/London" in str(refused)


def test_planning_a_decommission_again_replaces_the_date_and_both_are_told() -> None:
    client = leaving()
    outcome = client.obey(Decommission(last_day=date(2026, 9, 30)), NOW)
    assert outcome.message == (
        "Planned: decommission at 2026-10-01 00:00 Europe/London, instead of 2026-09-01 00:00 Europe/London"
    )
    assert outcome.entry.text == outcome.message
    assert planned(client) == ["decommission"]
    client.advance(AFTER_LAST_DAY)
    assert client.status is ACTIVE


def test_planning_the_same_decommission_again_changes_nothing() -> None:
    again = Decommission(at=AFTER_LAST_DAY, command_id="another")
    told = unchanged(leaving(), again).message
    assert told == "Already planned: decommission at 2026-09-01 00:00 Europe/London"


# -- cancel the planned decommission ----------------------------------------------------------------------------------


@living
def test_cancelling_a_planned_decommission_removes_the_plan_only(status: Status) -> None:
    client = leaving(status)
    others = [kind for kind in planned(client) if kind != "decommission"]
    outcome = client.obey(CancelScheduledDecommission(), NOW)
    assert outcome.message == "Cancelled: decommission at 2026-09-01 00:00 Europe/London"
    assert client.status is status
    assert planned(client) == others
    client.advance(AFTER_LAST_DAY)
    assert client.status is (ACTIVE if status is NEW else status)


def test_a_suspended_client_stays_suspended_with_its_holds_when_its_decommission_is_cancelled() -> None:
    client = leaving(SUSPENDED)
    client.obey(CancelScheduledDecommission(), NOW)
    assert (client.status, list(client.holds)) == (SUSPENDED, ["billing"])


def test_cancelling_a_decommission_that_has_happened_is_refused_and_says_when() -> None:
    refused = refusal(tenant(DECOMMISSIONED), CancelScheduledDecommission())
    assert isinstance(refused, IllegalTransition)
    assert "already decommissioned at 2026-01-31 10:00 Europe/London" in str(refused)


@living
def test_cancelling_a_decommission_that_is_not_planned_changes_nothing(status: Status) -> None:
    unchanged(tenant(status), CancelScheduledDecommission())


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
    assert not any(state.provisioning.lines_wanted.values())
    assert not any(access.on for access in state.provisioning.access_wanted.values())
    state.obey(Unsuspend(source="billing"), NOW)
    assert all(state.provisioning.lines_wanted.values())
    assert all(access.on for access in state.provisioning.access_wanted.values())


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


# -- the end date -----------------------------------------------------------------------------------------------------


@living
@pytest.mark.parametrize("end_date", [TODAY - timedelta(days=9), TODAY, TODAY + timedelta(days=9)])
@pytest.mark.parametrize("plan", [False, True])
def test_an_end_date_changes_nothing_but_itself(status: Status, end_date: date, plan: bool) -> None:
    state = in_directory(leaving(status) if plan else tenant(status))
    status, plans = state.client.status, list(state.client.schedule)
    wanted = (dict(state.provisioning.lines_wanted), dict(state.provisioning.access_wanted))
    assert state.obey(Edit(end_date=end_date), NOW).changed
    state.advance(NOW + timedelta(days=20))
    assert state.client.end_date == end_date
    assert (state.client.status, list(state.client.schedule)) == (status, plans)
    assert (state.provisioning.lines_wanted, state.provisioning.access_wanted) == wanted


def test_an_end_date_can_be_removed() -> None:
    client = tenant(end_date=LAST_DAY)
    assert client.obey(Edit(clear_end_date=True), NOW).message == "Edited: end date"
    assert client.end_date is None
    unchanged(client, Edit(clear_end_date=True))


def test_the_details_of_a_decommissioned_client_are_closed() -> None:
    assert isinstance(refusal(tenant(DECOMMISSIONED), Edit(end_date=LAST_DAY)), IllegalTransition)


# -- the same command twice -------------------------------------------------------------------------------------------


def test_the_same_command_twice_gives_the_same_answer_and_one_entry() -> None:
    state = in_directory(tenant())
    command = Suspend(source="billing", command_id="c1")
    first = state.obey(command, NOW)
    written, revision = state.journal.written, state.client.revision
    second = state.obey(command, NOW + timedelta(hours=1))
    assert first == second
    assert first.changed
    assert (state.journal.written, state.client.revision) == (written, revision)


def test_a_repeated_command_is_answered_even_if_it_would_be_refused_by_now() -> None:
    state = in_directory(tenant())
    first = state.obey(Suspend(command_id="c1"), NOW)
    state.obey(Decommission(), NOW)
    state.check(Suspend(command_id="c1"), NOW)
    assert state.obey(Suspend(command_id="c1"), NOW) == first


def test_one_command_id_for_two_commands_is_refused_with_the_status() -> None:
    state = in_directory(tenant())
    state.obey(Suspend(command_id="c1"), NOW)
    with pytest.raises(CommandIdReused) as refused:
        state.obey(Unsuspend(command_id="c1"), NOW)
    assert refused.value.field == "command_id"
    assert refused.value.situation.status == "suspended"


def test_one_command_id_for_two_commands_is_refused_while_the_first_still_waits_for_the_directory() -> None:
    state = in_directory(tenant())
    waiting = Edit(billing_ref="B-2", command_id="c1")
    state.claim(waiting)
    state.check(waiting, NOW)
    with pytest.raises(CommandIdReused):
        state.check(Edit(billing_ref="B-3", command_id="c1"), NOW)


def test_a_command_without_an_id_is_a_new_one_each_time() -> None:
    state = in_directory(tenant())
    assert state.obey(Suspend(), NOW).changed
    assert state.obey(Unsuspend(), NOW).changed
    assert state.obey(Suspend(), NOW).changed


# -- planned changes of every kind ------------------------------------------------------------------------------------

PLANS: list[tuple[ClientCommand, ClientCommand]] = [
    (Suspend(at=LATER), Suspend(at=LATER + timedelta(days=1))),
    (Unsuspend(at=LATER), Unsuspend(at=LATER + timedelta(days=1))),
    (Decommission(at=LATER), Decommission(at=LATER + timedelta(days=1))),
    (Convert(to=ClientType.VIRTUAL, at=LATER), Convert(to=ClientType.VIRTUAL, at=LATER + timedelta(days=1))),
    (ChangeServices(internet="none", at=LATER), ChangeServices(add_lines=(THIRD,), at=LATER)),
]


@pytest.mark.parametrize(("first", "second"), PLANS)
@living
def test_there_is_one_plan_per_kind_and_a_new_one_replaces_it(
    first: ClientCommand, second: ClientCommand, status: Status
) -> None:
    client = tenant(status)
    client.obey(first, NOW)
    revision = client.revision
    assert ", instead of " in client.obey(second, NOW).message
    assert planned(client).count(first.kind.value) == 1
    change = client.schedule.find(first.kind)
    assert change is not None
    assert change.command == second
    assert client.revision == revision + 1


@pytest.mark.parametrize("plan", [pair[0] for pair in PLANS])
def test_a_plan_is_cancelled_by_its_kind(plan: ClientCommand) -> None:
    client = tenant()
    client.obey(plan, NOW)
    assert client.obey(CancelPlanned(change=plan.kind.value), NOW).changed
    assert planned(client) == []
    unchanged(client, CancelPlanned(change=plan.kind.value))


def test_a_plan_is_cancelled_by_its_change_id() -> None:
    client = leaving()
    assert client.obey(CancelPlanned(change="leave"), NOW).changed
    assert planned(client) == []


def test_a_plan_without_a_command_id_gets_a_change_id_of_its_own() -> None:
    client = tenant()
    outcome = client.obey(Suspend(at=LATER), NOW)
    assert client.obey(CancelPlanned(change=outcome.entry.facts["change_id"]), NOW).changed


def test_cancelling_an_unknown_change_id_is_refused() -> None:
    refused = refusal(leaving(), CancelPlanned(change="nonsense"))
    assert isinstance(refused, NothingPlanned)
    assert refused.field == "change"


@pytest.mark.parametrize("kind", ["suspend", "activate", "decommission"])
def test_a_change_id_that_reads_like_a_kind_is_never_taken_for_one(kind: str) -> None:
    client = tenant(NEW)
    client.obey(Convert(to=ClientType.VIRTUAL, at=NOW + timedelta(days=1), command_id=kind), NOW)
    client.obey(Suspend(at=LATER), NOW)
    client.obey(Decommission(at=LATER), NOW)
    assert planned(client) == ["convert", "activate", "suspend", "decommission"]
    client.obey(CancelPlanned(change=kind), NOW)
    assert sorted(planned(client)) == sorted({"convert", "activate", "suspend", "decommission"} - {kind})
    client.obey(Activate(), NOW)
    assert "convert" in planned(client)


def test_a_cancelled_activation_waits_for_a_person_and_says_so() -> None:
    client = tenant(NEW)
    assert "waits until somebody activates it" in client.obey(CancelPlanned(change="activate"), NOW).message
    assert client.activation is Activation.MANUAL
    client.obey(Edit(start_date=TODAY), NOW)
    client.advance(LATER)
    assert client.status is NEW
    client.obey(Activate(), LATER)
    assert client.status is ACTIVE


def test_plans_take_effect_as_the_commands_they_are_and_the_entry_names_the_change() -> None:
    client = tenant()
    client.obey(Suspend(source="billing", reason="dunning", by="bo", last_day=TODAY, command_id="c1"), NOW)
    (entry,) = client.advance(NOW + timedelta(days=1))
    assert client.status is SUSPENDED
    assert (entry.text, entry.by, entry.reason) == ("Suspended by billing", "bo", "dunning")
    assert entry.facts == {"change_id": "c1", "planned": "true", "status": "suspended"}
    assert client.holds["billing"].placed_at == NOW + timedelta(days=1)


def test_a_plan_that_became_illegal_is_recorded_as_refused_and_changes_nothing_else() -> None:
    client = tenant()
    client.obey(ChangeServices(remove_lines=(SECOND.number,), at=LATER), NOW)
    client.obey(ChangeServices(remove_lines=(SECOND.number,)), NOW)
    services, revision = client.services, client.revision
    (entry,) = client.advance(LATER)
    assert entry.event is Event.REFUSED
    assert entry.text.startswith("Planned change services refused when due: The client has no line +442079460002")
    assert "The client is active" in entry.text
    assert (client.services, planned(client)) == (services, [])
    assert client.revision == entry.revision == revision + 1


def test_a_plan_that_has_nothing_left_to_do_is_recorded_and_its_going_is_a_new_revision() -> None:
    client = tenant()
    client.obey(Unsuspend(at=LATER), NOW)
    revision = client.revision
    (entry,) = client.advance(LATER)
    assert entry.text == "Not held by operator; nothing changed"
    assert client.revision == entry.revision == revision + 1


def test_a_plan_that_would_be_illegal_when_due_is_refused_at_once() -> None:
    refused = refusal(tenant(), ChangeServices(remove_lines=(THIRD.number,), at=LATER))
    assert refused.field == "remove_lines"


def test_a_plan_for_after_the_planned_decommission_is_refused_and_says_why() -> None:
    refused = refusal(leaving(), Suspend(at=AFTER_LAST_DAY + timedelta(days=1)))
    assert isinstance(refused, IllegalTransition)
    assert "will have been decommissioned at 2026-09-01 00:00 Europe/London" in str(refused)
    assert refused.situation.status == "active"


def test_a_plan_may_rely_on_one_that_happens_before_it() -> None:
    client = tenant(services=VIRTUAL)
    client.obey(Convert(to=ClientType.RESIDENTIAL, offices=("3.12",), at=LATER), NOW)
    client.obey(ChangeServices(internet=Internet(50, 10), at=LATER + timedelta(days=1)), NOW)
    client.advance(LATER + timedelta(days=1))
    assert client.services.internet == Internet(50, 10)


def test_at_the_same_instant_a_client_is_held_before_it_is_released_and_ended_last() -> None:
    client = tenant()
    client.obey(Decommission(at=LATER), NOW)
    client.obey(Unsuspend(source="all", at=LATER), NOW)
    client.obey(Suspend(at=LATER), NOW)
    client.obey(ChangeServices(remove_lines=(SECOND.number,), at=LATER), NOW)
    client.obey(Convert(to=ClientType.VIRTUAL, at=LATER), NOW)
    assert planned(client) == ["convert", "change_services", "suspend", "unsuspend", "decommission"]
    assert [entry.event for entry in client.advance(LATER)] == [Event.DECIDED] * 5
    assert client.status is DECOMMISSIONED


@pytest.mark.parametrize(
    "past", [Suspend(at=NOW), Suspend(at=NOW - timedelta(days=1)), Decommission(last_day=TODAY - timedelta(days=1))]
)
def test_now_is_never_a_date_and_the_past_is_refused(past: PlannableCommand) -> None:
    refused = refusal(tenant(), past)
    assert isinstance(refused, MomentInThePast)
    assert refused.field == ("at" if past.at else "last_day")


def test_a_decommission_that_comes_due_clears_every_other_plan() -> None:
    client = leaving()
    client.obey(Decommission(at=LATER + timedelta(days=2)), NOW)
    client.obey(Suspend(at=LATER + timedelta(days=1)), NOW)
    client.obey(Decommission(at=LATER), NOW)
    (entry,) = client.advance(LATER + timedelta(days=9))
    assert "cleared: suspend at" in entry.text
    assert (client.status, planned(client)) == (DECOMMISSIONED, [])


# -- the start date ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start_date", [TODAY, TODAY - timedelta(days=400)])
def test_a_new_client_whose_start_date_becomes_today_or_earlier_is_active_at_once(start_date: date) -> None:
    state = in_directory(tenant(NEW))
    state.obey(Edit(start_date=start_date), NOW)
    assert state.client.status is ACTIVE
    assert all(state.provisioning.lines_wanted.values())
    assert state.next_moment() is None


def test_a_new_client_with_a_hold_whose_start_date_becomes_today_is_suspended() -> None:
    state = in_directory(tenant(NEW))
    state.obey(Suspend(), NOW)
    state.obey(Edit(start_date=TODAY), NOW)
    assert state.client.status is SUSPENDED


def test_a_later_start_date_moves_the_activation_of_a_new_client() -> None:
    client = tenant(NEW)
    client.obey(Edit(start_date=START + timedelta(days=30)), NOW)
    client.advance(STARTS)
    assert client.status is NEW
    client.advance(first_instant(START + timedelta(days=30), LONDON))
    assert client.status is ACTIVE


def test_a_start_date_does_not_activate_a_client_that_waits_for_a_person() -> None:
    client = manual()
    assert planned(client) == []
    client.obey(Edit(start_date=TODAY), NOW)
    client.advance(LATER)
    assert client.status is NEW


def test_a_cancelled_activation_is_planned_again_for_the_start_date() -> None:
    client = tenant(NEW)
    client.obey(CancelPlanned(change="activate"), NOW)
    outcome = client.obey(Edit(activation=Activation.AUTOMATIC), NOW)
    assert outcome.message == "Edited: activation; activate at 2026-06-01 00:00 Europe/London"
    assert planned(client) == ["activate"]
    client.advance(STARTS)
    assert client.status is ACTIVE


def test_an_activation_that_becomes_automatic_happens_at_once_when_the_start_date_is_past() -> None:
    state = in_directory(manual(start_date=TODAY - timedelta(days=3)))
    state.obey(Edit(activation=Activation.AUTOMATIC), NOW)
    assert state.client.status is ACTIVE
    assert all(state.provisioning.lines_wanted.values())


def test_an_activation_that_becomes_manual_waits_for_a_person() -> None:
    client = tenant(NEW)
    outcome = client.obey(Edit(activation=Activation.MANUAL), NOW)
    assert outcome.message == "Edited: activation; the client now waits until somebody activates it"
    assert planned(client) == []
    client.advance(LATER)
    assert client.status is NEW


def test_activation_and_start_date_change_together() -> None:
    client = manual()
    client.obey(Edit(activation=Activation.AUTOMATIC, start_date=START + timedelta(days=30)), NOW)
    (change,) = client.schedule
    assert change.at == first_instant(START + timedelta(days=30), LONDON)


@pytest.mark.parametrize("status", [ACTIVE, SUSPENDED])
def test_only_the_activation_of_a_new_client_changes(status: Status) -> None:
    client = tenant(status)
    refused = refusal(client, Edit(name="Other", activation=Activation.MANUAL))
    assert isinstance(refused, IllegalTransition)
    assert refused.field == "activation"
    unchanged(client, Edit(activation=Activation.AUTOMATIC))


def test_a_command_is_known_by_the_same_mark_in_every_process() -> None:
    assert fingerprint(Edit(name="Other", command_id="e1")) == "0b85ed3339f7caa9"


@pytest.mark.parametrize("status", [ACTIVE, SUSPENDED])
def test_the_start_date_of_a_started_client_is_information_only(status: Status) -> None:
    client = leaving(status)
    client.obey(Edit(start_date=LAST_DAY + timedelta(days=99)), NOW)
    assert (client.status, planned(client)) == (status, ["decommission"])
    client.advance(AFTER_LAST_DAY)
    assert client.status is DECOMMISSIONED


@pytest.mark.parametrize("days", [1, 40])
def test_a_new_client_is_not_made_to_start_after_its_planned_decommission(days: int) -> None:
    refused = refusal(leaving(NEW), Edit(start_date=LAST_DAY + timedelta(days=days)))
    assert isinstance(refused, BeforeStart)
    assert refused.field == "start_date"


def test_a_new_client_may_be_made_to_start_on_the_last_day_of_service() -> None:
    client = leaving(NEW)
    assert client.obey(Edit(start_date=LAST_DAY), NOW).changed
    assert planned(client) == ["activate", "decommission"]


# -- the management client --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [Suspend(), Suspend(at=LATER), Decommission(), Decommission(last_day=LAST_DAY)])
@pytest.mark.parametrize("status", [NEW, ACTIVE])
def test_the_management_client_is_neither_suspended_nor_decommissioned(status: Status, command: ClientCommand) -> None:
    refused = refusal(tenant(status, management=True), command)
    assert isinstance(refused, ManagementClient)
    assert not {"suspend", "decommission"} & set(refused.situation.allowed)


def test_the_management_client_is_otherwise_a_client_like_any_other() -> None:
    client = tenant(NEW, management=True)
    client.advance(STARTS)
    assert client.status is ACTIVE
    assert client.obey(Convert(to=ClientType.VIRTUAL), NOW).changed
    assert client.obey(Edit(name="The House"), NOW).changed


# -- what a refusal says ----------------------------------------------------------------------------------------------


def test_a_refusal_names_the_status_what_is_planned_and_what_is_allowed() -> None:
    refused = refusal(leaving(SUSPENDED), Activate())
    assert str(refused) == (
        "A suspended client cannot be asked to activate. The client is suspended. "
        "Planned: decommission at 2026-09-01 00:00 Europe/London. Unsuspend it instead. "
        "Allowed now: suspend, unsuspend, decommission, cancel_scheduled_decommission, cancel_planned, convert, "
        "change_services, edit, rotate_credentials."
    )
    assert refused.facts["client_status"] == "suspended"
    assert refused.facts["planned"] == ["decommission at 2026-09-01 00:00 Europe/London"]


def test_a_refusal_of_a_decommissioned_client_says_that_nothing_is_allowed() -> None:
    refused = refusal(tenant(DECOMMISSIONED), ChangeServices(internet="none"))
    assert str(refused) == (
        "Cannot change services: the client was already decommissioned at 2026-01-31 10:00 Europe/London. "
        "The client is decommissioned. Allowed now: nothing."
    )


def test_unsuspend_is_allowed_to_a_new_client_only_while_a_hold_stands() -> None:
    client = tenant(NEW)
    assert "unsuspend" not in client.situation().allowed
    client.obey(Suspend(), NOW)
    assert "unsuspend" in client.situation().allowed


@every_status
def test_every_command_that_is_said_to_be_allowed_is_not_refused_for_the_status(status: Status) -> None:
    client = leaving(status) if status is not DECOMMISSIONED else tenant(status)
    client.holds |= tenant(SUSPENDED).holds if status is NEW else {}
    commands: dict[Kind, ClientCommand] = {
        Kind.ACTIVATE: Activate(),
        Kind.SUSPEND: Suspend(),
        Kind.UNSUSPEND: Unsuspend(source="all"),
        Kind.DECOMMISSION: Decommission(),
        Kind.CANCEL_SCHEDULED_DECOMMISSION: CancelScheduledDecommission(),
        Kind.CANCEL_PLANNED: CancelPlanned(change="decommission"),
        Kind.CONVERT: Convert(to=ClientType.VIRTUAL),
        Kind.CHANGE_SERVICES: ChangeServices(remove_lines=(LINE.number,)),
        Kind.EDIT: Edit(name="Acme"),
        Kind.ROTATE_CREDENTIALS: RotateCredentials(),
    }
    allowed = client.situation().allowed
    for kind, command in commands.items():
        try:
            changed = client.check(command, NOW).changed
        except IllegalTransition:
            changed = False
        assert changed is (kind.value in allowed), kind


@every_status
def test_checking_a_command_foretells_its_outcome_and_changes_nothing(status: Status) -> None:
    client = tenant(status)
    told = client.check(Decommission(), NOW)
    assert client.status is status
    assert client.obey(Decommission(), NOW) == told


def test_the_services_of_the_tests_are_as_contracted() -> None:
    assert tenant().services == RESIDENTIAL
