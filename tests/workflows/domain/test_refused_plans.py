"""A plan that was refused when it was due is an open matter until a person has acknowledged it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.builders import LONDON, NOW, RESIDENTIAL, SECOND, TODAY, settled, starting
from workflows.domain.client.client import Client
from workflows.domain.client.refused_plans import MOST_REFUSED_PLANS
from workflows.domain.commands import Acknowledge, ChangeServices, Decommission, Suspend
from workflows.domain.errors import IllegalTransition, InvalidField, NoSuchMatter
from workflows.domain.journal import MANY, Entry, Event, Journal
from workflows.domain.lifecycle import Kind
from workflows.domain.state import ClientState
from workflows.wire.views import ClientView

DUE, LATER = NOW + timedelta(days=10), NOW + timedelta(days=11)
REMOVAL = ChangeServices(remove_lines=(SECOND.number,), at=DUE, command_id="removal", by="olga")


def refused() -> ClientState:
    """A client a plan of which was refused, three hours late."""
    state = settled()
    state.obey(REMOVAL, NOW)
    state.obey(ChangeServices(remove_lines=(SECOND.number,)), NOW)
    state.advance(DUE + timedelta(hours=3))
    return state


def test_a_refused_plan_is_a_matter_with_why_and_what_to_do() -> None:
    state = refused()
    (matter,) = ClientView.of(state, LATER).matters
    assert (matter.matter, matter.kind, matter.system) == ("plan:removal", "plan_refused", None)
    assert matter.since == DUE + timedelta(hours=3)
    start = "The change services planned for 2026-03-12 10:00 Europe/London was refused when it was due. "
    assert matter.text == f"{start}The client has no line +442079460002. Its lines: +442079460001."
    assert [remedy.command for remedy in matter.remedies] == ["", "connect client acknowledge acme plan:removal"]


def test_it_stays_until_it_is_acknowledged_which_is_a_decision() -> None:
    state = refused()
    state.obey(Suspend(), LATER)
    revision = state.client.revision
    answer = state.obey(Acknowledge(matter="plan:removal", by="ann", reason="removed by hand", command_id="a1"), LATER)
    assert (answer.changed, answer.message) == (True, "Acknowledged: plan:removal")
    assert state.client.revision == revision + 1
    line = state.journal.waiting[-1]
    assert (line.kind, line.by, line.reason, line.text) == (
        "acknowledge",
        "ann",
        "removed by hand",
        "Acknowledged: plan:removal",
    )
    assert ClientView.of(state, LATER).matters == []


def test_what_is_not_open_is_refused_with_what_is() -> None:
    state = refused()
    with pytest.raises(NoSuchMatter) as wrong:
        state.obey(Acknowledge(matter="plan:other"), LATER)
    assert (wrong.value.why, wrong.value.remedy) == (
        "No refused plan is called 'plan:other'",
        "Give one of: plan:removal",
    )
    assert "acknowledge" in wrong.value.situation.allowed
    state.obey(Acknowledge(matter="plan:removal"), LATER)
    with pytest.raises(NoSuchMatter, match="or each was acknowledged") as again:
        state.obey(Acknowledge(matter="plan:removal"), LATER)
    assert "acknowledge" not in again.value.situation.allowed
    with pytest.raises(InvalidField):
        state.obey(Acknowledge(matter="plan:\u202eremoval"), LATER)


def test_a_plan_that_cannot_happen_is_a_matter_that_is_mended_not_acknowledged() -> None:
    state = settled()
    state.obey(REMOVAL, NOW)
    state.obey(ChangeServices(remove_lines=(SECOND.number,)), NOW)
    (matter,) = ClientView.of(state, NOW).matters
    assert (matter.matter, matter.kind) == ("plan:removal", "plan_blocked")
    assert matter.remedies[1].command == "connect client cancel-planned acme removal"
    with pytest.raises(NoSuchMatter):
        state.obey(Acknowledge(matter="plan:removal"), NOW)
    state.client.schedule.remove(Kind.CHANGE_SERVICES)
    assert ClientView.of(state, NOW).matters == []


def test_a_decommission_ends_the_matter_and_the_client_can_finish() -> None:
    state = refused()
    state.obey(Decommission(), LATER)
    assert ClientView.of(state, LATER).matters == []
    with pytest.raises(IllegalTransition):
        state.obey(Acknowledge(matter="plan:removal"), LATER)


def test_so_many_are_kept_and_the_oldest_goes_first() -> None:
    state = settled()
    for n in range(MOST_REFUSED_PLANS + 2):
        due = NOW + timedelta(days=n + 1)
        if SECOND.number not in state.client.services.numbers:
            state.obey(ChangeServices(add_lines=(SECOND,)), due - timedelta(hours=2))
        plan = ChangeServices(remove_lines=(SECOND.number,), at=due, command_id=f"p{n}")
        state.obey(plan, due - timedelta(hours=2))
        state.obey(ChangeServices(remove_lines=(SECOND.number,)), due - timedelta(hours=1))
        state.advance(due)
    assert [plan.change_id for plan in state.client.refused_plans] == [
        f"p{n}" for n in range(2, MOST_REFUSED_PLANS + 2)
    ]


def test_the_line_of_a_plan_says_for_when_it_was_planned() -> None:
    state = refused()
    line = state.journal.waiting[-1]
    assert (line.event, line.facts["planned_for"], line.facts["change_id"]) == ("refused", DUE.isoformat(), "removal")
    assert line.at - DUE == timedelta(hours=3)


def test_a_client_whose_start_date_is_past_when_it_is_made_is_not_late() -> None:
    client = Client("acme", "Acme Ltd", "thames", LONDON, RESIDENTIAL, starting(TODAY), NOW)
    client.begin()
    (line,) = client.advance(NOW)
    assert (line.facts["change_id"], "planned_for" in line.facts) == ("activation", False)


def test_what_a_plan_was_planned_for_takes_no_room_from_what_waits() -> None:
    """A replay of a history of 0.1.0, which did not say it, finds the journal full at the same line."""
    line = Entry(Event.DECIDED, NOW, "", reason="x" * 1000, facts={"planned": "true"})
    lines_until_full = []
    for facts in (line.facts, line.facts | {"planned_for": "2" * 400}):
        journal = Journal()
        while not journal.full:
            journal.write(replace(line, facts=facts))
        lines_until_full.append(journal.written)
    assert lines_until_full[0] == lines_until_full[1] < MANY
