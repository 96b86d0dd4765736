"""Begins an activity for each client whose events are to be sent to a webhook, as soon as there are any."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import asyncpg
import structlog
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityAlreadyStartedError
from temporalio.service import RPCError

from activities.database import DRIVER_ERRORS, own_connection
from activities.directory.numbering import NUMBERED
from activities.errors import safe_message
from activities.webhooks.delivery import Chain, Deliveries
from workflows.wire.start import TASK_QUEUE

CHANGED = "connect_webhooks"
"""Channel: a webhook was added, enabled or set back."""

EVERY = 5.0  # seconds between two looks when nothing is heard
SPAN = 5000  # numbers of events in one look
MOST = 500
MOST_FORGOTTEN = 10_000  # attempts forgotten at once
AGAIN = timedelta(minutes=1)  # a chain that is still there is begun again: its activity may have been lost
LONGEST_ATTEMPT, HEARTBEAT = timedelta(minutes=10), timedelta(minutes=1)

_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended('webhooks', 0))"

# What is to be sent to whom: one row for each webhook and client. What is added to a chain has it begun at once.
# Whoever changes a webhook and its chains locks the webhook first, and several in the order of their ids.
_CHAINS = """
WITH span AS (
  SELECT w AS webhook, w.webhook_id, w.turn, w.position, least(w.position + $1, l.last) AS reached
  FROM webhooks w, event_log l WHERE w.state = 'active' AND w.position < l.last
  ORDER BY w.webhook_id FOR NO KEY UPDATE OF w),
added AS (
  INSERT INTO webhook_chains AS c (webhook_id, client_id, turn, done, target)
  SELECT s.webhook_id, e.client_id, s.turn, s.position, max(e.seq)
  FROM span s JOIN events e ON e.seq > s.position AND e.seq <= s.reached AND is_told(s.webhook, e) GROUP BY 1, 2, 3, 4
  ON CONFLICT (webhook_id, client_id) DO UPDATE SET target = greatest(c.target, excluded.target),
    begun_at = CASE WHEN c.failing_since IS NULL THEN NULL ELSE c.begun_at END)
UPDATE webhooks w SET position = s.reached FROM span s WHERE w.webhook_id = s.webhook_id RETURNING w.webhook_id"""

# First what was added to, then what was begun longest ago. One that failed counts as begun when its pause ends. This
# waits for nobody: whoever has a chain locked may wait for another one of these.
_BEGIN = """
WITH due AS (
  SELECT c.webhook_id, c.client_id, c.begun_at FROM webhook_chains c JOIN webhooks w USING (webhook_id)
  WHERE w.state = 'active' AND c.given_up_at IS NULL
    AND (c.begun_at IS NULL OR c.begun_at < now() - $1::interval)
  ORDER BY c.begun_at NULLS FIRST LIMIT $2 FOR NO KEY UPDATE OF c SKIP LOCKED)
UPDATE webhook_chains c SET begun_at = now() FROM due
WHERE (c.webhook_id, c.client_id) = (due.webhook_id, due.client_id)
RETURNING c.webhook_id, c.client_id, c.turn, due.begun_at IS NULL AS added_to"""

# It may have been about to end when it was to be begun: it is begun once more a moment later, and then after AGAIN.
_SOON = """
UPDATE webhook_chains SET begun_at = now() - $3::interval + interval '1 second'
WHERE webhook_id = $1 AND client_id = $2 AND failing_since IS NULL"""

_FORGET = """
DELETE FROM webhook_deliveries WHERE delivery_id IN (
  SELECT delivery_id FROM webhook_deliveries WHERE at < now() - $1::interval ORDER BY at LIMIT $2)"""

# The ids are found by the index, each in one step.
_FORGET_REMOVED = """
WITH RECURSIVE logged AS (
  SELECT min(webhook_id) AS webhook_id FROM webhook_deliveries
  UNION ALL
  SELECT (SELECT min(d.webhook_id) FROM webhook_deliveries d WHERE d.webhook_id > l.webhook_id)
  FROM logged l WHERE l.webhook_id IS NOT NULL)
DELETE FROM webhook_deliveries WHERE delivery_id IN (
  SELECT d.delivery_id FROM logged l JOIN webhook_deliveries d USING (webhook_id)
  WHERE NOT EXISTS (SELECT FROM webhooks w WHERE w.webhook_id = l.webhook_id) LIMIT $1)"""

log = structlog.get_logger(__name__)


def queue_of_webhooks(clients: str = TASK_QUEUE) -> str:
    """The task queue of what waits for receivers: nothing else waits behind them."""
    return f"{clients}-webhooks"


async def add_to_chains(connection: asyncpg.Connection, span: int = SPAN) -> bool:
    """Have the chains reach as far as events are numbered, or so many numbers further. Returns whether there may be
    more; no when another worker is about it."""
    async with connection.transaction():
        return await connection.fetchval(_LOCK) and bool(await connection.fetch(_CHAINS, span))


class Dispatch:
    """Begins what is to be sent, while ``run`` runs in any number of workers. Attempts are kept for so long. ``most``
    activities are begun in one look."""

    def __init__(
        self, client: Client, dsn: str, keep: timedelta, queue: str = "", every: float = EVERY, most: int = MOST
    ) -> None:
        self._client, self._dsn, self._keep, self._every, self._most = client, dsn, keep, every, most
        self._queue = queue or queue_of_webhooks()

    async def run(self) -> None:
        """For ever, through restarts of the database and of Temporal."""
        while True:
            try:
                async with own_connection(self._dsn, "connect webhooks") as connection:
                    await self._keep_looking(connection)
            except (*DRIVER_ERRORS, RPCError) as error:
                log.warning("webhooks_held_up", error=safe_message(error))
            await asyncio.sleep(self._every)

    async def _keep_looking(self, connection: asyncpg.Connection) -> None:
        notified = asyncio.Event()
        for channel in (NUMBERED, CHANGED):
            await connection.add_listener(channel, lambda *_: notified.set())
        while True:
            notified.clear()
            while await self.look(connection):
                pass
            await connection.execute(_FORGET, self._keep, MOST_FORGOTTEN)
            await connection.execute(_FORGET_REMOVED, MOST_FORGOTTEN)
            with suppress(TimeoutError):
                await asyncio.wait_for(notified.wait(), self._every)

    async def look(self, connection: asyncpg.Connection) -> bool:
        """Begin what is to be begun. Returns whether there may be more."""
        moved = await add_to_chains(connection)
        due = await connection.fetch(_BEGIN, AGAIN, self._most)
        for row in due:
            chain = Chain(row["webhook_id"], row["client_id"], row["turn"])
            if not await self._begin(chain) and row["added_to"]:
                await connection.execute(_SOON, chain.webhook_id, chain.client_id, AGAIN)
        return moved or len(due) == self._most

    async def _begin(self, chain: Chain) -> bool:
        """Whether it was not under way."""
        try:
            await self._client.start_activity_method(
                Deliveries.deliver,
                chain,
                id=chain.activity_id,
                task_queue=self._queue,
                start_to_close_timeout=LONGEST_ATTEMPT,
                heartbeat_timeout=HEARTBEAT,
                retry_policy=RetryPolicy(maximum_interval=AGAIN),  # after a worker's death; a failure says its own
                summary=f"events of {chain.client_id}",
            )
        except ActivityAlreadyStartedError:
            return False
        return True
