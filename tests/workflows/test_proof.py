"""Proof line by line: what is refused or silent stands alone, and what is off is looked at a second time."""

import asyncio
from datetime import timedelta

from tests.workflows.conftest import OFFICE_LINE, SECOND_LINE, Handle, House
from workflows.domain.provisioning.standing import Limits, Proof
from workflows.wire.views import ClientView

PATIENT = Limits(attempt=8, first_pause=3600, longest_pause=3600)
LOOKING = Limits(attempt=8, first_pause=1, longest_pause=60, second_look=3600)


def states(view: ClientView) -> dict[str, str]:
    """The state of each line."""
    return {subject.subject: subject.state for subject in view.systems[0].subjects}


async def timers(house: House, handle: Handle) -> int:
    return (await house.events(handle)).count("TIMER_STARTED")


async def test_one_refused_line_gets_attention_and_the_others_are_proven(house: House) -> None:
    handle = await house.start(limits=PATIENT)
    house.telephony.doubts[SECOND_LINE.number] = (Proof.FAILED, "the row is refused")
    await house.command(handle, "suspend")
    view = await house.until(handle, lambda view: view.provisioning == "attention")
    assert states(view) == {OFFICE_LINE.number: "proven", SECOND_LINE.number: "failed"}
    assert view.systems[0].actual == {OFFICE_LINE.number: "off", SECOND_LINE.number: "unknown"}
    assert view.systems[0].last_error == f"not done: {SECOND_LINE.number}: the row is refused"
    assert view.systems[0].attention_since is not None
    assert view.systems[1].state == "settled"
    await house.until(handle, lambda _: house.directory.orders[-1].view.systems[0].state == "attention")
    house.telephony.doubts.clear()
    await house.command(handle, "retry", system="telephony")
    view = await house.settled(handle)
    assert set(states(view).values()) == {"proven"}


async def test_a_silent_router_is_not_proven_and_needs_a_person_only_when_patience_ends(house: House) -> None:
    handle = await house.start(limits=Limits(attempt=8, first_pause=6, longest_pause=6))
    account = (await house.view(handle)).client_id
    house.internet.doubts[account] = (Proof.NOT_PROVEN, "10.0.0.1 did not answer")
    await house.command(handle, "suspend")
    view = await house.until(handle, lambda view: view.systems[1].state == "not_proven")
    assert view.provisioning == "changing"
    assert view.systems[1].subjects[0].why == "10.0.0.1 did not answer"
    assert view.systems[1].last_error == f"not proven: {account}: 10.0.0.1 did not answer"
    await house.skip(handle, timedelta(seconds=20))
    await house.until(handle, lambda view: view.systems[1].state == "attention")
    house.internet.doubts.clear()
    await house.skip(handle, timedelta(seconds=20))
    view = await house.settled(handle)
    assert view.systems[1].state == "settled"
    told = house.directory.told(view.client_id)
    assert sum("10.0.0.1 did not answer" in line for line in told) == 2


async def test_what_is_off_is_looked_at_again_with_one_timer_and_nothing_else_happens(house: House) -> None:
    handle = await house.start(limits=LOOKING)
    before = await timers(house, handle)
    await house.command(handle, "suspend")
    view = await house.until(handle, lambda view: view.provisioning == "settled")
    assert view.systems[0].second_look_at is not None
    assert await timers(house, handle) == before + 1
    assert not house.telephony.looks
    await house.skip(handle, timedelta(hours=1))
    await house.until(handle, lambda view: view.systems[0].second_look_at is view.systems[1].second_look_at is None)
    assert [sorted(look.lines) for look in house.telephony.looks] == [[OFFICE_LINE.number, SECOND_LINE.number]]
    assert [look.accounts for look in house.internet.looks] == [[view.client_id]]
    assert len(house.telephony.orders) == len(house.internet.orders) == 2


async def test_a_line_found_alive_is_drift_in_the_history_and_is_switched_off_again(house: House) -> None:
    handle = await house.start(limits=LOOKING)
    await house.command(handle, "suspend")
    await house.settled(handle)
    house.telephony.lines[SECOND_LINE.number] = True
    await house.skip(handle, timedelta(hours=1))
    await house.until(handle, lambda _: len(house.telephony.orders) == 3)
    view = await house.settled(handle)
    assert house.telephony.lines[SECOND_LINE.number] is False
    assert view.systems[0].second_look_at is not None
    found = f"attempted: Telephony found alive at the second look: {SECOND_LINE.number}: in service again"
    await house.until(handle, lambda _: found in house.directory.told(view.client_id))


async def test_a_second_look_that_fails_is_taken_again_and_nobody_is_alarmed(house: House) -> None:
    handle = await house.start(limits=LOOKING)
    await house.command(handle, "suspend")
    await house.settled(handle)
    house.internet.faults.down = True
    await house.skip(handle, timedelta(hours=1))
    await house.until(handle, lambda _: house.internet.faults.reached.is_set() and bool(house.telephony.looks))
    assert (await house.view(handle)).provisioning == "settled"
    house.internet.faults.down = False
    await house.skip(handle, timedelta(minutes=1))
    await house.until(handle, lambda view: view.systems[1].second_look_at is None)


async def test_a_second_look_that_takes_long_starts_no_timers_meanwhile(house: House) -> None:
    handle = await house.start(limits=LOOKING)
    await house.command(handle, "suspend")
    await house.until(handle, lambda view: view.provisioning == "settled")
    hold = house.telephony.faults.hold = house.internet.faults.hold = asyncio.Event()
    house.telephony.faults.reached.clear()
    house.internet.faults.reached.clear()
    await house.skip(handle, timedelta(hours=1))
    await house.telephony.faults.reached.wait()
    await house.internet.faults.reached.wait()
    before = await timers(house, handle)
    await house.signal(handle, "suspend", {"source": "billing"})
    await house.until(handle, lambda view: len(view.holds) == 2)
    assert await timers(house, handle) == before
    assert before <= 3
    hold.set()
    await house.until(handle, lambda view: view.systems[0].second_look_at is view.systems[1].second_look_at is None)


async def test_a_decommissioned_client_ends_after_its_second_look(house: House) -> None:
    handle = await house.start(limits=LOOKING)
    await house.command(handle, "decommission")
    await house.settled(handle)
    assert (await handle.describe()).close_time is None
    await house.skip(handle, timedelta(hours=1))
    assert (await handle.result()).status == "decommissioned"
    assert len(house.telephony.looks) == len(house.internet.looks) == 1


async def test_a_second_look_survives_a_renewal(house: House) -> None:
    handle = await house.start(limits=LOOKING)
    await house.command(handle, "suspend")
    at = (await house.settled(handle)).systems[0].second_look_at
    await house.signal(handle, "roll")
    view = await house.settled(handle)
    assert view.systems[0].second_look_at == at
    await house.skip(house.latest(handle), timedelta(hours=1))
    await house.until(handle, lambda view: view.systems[0].second_look_at is None)


async def test_a_roll_brings_new_limits_to_a_client_of_old(house: House) -> None:
    handle = await house.start(limits=Limits(attempt=8))
    await house.signal(handle, "roll", {"limits": {"second_look": 3600}})
    await house.command(handle, "suspend")
    view = await house.settled(handle)
    assert view.systems[0].second_look_at is not None


async def test_limits_that_would_keep_a_client_from_working_are_refused(house: House) -> None:
    handle = await house.start()
    client_id = (await house.view(handle)).client_id
    for limits in (
        {"attempt": 0},
        {"attempt": -1},
        {"first_pause": 1e300},
        {"second_look": float("inf")},
        {"recent": 0},
    ):
        await house.signal(handle, "roll", {"limits": limits})
    await house.command(handle, "suspend")
    assert (await house.settled(handle)).status == "suspended"
    await house.until(handle, lambda _: sum("refused: roll" in x for x in house.directory.told(client_id)) == 5)


async def test_rotated_credentials_reach_both_systems_with_their_version(house: House) -> None:
    handle = await house.start()
    answer = await house.command(handle, "rotate_credentials", reason="a telephone was stolen")
    assert (answer.changed, answer.secret_version) == (True, 2)
    await house.settled(handle)
    assert house.telephony.orders[-1].secret_version == house.internet.orders[-1].secret_version == 2
    assert set(house.telephony.lines.values()) == {True}


async def test_protected_lines_are_named_in_the_order_of_a_suspension(house: House) -> None:
    lift = {"number": "+442079460009", "office": "Lift", "protected": True}
    handle = await house.start()
    await house.command(handle, "change_services", add_lines=[lift])
    await house.settled(handle)
    assert house.telephony.orders[-1].protected == []
    await house.command(handle, "suspend")
    view = await house.settled(handle)
    assert house.telephony.orders[-1].protected == ["+442079460009"]
    assert house.telephony.lines["+442079460009"] is True
    assert [s.protected for s in view.systems[0].subjects if s.desired == "on"] == [True]
    await house.command(handle, "decommission")
    await handle.result()
    assert not any(house.telephony.lines.values())


# -- ways out ---------------------------------------------------------------------------------------------------------


async def in_attention(house: House) -> Handle:
    handle = await house.start(limits=PATIENT)
    house.telephony.faults.down = True
    await house.command(handle, "suspend")
    await house.until(handle, lambda view: view.provisioning == "attention")
    return handle


async def test_a_retry_needs_no_patience(house: House) -> None:
    handle = await in_attention(house)
    house.telephony.faults.down = False
    answer = await house.command(handle, "retry", system="telephony", reason="the exchange is back")
    assert answer.message == "The telephony is attempted again"
    assert (await house.settled(handle)).provisioning == "settled"


async def test_a_retry_does_not_wait_for_an_attempt_that_hangs(house: House) -> None:
    handle = await house.start()
    house.telephony.faults.hold = hold = asyncio.Event()
    await house.command(handle, "suspend")
    await house.telephony.faults.reached.wait()
    house.telephony.faults.hold = None
    await house.command(handle, "retry", system="telephony")
    assert (await house.settled(handle)).provisioning == "settled"
    hold.set()


async def test_a_skipped_system_is_settled_in_the_directory_with_who_and_why(house: House) -> None:
    handle = await in_attention(house)
    await house.command(handle, "skip", system="telephony", reason="line card on Monday")
    view = await house.settled(handle)
    assert view.systems[0].state == "skipped"
    assert view.systems[0].skipped is not None
    assert (view.systems[0].skipped.reason, view.systems[0].skipped.by) == ("line card on Monday", "tester")
    await house.until(handle, lambda _: house.directory.orders[-1].view.systems[0].state == "skipped")
    house.telephony.faults.down = False
    await house.command(handle, "unsuspend")
    view = await house.settled(handle)
    assert view.systems[0].state == "settled"


async def test_a_system_marked_done_says_by_whom(house: House) -> None:
    handle = await in_attention(house)
    await house.command(handle, "mark_done", system="telephony", note="pulled the plug")
    view = await house.settled(handle)
    assert (view.systems[0].state, view.systems[0].method, view.systems[0].by) == ("settled", "by hand", "tester")
    assert set(view.systems[0].actual.values()) == {"off"}
    house.telephony.faults.down = False


async def test_a_way_out_without_its_reason_changes_nothing_and_is_in_the_history(house: House) -> None:
    handle = await in_attention(house)
    await house.signal(handle, "skip", {"system": "telephony", "by": "crm"})
    refused = "refused: skip: Signal skip is not valid: reason: Field required"
    client_id = (await house.view(handle)).client_id
    await house.until(handle, lambda _: any(refused in line for line in house.directory.told(client_id)))
    assert (await house.view(handle)).provisioning == "attention"
    house.telephony.faults.down = False


async def test_a_way_out_by_signal_is_taken_too(house: House) -> None:
    handle = await in_attention(house)
    house.telephony.faults.down = False
    await house.signal(handle, "retry", {"system": "telephony", "by": "connect", "source": "recovery"})
    assert (await house.settled(handle)).provisioning == "settled"
