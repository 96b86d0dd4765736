"""What telephones and routers get while something else goes wrong, asked over and over."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

NOTHING = -1
"""No answer in time."""


@dataclass(frozen=True)
class Sample:
    """One question: when it was asked and answered (monotonic seconds), and the answer's code, or NOTHING."""

    sent_at: float
    answered: float
    code: int


@dataclass
class Samples:
    """Everything that one telephone or router was told."""

    name: str
    taken: list[Sample] = field(default_factory=list)

    @staticmethod
    def now() -> float:
        """This moment, to compare with."""
        return time.monotonic()

    @property
    def answers(self) -> int:
        """How often there was an answer."""
        return sum(sample.code != NOTHING for sample in self.taken)

    def before(self, moment: float) -> set[int]:
        """What was answered before a moment."""
        return {sample.code for sample in self.taken if sample.answered < moment}

    def after(self, moment: float) -> set[int]:
        """What was answered to questions asked after a moment."""
        return {sample.code for sample in self.taken if sample.sent_at > moment}

    def never_goes_back(self, gone: int, came: int) -> bool:
        """Whether, once ``came`` was answered, ``gone`` never was again."""
        first = next((sample.answered for sample in self.taken if sample.code == came), None)
        return first is None or gone not in self.after(first)


@asynccontextmanager
async def sampling(name: str, request: Callable[[], Awaitable[int]], pause: float = 0.02) -> AsyncIterator[Samples]:
    """Ask again and again, from before the block until it has answered twice after it. ``request`` raises TimeoutError
    for silence."""
    samples = Samples(name)
    task = asyncio.create_task(_sample(samples, request, pause))
    try:
        await _until_answered(samples, task, 1)
        yield samples
        await _until_answered(samples, task, samples.answers + 2)
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _sample(samples: Samples, request: Callable[[], Awaitable[int]], pause: float) -> None:
    while True:
        began = time.monotonic()
        try:
            code = await request()
        except TimeoutError:
            code = NOTHING
        samples.taken.append(Sample(began, time.monotonic(), code))
        await asyncio.sleep(pause)  # between questions, not for anything to happen


async def _until_answered(samples: Samples, task: "asyncio.Task[None]", count: int) -> None:
    while samples.answers < count:
        if task.done():
            task.result()
        await asyncio.wait([task], timeout=0.02)
