"""What becomes of plans is said beforehand, and it is what happens when the time comes and nothing else is decided."""

import copy
import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.builders import (
    AFTER_LAST_DAY,
    LAST_DAY,
    LINE,
    NOW,
    SECOND,
    THIRD,
    VIRTUAL,
    dated,
    in_directory,
    manual,
    prove,
    settled,
    tenant,
)
from tests.workflows.domain.test_lifecycle_machine import Lifecycle
from workflows.domain.answers import Answer
from workflows.domain.commands import (
    AnyCommand,
    CancelPlanned,
    ChangeServices,
    Convert,
    Decommission,
    Edit,
    Skip,
    Suspend,
    Unsuspend,
)
from workflows.domain.foresight import Foreseen
from workflows.domain.journal import Event
from workflows.domain.lifecycle import Activation, Kind, Status
from workflows.domain.preview import preview
from workflows.domain.services import ClientType, Internet, Line, Service
from workflows.domain.state import ClientState
from workflows.domain.systems import DIRECTORY, INTERNET, TELEPHONY
from workflows.wire.views import ClientView, CommandAnswer

SOON, LATER, LAST = (NOW + timedelta(days=days) for days in (10, 20, 30))
OFFICES = (LINE, replace(SECOND, office="3.2"))
TO_RESIDENTIAL = Convert(to=ClientType.RESIDENTIAL, lines=OFFICES, at=LATER, command_id="move-in")
REMOVAL = ChangeServices(remove_lines=(SECOND.number,), at=LATER, command_id="removal")


def virtual() -> ClientState:
    return settled(VIRTUAL)


def obey(state: ClientState, command: AnyCommand) -> Answer:
    """The answer to a command, which its dry run foretells."""
    foretold = preview(state, command, NOW)
    answer = state.obey(command, NOW)
    assert foretold.warnings == answer.warnings
    return answer


def fate(state: ClientState, kind: Kind) -> Foreseen:
    return next(foreseen for foreseen in state.foreseen if foreseen.change.kind is kind)


def codes(answer: Answer) -> list[str]:
    return [warning.code for warning in answer.warnings]


# -- plans that can no longer happen ----------------------------------------------------------------------------------


def test_a_conversion_that_a_further_line_makes_impossible_is_told_at_once_and_refused_when_due() -> None:
    state = virtual()
    assert codes(obey(state, TO_RESIDENTIAL)) == []
    answer = obey(state, ChangeServices(add_lines=(Line(THIRD.number, None),)))
    (warning,) = answer.warnings
    assert (answer.changed, warning.code) == (True, "plan_blocked")
    assert warning.text.startswith("The planned convert at 2026-03-22 10:00 Europe/London cannot happen. ")
    assert "office" in warning.text
    (plan,) = ClientView.of(state, NOW).planned
    assert plan.status_after is None
    assert plan.blocked_by in warning.text
    state.advance(LATER)
    assert state.journal.waiting[-1].event is Event.REFUSED
    assert state.client.services.type is ClientType.VIRTUAL


def test_a_conversion_that_is_possible_again_is_not_blocked_any_more() -> None:
    state = virtual()
    obey(state, TO_RESIDENTIAL)
    assert codes(obey(state, ChangeServices(add_lines=(Line(THIRD.number, None),)))) == ["plan_blocked"]
    assert codes(obey(state, Edit(name="Another name"))) == [], "it was told before"
    assert codes(obey(state, ChangeServices(remove_lines=(THIRD.number,)))) == []
    assert fate(state, Kind.CONVERT) == Foreseen(state.client.schedule.changes[0], Status.ACTIVE)


def test_a_line_planned_in_an_office_of_a_client_that_gave_its_offices_up_is_told() -> None:
    state = settled()
    obey(state, ChangeServices(add_lines=(THIRD,), at=LATER, command_id="third"))
    answer = obey(state, Convert(to=ClientType.VIRTUAL))
    assert codes(answer) == ["plan_blocked"]
    assert "virtual client" in answer.warnings[0].text.lower()


def test_removing_a_line_that_was_removed_is_told() -> None:
    state = settled()
    obey(state, REMOVAL)
    answer = obey(state, ChangeServices(remove_lines=(SECOND.number,)))
    assert codes(answer) == ["plan_blocked"]
    assert f"no line {SECOND.number}" in fate(state, Kind.CHANGE_SERVICES).blocked_by


def test_internet_access_planned_for_a_client_that_became_virtual_is_told() -> None:
    state = settled()
    obey(state, ChangeServices(internet=Internet(500, 100), at=LATER))
    assert codes(obey(state, Convert(to=ClientType.VIRTUAL))) == ["plan_blocked"]


# -- plans that others stop -------------------------------------------------------------------------------------------


def test_a_decommission_moved_before_another_plan_is_named() -> None:
    state = settled()
    obey(state, dated(Decommission(last_day=LAST_DAY)))
    obey(state, Suspend(at=LATER, source="billing"))
    answer = obey(state, Decommission(at=SOON))
    assert codes(answer) == ["plan_blocked"]
    cleared = "Cleared by the planned decommission at 2026-03-12 10:00 Europe/London. Move or cancel one of the two."
    assert fate(state, Kind.SUSPEND).blocked_by == cleared
    assert codes(obey(state, Decommission(at=AFTER_LAST_DAY))) == []
    assert fate(state, Kind.SUSPEND).blocked_by == ""


def test_a_plan_before_another_that_makes_it_impossible_is_named() -> None:
    state = settled()
    obey(state, ChangeServices(add_lines=(THIRD,), at=LATER, command_id="third"))
    obey(state, Suspend(at=SOON, source="billing"))
    answer = obey(state, Convert(to=ClientType.VIRTUAL, at=SOON))
    assert codes(answer) == ["plan_blocked"]
    named = "It comes after the planned convert at 2026-03-12 10:00 Europe/London. Move or cancel one of the two."
    assert fate(state, Kind.CHANGE_SERVICES).blocked_by.endswith(named)
    obey(state, CancelPlanned(change="convert"))
    assert fate(state, Kind.CHANGE_SERVICES).blocked_by == ""


def test_a_plan_that_is_impossible_by_itself_blames_no_other() -> None:
    state = settled()
    obey(state, REMOVAL)
    obey(state, Suspend(at=SOON, source="billing"))
    obey(state, ChangeServices(remove_lines=(SECOND.number,)))
    assert "It comes after" not in fate(state, Kind.CHANGE_SERVICES).blocked_by


# -- plans without effect ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "command", "why"),
    [
        (Unsuspend(source="billing", at=LATER), Unsuspend(source="billing"), "Not held by billing"),
        (Convert(to=ClientType.VIRTUAL, at=LATER), Convert(to=ClientType.VIRTUAL), "Already virtual"),
        (Suspend(source="security", at=LATER), Suspend(source="security"), "Already held by security"),
        (ChangeServices(internet="none", at=LATER), ChangeServices(internet="none"), "The services are so already"),
    ],
)
def test_a_plan_of_what_was_done_by_hand_is_told_to_change_nothing(
    plan: AnyCommand, command: AnyCommand, why: str
) -> None:
    state = in_directory(tenant(Status.SUSPENDED))
    assert codes(obey(state, plan)) == []
    answer = obey(state, command)
    assert [(w.code, why in w.text) for w in answer.warnings if w.code != "still_held"] == [
        ("plan_without_effect", True)
    ]
    assert fate(state, plan.kind).blocked_by == "", "it happens, and is in the history"


# -- systems ----------------------------------------------------------------------------------------------------------


def to_york(state: ClientState) -> None:
    """Internet access ends now, and another instance is to serve it from LATER on."""
    obey(state, ChangeServices(internet=Internet(500, 100), at=LATER, command_id="york"))
    (plan,) = state.client.schedule.changes
    assert isinstance(plan.command, ChangeServices)
    command = replace(plan.command, instances={INTERNET: "york"})
    state.client.schedule.changes = [replace(plan, command=command)]


def test_what_is_yet_to_be_proven_off_elsewhere_is_taken_to_be_so_in_time() -> None:
    state = settled()
    to_york(state)
    assert codes(obey(state, ChangeServices(internet="none"))) == []
    prove(state)
    state.advance(LATER)
    assert state.client.services.internet == Internet(500, 100)


def test_what_a_person_left_as_it_is_elsewhere_stops_the_plan() -> None:
    state = settled()
    to_york(state)
    obey(state, ChangeServices(internet="none"))
    answer = obey(state, Skip(system=INTERNET, reason="the router is gone"))
    assert codes(answer) == ["plan_blocked"]
    assert "Instance york serves" in answer.warnings[0].text
    state.advance(LATER)
    assert state.client.services.internet is None


# -- other warnings ---------------------------------------------------------------------------------------------------


def test_an_unsuspend_that_lifts_nothing_names_who_holds_the_client() -> None:
    state = in_directory(tenant(Status.SUSPENDED))
    state.obey(Suspend(source="security"), NOW)
    answer = obey(state, Unsuspend(source="operator"))
    assert (answer.changed, codes(answer)) == (False, ["still_held"])
    text = (
        "No hold was lifted: the client stays suspended, held by billing, security. Lift these by name, or all of them."
    )
    assert answer.warnings[0].text == text
    answer = obey(state, Unsuspend(source="security"))
    assert (answer.changed, codes(answer)) == (True, ["still_held"])
    assert answer.warnings[0].text.startswith("Only that hold was lifted")
    assert codes(obey(state, Unsuspend(source="billing"))) == []


def test_a_suspend_of_a_new_client_says_when_it_will_count() -> None:
    state = in_directory(manual())
    assert codes(obey(state, Suspend(source="billing"))) == ["suspended_from_the_start"]
    assert codes(obey(state, Unsuspend(source="another"))) == [], "it is not suspended yet"


@pytest.mark.parametrize(
    "command", [CancelPlanned(change="activate"), Edit(activation=Activation.MANUAL)], ids=["cancel", "edit"]
)
def test_an_activation_that_is_not_planned_any_more_waits_for_a_person(command: AnyCommand) -> None:
    state = in_directory(tenant(Status.NEW))
    assert codes(obey(state, command)) == ["waits_for_a_person"]
    assert codes(obey(state, Suspend())) == ["suspended_from_the_start"]


def test_the_same_command_again_warns_the_same_and_a_view_warns_of_what_stands() -> None:
    state = settled()
    state.obey(REMOVAL, NOW)
    removed = ChangeServices(remove_lines=(SECOND.number,), command_id="c2")
    answer = state.obey(removed, NOW)
    assert state.obey(removed, NOW) == answer == state.recent[-1]
    assert preview(state, removed, NOW).warnings == answer.warnings
    view = ClientView.of(state, NOW)
    assert [warning.code for warning in view.warnings] == ["plan_blocked"]
    renamed = state.obey(Edit(name="Another name"), NOW)
    assert CommandAnswer.to(renamed, view).warnings == [], "of the command, which did nothing to plans"


def test_a_service_planned_by_name_and_taken_by_hand_is_no_trouble() -> None:
    state, door = settled(), Service("doors", "main")
    obey(state, ChangeServices(add_services=(door,), at=LATER))
    assert codes(obey(state, ChangeServices(add_services=(door,)))) == ["plan_without_effect"]
    assert state.numbers >= {LINE.number, SECOND.number}


# -- the whole kind ---------------------------------------------------------------------------------------------------


def outcomes_of(state: ClientState) -> dict[str, tuple[bool, Status | None]]:
    """What comes of each plan by its id, when time passes, the systems do as they are told, and nobody decides."""
    came: dict[str, tuple[bool, Status | None]] = {}
    while due := state.client.next_moment():
        for system, ledger in state.provisioning.systems.items():
            if not ledger.standing.attention and not ledger.standing.skipped:
                prove(state, system, now=due)
        prove(state, DIRECTORY, now=due)
        state.advance(due)
        for entry in state.journal.waiting:
            if entry.facts.get("planned"):
                status = entry.facts.get("status")
                came[entry.facts["change_id"]] = (entry.event is Event.REFUSED, Status(status) if status else None)
    return came


def a_life(chance: random.Random, steps: int) -> ClientState:
    """A client of which much was asked, and much is planned."""
    machine = Lifecycle()
    machine.create(
        timezone="Europe/London",
        starts_in=chance.choice((-5, -5, 10)),
        activation=chance.choice(list(Activation)),
        virtual=chance.random() < 0.5,
        management=False,
        protected=False,
        registered=True,
    )
    for _ in range(steps):
        machine.send_any(chance)
        machine.publish(granted=True)
        if chance.random() < 0.3:
            machine.do_all_there_is_to_do_now(chance.choice((TELEPHONY, INTERNET, "doors")))
    return machine.state


def test_what_is_said_of_a_plan_is_what_comes_of_it() -> None:
    seen = Counter[str]()

    for seed in range(150):
        chance = random.Random(seed)
        state = a_life(chance, chance.randint(3, 25))
        before, foreseen = copy.deepcopy(state), state.foreseen
        assert state == before, "looking ahead changes nothing"
        came = outcomes_of(state)
        for plan in foreseen:
            refused, status = came.get(plan.change.change_id, (True, None))
            assert bool(plan.blocked_by) is refused, plan
            assert (plan.status_after is None) is refused
            assert status is None or refused or status is plan.status_after
            kinds = ("blocked", plan.blocked_by), ("idle", plan.idle), ("other", "Move or cancel" in plan.blocked_by)
            seen.update([name for name, so in kinds if so] or ["comes"])

    assert min(seen[name] for name in ("blocked", "idle", "other", "comes")) > 0, seen
