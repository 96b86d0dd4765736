"""What a client carries from run to run is one payload: whatever people and systems say, Temporal takes it (2 MiB)."""

import pytest
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.bounds import ALL_TEXTS
from tests.support.builders import NOW, in_directory, prove, tenant
from workflows.domain.client.rules import MOST_HOLDS
from workflows.domain.commands import ChangeServices, Decommission, Suspend
from workflows.domain.errors import InvalidField, TooManyWaiting
from workflows.domain.provisioning.ledger import Desired
from workflows.domain.provisioning.standing import Doubt, Found, Proof
from workflows.domain.reports import MOST_CLAIMS, MOST_LINES_CLAIMED
from workflows.domain.services import MOST_LINES, ClientType, Line, Service, Services
from workflows.domain.state import ClientState
from workflows.domain.systems import TELEPHONY
from workflows.wire.fields import MOST
from workflows.wire.start import ClientStart

LIMIT = 2 * 1024 * 1024
WIDE = "€"  # three bytes


def start_bytes(state: ClientState) -> int:
    return pydantic_data_converter.payload_converter.to_payload(ClientStart(state=state)).ByteSize()


def lines(how_many: int, prefix: str, office: str) -> tuple[Line, ...]:
    return tuple(Line(f"+44{prefix}{n:07}", f"{n:04}{office}") for n in range(how_many))


def test_the_largest_client_in_the_worst_of_times_can_be_renewed() -> None:
    """A thousand lines, each refused by its system since the last hold; a plan for as many; the directory away, and
    everybody asking."""
    largest_lines = lines(MOST_LINES, "20", WIDE * 60)
    state = in_directory(tenant(services=Services(ClientType.RESIDENTIAL, largest_lines)))
    for n in range(MOST_HOLDS):
        state.obey(Suspend(command_id=f"{n}", source=f"hold-{n}", reason=WIDE * 500, by=WIDE * 200), NOW)
        state.journal.published(state.journal.written)
    removed = tuple(line.number for line in largest_lines[:MOST])
    plan = ChangeServices(add_lines=lines(MOST, "21", WIDE * 60), remove_lines=removed, at=NOW.replace(year=2100))
    state.obey(plan, NOW)
    why = WIDE * (ALL_TEXTS // MOST_LINES)
    doubts = {line.number: Doubt(Proof.FAILED, why) for line in largest_lines}
    state.found(
        TELEPHONY, dict.fromkeys(doubts, Desired(True)), Found(state.client.revision, NOW, WIDE * 500, doubts), 0.5
    )
    settings = {f"{n:02}": WIDE * 64 for n in range(2)}
    state.obey(ChangeServices(add_services=tuple(Service("doors", f"d{n}", settings) for n in range(100))), NOW)
    prove(state, "doors")
    each = MOST_LINES_CLAIMED // MOST_CLAIMS
    for n in range(MOST_CLAIMS):
        state.claim(ChangeServices(command_id=f"claim-{n}", add_lines=lines(each, f"3{n}", WIDE * 60)))
    state.journal.published(state.journal.written)
    for n in range(500):
        state.refuse(WIDE * 5000, "suspend", NOW, by=WIDE * 200, command_id=f"x{n}")
    with pytest.raises(TooManyWaiting):
        state.obey(Suspend(command_id="late"), NOW)
    assert start_bytes(state) < LIMIT


def test_lines_that_wait_in_any_script_take_the_bytes_that_are_counted_for_them() -> None:
    state = in_directory(tenant())
    written = 0
    while not state.journal.full:
        state.doubted("telephony", f"{written} {WIDE * 2000}", NOW, by="watch")
        written += 1
    few, many = state.journal.waiting[0].text, state.journal.waiting[-1].text
    assert len(few) == 1000
    assert len(many.encode()) <= 1000
    assert many.startswith(f"Drift of telephone lines reported: {written - 1} €")
    assert many.endswith("€…")
    assert start_bytes(state) < LIMIT / 3


def test_services_of_further_kinds_are_limited_as_a_whole() -> None:
    settings = {f"{n:02}": "x" * 200 for n in range(20)}
    services = tuple(Service("doors", f"d{n}", settings) for n in range(100))
    with pytest.raises(InvalidField, match=r"take \d+ bytes"):
        Services(ClientType.RESIDENTIAL, further=services)
    with pytest.raises(InvalidField, match=r"too many or too large"):
        Service("doors", "main", {"card": 10**4000})


def test_what_comes_and_goes_while_its_system_is_away_is_limited() -> None:
    state = in_directory(tenant())
    for turn in range(4):
        removed = state.client.services.numbers[:MOST] if turn > 1 else ()
        state.obey(ChangeServices(add_lines=lines(MOST - 1, f"2{turn}", "office"), remove_lines=removed), NOW)
    removed = state.client.services.numbers[:MOST]
    with pytest.raises(TooManyWaiting, match="more than 2000 lines"):
        state.obey(ChangeServices(add_lines=lines(MOST, "29", "office"), remove_lines=removed), NOW)
    state.obey(Decommission(), NOW)
    assert start_bytes(state) < LIMIT


def test_kinds_that_come_and_go_are_limited() -> None:
    state = in_directory(tenant())
    for turn in range(18):
        state.obey(ChangeServices(add_services=(Service(f"kind{turn}", "one"),)), NOW)
        state.obey(ChangeServices(remove_services=(f"kind{turn}:one",)), NOW)
    with pytest.raises(TooManyWaiting, match="20 kinds"):
        state.obey(ChangeServices(add_services=(Service("kind18", "one"),)), NOW)
    assert state.obey(ChangeServices(add_services=(Service("kind17", "two"),)), NOW).changed
