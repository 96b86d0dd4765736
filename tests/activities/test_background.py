"""Claims about what a process does beside its own work: it fails loudly, is begun anew, and ends with the process."""

import asyncio

import pytest

from activities.background import background
from tests.support.waiting import eventually


class Work:
    """Fails so many times, then goes on until it is ended."""

    def __init__(self, failures: int) -> None:
        self.failures, self.began, self.well = failures, 0, asyncio.Event()

    async def run(self) -> None:
        self.began += 1
        if self.began <= self.failures:
            raise KeyError("a fault of ours")
        self.well.set()
        await asyncio.Event().wait()


async def test_what_fails_is_reported_and_begun_anew_beside_the_others(capsys: pytest.CaptureFixture[str]) -> None:
    failing, fine = Work(failures=2), Work(failures=0)
    async with background(failing.run, fine.run, pause=0.01):
        await eventually(failing.well.is_set)
    assert (failing.began, fine.began) == (3, 1)
    printed = capsys.readouterr().out
    assert printed.count("background_work_failed") == 2
    assert "again_in_seconds=0.01" in printed
    assert "again_in_seconds=0.02" in printed, "the pause grows"
    assert "Work.run" in printed


async def test_what_is_done_is_not_begun_again() -> None:
    times = 0

    async def once() -> None:
        nonlocal times
        times += 1

    going_on = Work(failures=1)
    async with background(once, going_on.run, pause=0.01):
        await eventually(going_on.well.is_set)
    assert times == 1


async def test_it_ends_with_the_process() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    begun = Work(failures=0)
    async with background(work, begun.run):
        await begun.well.wait()
        assert not ended.is_set()
    assert ended.is_set()
