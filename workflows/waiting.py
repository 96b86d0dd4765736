"""The ways this project waits. A deadline of None means no timer at all."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import datetime, timedelta

from temporalio import workflow

SHORTEST = timedelta(milliseconds=1)  # a deadline that has passed still yields once; the SDK refuses negative delays


async def wait_until(condition: Callable[[], bool], deadline: datetime | None) -> None:
    """Return when the condition holds or the deadline comes."""
    timeout = max(deadline - workflow.now(), SHORTEST) if deadline else None
    summary = f"until {deadline:%Y-%m-%d %H:%M:%S} UTC" if deadline else None
    with suppress(asyncio.TimeoutError):
        await workflow.wait_condition(condition, timeout=timeout, timeout_summary=summary)


class Alarm:
    """One timer that outlives the waits it serves: set it, then wait until something happens or it has rung.

    A client with a change planned a year ahead would otherwise cancel and start a timer, two events, for every command.
    """

    def __init__(self) -> None:
        self._moment: datetime | None = None
        self._timer: asyncio.Task[None] | None = None

    @property
    def rung(self) -> bool:
        """Whether its moment has come."""
        return self._timer is not None and self._timer.done()

    def set(self, deadline: datetime | None, summary: str) -> None:
        """Ring at the deadline, or never. ``summary`` is what an operator reads of the timer."""
        if deadline == self._moment and not self.rung:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._moment = deadline
        delay = max(deadline - workflow.now(), SHORTEST) if deadline else None
        self._timer = asyncio.create_task(workflow.sleep(delay, summary=summary)) if delay else None


class Beside:
    """Work that goes on beside the loop. What it raises is a bug, which must not get lost: the loop raises it, and the
    client stands still, visibly, until a fix is deployed. Without that, work would be begun again and again."""

    def __init__(self) -> None:
        self._bug: BaseException | None = None

    def begin(self, work: Coroutine[object, object, None]) -> None:
        asyncio.create_task(work).add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and self._bug is None:
            self._bug = task.exception()

    @property
    def broken(self) -> bool:
        return self._bug is not None

    def check(self) -> None:
        """Raises RuntimeError, which fails a task of the workflow, never the workflow."""
        if self._bug:
            raise RuntimeError(f"{type(self._bug).__name__}: {self._bug}") from self._bug
