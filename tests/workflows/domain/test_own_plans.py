"""Claims about callers that cancel and replace only plans of their own sources: their client decides."""

from dataclasses import replace

import pytest

from tests.support.builders import (
    LAST_DAY,
    LATER,
    NOW,
    STARTS,
    dated,
    in_directory,
    planned,
    refusal,
    tenant,
    unchanged,
)
from workflows.domain.answers import fingerprint
from workflows.domain.client.client import Client
from workflows.domain.commands import CancelPlanned, ClientCommand, Decommission, PlannableCommand, Suspend, Unsuspend
from workflows.domain.errors import NothingPlanned, PlanOfAnother
from workflows.domain.lifecycle import Status
from workflows.domain.preview import preview
from workflows.domain.text import GRAMMAR, OF_0_1
from workflows.inbox import Malformed, interpret
from workflows.wire import messages
from workflows.wire.update import Message

OWN = ("Billing", "dunning")
CANCEL = CancelPlanned(change="suspend", source="billing", own_sources=OWN, command_id="c-1")
REPLACE = Suspend(at=STARTS, source="billing", own_sources=OWN, command_id="r-1")
BY_ID = replace(CANCEL, change="theirs")


def with_plan(plan: PlannableCommand, **record: object) -> Client:
    client = tenant(**record)  # type: ignore[arg-type]  # fields of a record
    client.obey(dated(replace(plan, command_id="theirs")), NOW)
    return client


@pytest.mark.parametrize("command", [CANCEL, REPLACE, BY_ID], ids=["cancel", "replace", "by id"])
@pytest.mark.parametrize("grammar", [OF_0_1, GRAMMAR])
@pytest.mark.parametrize("source", ["billing", "BILLING", "dunning"])
def test_a_plan_of_any_of_its_sources_is_its_own(command: ClientCommand, grammar: int, source: str) -> None:
    client = with_plan(Suspend(at=LATER, source=source), grammar=grammar)
    assert client.obey(command, NOW).changed
    assert [change.change_id for change in client.schedule] == (["r-1"] if command is REPLACE else [])


@pytest.mark.parametrize("command", [CANCEL, REPLACE, BY_ID], ids=["cancel", "replace", "by id"])
@pytest.mark.parametrize("source", ["operator", "security", "billing2"])
def test_a_plan_of_another_source_is_neither_cancelled_nor_replaced(command: ClientCommand, source: str) -> None:
    client = with_plan(Suspend(at=LATER, source=source))
    assert isinstance(refusal(client, command), PlanOfAnother)
    assert client.obey(replace(command, own_sources=None), NOW).changed, "anybody else may"


def test_to_lift_every_hold_is_nobodys_own_plan() -> None:
    client = with_plan(Unsuspend(at=LATER, source="all"), status=Status.SUSPENDED)
    for command in (replace(CANCEL, change="unsuspend"), Unsuspend(at=STARTS, source="billing", own_sources=OWN)):
        assert isinstance(refusal(client, command), PlanOfAnother)


def test_what_neither_suspends_nor_unsuspends_is_nobodys_own_plan_whatever_its_source() -> None:
    leaving = with_plan(Decommission(last_day=LAST_DAY, source="billing"))
    assert isinstance(refusal(leaving, replace(CANCEL, change="decommission")), PlanOfAnother)
    assert isinstance(refusal(leaving, BY_ID), PlanOfAnother)
    new = tenant(Status.NEW)
    starting = replace(CANCEL, change="activate", own_sources=("start date",))
    assert isinstance(refusal(new, starting), PlanOfAnother)


def test_whose_sources_are_none_has_no_plan_of_its_own() -> None:
    assert isinstance(refusal(with_plan(Suspend(at=LATER)), replace(CANCEL, own_sources=())), PlanOfAnother)


def test_where_nothing_is_planned_it_is_answered_as_anybody() -> None:
    client = with_plan(Unsuspend(at=LATER), status=Status.SUSPENDED)
    unchanged(client, CANCEL)
    assert isinstance(refusal(client, replace(CANCEL, change="mine")), NothingPlanned)
    assert client.obey(REPLACE, NOW).changed
    assert planned(client) == ["suspend", "unsuspend"]


def test_a_preview_refuses_what_the_command_would_be_refused() -> None:
    state = in_directory(with_plan(Suspend(at=LATER)))
    for command in (CANCEL, REPLACE):
        with pytest.raises(PlanOfAnother):
            preview(state, command, NOW)


@pytest.mark.parametrize("command", [CANCEL, REPLACE], ids=["cancel", "replace"])
def test_the_same_command_has_its_first_answer_whosever_plan_came_meanwhile(command: CancelPlanned | Suspend) -> None:
    state = in_directory(with_plan(Suspend(at=LATER, source="billing")))
    answer = state.obey(command, NOW)
    state.obey(Suspend(at=LATER, source="operator", command_id="op"), NOW)
    for again in (command, replace(command, own_sources=("other",)), replace(command, own_sources=None)):
        state.check(again, NOW)
        assert state.obey(again, NOW) == answer
    assert [change.change_id for change in state.client.schedule] == ["op"]


def test_whose_plans_it_may_touch_makes_no_other_command_and_no_plan_keeps_it() -> None:
    plain = replace(REPLACE, own_sources=None)
    assert (REPLACE, fingerprint(REPLACE)) == (plain, fingerprint(plain))
    state = in_directory(tenant())
    state.obey(REPLACE, NOW)
    assert [change.command.own_sources for change in state.client.schedule] == [None]


def test_it_crosses_the_wire_and_older_workers_read_what_has_none() -> None:
    sent = Message(messages.CancelPlanned(change="suspend", own_sources=[*OWN])).model_dump_json()
    update = Message.model_validate_json(sent)
    assert (update.read().command().own_sources, update.command().own_sources) == (OWN, OWN)
    assert "own_sources" not in Message(messages.CancelPlanned(change="suspend")).model_dump_json()


def test_a_signal_has_none() -> None:
    with pytest.raises(Malformed, match="no own_sources"):
        interpret("cancel_planned", {"change": "suspend", "own_sources": None}, GRAMMAR)
