"""Claims about the id of the request that brought a command: lines of the history have it, and it decides nothing."""

from dataclasses import replace

import pytest

from tests.support.builders import LAST_DAY, NOW, dated, in_directory, settled, tenant
from workflows.domain.answers import fingerprint
from workflows.domain.commands import Decommission, Suspend
from workflows.domain.text import GRAMMAR
from workflows.inbox import Malformed, interpret
from workflows.wire import messages
from workflows.wire.update import Message

FIRST = Suspend(source="billing", command_id="c-1", request_id="req-1")
AGAIN = replace(FIRST, request_id="req-2")


def test_a_command_that_comes_again_by_another_request_is_the_same_and_its_line_has_the_first() -> None:
    state = settled()
    before = len(state.journal.waiting)
    answer = state.obey(FIRST, NOW)
    assert fingerprint(AGAIN) == fingerprint(FIRST) == fingerprint(replace(FIRST, request_id=""))
    assert state.answered(AGAIN) == state.obey(AGAIN, NOW) == answer
    assert [line.request_id for line in state.journal.waiting[before:]] == ["req-1"]


def test_a_plan_that_is_due_is_told_with_the_request_that_planned_it() -> None:
    state = in_directory(tenant())
    state.obey(dated(Decommission(last_day=LAST_DAY, command_id="c-1", request_id="req-1")), NOW)
    due = state.client.next_moment()
    assert due is not None
    before = len(state.journal.waiting)
    state.advance(due)
    assert {line.request_id for line in state.journal.waiting[before:] if line.kind == "decommission"} == {"req-1"}


def test_it_crosses_the_wire_and_older_workers_read_what_has_none() -> None:
    message = messages.Suspend(source="billing", request_id="req-1")
    sent = Message(message).model_dump_json()
    assert Message.model_validate_json(sent).read().command().request_id == "req-1"
    assert "request_id" not in Message(messages.Suspend(source="billing")).model_dump_json()


def test_a_signal_has_none() -> None:
    with pytest.raises(Malformed, match="no request_id"):
        interpret("suspend", {"source": "billing", "request_id": "req-1"}, GRAMMAR)
