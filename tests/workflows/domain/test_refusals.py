"""What a refusal says, and what is refused of the management client (PRODUCT.md section 3)."""

import pytest

from tests.support.builders import (
    LAST_DAY,
    LATER,
    LINE,
    NOW,
    RESIDENTIAL,
    STARTS,
    dated,
    leaving,
    refusal,
    tenant,
)
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
from workflows.domain.errors import (
    IllegalTransition,
    ManagementClient,
    NoSuchMatter,
)
from workflows.domain.lifecycle import Kind, Status
from workflows.domain.services import ClientType

NEW, ACTIVE, SUSPENDED, DECOMMISSIONED = Status


# -- what a refusal says ----------------------------------------------------------------------------------------------


def test_a_refusal_names_the_status_what_is_planned_and_what_is_allowed() -> None:
    refused = refusal(leaving(SUSPENDED), Activate())
    assert str(refused) == (
        "A suspended client cannot be asked to activate. The client is suspended. "
        "Planned: decommission at 2026-09-01 00:00 Europe/London. Unsuspend it instead. "
        "Allowed now: suspend, unsuspend, decommission, cancel_scheduled_decommission, cancel_planned, convert, "
        "change_services, edit, rotate_credentials."
    )
    assert refused.facts["client_status"] == "suspended"
    assert refused.facts["planned"] == ["decommission at 2026-09-01 00:00 Europe/London"]


def test_a_refusal_of_a_decommissioned_client_says_that_nothing_is_allowed() -> None:
    refused = refusal(tenant(DECOMMISSIONED), ChangeServices(internet="none"))
    assert str(refused) == (
        "Cannot change services: the client was already decommissioned at 2026-01-31 10:00 Europe/London. "
        "The client is decommissioned. Allowed now: nothing."
    )


def test_unsuspend_is_allowed_to_a_new_client_only_while_a_hold_stands() -> None:
    client = tenant(NEW)
    assert "unsuspend" not in client.situation().allowed
    client.obey(Suspend(), NOW)
    assert "unsuspend" in client.situation().allowed


@pytest.mark.parametrize("status", list(Status))
def test_every_command_that_is_said_to_be_allowed_is_not_refused_for_the_status(status: Status) -> None:
    client = leaving(status) if status is not DECOMMISSIONED else tenant(status)
    client.holds |= tenant(SUSPENDED).holds if status is NEW else {}
    commands: dict[Kind, ClientCommand] = {
        Kind.ACTIVATE: Activate(),
        Kind.SUSPEND: Suspend(),
        Kind.UNSUSPEND: Unsuspend(source="all"),
        Kind.DECOMMISSION: Decommission(),
        Kind.CANCEL_SCHEDULED_DECOMMISSION: CancelScheduledDecommission(),
        Kind.CANCEL_PLANNED: CancelPlanned(change="decommission"),
        Kind.CONVERT: Convert(to=ClientType.VIRTUAL),
        Kind.CHANGE_SERVICES: ChangeServices(remove_lines=(LINE.number,)),
        Kind.EDIT: Edit(name="Acme"),
        Kind.ROTATE_CREDENTIALS: RotateCredentials(),
        Kind.ACKNOWLEDGE: Acknowledge(matter="plan:later"),
    }
    allowed = client.situation().allowed
    for kind, command in commands.items():
        try:
            changed = client.check(command, NOW).changed
        except (IllegalTransition, NoSuchMatter):
            changed = False
        assert changed is (kind.value in allowed), kind


@pytest.mark.parametrize("status", list(Status))
def test_checking_a_command_foretells_its_outcome_and_changes_nothing(status: Status) -> None:
    client = tenant(status)
    outcome = client.check(Decommission(), NOW)
    assert client.status is status
    assert client.obey(Decommission(), NOW) == outcome


def test_the_services_of_the_tests_are_as_contracted() -> None:
    assert tenant().services == RESIDENTIAL


# -- the management client --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command", [Suspend(), Suspend(at=LATER), Decommission(), dated(Decommission(last_day=LAST_DAY))]
)
@pytest.mark.parametrize("status", [NEW, ACTIVE])
def test_the_management_client_is_neither_suspended_nor_decommissioned(status: Status, command: ClientCommand) -> None:
    refused = refusal(tenant(status, management=True), command)
    assert isinstance(refused, ManagementClient)
    assert not {"suspend", "decommission"} & set(refused.situation.allowed)


def test_the_management_client_is_otherwise_a_client_like_any_other() -> None:
    client = tenant(NEW, management=True)
    client.advance(STARTS)
    assert client.status is ACTIVE
    assert client.obey(Convert(to=ClientType.VIRTUAL), NOW).changed
    assert client.obey(Edit(name="The House"), NOW).changed
