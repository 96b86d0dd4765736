"""What a person waits for is attempted at once, by one activity for all systems, and answered when it is proven."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from starter.temporal.gateway import Gateway
from tests.support.waiting import HANGING
from tests.support.workflows import LONDON, SERVICES, Handle, Service
from workflows.domain.client.client import Client
from workflows.domain.commands import Note, SystemCommand
from workflows.domain.dates import NamedDay, resolve
from workflows.domain.provisioning.standing import Limits
from workflows.wire.messages import AnyMessage
from workflows.wire.start import client_id_of
from workflows.wire.update import Message
from workflows.wire.views import CommandAnswer

PROMPT = Limits(attempt=HANGING, first_pause=1, longest_pause=60, at_once=HANGING)
MOST_EVENTS = 12  # of a change that settles at the first attempt (ARCHITECTURE.md section 2)


async def cost_of(service: Service, handle: Handle, kind: str, **fields: Any) -> tuple[CommandAnswer, list[str]]:
    """The answer to a command, and the events that it cost."""
    before = len(await service.events(handle))
    answer = await service.command(handle, kind, **fields)
    return answer, (await service.events(handle))[before:]


async def attempts(handle: Handle) -> list[str]:
    """The activities of the current run, in order."""
    return [
        event.activity_task_scheduled_event_attributes.activity_type.name
        async for event in handle.fetch_history_events()
        if event.HasField("activity_task_scheduled_event_attributes")
    ]


async def test_a_command_is_done_and_proven_when_it_is_answered(service: Service) -> None:
    handle = await service.start(limits=PROMPT)
    answer, events = await cost_of(service, handle, "suspend")
    assert answer.provisioning == "settled"
    assert len(events) <= MOST_EVENTS, events
    assert set(await attempts(handle)) == {"at_once"}
    assert not any(service.telephony.lines.values())


async def test_a_new_client_is_registered_and_proven_at_once(service: Service) -> None:
    handle = await service.start(limits=PROMPT)
    assert await attempts(handle) == ["at_once", "at_once"]
    assert all(service.telephony.lines.values())


async def test_what_needs_the_directory_s_decision_is_decided_and_done_at_once(service: Service) -> None:
    handle = await service.start(limits=PROMPT)
    line = {"number": "+442079460777", "office": "3.12"}
    answer = await service.command(handle, "change_services", add_lines=[line])
    assert answer.provisioning == "settled"
    assert set(await attempts(handle)) == {"at_once"}
    assert service.telephony.lines["+442079460777"]


async def test_a_signal_is_attempted_at_once_too(service: Service) -> None:
    handle = await service.start(limits=PROMPT)
    await service.signal(handle, "suspend", {"source": "billing"})
    await service.until(handle, lambda view: view.status == "suspended" and view.provisioning == "settled")
    assert set(await attempts(handle)) == {"at_once"}


async def test_bulk_work_and_due_plans_are_attempts_of_their_own(service: Service) -> None:
    handle = await service.start(limits=PROMPT)
    await service.command(handle, "suspend", source="bulk")
    await service.settled(handle)
    assert (await attempts(handle))[2:] == ["ensure", "ensure", "publish"]
    await service.command(handle, "decommission", last_day=str(service.day(3)))
    before = len(await attempts(handle))
    await service.skip(handle, timedelta(days=5))
    await handle.result()
    assert "at_once" not in (await attempts(handle))[before:]


async def test_a_system_that_fails_is_attempted_by_itself_and_the_other_is_proven(service: Service) -> None:
    handle = await service.start(limits=PROMPT)
    service.telephony.faults.down = True
    answer = await service.command(handle, "suspend")
    states = {system.system: system.state for system in answer.systems}
    assert states == {"telephony": "changing", "internet": "settled"}
    await service.until(handle, lambda view: view.provisioning == "attention")
    assert (await attempts(handle))[2:4] == ["at_once", "ensure"]
    service.telephony.faults.down = False
    await service.settled(handle)


async def test_a_system_that_hangs_holds_up_no_other_and_no_caller(service: Service) -> None:
    handle = await service.start(limits=Limits(attempt=HANGING, first_pause=1, longest_pause=60, at_once=0.2))
    hold = service.telephony.faults.hold = asyncio.Event()
    answer = await service.command(handle, "suspend")
    assert answer.systems[0].state == "changing"
    await service.until(handle, lambda view: [system.state for system in view.systems] == ["changing", "settled"])
    hold.set()
    await service.settled(handle)


async def test_more_callers_than_a_client_keeps_waiting_are_answered_early(service: Service) -> None:
    handle = await service.start(limits=PROMPT)
    hold = service.telephony.faults.hold = asyncio.Event()
    calls = [asyncio.create_task(service.command(handle, "suspend", source=f"source-{n}")) for n in range(8)]
    early, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    assert all(task.result().provisioning == "changing" for task in early)
    hold.set()
    await asyncio.gather(*calls)
    assert (await service.settled(handle)).status == "suspended"


async def test_a_client_that_is_looked_at_all_the_while_can_be_replayed(service: Service) -> None:
    handle = await service.start(limits=PROMPT)
    over = asyncio.Event()

    async def look() -> None:
        while not over.is_set():
            await service.view(handle)

    looking = [asyncio.create_task(look()) for _ in range(2)]
    for _ in range(5):
        await service.command(handle, "suspend")
        await service.command(handle, "unsuspend", source="all")
    over.set()
    await asyncio.gather(*looking)
    assert (await service.settled(handle)).status == "active", "and at the end of the test its history is replayed"


async def test_the_second_step_of_a_conversion_is_an_attempt_of_its_own(service: Service) -> None:
    handle = await service.start(limits=PROMPT)
    service.telephony.faults.down = True
    await service.command(handle, "change_services", remove_lines=["+442079460002"])
    await service.command(handle, "convert", to="virtual")
    await service.until(handle, lambda view: view.systems[0].state == "attention")
    assert len(service.internet.orders) == 1, "internet access ends only after the telephones are proven"
    service.telephony.faults.down = False
    before = len(await attempts(handle))
    await service.settled(handle)
    assert len(service.internet.orders) == 2
    assert (await attempts(handle))[before:].count("ensure") >= 2, "the telephones, then the network"


CALLERS, EACH = 8, 38


def commands_of(caller: int) -> list[AnyMessage]:
    """What one caller asks, one after another: holds of its own, a line of its own, and everybody's name."""
    line = {"number": f"+4420794608{caller:02}", "office": "3.12"}
    in_turn: list[dict[str, Any]] = [
        {"kind": "suspend", "source": f"caller-{caller}"},
        {"kind": "change_services", "add_lines": [line]},
        {"kind": "edit", "name": f"Acme of {caller}"},
        {"kind": "unsuspend", "source": f"caller-{caller}"},
        {"kind": "change_services", "remove_lines": [line["number"]]},
    ]
    fields = ({**in_turn[n % len(in_turn)], "command_id": f"{caller}-{n}", "by": "caller"} for n in range(EACH))
    return [Message.model_validate(each).read() for each in fields]


async def test_three_hundred_commands_of_eight_callers_are_done_once_each_in_an_order_that_explains_every_answer(
    service: Service,
) -> None:
    handle = await service.start(limits=replace(PROMPT, renew_after=400))
    client_id, gateway = client_id_of(handle.id), Gateway(service.temporal, patience=HANGING)
    messages = {message.command_id: message for caller in range(CALLERS) for message in commands_of(caller)}
    answers: dict[str, CommandAnswer] = {}

    async def call(caller: int) -> None:
        for message in commands_of(caller):
            answers[message.command_id] = await gateway.command(client_id, message)

    async with asyncio.TaskGroup() as group:
        for caller in range(CALLERS):
            group.create_task(call(caller))
    view = await service.settled(handle)
    lines = {
        number: entry
        for order in service.directory.orders
        for number, entry in enumerate(order.entries, order.first_entry)
        if entry.command_id in messages
    }
    done = [entry.command_id for _, entry in sorted(lines.items())]
    assert sorted(done) == sorted(messages), "each once"
    starts = resolve(NamedDay(service.day(0)), LONDON)
    client = Client(client_id, "Acme Ltd", "thames", LONDON, SERVICES, starts, datetime.now(UTC))
    client.begin()
    client.advance(datetime.now(UTC))
    for key in done:
        command = messages[key].command()
        assert not isinstance(command, SystemCommand | Note)
        outcome = client.obey(command, datetime.now(UTC))
        assert (outcome.changed, outcome.message) == (answers[key].changed, answers[key].message)
    assert (client.name, client.status, set(client.services.numbers)) == (
        view.name,
        view.status,
        {line.number for line in view.lines},
    )
    assert len(await service.histories()) > 3, "with renewals between"
