"""What a person waits for is done and proven within the workflow task that took the command."""

import asyncio
from datetime import timedelta
from typing import Any

from tests.support.workflows import Handle, Service
from workflows.domain.provisioning.standing import Limits
from workflows.wire.views import CommandAnswer

PROMPT = Limits(attempt=8, first_pause=1, longest_pause=60, at_once=2)
MOST_EVENTS = 10  # a change that settles at the first attempt (ARCHITECTURE.md section 2)
QUEUED = "ACTIVITY_TASK_SCHEDULED"


async def told(service: Service, handle: Handle, kind: str, **fields: Any) -> tuple[CommandAnswer, list[str]]:
    """The answer to a command, and the events that it cost."""
    before = len(await service.events(handle))
    answer = await service.command(handle, kind, **fields)
    return answer, (await service.events(handle))[before:]


async def test_a_recorded_command_is_done_and_proven_when_it_is_answered(service: Service) -> None:
    handle = await service.start(limits=PROMPT)
    answer, events = await told(service, handle, "suspend", recorded=True)
    assert answer.provisioning == "settled"
    assert len(events) <= MOST_EVENTS, events
    assert QUEUED not in events
    assert not any(service.telephony.lines.values())


async def test_a_new_client_is_registered_and_proven_without_the_queue(service: Service) -> None:
    handle = await service.start(limits=PROMPT)
    assert QUEUED not in await service.events(handle)
    assert all(service.telephony.lines.values())


async def test_what_needs_the_directory_s_decision_is_decided_and_done_without_the_queue(service: Service) -> None:
    handle = await service.start(limits=PROMPT)
    line = {"number": "+442079460777", "office": "3.12"}
    answer, events = await told(service, handle, "change_services", add_lines=[line], recorded=True)
    assert answer.provisioning == "settled"
    assert QUEUED not in events
    assert service.telephony.lines["+442079460777"]


async def test_a_command_that_only_this_task_knows_of_goes_through_the_queue(service: Service) -> None:
    handle = await service.start(limits=PROMPT)
    await service.command(handle, "suspend")
    await service.settled(handle)
    assert QUEUED in await service.events(handle)


async def test_a_signal_is_recorded_before_anything_is_done_for_it(service: Service) -> None:
    handle = await service.start(limits=PROMPT)
    await service.signal(handle, "suspend", {"source": "billing"})
    await service.until(handle, lambda view: view.status == "suspended" and view.provisioning == "settled")
    assert QUEUED not in await service.events(handle)


async def test_bulk_work_and_due_plans_go_through_the_queue(service: Service) -> None:
    handle = await service.start(limits=PROMPT)
    await service.command(handle, "suspend", source="bulk", recorded=True)
    await service.settled(handle)
    after_bulk = await service.events(handle)
    assert QUEUED in after_bulk
    await service.command(handle, "decommission", last_day=str(service.day(3)), recorded=True)
    before = len(await service.events(handle))
    await service.skip(handle, timedelta(days=5))
    await handle.result()
    assert QUEUED in (await service.events(handle))[before:]


async def test_a_system_that_fails_is_attempted_through_the_queue_and_the_other_is_proven(service: Service) -> None:
    handle = await service.start(limits=PROMPT)
    service.telephony.faults.down = True
    answer, events = await told(service, handle, "suspend", recorded=True)
    states = {system.system: system.state for system in answer.systems}
    assert states == {"telephony": "changing", "internet": "settled"}
    assert events.count(QUEUED) == 1
    await service.until(handle, lambda view: view.provisioning == "attention")
    service.telephony.faults.down = False
    await service.settled(handle)


async def test_a_system_that_hangs_holds_up_no_other_and_no_caller(service: Service) -> None:
    handle = await service.start(limits=Limits(attempt=8, first_pause=1, longest_pause=60, at_once=0.2))
    hold = service.telephony.faults.hold = asyncio.Event()
    answer = await service.command(handle, "suspend", recorded=True)
    assert {system.system: system.state for system in answer.systems} == {
        "telephony": "changing",
        "internet": "settled",
    }
    hold.set()
    await service.settled(handle)


async def test_the_second_step_of_a_conversion_goes_through_the_queue(service: Service) -> None:
    handle = await service.start(limits=PROMPT)
    service.telephony.faults.down = True
    await service.command(handle, "change_services", remove_lines=["+442079460002"], recorded=True)
    await service.command(handle, "convert", to="virtual", recorded=True)
    await service.until(handle, lambda view: view.systems[0].state == "attention")
    assert len(service.internet.orders) == 1, "internet access ends only after the telephones are proven"
    service.telephony.faults.down = False
    before = len(await service.events(handle))
    await service.settled(handle)
    assert len(service.internet.orders) == 2
    assert (await service.events(handle))[before:].count(QUEUED) >= 2, "the telephones, then the network"
