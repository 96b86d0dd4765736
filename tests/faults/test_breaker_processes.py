"""Worker processes say how they find the systems, and take it back when they stop."""

import os
import signal

from tests.faults.place import Place
from tests.faults.place import place as place  # the fixture
from tests.support.waiting import eventually


async def test_a_worker_that_is_stopped_takes_its_word_back_and_one_that_is_killed_does_not(place: Place) -> None:
    async def reports() -> set[tuple[str, str, str]]:
        rows = await place.rows("SELECT system, worker, state FROM system_states")
        return {(system, worker.rpartition(":")[2], state) for system, worker, state in rows}

    def working(pid: int) -> set[tuple[str, str, str]]:
        return {("internet", str(pid), "working"), ("telephony", str(pid), "working")}

    with place.worker() as stopped:
        assert stopped.process
        await eventually(reports, equal=working(stopped.process.pid))
        await place.open("acme")
    await eventually(reports, equal=set())
    with place.worker() as killed:
        assert killed.process
        await eventually(reports, equal=working(killed.process.pid))
        os.kill(killed.process.pid, signal.SIGKILL)
    assert await reports() == working(killed.process.pid)
