"""Each bad input of the project's list that is the domain's: field and remedy are named, and nothing changes."""

import copy
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from tests.support.builders import (
    LAST_DAY,
    LINE,
    NOW,
    START,
    THIRD,
    TODAY,
    VIRTUAL,
    dated,
    desired_lines,
    in_directory,
    refusal,
    starting,
    tenant,
)
from workflows.domain.client.client import Client
from workflows.domain.client.rules import MOST_HOLDS
from workflows.domain.commands import (
    CancelPlanned,
    ChangeServices,
    ClientCommand,
    Convert,
    Decommission,
    Edit,
    Suspend,
    Unsuspend,
)
from workflows.domain.errors import BeforeStart, InvalidField, MomentInThePast, NothingPlanned, Refusal, TwoMoments
from workflows.domain.journal import LONGEST_TEXT, Event, shortened
from workflows.domain.lifecycle import Status
from workflows.domain.services import ClientType, Internet, Line

LATER = NOW + timedelta(days=90)
STARTS = starting(START)
TOMORROW = TODAY + timedelta(days=1)

BAD: list[tuple[str, Client, ClientCommand, type[Refusal], str]] = [
    (
        "office for a virtual client",
        tenant(services=VIRTUAL),
        ChangeServices(add_lines=(THIRD,)),
        InvalidField,
        "add_lines",
    ),
    (
        "internet for a virtual client",
        tenant(services=VIRTUAL),
        ChangeServices(internet=Internet(1, 1)),
        InvalidField,
        "internet",
    ),
    (
        "no office for a residential client",
        tenant(),
        ChangeServices(add_lines=(Line(THIRD.number),)),
        InvalidField,
        "add_lines",
    ),
    ("residential without office", tenant(services=VIRTUAL), Convert(to=ClientType.RESIDENTIAL), InvalidField, "lines"),
    ("virtual with offices", tenant(), Convert(to=ClientType.VIRTUAL, offices=("3.12",)), InvalidField, "offices"),
    ("virtual with lines", tenant(), Convert(to=ClientType.VIRTUAL, lines=(LINE,)), InvalidField, "lines"),
    (
        "virtual with internet",
        tenant(),
        Convert(to=ClientType.VIRTUAL, internet=Internet(1, 1)),
        InvalidField,
        "internet",
    ),
    ("a line it does not have", tenant(), ChangeServices(remove_lines=(THIRD.number,)), InvalidField, "remove_lines"),
    ("no change at all", tenant(), ChangeServices(), InvalidField, "add_lines"),
    ("a day in the past", tenant(), dated(Suspend(last_day=date(2026, 3, 1))), MomentInThePast, "last_day"),
    ("an instant in the past", tenant(), Decommission(at=NOW - timedelta(seconds=1)), MomentInThePast, "at"),
    ("before the start", tenant(Status.NEW), dated(Decommission(last_day=TOMORROW)), BeforeStart, "last_day"),
    ("before the start, exactly", tenant(Status.NEW), Decommission(at=NOW + timedelta(days=1)), BeforeStart, "at"),
    ("both last_day and at", tenant(), dated(Suspend(last_day=TOMORROW, at=LATER)), TwoMoments, "at"),
    ("an instant without offset", tenant(), Suspend(at=datetime(2027, 1, 1)), InvalidField, "at"),  # noqa: DTZ001  # the bad input
    ("the last day of all", tenant(), dated(Decommission(last_day=date.max)), InvalidField, "last_day"),
    ("the first day of all", tenant(), dated(Decommission(last_day=date.min)), InvalidField, "last_day"),
    (
        "the last instant of all",
        tenant(timezone="Pacific/Auckland"),
        Suspend(at=datetime.max.replace(tzinfo=NOW.tzinfo)),
        InvalidField,
        "at",
    ),
    (
        "the first instant of all",
        tenant(timezone="America/New_York"),
        Suspend(at=datetime.min.replace(tzinfo=NOW.tzinfo)),
        InvalidField,
        "at",
    ),
    ("a start at the end of time", tenant(Status.NEW), dated(Edit(start_date=date.max)), InvalidField, "start_date"),
    (
        "a start at the beginning of time",
        tenant(Status.NEW, timezone="Asia/Tokyo"),
        dated(Edit(start_date=date.min)),
        InvalidField,
        "start_date",
    ),
    ("a blank name", tenant(), Edit(name=" \t"), InvalidField, "name"),
    ("an empty name", tenant(), Edit(name=""), InvalidField, "name"),
    ("a name over 200 characters", tenant(), Edit(name="x" * 201), InvalidField, "name"),
    ("a name of two lines", tenant(), Edit(name="Acme\nLtd"), InvalidField, "name"),
    ("a name with NUL", tenant(), Edit(name="Acme\0"), InvalidField, "name"),
    ("a billing reference that is too long", tenant(), Edit(billing_ref="x" * 65), InvalidField, "billing_ref"),
    ("a billing reference of blanks", tenant(), Edit(billing_ref="  "), InvalidField, "billing_ref"),
    ("a billing reference with NUL", tenant(), Edit(billing_ref="B\0001"), InvalidField, "billing_ref"),
    ("a blank source", tenant(), Suspend(source=" "), InvalidField, "source"),
    ("a source that is too long", tenant(), Suspend(source="x" * 65), InvalidField, "source"),
    ("a hold by all", tenant(), Suspend(source="all"), InvalidField, "source"),
    ("a planned hold by all", tenant(), Suspend(source="all", at=LATER), InvalidField, "source"),
    ("a blank source to lift", tenant(Status.SUSPENDED), Unsuspend(source=""), InvalidField, "source"),
    ("a reason with NUL", tenant(), Suspend(reason="un\0paid"), InvalidField, "reason"),
    ("a command_id with NUL", tenant(), Suspend(command_id="\0"), InvalidField, "command_id"),
    ("a name that turns the direction", tenant(), Edit(name="Acme \u202edtL"), InvalidField, "name"),
    ("a name with a zero-width character", tenant(), Edit(name="Ac\u200bme"), InvalidField, "name"),
    ("a source of a zero-width character", tenant(), Suspend(source="billing\ufeff"), InvalidField, "source"),
    ("a reason with an escape", tenant(), Suspend(reason="\x1b[2J"), InvalidField, "reason"),
    (
        "an office that turns the direction",
        tenant(),
        ChangeServices(add_lines=(Line(THIRD.number, "3\u202e21"),)),
        InvalidField,
        "add_lines",
    ),
    ("no such plan", tenant(), CancelPlanned(change="x"), NothingPlanned, "change"),
]


@pytest.mark.parametrize(("client", "command", "why", "field"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_bad_input_is_refused_with_its_field_and_a_remedy(
    client: Client, command: ClientCommand, why: type[Refusal], field: str
) -> None:
    refused = refusal(client, command)
    assert type(refused) is why or isinstance(refused, why)
    assert refused.field == field
    assert refused.remedy
    assert refused.why in str(refused)
    assert f"The client is {client.status}" in str(refused)
    assert "Allowed now: " in str(refused)


@pytest.mark.parametrize(("client", "command"), [b[1:3] for b in BAD], ids=[b[0] for b in BAD])
def test_bad_input_leaves_the_whole_state_as_it_was(client: Client, command: ClientCommand) -> None:
    state = in_directory(copy.deepcopy(client))
    state.advance(NOW)
    written, revision, lines_before = state.journal.written, state.client.revision, dict(desired_lines(state))
    with pytest.raises(Refusal):
        state.obey(command, NOW)
    assert (state.journal.written, state.client.revision, desired_lines(state)) == (
        written,
        revision,
        lines_before,
    )
    assert state.recent == []


@pytest.mark.parametrize("reason", ["x" * 100_000, "a\nb", "ὅτι 🏢", "'; DROP TABLE clients; --", "<script>"])
def test_a_reason_is_kept_as_it_was_given(reason: str) -> None:
    client = tenant()
    client.obey(Suspend(reason=reason), NOW)
    assert client.holds["operator"].reason == reason


@pytest.mark.parametrize(
    ("field", "record"),
    [
        ("client_id", {"client_id": "A"}),
        ("client_id", {"client_id": "acme\n"}),
        ("client_id", {"client_id": "-acme"}),
        ("client_id", {"client_id": "x" * 64}),
        ("client_id", {"client_id": "acme ltd"}),
        ("name", {"name": ""}),
        ("name", {"name": "x" * 201}),
        ("billing_ref", {"billing_ref": " B-1"}),
        ("start_date", {"start_date": replace(STARTS, day=date.min)}),
        ("start_date", {"start_date": replace(STARTS, day=date.max)}),
    ],
)
def test_a_client_with_a_bad_record_is_not_made(field: str, record: dict[str, Any]) -> None:
    good: dict[str, Any] = {
        "client_id": "acme",
        "name": "Acme Ltd",
        "site": "thames",
        "timezone": "Europe/London",
        "services": VIRTUAL,
        "start_date": STARTS,
        "created_at": NOW,
    }
    Client(**good)
    with pytest.raises(InvalidField) as refused:
        Client(**{**good, **record})
    assert refused.value.field == field
    assert refused.value.remedy


def test_a_client_at_an_unknown_time_zone_is_not_begun() -> None:
    with pytest.raises(InvalidField) as refused:
        Client("acme", "Acme", "thames", "Europe/Atlantis", VIRTUAL, starting(START, "Europe/Atlantis"), NOW).begin()
    assert refused.value.field == "timezone"


def test_there_is_a_most_of_holds_and_those_that_stand_can_still_be_updated() -> None:
    client = tenant()
    for number in range(MOST_HOLDS):
        client.obey(Suspend(source=f"s{number}"), NOW)
    assert refusal(client, Suspend(source="one-more")).field == "source"
    assert client.obey(Suspend(source="s7", reason="still"), NOW).changed
    client.obey(Unsuspend(source="all"), NOW)
    assert client.status is Status.ACTIVE


def test_a_refused_signal_is_recorded_cut_to_length_and_changes_nothing_else() -> None:
    state = in_directory(tenant())
    revision = state.client.revision
    state.refuse("x" * 5000, "y" * 500, NOW, by="z" * 500, command_id="\0" * 500)
    entry = state.journal.waiting[-1]
    assert entry.event is Event.REFUSED
    assert (len(entry.text), len(entry.kind), len(entry.by), len(entry.command_id)) == (LONGEST_TEXT, 100, 100, 100)
    assert "\0" not in entry.command_id
    assert state.client.revision == revision
    assert shortened("short") == "short"


def test_a_plan_for_a_far_day_is_taken() -> None:
    client = tenant()
    assert client.obey(dated(Decommission(last_day=date(2999, 12, 31))), NOW).message.endswith(
        "3000-01-01 00:00 Europe/London"
    )
    assert client.obey(dated(Decommission(last_day=LAST_DAY)), NOW).changed
