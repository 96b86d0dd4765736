"""What a client remembers of its answers (PRODUCT.md section 3): the same command is one command, for good."""

import pytest

from tests.support.builders import NOW, in_directory, prove, tenant
from workflows.domain.answers import LONG_AGO, MOST_PAST
from workflows.domain.commands import Activate, Decommission, Suspend, Unsuspend
from workflows.domain.errors import CommandIdReused, IllegalTransition, Refusal
from workflows.domain.lifecycle import Status
from workflows.domain.provisioning.standing import Limits
from workflows.domain.state import ClientState
from workflows.domain.systems import DIRECTORY

FEW = Limits(recent=3)


def obey(state: ClientState, *numbers: int, published: bool = True) -> None:
    """Let the client obey commands of these numbers, and the directory know of them."""
    for number in numbers:
        state.obey(Suspend(source=f"s-{number % 7}", reason=f"{number}", command_id=f"c-{number}"), NOW)
        if published:
            prove(state, DIRECTORY)


def test_an_older_command_is_known_to_have_been_answered_and_is_not_obeyed_again() -> None:
    state = in_directory(tenant(), FEW)
    obey(state, *range(10))
    state.obey(Unsuspend(source="all", command_id="lift"), NOW)
    again = Suspend(source="s-0", reason="0", command_id="c-0")
    state.check(again, NOW)
    answer = state.obey(again, NOW)
    assert (answer.changed, answer.message) == (False, LONG_AGO)
    assert state.client.holds == {}
    assert len(state.recent) == 3


def test_the_marks_of_old_commands_are_bounded() -> None:
    state = in_directory(tenant(), Limits(recent=0))
    state.past = [f"{n}" for n in range(MOST_PAST)]
    obey(state, 1, 2)
    obey(state, 3)
    assert len(state.past) == MOST_PAST
    assert state.past[0] != "0"


def test_no_answer_goes_before_the_directory_has_it() -> None:
    state = in_directory(tenant(), FEW)
    obey(state, *range(20), published=False)
    waiting = state.answers_to_publish(state.journal.written)
    assert [answer.command_id for answer in waiting] == [f"c-{n}" for n in range(20)]
    assert [answer.entry for answer in waiting] == [
        entry + 1 for entry in range(state.journal.written - 20, state.journal.written)
    ]
    prove(state, DIRECTORY)
    obey(state, 20)
    assert len(state.recent) == 3
    assert state.answers_to_publish(state.journal.written) == []


def test_a_publication_carries_the_answers_of_its_lines_alone() -> None:
    state = in_directory(tenant())
    obey(state, *range(5), published=False)
    first = state.journal.first
    assert [a.command_id for a in state.answers_to_publish(first + 1)] == ["c-0", "c-1"]


def test_a_refused_command_stays_refused_with_what_was_said_then() -> None:
    state = in_directory(tenant(Status.SUSPENDED))
    command = Activate(command_id="a-1", by="crm")
    with pytest.raises(IllegalTransition) as first:
        state.obey(command, NOW)
    state.turn_down(command, first.value, NOW)
    state.obey(Unsuspend(source="all", command_id="lift"), NOW)
    for decide in (state.obey, state.check):
        with pytest.raises(IllegalTransition) as again:
            decide(command, NOW)
        assert str(again.value) == str(first.value)
    lines = state.journal.written
    state.turn_down(command, first.value, NOW)
    assert state.journal.written == lines
    (answer_kept,) = [answer for answer in state.recent if answer.command_id == "a-1"]
    assert (answer_kept.changed, answer_kept.kind, answer_kept.message) == (False, "activate", str(first.value))


def test_another_command_under_a_refused_key_is_told_so_and_recorded() -> None:
    state = in_directory(tenant(Status.SUSPENDED))
    command = Activate(command_id="a-1")
    state.turn_down(command, IllegalTransition("no"), NOW)
    other = Decommission(command_id="a-1")
    with pytest.raises(CommandIdReused) as reused:
        state.obey(other, NOW)
    state.turn_down(other, reused.value, NOW)
    assert "was used before, for another command" in state.journal.waiting[-1].text
    assert [answer.kind for answer in state.recent] == ["activate"]


def test_what_is_kept_of_a_refusal_is_cut_and_can_be_stored() -> None:
    state = in_directory(tenant())
    state.turn_down(Activate(command_id="a-1"), Refusal("\0" + "x" * 100_000, "y" * 100_000), NOW)
    state.turn_down(Activate(command_id="a\0"), Refusal("no"), NOW)
    (answer_kept,) = state.recent
    assert answer_kept.refusal is not None
    assert "\0" not in str([answer_kept.message, answer_kept.refusal])
    assert len(str(answer_kept)) < 5000


def test_the_key_that_made_a_client_makes_nothing_else_of_it() -> None:
    state = ClientState.of_new(tenant(Status.NEW), Limits(), created_by="k", by="ann", request="digest")
    assert [(a.command_id, a.kind, a.entry, a.fingerprint) for a in state.recent] == [("k", "create", 1, "digest")]
    with pytest.raises(CommandIdReused):
        state.check(Suspend(command_id="k"), NOW)
