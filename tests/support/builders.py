"""Tenants in every status, and the words the tests of the domain are written in."""

import copy
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar, cast

import pytest

from workflows.arrivals import dated_now
from workflows.domain.answers import Outcome
from workflows.domain.client.client import Client
from workflows.domain.commands import AnyCommand, ClientCommand, Command, Decommission, Suspend
from workflows.domain.dates import NamedDay, ResolvedDay, first_instant, resolve
from workflows.domain.errors import Refusal
from workflows.domain.lifecycle import Activation, Status
from workflows.domain.provisioning.ledger import Desired
from workflows.domain.provisioning.standing import Found, Limits
from workflows.domain.services import ClientType, Internet, Line, Services
from workflows.domain.state import ClientState
from workflows.domain.systems import DIRECTORY, TELEPHONY, System

C = TypeVar("C", bound=Command)

LONDON = "Europe/London"
NOW = datetime(2026, 3, 2, 10, tzinfo=UTC)
TODAY = date(2026, 3, 2)
START = date(2026, 6, 1)  # of a New client
LINE, SECOND, THIRD = Line("+442079460001", "3.12"), Line("+442079460002", "3.12"), Line("+442079460003", "3.2")
LIFT = Line("+442079460009", "Lift", protected=True)
RESIDENTIAL = Services(ClientType.RESIDENTIAL, (LINE, SECOND), Internet(100, 20, 110))
VIRTUAL = Services(ClientType.VIRTUAL, (Line("+442079460001"), Line("+442079460002")))
LAST_DAY = date(2026, 8, 31)
AFTER_LAST_DAY = first_instant(date(2026, 9, 1), LONDON)
STARTS = first_instant(START, LONDON)
LATER = NOW + timedelta(days=200)
living = pytest.mark.parametrize("status", [Status.NEW, Status.ACTIVE, Status.SUSPENDED])


def starting(day: date, timezone: str = LONDON) -> ResolvedDay:
    """A start date as the API resolves it."""
    return resolve(NamedDay(day), timezone)


def dated(command: C, timezone: str = LONDON) -> C:
    """A command as the API sends it: with its day resolved."""
    return cast(C, dated_now(cast(AnyCommand, command), timezone))


def tenant(
    status: Status = Status.ACTIVE, *, client_id: str = "acme", services: Services = RESIDENTIAL, **record: Any
) -> Client:
    """A client that is in this status at NOW; a Suspended one is held by billing."""
    begun = NOW - timedelta(days=30)
    record = {"timezone": LONDON, "start_date": START if status is Status.NEW else date(2026, 1, 15), **record}
    record["start_date"] = starting(record["start_date"], record["timezone"])
    client = Client(client_id, "Acme Ltd", "thames", services=services, created_at=begun, **record)
    client.begin()
    client.advance(begun)
    if status is Status.SUSPENDED:
        client.obey(Suspend(source="billing", reason="invoice 1042 unpaid", by="bo"), begun)
    elif status is Status.DECOMMISSIONED:
        client.obey(Decommission(by="ann"), begun)
    assert client.status is status
    return client


def manual(**record: Any) -> Client:
    """A New client that waits until somebody activates it."""
    return tenant(Status.NEW, activation=Activation.MANUAL, **record)


def leaving(status: Status = Status.ACTIVE, **record: Any) -> Client:
    """A client whose decommission is planned for the end of August."""
    client = tenant(status, **record)
    client.obey(dated(Decommission(last_day=LAST_DAY, command_id="leave")), NOW)
    return client


def refusal(client: Client, command: ClientCommand, now: datetime = NOW) -> Refusal:
    """Why the client refuses a command, having made sure that it is left exactly as it was."""
    before = copy.deepcopy(client)
    with pytest.raises(Refusal) as refused:
        client.obey(command, now)
    assert client == before
    with pytest.raises(type(refused.value)) as foretold:
        client.check(command, now)
    assert str(foretold.value) == str(refused.value)
    assert client == before
    return refused.value


def unchanged(client: Client, command: ClientCommand, now: datetime = NOW) -> Outcome:
    """What the client answers to a command that it has nothing to do for."""
    before = copy.deepcopy(client)
    outcome = client.obey(command, now)
    assert not outcome.changed
    assert client == before
    return outcome


def planned(client: Client) -> list[str]:
    """The kinds of the planned changes, in the order in which they happen."""
    return [change.kind.value for change in client.schedule]


def in_directory(client: Client, limits: Limits | None = None, now: datetime = NOW) -> ClientState:
    """The state of a workflow whose client the directory knows."""
    state = ClientState(client, limits or Limits())
    state.register("B-1", now)
    return state


def on_off(subjects: Mapping[str, Desired]) -> dict[str, bool]:
    """Each subject, on or off."""
    return {subject: desired.on for subject, desired in subjects.items()}


def desired_lines(state: ClientState) -> dict[str, bool]:
    """Each telephone line, and whether it is wanted in service."""
    return on_off(state.provisioning.systems[TELEPHONY].wanted)


def lines_proven(state: ClientState) -> dict[str, bool]:
    """Each telephone line, and whether it was last proven to be in service."""
    return on_off(state.provisioning.systems[TELEPHONY].proven)


def account(on: bool, down_mbps: int, up_mbps: int, vlan: int | None) -> Desired:  # it reads as such
    """What is wanted of an internet account."""
    return Desired(on, {"down_mbps": down_mbps, "up_mbps": up_mbps, "vlan": vlan})


def prove(state: ClientState, *systems: System, now: datetime = NOW) -> None:
    """Let systems be seen to do all that is wanted of them now; all of them when none is named."""
    client, provisioning = state.client, state.provisioning
    for system in systems or tuple(provisioning):
        provisioning.begin(system)
        if system == DIRECTORY:
            state.journal.published(state.journal.written)
            provisioning.published = client.revision
            provisioning.directory.succeed(client.revision, now)
        else:
            state.found(system, dict(provisioning.systems[system].wanted), Found(client.revision, now), 0)
    provisioning.follow(client)


def settled(services: Services = RESIDENTIAL) -> ClientState:
    """An Active client all of whose services are proven on."""
    state = in_directory(tenant(services=services))
    prove(state)
    assert state.settled
    return state
