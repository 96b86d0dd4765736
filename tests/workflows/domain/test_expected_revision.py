"""Claims about commands that are for one revision of a client: whoever decides first makes the others look again."""

from dataclasses import replace
from typing import Any

import pytest

from tests.support.builders import LAST_DAY, LATER, NOW, THIRD, dated, in_directory, settled, tenant
from workflows.domain.commands import (
    ChangeServices,
    Decommission,
    Edit,
    MarkDone,
    Note,
    RotateCredentials,
    Suspend,
    Unsuspend,
)
from workflows.domain.errors import ChangedMeanwhile, CommandIdReused, Refusal
from workflows.domain.lifecycle import Status
from workflows.domain.preview import preview
from workflows.domain.systems import TELEPHONY
from workflows.domain.trial import copy_of
from workflows.wire import messages
from workflows.wire.update import Message

COMMANDS = (
    Suspend(source="billing"),
    Decommission(last_day=LAST_DAY),
    Edit(name="Acme Two"),
    Edit(billing_ref="B-2"),
    RotateCredentials(),
    Note(text="rang"),
    MarkDone(system=TELEPHONY, reason="by hand"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda it: f"{it.kind}")
def test_a_command_for_another_revision_is_refused_and_changes_nothing(command: Suspend) -> None:
    state = settled()
    revision = state.client.revision
    before = copy_of(state)
    for other in (revision - 1, revision + 1):
        late = dated(replace(command, expected_revision=other, command_id="late"))
        for decide in (state.check, state.obey, lambda command, now: preview(state, command, now)):
            with pytest.raises(ChangedMeanwhile) as refused:
                decide(late, NOW)
            assert refused.value.field == "expected_revision"
            assert f"has revision {revision}" in str(refused.value)
    assert state == before
    in_time = dated(replace(command, expected_revision=revision, command_id="in-time"))
    state.check(in_time, NOW)
    assert preview(state, in_time, NOW).message == state.obey(in_time, NOW).message


def test_time_that_passed_counts_as_a_change() -> None:
    state = in_directory(tenant())
    state.obey(dated(Decommission(last_day=LAST_DAY)), NOW)
    with pytest.raises(ChangedMeanwhile):
        state.obey(Edit(name="Acme Two", expected_revision=state.client.revision), LATER)
    assert state.client.status is Status.DECOMMISSIONED


def test_a_plan_takes_effect_whatever_was_decided_since() -> None:
    state = in_directory(tenant())
    plan = dated(Decommission(last_day=LAST_DAY, expected_revision=state.client.revision))
    assert preview(state, plan, NOW).at is not None
    state.obey(plan, NOW)
    again = state.obey(replace(plan, expected_revision=state.client.revision), NOW)
    assert not again.changed, "the same plan, by whatever revision"
    state.obey(Suspend(), NOW)
    state.advance(LATER)
    assert state.client.status is Status.DECOMMISSIONED


def test_a_command_that_waits_for_the_directory_had_its_revision_when_it_began_to_wait() -> None:
    state = settled()
    revision = state.client.revision
    first = ChangeServices(add_lines=(THIRD,), command_id="c-1", expected_revision=revision)
    state.check(first, NOW)
    state.claim(first)
    with pytest.raises(ChangedMeanwhile):
        state.check(Suspend(command_id="c-2", expected_revision=revision), NOW)
    state.check(first, NOW)  # sent again, it waits for the same decision
    state.obey(Suspend(source="billing"), NOW)
    answer = state.won(None, NOW)
    assert not isinstance(answer, Refusal)
    assert answer.changed
    assert state.obey(first, NOW) == answer


def test_the_same_command_again_is_answered_as_before_and_one_for_another_revision_is_another() -> None:
    state = settled()
    first = Suspend(command_id="c-1", expected_revision=state.client.revision)
    answer = state.obey(first, NOW)
    state.obey(Unsuspend(source="all"), NOW)
    assert state.obey(first, NOW) == answer
    with pytest.raises(CommandIdReused):
        state.obey(replace(first, expected_revision=state.client.revision), NOW)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [(messages.Suspend, {}), (messages.Edit, {"name": "Acme"}), (messages.Retry, {"system": "doors"})],
)
def test_a_message_says_it_only_where_it_was_given_for_older_workers_refuse_a_field_that_they_do_not_know(
    kind: type[messages.AnyMessage], fields: dict[str, Any]
) -> None:
    assert "expected_revision" not in Message(kind.model_validate(fields)).model_dump_json()
    assert Message(kind.model_validate({**fields, "expected_revision": 7})).model_dump()["expected_revision"] == 7
