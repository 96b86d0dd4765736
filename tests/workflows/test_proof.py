"""Proof line by line: what is refused or silent stands alone, and what is off is looked at a second time."""

import asyncio
from datetime import timedelta

from tests.support.workflows import OFFICE_LINE, SECOND_LINE, Handle, Service
from workflows.domain.provisioning.ledger import Desired
from workflows.domain.provisioning.standing import Limits, Proof
from workflows.wire.views import ClientView

PATIENT = Limits(attempt=8, first_pause=3600, longest_pause=3600)
LOOKING = Limits(attempt=8, first_pause=1, longest_pause=60, second_look=3600)


def states(view: ClientView) -> dict[str, str]:
    """The state of each line."""
    return {subject.subject: subject.state for subject in view.systems[0].subjects}


async def timers(service: Service, handle: Handle) -> int:
    return (await service.events(handle)).count("TIMER_STARTED")


async def test_one_refused_line_gets_attention_and_the_others_are_proven(service: Service) -> None:
    handle = await service.start(limits=PATIENT)
    service.telephony.doubts[SECOND_LINE.number] = (Proof.FAILED, "the row is refused")
    await service.command(handle, "suspend")
    view = await service.until(
        handle, lambda view: view.provisioning == "attention" and view.systems[1].state == "settled"
    )
    assert states(view) == {OFFICE_LINE.number: "proven", SECOND_LINE.number: "failed"}
    assert view.systems[0].actual == {OFFICE_LINE.number: "off", SECOND_LINE.number: "unknown"}
    assert view.systems[0].last_error == f"not done: {SECOND_LINE.number}: the row is refused"
    assert view.systems[0].attention_since is not None
    await service.until(handle, lambda _: service.directory.orders[-1].view.systems[0].state == "attention")
    service.telephony.doubts.clear()
    await service.command(handle, "retry", system="telephony")
    view = await service.settled(handle)
    assert set(states(view).values()) == {"proven"}


async def test_a_silent_router_is_not_proven_and_needs_a_person_only_when_patience_ends(service: Service) -> None:
    handle = await service.start(limits=Limits(attempt=8, first_pause=6, longest_pause=6))
    account = (await service.view(handle)).client_id
    service.internet.doubts[account] = (Proof.NOT_PROVEN, "10.0.0.1 did not answer")
    await service.command(handle, "suspend")
    view = await service.until(handle, lambda view: view.systems[1].state == "not_proven")
    assert view.provisioning == "changing"
    assert view.systems[1].subjects[0].why == "10.0.0.1 did not answer"
    assert view.systems[1].last_error == f"not proven: {account}: 10.0.0.1 did not answer"
    await service.skip(handle, timedelta(seconds=20))
    await service.until(handle, lambda view: view.systems[1].state == "attention")
    service.internet.doubts.clear()
    await service.skip(handle, timedelta(seconds=20))
    view = await service.settled(handle)
    assert view.systems[1].state == "settled"
    history = service.directory.told(view.client_id)
    assert sum("10.0.0.1 did not answer" in line for line in history) == 2


async def test_what_is_off_is_looked_at_again_with_one_timer_and_nothing_else_happens(service: Service) -> None:
    handle = await service.start(limits=LOOKING)
    before = await timers(service, handle)
    await service.command(handle, "suspend")
    view = await service.until(handle, lambda view: view.provisioning == "settled")
    assert view.systems[0].second_look_at is not None
    assert await timers(service, handle) == before + 1
    assert not service.telephony.looks
    await service.skip(handle, timedelta(hours=1))
    await service.until(handle, lambda view: view.systems[0].second_look_at is view.systems[1].second_look_at is None)
    assert [sorted(look.subjects) for look in service.telephony.looks] == [[OFFICE_LINE.number, SECOND_LINE.number]]
    assert [look.subjects for look in service.internet.looks] == [[view.client_id]]
    assert len(service.telephony.orders) == len(service.internet.orders) == 2


async def test_a_line_found_alive_is_drift_in_the_history_and_is_switched_off_again(service: Service) -> None:
    handle = await service.start(limits=LOOKING)
    await service.command(handle, "suspend")
    await service.settled(handle)
    service.telephony.subjects[SECOND_LINE.number] = Desired(True)
    await service.skip(handle, timedelta(hours=1))
    await service.until(handle, lambda _: len(service.telephony.orders) == 3)
    view = await service.settled(handle)
    assert service.telephony.lines[SECOND_LINE.number] is False
    assert view.systems[0].second_look_at is not None
    found = f"attempted: Telephony found alive at the second look: {SECOND_LINE.number}: in service again"
    await service.until(handle, lambda _: found in service.directory.told(view.client_id))


async def test_a_second_look_that_fails_is_taken_again_and_nobody_is_alarmed(service: Service) -> None:
    handle = await service.start(limits=LOOKING)
    await service.command(handle, "suspend")
    await service.settled(handle)
    service.internet.faults.down = True
    await service.skip(handle, timedelta(hours=1))
    await service.until(handle, lambda _: service.internet.faults.reached.is_set() and bool(service.telephony.looks))
    assert (await service.view(handle)).provisioning == "settled"
    service.internet.faults.down = False
    await service.skip(handle, timedelta(minutes=1))
    await service.until(handle, lambda view: view.systems[1].second_look_at is None)


async def test_a_second_look_that_takes_long_starts_no_timers_meanwhile(service: Service) -> None:
    handle = await service.start(limits=LOOKING)
    await service.command(handle, "suspend")
    await service.until(handle, lambda view: view.provisioning == "settled")
    hold = service.telephony.faults.hold = service.internet.faults.hold = asyncio.Event()
    service.telephony.faults.reached.clear()
    service.internet.faults.reached.clear()
    await service.skip(handle, timedelta(hours=1))
    await service.telephony.faults.reached.wait()
    await service.internet.faults.reached.wait()
    before = await timers(service, handle)
    await service.signal(handle, "suspend", {"source": "billing"})
    await service.until(handle, lambda view: len(view.holds) == 2)
    assert await timers(service, handle) == before
    assert before <= 3
    hold.set()
    await service.until(handle, lambda view: view.systems[0].second_look_at is view.systems[1].second_look_at is None)


async def test_a_decommissioned_client_ends_after_its_second_look(service: Service) -> None:
    handle = await service.start(limits=LOOKING)
    await service.command(handle, "decommission")
    await service.settled(handle)
    assert (await handle.describe()).close_time is None
    await service.skip(handle, timedelta(hours=1))
    assert (await handle.result()).status == "decommissioned"
    assert len(service.telephony.looks) == len(service.internet.looks) == 1


async def test_a_second_look_survives_a_renewal(service: Service) -> None:
    handle = await service.start(limits=LOOKING)
    await service.command(handle, "suspend")
    at = (await service.settled(handle)).systems[0].second_look_at
    await service.signal(handle, "roll")
    view = await service.settled(handle)
    assert view.systems[0].second_look_at == at
    await service.skip(service.latest(handle), timedelta(hours=1))
    await service.until(handle, lambda view: view.systems[0].second_look_at is None)


async def test_a_roll_brings_new_limits_to_a_client_of_old(service: Service) -> None:
    handle = await service.start(limits=Limits(attempt=8))
    await service.signal(handle, "roll", {"limits": {"second_look": 3600}})
    await service.command(handle, "suspend")
    view = await service.settled(handle)
    assert view.systems[0].second_look_at is not None


async def test_limits_that_would_keep_a_client_from_working_are_refused(service: Service) -> None:
    handle = await service.start()
    client_id = (await service.view(handle)).client_id
    for limits in (
        {"attempt": 0},
        {"attempt": -1},
        {"first_pause": 1e300},
        {"second_look": float("inf")},
        {"recent": 0},
    ):
        await service.signal(handle, "roll", {"limits": limits})
    await service.command(handle, "suspend")
    assert (await service.settled(handle)).status == "suspended"
    await service.until(handle, lambda _: sum("refused: roll" in x for x in service.directory.told(client_id)) == 5)


async def test_rotated_credentials_reach_both_systems_with_their_version(service: Service) -> None:
    handle = await service.start()
    answer = await service.command(handle, "rotate_credentials", reason="a telephone was stolen")
    assert (answer.changed, answer.secret_version) == (True, 2)
    await service.settled(handle)
    assert service.telephony.orders[-1].secret_version == service.internet.orders[-1].secret_version == 2
    assert set(service.telephony.lines.values()) == {True}


async def test_protected_lines_are_named_in_the_order_of_a_suspension(service: Service) -> None:
    lift = {"number": "+442079460009", "office": "Lift", "protected": True}
    handle = await service.start()
    await service.command(handle, "change_services", add_lines=[lift])
    await service.settled(handle)
    assert service.telephony.orders[-1].protected == []
    await service.command(handle, "suspend")
    view = await service.settled(handle)
    assert service.telephony.orders[-1].protected == ["+442079460009"]
    assert service.telephony.lines["+442079460009"] is True
    assert [s.protected for s in view.systems[0].subjects if s.desired == "on"] == [True]
    await service.command(handle, "decommission")
    await handle.result()
    assert not any(service.telephony.lines.values())


# -- ways out ---------------------------------------------------------------------------------------------------------


async def in_attention(service: Service) -> Handle:
    handle = await service.start(limits=PATIENT)
    service.telephony.faults.down = True
    await service.command(handle, "suspend")
    await service.until(handle, lambda view: view.provisioning == "attention")
    return handle


async def test_a_retry_needs_no_patience(service: Service) -> None:
    handle = await in_attention(service)
    service.telephony.faults.down = False
    answer = await service.command(handle, "retry", system="telephony", reason="the exchange is back")
    assert answer.message == "The telephony is attempted again"
    assert (await service.settled(handle)).provisioning == "settled"


async def test_a_retry_does_not_wait_for_an_attempt_that_hangs(service: Service) -> None:
    handle = await service.start()
    service.telephony.faults.hold = hold = asyncio.Event()
    await service.command(handle, "suspend")
    await service.telephony.faults.reached.wait()
    service.telephony.faults.hold = None
    await service.command(handle, "retry", system="telephony")
    assert (await service.settled(handle)).provisioning == "settled"
    hold.set()


async def test_a_skipped_system_is_settled_in_the_directory_with_who_and_why(service: Service) -> None:
    handle = await in_attention(service)
    await service.command(handle, "skip", system="telephony", reason="line card on Monday")
    view = await service.settled(handle)
    assert view.systems[0].state == "skipped"
    assert view.systems[0].skipped is not None
    assert (view.systems[0].skipped.reason, view.systems[0].skipped.by) == ("line card on Monday", "tester")
    await service.until(handle, lambda _: service.directory.orders[-1].view.systems[0].state == "skipped")
    service.telephony.faults.down = False
    await service.command(handle, "unsuspend")
    view = await service.settled(handle)
    assert view.systems[0].state == "settled"


async def test_a_system_marked_done_says_by_whom(service: Service) -> None:
    handle = await in_attention(service)
    await service.command(handle, "mark_done", system="telephony", note="pulled the plug")
    view = await service.settled(handle)
    assert (view.systems[0].state, view.systems[0].method, view.systems[0].by) == ("settled", "by hand", "tester")
    assert set(view.systems[0].actual.values()) == {"off"}
    service.telephony.faults.down = False


async def test_a_way_out_without_its_reason_changes_nothing_and_is_in_the_history(service: Service) -> None:
    handle = await in_attention(service)
    await service.signal(handle, "skip", {"system": "telephony", "by": "crm"})
    refused = "refused: skip: Signal skip is not valid: reason: Field required"
    client_id = (await service.view(handle)).client_id
    await service.until(handle, lambda _: any(refused in line for line in service.directory.told(client_id)))
    assert (await service.view(handle)).provisioning == "attention"
    service.telephony.faults.down = False


async def test_a_way_out_by_signal_is_taken_too(service: Service) -> None:
    handle = await in_attention(service)
    service.telephony.faults.down = False
    await service.signal(handle, "retry", {"system": "telephony", "by": "connect", "source": "recovery"})
    assert (await service.settled(handle)).provisioning == "settled"
