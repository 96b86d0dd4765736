"""Worker processes say how they find the systems, and take it back when they stop."""

import os
import signal

import asyncpg

from tests.faults.place import Place
from tests.faults.place import place as place  # the fixture
from tests.support.waiting import eventually


async def test_a_worker_that_is_stopped_takes_its_word_back_and_one_that_is_killed_does_not(place: Place) -> None:
    connection = await asyncpg.connect(place.dsns["CONNECT_DIRECTORY_DSN"])

    async def told() -> set[tuple[str, str, str]]:
        rows = await connection.fetch("SELECT system, worker, state FROM system_states")
        return {(row["system"], row["worker"].rpartition(":")[2], row["state"]) for row in rows}

    def word_of(pid: int) -> set[tuple[str, str, str]]:
        return {("internet", str(pid), "working"), ("telephony", str(pid), "working")}

    async def nothing() -> bool:
        return await told() == set()

    try:
        with place.worker() as stopped:
            assert stopped.process
            mine = word_of(stopped.process.pid)

            async def mine_alone() -> bool:
                return await told() == mine

            await eventually(mine_alone)
            await place.open("acme")
        await eventually(nothing)
        with place.worker() as killed:
            assert killed.process
            mine = word_of(killed.process.pid)
            await eventually(mine_alone)
            os.kill(killed.process.pid, signal.SIGKILL)
        assert await told() == mine
    finally:
        await connection.close()
