"""The floor: the least that a service of this shape costs, one update and three activities of one statement each.

There are two. The worker and the client of ``floor`` have all that makes ours fast (worker.py,
starter/temporal/connection.py). Those of ``plain`` are as the SDK's defaults have them.
"""

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from temporalio import activity, workflow

if TYPE_CHECKING:
    import asyncpg

TUNED, PLAIN = "floor", "plain"
DATABASE = "bench"
SLOTS = 3

TABLE = """
CREATE TABLE IF NOT EXISTS touched (subject text PRIMARY KEY, touches bigint NOT NULL DEFAULT 0);
TRUNCATE touched"""

_TOUCH = "UPDATE touched SET touches = touches + 1 WHERE subject = $1"

ROWS = """
INSERT INTO touched (subject) SELECT w.id || '/' || slot
FROM unnest($1::text[]) AS w(id), generate_series(1, $2::int) AS slot"""


def task_queue(name: str) -> str:
    """The task queue of one of the floors."""
    return f"bench-{name}"


class Touches:
    """The activity."""

    def __init__(self, pool: "asyncpg.Pool") -> None:
        self._pool = pool

    @activity.defn(name="touch")
    async def touch(self, subject: str) -> None:
        """One statement, which commits itself, on a row that nobody else writes."""
        await self._pool.execute(_TOUCH, subject)


@workflow.defn(name="BenchFloor")
class Floor:
    """A workflow without any logic."""

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)

    @workflow.update
    async def change(self) -> None:
        """Answer when three activities, begun side by side, are done."""
        subject, limit = workflow.info().workflow_id, timedelta(seconds=30)
        await asyncio.gather(
            *(
                workflow.execute_activity_method(Touches.touch, f"{subject}/{slot}", start_to_close_timeout=limit)
                for slot in range(1, SLOTS + 1)
            )
        )
