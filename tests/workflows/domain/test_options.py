"""Claims about what may be asked of a client now: it is what the client would answer, and says why not."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.support.builders import LINE, NOW, SECOND, in_directory, tenant
from workflows.domain.client.client import Client
from workflows.domain.commands import (
    Acknowledge,
    Activate,
    CancelPlanned,
    CancelScheduledDecommission,
    ChangeServices,
    ClientCommand,
    Convert,
    Decommission,
    Edit,
    RotateCredentials,
    Suspend,
    Unsuspend,
)
from workflows.domain.errors import Refusal
from workflows.domain.lifecycle import IN_ANY_STATUS, Kind, Status
from workflows.domain.preview import preview
from workflows.domain.services import ClientType
from workflows.wire.views import ClientView

LATER = NOW + timedelta(days=30)
COMMANDS: dict[Kind, ClientCommand] = {
    Kind.ACTIVATE: Activate(),
    Kind.SUSPEND: Suspend(source="another"),
    Kind.UNSUSPEND: Unsuspend(source="all"),
    Kind.DECOMMISSION: Decommission(),
    Kind.CANCEL_SCHEDULED_DECOMMISSION: CancelScheduledDecommission(),
    Kind.CANCEL_PLANNED: CancelPlanned(change="decommission"),
    Kind.CONVERT: Convert(to=ClientType.VIRTUAL),
    Kind.CHANGE_SERVICES: ChangeServices(remove_lines=(LINE.number,)),
    Kind.EDIT: Edit(name="Another name"),
    Kind.ROTATE_CREDENTIALS: RotateCredentials(),
    Kind.ACKNOWLEDGE: Acknowledge(matter="plan:removal"),
}
"""Each command, with values that nothing but the client's status, holds and plans can speak against."""


def client_with_plan(status: Status) -> Client:
    client = tenant(status)
    client.obey(Decommission(at=LATER), NOW)
    return client


def with_a_plan_refused() -> Client:
    client = tenant()
    client.obey(ChangeServices(remove_lines=(SECOND.number,), at=NOW + timedelta(hours=1), command_id="removal"), NOW)
    client.obey(ChangeServices(remove_lines=(SECOND.number,)), NOW)
    client.advance(NOW + timedelta(hours=1))
    return client


CLIENTS: dict[str, Callable[[], Client]] = {
    **{status.value: lambda status=status: tenant(status) for status in Status},  # type: ignore[misc]  # mypy has no default of a lambda
    "management": lambda: tenant(management=True),
    "active, to be decommissioned": lambda: client_with_plan(Status.ACTIVE),
    "suspended, to be decommissioned": lambda: client_with_plan(Status.SUSPENDED),
    "active, with a plan refused": lambda: with_a_plan_refused(),
}


@pytest.mark.parametrize("kind", COMMANDS)
@pytest.mark.parametrize("name", CLIENTS)
def test_an_action_is_possible_exactly_when_its_command_would_change_something(name: str, kind: Kind) -> None:
    client = CLIENTS[name]()
    view = ClientView.of(in_directory(client), NOW).with_actions()
    (action,) = (action for action in view.actions if action.kind is kind)
    command = COMMANDS[kind]
    if isinstance(command, CancelPlanned) and client.schedule.changes:
        command = CancelPlanned(change=client.schedule.changes[0].change_id)
    refusal: Refusal | None = None
    try:
        changes = preview(in_directory(client), command, NOW).changed
    except Refusal as refused:
        changes, refusal = False, refused
    assert refusal is None or refusal.why in action.why
    assert action.possible is changes
    assert bool(action.why) is not changes
    assert (kind.value in client.situation().allowed) is changes


def test_every_command_to_a_client_is_among_the_actions() -> None:
    actions = [action.kind for action in ClientView.of(in_directory(tenant()), NOW).with_actions().actions]
    assert actions == [kind for kind in Kind if kind not in IN_ANY_STATUS] == list(COMMANDS)


@pytest.mark.parametrize(
    ("name", "kind", "why"),
    [
        ("active", Kind.ACTIVATE, "Already active."),
        ("active", Kind.UNSUSPEND, "Nothing keeps this client suspended."),
        ("active", Kind.CANCEL_SCHEDULED_DECOMMISSION, "No decommission is planned."),
        ("active", Kind.CANCEL_PLANNED, "Nothing is planned."),
        ("active", Kind.ACKNOWLEDGE, "No planned change was refused, or each was acknowledged."),
        ("suspended", Kind.ACTIVATE, "A suspended client cannot be asked to activate. Unsuspend it instead."),
        ("management", Kind.SUSPEND, "The management client of a site cannot be asked to suspend."),
        ("decommissioned", Kind.EDIT, "Cannot edit: the client was already decommissioned at "),
        ("decommissioned", Kind.DECOMMISSION, "Already decommissioned at "),
    ],
)
def test_why_an_action_is_not_possible_is_said_in_a_sentence(name: str, kind: Kind, why: str) -> None:
    assert CLIENTS[name]().options.why_not(kind).startswith(why)
