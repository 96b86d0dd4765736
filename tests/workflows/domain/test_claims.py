"""What is unique waits for the directory to decide (PRODUCT.md section 5)."""

from tests.support.builders import (
    NOW,
    THIRD,
    settled,
)
from workflows.domain.commands import ChangeServices, Decommission, Edit
from workflows.domain.errors import Refusal
from workflows.domain.systems import DIRECTORY


def test_a_command_that_needs_something_unique_waits_and_is_carried_out_when_granted() -> None:
    state = settled()
    command = ChangeServices(add_lines=(THIRD,), command_id="c1")
    assert state.needs_of(command).numbers == (THIRD.number,)
    state.claim(command)
    state.claim(command)
    assert state.claims == [command]
    assert THIRD.number not in state.client.services.numbers
    assert state.drifts(DIRECTORY)
    answer = state.won(None, NOW)
    assert not isinstance(answer, Refusal)
    assert answer.changed
    assert state.client.services.lines[-1] == THIRD
    assert state.obey(command, NOW) == answer


def test_a_generated_billing_reference_is_taken_and_the_command_keeps_its_answer() -> None:
    state = settled()
    command = Edit(billing_ref="", command_id="c1")
    state.claim(command)
    answer = state.won("B-77", NOW)
    assert state.client.billing_ref == "B-77"
    assert state.obey(command, NOW) == answer


def test_a_claim_that_became_illegal_while_it_waited_is_refused_and_recorded() -> None:
    state = settled()
    state.claim(ChangeServices(add_lines=(THIRD,), command_id="c1"))
    state.obey(Decommission(), NOW)
    assert isinstance(state.won(None, NOW), Refusal)
    assert state.claims == []
    assert state.journal.waiting[-1].command_id == "c1"
    assert THIRD.number not in state.client.services.numbers


def test_a_command_waiting_for_the_directory_has_it_attempted_at_once() -> None:
    state = settled()
    state.client.revision += 1
    state.failed(DIRECTORY, "no answer", NOW, 1.0)
    state.claim(Edit(billing_ref="B-2"))
    assert state.may_attempt(DIRECTORY, NOW)
    assert state.provisioning.standing[DIRECTORY].attempts == 0
