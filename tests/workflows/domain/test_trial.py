"""Claims about an exception half way through a command: nothing is half changed."""

import copy
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from tests.support.builders import LAST_DAY, LONDON, NOW, THIRD, in_directory, leaving, tenant
from workflows.domain.client.client import Client
from workflows.domain.commands import (
    ChangeServices,
    ClientCommand,
    Convert,
    Decommission,
    Edit,
    MarkDone,
    Retry,
    RotateCredentials,
    Skip,
    Suspend,
    SystemCommand,
)
from workflows.domain.dates import NamedDay, resolve
from workflows.domain.day_plans import take_over_days
from workflows.domain.errors import Refusal
from workflows.domain.journal import Entry, Journal
from workflows.domain.lifecycle import Status
from workflows.domain.provisioning.provisioning import Provisioning
from workflows.domain.services import ClientType
from workflows.domain.state import ClientState
from workflows.domain.systems import INTERNET, TELEPHONY
from workflows.domain.trial import all_or_nothing, copy_of

LATER = NOW + timedelta(days=1)
ANOTHER_DAY = replace(resolve(NamedDay(LAST_DAY, last=True), LONDON), instant=LATER, rules="2099a")
COMMANDS: list[ClientCommand] = [
    Suspend(command_id="c1", reason="unpaid"),
    Decommission(command_id="c1"),
    Convert(command_id="c1", to=ClientType.VIRTUAL),
    ChangeServices(command_id="c1", add_lines=(THIRD,)),
    Edit(command_id="c1", name="Another Ltd", billing_ref="X1", end_date=LATER.date()),
    RotateCredentials(command_id="c1"),
    Suspend(command_id="c1", at=LATER),
]
ABOUT_A_SYSTEM: list[SystemCommand] = [
    Retry(command_id="c1", system=TELEPHONY),
    Skip(command_id="c1", system=TELEPHONY, reason="later"),
    MarkDone(command_id="c1", system=TELEPHONY, reason="by hand"),
]


class Fault(Exception):
    """What nobody expected."""


def faulty(*_: object) -> Entry:
    """Fails when a command has changed the client, before its line is written."""
    raise Fault


class FaultyJournal(Journal):
    """A journal that fails when a line is written."""

    def write(self, entry: Entry) -> None:
        raise Fault


class FaultyProvisioning(Provisioning):
    """Provisioning that fails when it has followed a suspension."""

    def follow(self, client: Client) -> None:
        super().follow(client)
        if client.status is Status.SUSPENDED:
            raise Fault


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_a_command_that_fails_half_way_leaves_the_client_as_it_was(
    command: ClientCommand, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = tenant()
    for module in ("client", "record"):
        monkeypatch.setattr(f"workflows.domain.client.{module}.entry_for", faulty)
    before = copy.deepcopy(client)
    with pytest.raises(Fault):
        client.obey(command, NOW)
    assert client == before


@pytest.mark.parametrize("command", [*COMMANDS, *ABOUT_A_SYSTEM], ids=lambda command: type(command).__name__)
def test_a_command_whose_line_cannot_be_written_leaves_the_whole_state_as_it_was(
    command: ClientCommand | SystemCommand,
) -> None:
    state = in_directory(tenant())
    state.advance(NOW)
    state.journal = FaultyJournal(state.journal.written, state.journal.waiting)
    before = copy.deepcopy(state)
    with pytest.raises(Fault):
        state.obey(command, NOW)
    assert state == before


@pytest.mark.parametrize("now", [NOW, LATER], ids=["a command", "a plan that is due"])
def test_a_failure_of_what_follows_a_decision_takes_the_decision_back(now: datetime) -> None:
    state = in_directory(tenant())
    state.obey(Suspend(at=LATER), NOW)
    state.provisioning = FaultyProvisioning(**vars(state.provisioning))
    before = copy.deepcopy(state)
    with pytest.raises(Fault):
        state.obey(Suspend(command_id="c2", reason="unpaid"), now)
    assert state == before
    assert state.client.status is Status.ACTIVE
    assert state.client.next_moment() == LATER


@pytest.mark.parametrize(
    "report",
    [
        lambda state: state.doubted(TELEPHONY, "it rings", NOW, "monitoring"),
        lambda state: state.turn_down(Suspend(command_id="c1"), Refusal("No"), NOW),
        lambda state: take_over_days(state, {NamedDay(LAST_DAY, last=True): ANOTHER_DAY}, NOW),
    ],
    ids=["drift is reported", "a signal is refused", "days are resolved anew"],
)
def test_whatever_else_comes_in_and_fails_half_way_changes_nothing(report: Callable[[ClientState], None]) -> None:
    state = in_directory(leaving())
    state.journal = FaultyJournal(state.journal.written, state.journal.waiting)
    before = copy.deepcopy(state)
    with pytest.raises(Fault):
        report(state)
    assert state == before


def test_a_claim_that_cannot_be_followed_is_not_made() -> None:
    state = in_directory(tenant(Status.SUSPENDED))
    state.provisioning = FaultyProvisioning(**vars(state.provisioning))
    before = copy.deepcopy(state)
    with pytest.raises(Fault):
        state.claim(ChangeServices(command_id="c1", add_lines=(THIRD,)))
    assert state == before


def test_what_is_changed_in_a_copy_is_taken_over_at_the_end_alone() -> None:
    state = in_directory(tenant())
    with all_or_nothing(state) as trial:
        trial.client.obey(Suspend(), NOW)
        assert state.client.holds == {}
    assert list(state.client.holds) == ["operator"]


def test_a_copy_shares_nothing_that_changes_in_place() -> None:
    state = in_directory(tenant())
    before = copy.deepcopy(state)
    trial = copy_of(state)
    for command in (*COMMANDS, *ABOUT_A_SYSTEM):
        copy_of(trial).obey(command, NOW)
    trial.obey(COMMANDS[0], NOW)
    trial.provisioning.standing[INTERNET].fail("away", NOW, trial.limits, 1)
    trial.journal.published(trial.journal.written)
    assert state == before
