"""After a system has come back: wake the clients that wait for it, operators' commands first, at a settable rate.

Clients in attention sleep in pauses of up to an hour. When this worker's breaker of a system leaves *failing*, one
drainer over all workers (an advisory lock, held by the directory connection that the list is read on) sends each of
them ``retry``, until none is left that waited before the recovery, or the system fails again. Another worker that
finds the lock taken tries again later, and then finds only those that nobody woke: a client's row is written anew when
it obeys. A worker that starts wakes nobody: it cannot know of a recovery, and the clients' own pauses end within the
hour.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime

import asyncpg
import structlog
from temporalio.client import Client, RPCTimeoutOrCancelledError
from temporalio.service import RPCError, RPCStatusCode

from activities.breaker import Condition
from activities.database import DRIVER_ERRORS
from activities.errors import told
from activities.pacing import Pacing, rung
from workflows.domain.state import RECOVERY
from workflows.domain.systems import SWITCHED, System
from workflows.messages import workflow_id

PAGE = 100
_CONNECT, _STATEMENT, _FAREWELL = 5.0, 10.0, 1.0  # seconds
_GRACE = 3.0  # seconds in which those woken last show it in the directory, before another worker looks

_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('recovery:' || $1, 0))"

# Who waited for the system at that moment, was told nothing since, and is not proven meanwhile.
_WAITING = """
SELECT c.client_id, c.priority, s.since FROM clients c
CROSS JOIN LATERAL (
  SELECT coalesce((e->>'attention_since')::timestamptz, c.updated_at) AS since
  FROM jsonb_array_elements(c.document->'systems') e WHERE e->>'system' = $1 AND e->>'state' = 'attention') s
WHERE c.attention AND c.updated_at <= $2
  AND CASE $1 WHEN 'telephony' THEN c.telephony_proven < c.telephony_wanted
    ELSE c.internet_proven < c.internet_wanted END
  AND (c.priority, s.since, c.client_id) > ($3, $4, $5)
ORDER BY c.priority, s.since, c.client_id LIMIT $6"""

FIRST = (0, datetime.min.replace(tzinfo=UTC), "")

OF_ONE_CLIENT = (RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.FAILED_PRECONDITION)
"""What Temporal answers about one workflow. Everything else it can fail with concerns all."""

log = structlog.get_logger(__name__)


@dataclass
class Recovery:
    """One recovery of one system: when it was, by the directory's clock, and how far its drain has come."""

    system: System
    number: int
    at: datetime | None = None
    reached: tuple[int, datetime, str] = field(default=FIRST)
    woken: int = 0


class Drain:
    """Wakes clients after each recovery that this worker sees, while ``run`` runs.

    ``rate`` is how many a second, ``pause`` how many seconds lie between two looks or tries.
    """

    def __init__(self, client: Client, dsn: str, pacing: Pacing, rate: float, pause: float = 5.0) -> None:
        self._client, self._dsn, self._pacing = client, dsn, pacing
        self._rate, self._pause = rate, pause
        self._bells: Mapping[System, asyncio.Event] = {system: pacing.bell() for system in SWITCHED}

    async def run(self) -> None:
        """See to both systems, side by side, for ever. What goes wrong is logged and tried again."""
        async with asyncio.TaskGroup() as both:
            for system in SWITCHED:
                both.create_task(self._follow(system))

    async def _follow(self, system: System) -> None:
        breaker, done = self._pacing.breakers[system], 0
        recovery = Recovery(system, 0)
        while True:
            if breaker.recoveries > done and not self._fails(system):
                if recovery.number != breaker.recoveries:
                    recovery = Recovery(system, breaker.recoveries)
                if await self._tried(recovery):
                    done = recovery.number
                    log.info("recovery_drained", system=system, clients=recovery.woken)
            await rung(self._bells[system], self._pause)

    def _fails(self, system: System) -> bool:
        return self._pacing.condition(system) is Condition.FAILING

    async def _tried(self, recovery: Recovery) -> bool:
        """Whether everybody was woken; if not, go on later from where we came to."""
        try:
            async with self._directory() as connection:
                recovery.at = recovery.at or await connection.fetchval("SELECT now()")
                if not await connection.fetchval(_LOCK, recovery.system):
                    return False  # another worker is at it
                return await self._wake_all(connection, recovery)
        except DRIVER_ERRORS as error:
            log.warning("recovery_held_up", system=recovery.system, error=told(error))
        except (RPCError, RPCTimeoutOrCancelledError) as error:
            log.warning("recovery_held_up", system=recovery.system, error=f"{type(error).__name__}: {error}"[:300])
        return False

    @asynccontextmanager
    async def _directory(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection of our own: the lock is its session's, and goes with it."""
        connection = await asyncpg.connect(
            self._dsn,
            timeout=_CONNECT,
            command_timeout=_STATEMENT,
            server_settings={"application_name": "connect recovery"},
        )
        try:
            yield connection
        finally:
            with suppress(*DRIVER_ERRORS):
                await connection.close(timeout=_FAREWELL)

    async def _wake_all(self, connection: asyncpg.Connection, recovery: Recovery) -> bool:
        while True:
            rows = await connection.fetch(_WAITING, recovery.system, recovery.at, *recovery.reached, PAGE)
            if not rows:
                await asyncio.sleep(_GRACE if recovery.woken else 0)
                return True
            for row in rows:
                if self._fails(recovery.system):
                    return False
                await self._wake(recovery, row["client_id"])
                recovery.reached = row["priority"], row["since"], row["client_id"]
                await asyncio.sleep(1 / self._rate)

    async def _wake(self, recovery: Recovery, client_id: str) -> None:
        """Have the client try again now. One whose workflow is closed needs nothing."""
        message = {
            "system": recovery.system.value,
            "source": RECOVERY,
            "by": "connect",
            "reason": f"the {recovery.system} system is back",
            "command_id": f"{RECOVERY}:{recovery.system}:{recovery.at:%Y%m%dT%H%M%S.%f}:{client_id}",
        }
        try:
            await self._client.get_workflow_handle(workflow_id(client_id)).signal("retry", message)
        except RPCError as error:
            if error.status in OF_ONE_CLIENT:
                log.warning("client_not_woken", client_id=client_id, error=str(error)[:300])
            elif error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return
        recovery.woken += 1
