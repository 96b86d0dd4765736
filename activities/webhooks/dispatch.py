"""Begins an activity for each client whose events a webhook is to be told, as soon as there are any."""

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
from activities.webhooks.delivery import MATCHES, Chain, Deliveries
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

# Who is to be told what: one row for each webhook and client. What is added to a chain has it begun at once. A webhook
# that is set back meanwhile stays there, and the chains that its replay did not see are set back the next time.
_CHAINS = f"""
WITH span AS (
  SELECT w.*, least(w.position + $1, l.last) AS reached FROM webhooks w, event_log l
  WHERE w.state = 'active' AND w.position < l.last),
added AS (
  INSERT INTO webhook_chains AS c (webhook_id, client_id, done, target)
  SELECT w.webhook_id, e.client_id, min(w.position), max(e.seq)
  FROM span w JOIN events e ON e.seq > w.position AND e.seq <= w.reached AND {MATCHES} GROUP BY 1, 2
  ON CONFLICT (webhook_id, client_id) DO UPDATE
  SET target = greatest(c.target, excluded.target), done = least(c.done, excluded.done),
    begun_at = CASE WHEN c.failing_since IS NULL THEN NULL ELSE c.begun_at END)
UPDATE webhooks w SET position = s.reached FROM span s
WHERE w.webhook_id = s.webhook_id AND w.position = s.position RETURNING w.webhook_id"""  # noqa: S608  # put together from constants

# First what was added to, then what was begun longest ago.
_BEGIN = """
UPDATE webhook_chains c SET begun_at = now() FROM (
  SELECT webhook_id, client_id, begun_at FROM webhook_chains JOIN webhooks USING (webhook_id)
  WHERE state = 'active' AND (begun_at IS NULL OR begun_at < now() - $1::interval)
  ORDER BY begun_at NULLS FIRST LIMIT $2) due
WHERE (c.webhook_id, c.client_id) = (due.webhook_id, due.client_id)
RETURNING c.webhook_id, c.client_id, due.begun_at IS NULL AS added_to"""

# It may have been about to end when it was to be begun: it is begun once more a moment later, and then after AGAIN.
_SOON = """
UPDATE webhook_chains SET begun_at = now() - $3::interval + interval '1 second'
WHERE webhook_id = $1 AND client_id = $2 AND failing_since IS NULL"""

_FORGET = """
DELETE FROM webhook_deliveries WHERE delivery_id IN (
  SELECT delivery_id FROM webhook_deliveries WHERE at < now() - $1::interval ORDER BY at LIMIT $2)"""

log = structlog.get_logger(__name__)


def queue_of_webhooks(clients: str = TASK_QUEUE) -> str:
    """The task queue of what waits for receivers: nothing else waits behind them."""
    return f"{clients}-webhooks"


async def add_to_chains(connection: asyncpg.Connection) -> bool:
    """Have the chains reach as far as events are numbered. Returns whether there may be more; no when another worker is
    about it."""
    async with connection.transaction():
        return await connection.fetchval(_LOCK) and bool(await connection.fetch(_CHAINS, SPAN))


class Dispatch:
    """Begins what is to be told, while ``run`` runs in any number of workers. Attempts are kept for so long. ``most``
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
            with suppress(TimeoutError):
                await asyncio.wait_for(notified.wait(), self._every)

    async def look(self, connection: asyncpg.Connection) -> bool:
        """Begin what is to be begun. Returns whether there may be more."""
        moved = await add_to_chains(connection)
        due = await connection.fetch(_BEGIN, AGAIN, self._most)
        for row in due:
            chain = Chain(row["webhook_id"], row["client_id"])
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
                retry_policy=RetryPolicy(maximum_interval=timedelta(hours=1)),
                summary=f"events of {chain.client_id}",
            )
        except ActivityAlreadyStartedError:
            return False
        return True
