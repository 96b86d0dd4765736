"""Changes by one or many callers, each subject's in turn, so that what disturbs the machine disturbs all of them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from statistics import quantiles
from typing import Any, NamedTuple

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle

from bench.subjects import Subject
from bench.usage import cpu_seconds

REST = 0.3  # seconds in which all is done that a change still makes others do
CALM = 0.1  # seconds without a new event
AT_ONCE = "at_once"  # the activity of the fast path


@dataclass(frozen=True)
class Phase:
    """So many callers, each on a workflow of its own, make so many changes each in every round.

    No round is begun after ``seconds``.
    """

    callers: int
    rounds: int
    changes: int
    seconds: float


class History(NamedTuple):
    """How long a history is."""

    events: int
    bytes: int


@dataclass
class Measured:
    """What changes cost."""

    latencies: list[float] = field(default_factory=list)  # seconds each
    seconds: float = 0.0
    events: int = 0
    bytes: int = 0  # of history
    updates: int = 0
    slow: int = 0  # updates that took more than one activity at once
    cpu: dict[str, float] = field(default_factory=dict)  # seconds, by part

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    def milliseconds(self, percent: int) -> float:
        """The latency that so many of a hundred changes stay below."""
        return quantiles(self.latencies, n=100, method="inclusive")[percent - 1] * 1000

    def summary(self) -> dict[str, object]:
        count = len(self.latencies)
        return {
            "changes": count,
            "p50_ms": round(self.milliseconds(50), 2),
            "p99_ms": round(self.milliseconds(99), 2),
            "per_second": round(self.per_second, 2),
            "events": round(self.events / count, 2),
            "bytes": round(self.bytes / count),
            "fast": round(1 - self.slow / self.updates, 3),
            "cpu_ms": {part: round(used / count * 1000, 2) for part, used in self.cpu.items()},
        }


class Bench:
    """Measures the changes of subjects. ``pids`` are the parts whose CPU is told apart."""

    def __init__(self, temporal: Client, pids: dict[str, int], workflows: int) -> None:
        self._temporal, self._pids, self._workflows = temporal, pids, workflows

    async def measure(
        self, subjects: Sequence[Subject], phase: Phase, check: Callable[[], Awaitable[None]]
    ) -> dict[str, Measured]:
        """All rounds of a phase. ``check`` is asked after each subject's turn, while nothing is measured."""
        measured, end = {subject.name: Measured() for subject in subjects}, time.monotonic() + phase.seconds
        for number in range(phase.rounds):
            if number and time.monotonic() > end:
                break
            first = number * phase.callers % (self._workflows - phase.callers + 1)
            for subject in [*subjects[number % len(subjects) :], *subjects[: number % len(subjects)]]:
                await self._round(subject, range(first, first + phase.callers), phase.changes, measured[subject.name])
                await check()
        return measured

    async def _round(self, subject: Subject, workflows: range, changes: int, measured: Measured) -> None:
        async def caller(number: int) -> None:
            for _ in range(changes):
                begun = time.perf_counter()
                await subject.change(number)
                measured.latencies.append(time.perf_counter() - begun)

        handles = [self._temporal.get_workflow_handle(subject.workflow(number)) for number in workflows]
        before, used = await self._histories(handles), cpu_seconds(self._pids)
        begun = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for number in workflows:
                group.create_task(caller(number))
        measured.seconds += time.perf_counter() - begun
        await asyncio.sleep(REST)
        for part, cpu in cpu_seconds(self._pids).items():
            measured.cpu[part] = measured.cpu.get(part, 0.0) + cpu - used[part]
        for handle, old, new in zip(handles, before, await self._histories(handles), strict=True):
            measured.events += new.events - old.events
            measured.bytes += new.bytes - old.bytes
            updates = await _slow_updates(handle, old.events)
            measured.updates += len(updates)
            measured.slow += sum(updates)

    async def _histories(self, handles: Sequence[WorkflowHandle[Any, Any]]) -> list[History]:
        """How long the histories are, once nothing more is added to any."""
        before: list[History] = []
        while (now := [await _history(handle) for handle in handles]) != before:
            before = now
            await asyncio.sleep(CALM)
        return now


async def _history(handle: WorkflowHandle[Any, Any]) -> History:
    info = (await handle.describe()).raw_description.workflow_execution_info
    return History(info.history_length, info.history_size_bytes)


async def _slow_updates(handle: WorkflowHandle[Any, Any], known: int) -> list[bool]:
    """Whether each update after the ``known`` events took other activities than the one at once."""
    updates: list[bool] = []
    async for event in handle.fetch_history_events():
        if event.event_id <= known:
            continue
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED:
            updates.append(False)
        elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED and updates:
            updates[-1] |= event.activity_task_scheduled_event_attributes.activity_type.name != AT_ONCE
    return updates
