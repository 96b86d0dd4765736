"""Claims about what wakes clients after a recovery, beside those of tests/faults/test_breaker.py."""

import asyncio
from typing import cast

import pytest
from temporalio.client import Client

from activities.pacing.breaker import Condition, Paces
from activities.pacing.interceptor import Pacing
from activities.pacing.recovery import Drain
from workflows.domain.systems import INTERNET, TELEPHONY, SystemInstance

SERVED = SystemInstance(TELEPHONY), SystemInstance(INTERNET)


class Faulty(Pacing):
    """Cannot say at first how a system is found, for a fault of ours. ``seen_to`` are those it could say it of."""

    def __init__(self) -> None:
        super().__init__(Paces(clients=3, pace=1, drain=1), SERVED)
        self.faults, self.seen_to, self.all_seen_to = 2, set[SystemInstance](), asyncio.Event()

    def condition(self, system: SystemInstance) -> Condition:
        if self.faults:
            self.faults -= 1
            raise KeyError("nobody expected this")
        self.seen_to.add(system)
        if self.seen_to == set(SERVED):
            self.all_seen_to.set()
        return super().condition(system)


async def test_a_fault_of_ours_is_reported_and_the_next_look_goes_well(capsys: pytest.CaptureFixture[str]) -> None:
    pacing = Faulty()
    drain = Drain(cast("Client", None), "postgresql://nobody@127.0.0.1:1/none", pacing, rate=1, pause=0.01)
    running = asyncio.create_task(drain.run())
    await asyncio.wait([running, seen := asyncio.create_task(pacing.all_seen_to.wait())], return_when="FIRST_COMPLETED")
    assert seen.done()
    assert not running.done()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert capsys.readouterr().out.count("] recovery_held_up") == 2, "and a traceback may quote its name"
