"""Wakes the clients that wait for a system when it has come back: operators' commands first, at a rate from settings.

Clients in attention sleep in pauses of up to an hour, those that are not proven in shorter ones. When this worker's
breaker of a system leaves *failing*, one drainer over all workers (an advisory lock, held by the directory connection
that the list is read on) sends each of them ``retry``, until none is left that waited before the recovery, or the
system fails again. A worker that finds the lock taken tries again later, and then finds only clients that nobody woke,
because a client's row is written again when it obeys. Attempts may run out of time while they wait for their turn, or
have it so late that their workflow does not get the result, though the directory knows the proof. Each worker
knows those (``Breaker.late``), and wakes them, too, under the same lock, until everybody had a turn. A worker that
starts wakes nobody: it cannot know of a recovery, and the clients' own pauses end within the hour.

While few clients wait, nobody might notice that a system is back. So when nobody has tried a failing system for a
minute, one worker at a time (another lock) makes one client in attention try, and a minute later another one.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import asyncpg
import structlog
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.background import log_failure
from activities.database import own_connection
from activities.pacing.breaker import Condition
from activities.pacing.interceptor import Pacing, wait_changed
from workflows.domain.provisioning.system_commands import RECOVERY
from workflows.domain.systems import SystemInstance
from workflows.wire.start import workflow_id

PAGE = 100
_REMEMBERED = 100  # clients that last tried for all
_GRACE = 3.0  # seconds after which the directory shows that a client was woken, or pauses

_PROBE_EVERY = 60.0
"""Seconds without an attempt after which one client is made to try."""

_LOCK = "SELECT pg_try_advisory_lock(hashtextextended($1, 0))"

# Who waited for the system at that moment, was sent nothing since, and is not proven meanwhile; or who of these clients
# waits. Nobody publishes when something began to be unproven: it waits since its row was written.
_WAITING = """
SELECT c.client_id, c.priority, w.since FROM client_systems s JOIN clients c USING (client_id)
CROSS JOIN LATERAL (SELECT coalesce(s.attention_since, c.updated_at) AS since) w
WHERE s.system = $1 AND s.instance = $8 AND s.provisioning <> 'settled' AND s.state IN ('attention', 'not_proven')
  AND CASE WHEN $7::text[] IS NULL THEN c.updated_at <= $2 AND s.proven < s.wanted ELSE c.client_id = ANY($7) END
  AND (c.priority, w.since, c.client_id) > ($3, $4, $5)
ORDER BY c.priority, w.since, c.client_id LIMIT $6"""

# Who tries for all: those that did so lately come last. Whoever is not in attention yet tries often enough, and
# comes into attention if that leads to nothing, which a retry would put off.
_PROBE = """
SELECT c.client_id FROM client_systems s JOIN clients c USING (client_id)
WHERE s.system = $1 AND s.instance = $3 AND s.provisioning <> 'settled' AND s.state = 'attention'
ORDER BY c.client_id = ANY($2::text[]), array_position($2, c.client_id), c.priority, s.attention_since, c.client_id
LIMIT 1"""

FIRST = (0, datetime.min.replace(tzinfo=UTC), "")

OF_ONE_CLIENT = (RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.FAILED_PRECONDITION)
"""Errors of Temporal about one workflow. All its other errors concern every workflow."""

log = structlog.get_logger(__name__)


@dataclass
class Recovery:
    """Whom to wake after a recovery of a system: who waited at its time, by the directory's clock, or only ``clients``;
    and how far the drain has come."""

    system: SystemInstance
    number: int
    clients: list[str] | None = None
    at: datetime | None = None
    reached: tuple[int, datetime, str] = field(default=FIRST)
    woken: int = 0


class Drain:
    """Wakes clients after each recovery that this worker sees, while ``run`` runs. Until then it makes one client try.

    ``rate``: clients a second. ``pause``: seconds between two checks. ``probe_every``: seconds without an attempt
    before one client is made to try.
    """

    def __init__(
        self,
        client: Client,
        dsn: str,
        pacing: Pacing,
        rate: float,
        pause: float = 5.0,
        probe_every: float = _PROBE_EVERY,
    ) -> None:
        self._client, self._dsn, self._pacing = client, dsn, pacing
        self._rate, self._pause, self._probe_every = rate, pause, probe_every
        self._changed: Mapping[SystemInstance, asyncio.Event] = {key: pacing.changed() for key in pacing.breakers}

    async def run(self) -> None:
        """Drain every instance, side by side, for ever. Errors are logged, and the drain tries again."""
        async with asyncio.TaskGroup() as drains:
            for system in self._pacing.breakers:
                drains.create_task(self._follow(system))

    async def _follow(self, system: SystemInstance) -> None:
        breaker, drained = self._pacing.breakers[system], 0
        recovery = Recovery(system, 0)
        while True:
            with log_failure("recovery_held_up", system=str(system)):
                if self._untried(system):
                    await self._probe(system)
                if breaker.recoveries > drained and not self._fails(system):
                    if recovery.number != breaker.recoveries:
                        recovery = Recovery(system, breaker.recoveries)
                    if await self._drain(recovery):
                        drained = recovery.number
                        log.info("recovery_drained", system=str(system), clients=recovery.woken)
                elif (late := self._late(system)) and await self._drain(Recovery(system, drained, list(late))):
                    breaker.woken(late)
            await wait_changed(self._changed[system], self._pause)

    def _fails(self, system: SystemInstance) -> bool:
        return self._pacing.condition(system) is Condition.FAILING

    def _late(self, system: SystemInstance) -> dict[str, datetime]:
        """The clients that are late, and show that in the directory by now."""
        if self._fails(system):
            return {}
        published = self._pacing.clock() - timedelta(seconds=_GRACE)
        return {client_id: at for client_id, at in self._pacing.breakers[system].late().items() if at <= published}

    # -- while it fails ---------------------------------------------------------------------------------------------

    def _untried(self, system: SystemInstance, probed_at: datetime | None = None) -> bool:
        """Whether the system fails and nobody has tried it, or was made to, for a while."""
        breaker = self._pacing.breakers[system]
        last = max(at for at in (breaker.since, breaker.last_failure_at, probed_at) if at is not None)
        return self._fails(system) and self._pacing.clock() - last >= timedelta(seconds=self._probe_every)

    async def _probe(self, system: SystemInstance) -> None:
        """While the system fails, make one client after the other try it, unless one tries by itself.

        One worker does so for all, until it finds the system working or loses its connection.
        """
        probed_at: datetime | None = None
        before: list[str] = []
        async with own_connection(self._dsn, "connect recovery") as connection:
            while self._fails(system):
                if self._untried(system, probed_at) and await connection.fetchval(_LOCK, f"probe:{system}"):
                    probed_at = self._pacing.clock()
                    client_id = await connection.fetchval(_PROBE, system.system, before, system.name)
                    if client_id is not None:
                        before = [*(other for other in before if other != client_id), client_id][-_REMEMBERED:]
                        await self._wake(system, client_id, f"the {system} system fails: is it back?", probed_at)
                await wait_changed(self._changed[system], self._pause)

    # -- once it is back --------------------------------------------------------------------------------------------

    async def _drain(self, recovery: Recovery) -> bool:
        """Wake clients. Returns whether all are awake; if not, the next call goes on from there."""
        async with own_connection(self._dsn, "connect recovery") as connection:
            recovery.at = at = recovery.at or await connection.fetchval("SELECT now()")
            if not await connection.fetchval(_LOCK, f"recovery:{recovery.system}"):
                return False  # another worker is at it
            return await self._wake_all(connection, recovery, at)

    async def _wake_all(self, connection: asyncpg.Connection, recovery: Recovery, at: datetime) -> bool:
        system, back = recovery.system, f"the {recovery.system} system is back"
        while True:
            rows = await connection.fetch(
                _WAITING, system.system, at, *recovery.reached, PAGE, recovery.clients, system.name
            )
            if not rows:
                await asyncio.sleep(_GRACE if recovery.woken else 0)
                return True
            for row in rows:
                if self._fails(system):
                    return False
                recovery.woken += await self._wake(system, row["client_id"], back, at)
                recovery.reached = row["priority"], row["since"], row["client_id"]
                await asyncio.sleep(1 / self._rate)

    # -- both ------------------------------------------------------------------------------------------------------

    async def _wake(self, system: SystemInstance, client_id: str, why: str, at: datetime) -> bool:
        """Make the client try again now. Returns whether it was signalled: one whose workflow is closed needs
        nothing."""
        message = {
            "system": system.system,
            "source": RECOVERY,
            "by": "connect",
            "reason": why,
            "command_id": f"{RECOVERY}:{system}:{at:%Y%m%dT%H%M%S.%f}:{client_id}",
        }
        try:
            await self._client.get_workflow_handle(workflow_id(client_id)).signal("retry", message)
        except RPCError as error:
            if error.status in OF_ONE_CLIENT:
                log.warning("client_not_woken", client_id=client_id, error=str(error)[:300])
            elif error.status is not RPCStatusCode.NOT_FOUND:
                raise
            return False
        return True
