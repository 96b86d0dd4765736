"""``python -m bench.webhooks``: what it costs Temporal to have a webhook told of one event, in three ways.

One event at a time, and nothing is sent. CPU time of the server, and of the process that begins and carries it out;
events of history for each event that is told. docs/design.md has the figures that led to the choice.
"""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from bench.usage import CALLER, cpu_seconds
from starter.local.ports import free_port
from starter.local.temporal import NAMESPACE, TemporalServer

EVENTS, ROUNDS = 200, 3
QUEUE = "webhooks"
LIMIT = timedelta(minutes=1)

told = asyncio.Event()


@activity.defn
async def deliver(number: int) -> None:
    told.set()


@workflow.defn
class OneEvent:
    """A workflow for each event."""

    @workflow.run
    async def run(self, number: int) -> None:
        await workflow.execute_activity(deliver, number, start_to_close_timeout=LIMIT)


@workflow.defn
class OneWebhook:
    """A workflow for each webhook, which is signalled."""

    def __init__(self) -> None:
        self._waiting: list[int] = []

    @workflow.run
    async def run(self) -> None:
        while True:
            await workflow.wait_condition(lambda: bool(self._waiting))
            number = self._waiting.pop(0)
            if number < 0:
                return
            await workflow.execute_activity(deliver, number, start_to_close_timeout=LIMIT)

    @workflow.signal
    def happened(self, number: int) -> None:
        self._waiting.append(number)


Telling = Callable[[Client, int], Awaitable[None]]
Length = Callable[[Client, int], Awaitable[int]]
"""How many events of history there are after so many were told."""


async def by_activity(client: Client, number: int) -> None:
    told.clear()
    await client.start_activity(
        deliver, number, id=f"activity-{number}", task_queue=QUEUE, start_to_close_timeout=LIMIT
    )
    await told.wait()


async def by_workflow(client: Client, number: int) -> None:
    told.clear()
    await client.start_workflow(OneEvent.run, number, id=f"event-{number}", task_queue=QUEUE)
    await told.wait()


async def by_signal(client: Client, number: int) -> None:
    told.clear()
    await client.get_workflow_handle("webhook").signal(OneWebhook.happened, number)
    await told.wait()


async def no_history(client: Client, number: int) -> int:
    return 0


async def of_each(client: Client, number: int) -> int:
    if not number:
        return 0
    last = client.get_workflow_handle(f"event-{number - 1}")
    await last.result()
    return number * (await last.describe()).history_length


async def of_one(client: Client, number: int) -> int:
    return (await client.get_workflow_handle("webhook").describe()).history_length


WAYS: dict[str, tuple[Telling, Length]] = {
    "an activity for each": (by_activity, no_history),
    "a workflow for each": (by_workflow, of_each),
    "one workflow, which is signalled": (by_signal, of_one),
}


async def measure(client: Client, server: int, way: str, first: int) -> tuple[float, float, float]:
    """Milliseconds of CPU of the server and of ours, and events of history, for each event that is told."""
    telling, length = WAYS[way]
    long, before = await length(client, first), cpu_seconds({"temporal": server})
    for number in range(first, first + EVENTS):
        await telling(client, number)
    after = cpu_seconds({"temporal": server})
    server_ms, ours_ms = ((after[part] - before[part]) / EVENTS * 1000 for part in ("temporal", CALLER))
    return server_ms, ours_ms, (await length(client, first + EVENTS) - long) / EVENTS


async def run(folder: Path) -> None:
    temporal = TemporalServer(folder / "temporal.db", free_port(), folder / "temporal.log")
    temporal.start()
    try:
        temporal.wait_until(temporal.ready)
        assert temporal.process
        client = await Client.connect(temporal.address, namespace=NAMESPACE)
        worker = Worker(
            client,
            task_queue=QUEUE,
            activities=[deliver],
            workflows=[OneEvent, OneWebhook],
            workflow_runner=UnsandboxedWorkflowRunner(),
        )
        async with worker:
            webhook = await client.start_workflow(OneWebhook.run, id="webhook", task_queue=QUEUE)
            print(f"{'':34}{'server ms':>10}{'ours ms':>10}{'events':>8}")
            for turn in range(ROUNDS):
                for way in WAYS:
                    server, ours, events = await measure(client, temporal.process.pid, way, turn * EVENTS)
                    print(f"{way:34}{server:10.1f}{ours:10.1f}{events:8.1f}")
            await webhook.signal(OneWebhook.happened, -1)
            await webhook.result()
    finally:
        temporal.stop()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


if __name__ == "__main__":
    main()
