"""What is planned, replaced, cancelled and comes due (the notes below the table in PRODUCT.md section 3)."""

from datetime import date, timedelta

import pytest

from tests.support.builders import (
    AFTER_LAST_DAY,
    LAST_DAY,
    LATER,
    LONDON,
    NOW,
    RESIDENTIAL,
    SECOND,
    START,
    STARTS,
    THIRD,
    TODAY,
    VIRTUAL,
    dated,
    leaving,
    living,
    planned,
    refusal,
    starting,
    tenant,
    unchanged,
)
from workflows.domain.client.client import Client
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
    Suspend,
    Unsuspend,
)
from workflows.domain.errors import (
    BeforeStart,
    IllegalTransition,
    MomentInThePast,
    NothingPlanned,
)
from workflows.domain.journal import Event
from workflows.domain.lifecycle import Activation, Status
from workflows.domain.services import ClientType, Internet

NEW, ACTIVE, SUSPENDED, DECOMMISSIONED = Status


# -- plan a decommission ----------------------------------------------------------------------------------------------


@living
def test_a_decommission_can_be_planned_for_a_living_client_whose_status_stays(status: Status) -> None:
    client = tenant(status)
    outcome = client.obey(dated(Decommission(last_day=LAST_DAY)), NOW)
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
        dated(Decommission(last_day=START - timedelta(days=1))),
        dated(Decommission(last_day=TODAY)),
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
    assert client.obey(dated(Decommission(last_day=START)), NOW).changed
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
    assert client.obey(dated(Decommission(last_day=TODAY)), NOW).changed


@pytest.mark.parametrize(
    "plan",
    [
        dated(Decommission(last_day=LAST_DAY)),
        dated(Suspend(last_day=LAST_DAY)),
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
    outcome = client.obey(dated(Decommission(last_day=date(2026, 9, 30))), NOW)
    assert outcome.message == (
        "Planned: decommission at 2026-10-01 00:00 Europe/London, instead of 2026-09-01 00:00 Europe/London"
    )
    assert outcome.entry.text == outcome.message
    assert planned(client) == ["decommission"]
    client.advance(AFTER_LAST_DAY)
    assert client.status is ACTIVE


def test_planning_the_same_decommission_again_changes_nothing() -> None:
    again = Decommission(at=AFTER_LAST_DAY, command_id="another")
    message = unchanged(leaving(), again).message
    assert message == "Already planned: decommission at 2026-09-01 00:00 Europe/London"


# -- cancel the planned decommission ----------------------------------------------------------------------------------


@living
def test_cancelling_a_planned_decommission_removes_the_plan_only(status: Status) -> None:
    client = leaving(status)
    staying = [kind for kind in planned(client) if kind != "decommission"]
    outcome = client.obey(CancelScheduledDecommission(), NOW)
    assert outcome.message == "Cancelled: decommission at 2026-09-01 00:00 Europe/London"
    assert client.status is status
    assert planned(client) == staying
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
    client.obey(dated(Edit(start_date=TODAY)), NOW)
    client.advance(LATER)
    assert client.status is NEW
    client.obey(Activate(), LATER)
    assert client.status is ACTIVE


def test_plans_take_effect_as_the_commands_they_are_and_the_entry_names_the_change() -> None:
    client = tenant()
    client.obey(dated(Suspend(source="billing", reason="dunning", by="bo", last_day=TODAY, command_id="c1")), NOW)
    (entry,) = client.advance(NOW + timedelta(days=1))
    assert client.status is SUSPENDED
    assert (entry.text, entry.by, entry.reason) == ("Suspended by billing", "bo", "dunning")
    planned_for = "2026-03-03T00:00:00+00:00"
    assert entry.facts == {"change_id": "c1", "planned": "true", "planned_for": planned_for, "status": "suspended"}
    assert client.holds["billing"].placed_at == NOW + timedelta(days=1)


@pytest.mark.parametrize(("start", "waited"), [(date(2020, 1, 1), False), (TODAY + timedelta(days=2), True)])
def test_a_start_date_before_the_client_was_there_kept_nobody_waiting(start: date, waited: bool) -> None:
    client = Client(
        "acme", "Acme Ltd", "thames", LONDON, services=RESIDENTIAL, created_at=NOW, start_date=starting(start)
    )
    client.begin()
    (entry,) = client.advance(NOW + timedelta(days=9))
    assert ("planned_for" in entry.facts) is waited


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
    "past",
    [Suspend(at=NOW), Suspend(at=NOW - timedelta(days=1)), dated(Decommission(last_day=TODAY - timedelta(days=1)))],
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
