"""Numbers events in the directory: without gaps, in the order in which the lines of the history were committed.

A sequence would not do: who commits later may have the lower number, and a reader who is past it never sees it. So
each line waits in ``events_waiting``, written with it by a trigger, until a worker has given it its number. Only who
holds the row of ``event_log`` numbers, and a line that is committed later gets a higher number. It does not matter
which worker it is, nor whether one dies: the row is held for one transaction.
"""

import asyncio
from contextlib import suppress
from datetime import timedelta

import asyncpg
import structlog

from activities.database import DRIVER_ERRORS, own_connection
from activities.errors import safe_message
from workflows.domain.lifecycle import Kind

NEWS, NUMBERED = "connect_history", "connect_events"
"""Channels: lines that wait, notified by the trigger; events that were numbered."""

EVERY = 5.0  # seconds between two looks when nothing is heard
CALM = 0.05  # seconds in which many lines become one batch
MOST = 500  # lines in one transaction
MOST_FORGOTTEN = 10_000  # events forgotten in one transaction
HELD_BACK = timedelta(minutes=1)  # a proof waits so long, at most, for the decision that it proves

_MINE = "SELECT last FROM event_log WHERE EXISTS ({work}) FOR UPDATE SKIP LOCKED"
_WAITING = "SELECT FROM events_waiting"
_OLD = "SELECT FROM (SELECT numbered_at FROM events ORDER BY seq LIMIT 1) e WHERE numbered_at < now() - $1::interval"

_SWITCHES_NOTHING = [kind.value for kind in (Kind.EDIT, Kind.CANCEL_PLANNED, Kind.CANCEL_SCHEDULED_DECOMMISSION)]
"""Commands that no proof, failure or drift follows from."""

# A proof may be there before the directory shows what was decided: it waits, and comes after that, so that "settled" is
# known. A decision is an event as requested and as effective; a plan that was due, and all that nobody asked
# for, only as effective. What people did with open matters, notes, and who saw credentials are no events.
# What no command led to directly (a proof, an activation on the start date) has the ids of the newest command that it
# follows from.
_NUMBER = """
WITH fresh AS (
  SELECT h.*, coalesce(c.site_id, '') AS site_id, coalesce((h.facts->>'planned_for')::timestamptz, h.at) AS due
  FROM events_waiting w JOIN history h USING (history_id) LEFT JOIN clients c USING (client_id)
  WHERE h.event <> 'proven' OR h.revision <= c.revision OR w.since < now() - $2::interval
  ORDER BY history_id LIMIT $1),
taken AS (DELETE FROM events_waiting w USING fresh f WHERE w.history_id = f.history_id),
turned AS (
  SELECT client_id, min(due) FILTER (WHERE facts->>'status' IN ('active', 'suspended')) AS billable_from,
    min(due) FILTER (WHERE facts->>'status' = 'decommissioned') AS billable_until
  FROM fresh WHERE event = 'decided' AND facts->>'status' <> 'new' GROUP BY client_id),
kept AS (
  INSERT INTO billable AS b SELECT * FROM turned
  ON CONFLICT (client_id) DO UPDATE SET billable_from = coalesce(b.billable_from, excluded.billable_from),
    billable_until = coalesce(b.billable_until, excluded.billable_until)
  WHERE b.billable_from IS NULL OR b.billable_until IS NULL),
found AS (
  SELECT f.history_id, f.client_id, f.site_id, k.kind, f.command, f.request, row_number() OVER in_order AS n,
    row_number() OVER (PARTITION BY client_id ORDER BY f.after DESC, event = 'proven' DESC, history_id DESC,
      k.place DESC) = 1 AS newest
  FROM (
    SELECT *, greatest(history_id, CASE WHEN event = 'proven' THEN (
      SELECT max(d.history_id) FROM fresh d
      WHERE d.client_id = x.client_id AND d.event = 'decided' AND d.revision <= x.revision) END) AS after,
      coalesce(led.command_id, x.command_id) AS command, coalesce(led.request_id, x.request_id) AS request
    FROM fresh x LEFT JOIN LATERAL (
      SELECT d.command_id, d.request_id FROM history d
      WHERE x.command_id = '' AND x.event IN ('decided', 'proven', 'attempted') AND d.client_id = x.client_id
        AND d.event = 'decided' AND d.revision <= x.revision AND d.command_id <> '' AND d.kind <> ALL ($4)
        AND (d.facts ? 'status' OR d.facts->>'system' = x.kind)
      ORDER BY d.at DESC, d.history_id DESC LIMIT 1) led ON true) f
  JOIN (VALUES
    ('decided', 1, 'requested'), ('decided', 2, 'effective'), ('asked', 1, 'requested'), ('asked', 2, 'drifted'),
    ('refused', 1, 'failed'), ('attempted', 1, 'failed'), ('attempted', 2, 'drifted'), ('proven', 1, 'proven')
  ) AS k(event, place, kind) USING (event)
  WHERE CASE event
    WHEN 'decided' THEN f.facts ?| '{status,system}' AND NOT (k.kind = 'requested' AND f.facts ? 'planned')
    WHEN 'asked' THEN f.kind <> 'credentials' AND (k.kind = 'drifted') = (f.kind = 'report_drift')
    WHEN 'attempted' THEN (k.kind = 'drifted') = (f.text ~ '^[^:]* found alive again[,:]')
    WHEN 'proven' THEN f.revision > 0
    ELSE true END
  WINDOW in_order AS (ORDER BY f.after, event = 'proven', history_id, k.place)),
their_clients AS (
  SELECT c.client_id, c.provisioning = 'settled' AS settled, coalesce(b.billable_from, t.billable_from,
      (SELECT min((e->>'at')::timestamptz) FROM jsonb_array_elements(c.document->'planned') e
       WHERE c.status = 'new' AND e->>'kind' = 'activate')) AS billable_from,
    coalesce(b.billable_until, t.billable_until,
      (SELECT min((e->>'at')::timestamptz) FROM jsonb_array_elements(c.document->'planned') e
       WHERE c.status <> 'decommissioned' AND e->>'kind' = 'decommission')) AS billable_until
  FROM clients c LEFT JOIN billable b USING (client_id) LEFT JOIN turned t USING (client_id)
  WHERE c.client_id IN (SELECT client_id FROM found)),
numbered AS (
  INSERT INTO events (seq, kind, history_id, client_id, site_id, settled, billable_from, billable_until, command_id,
    request_id)
  SELECT $3 + n, kind, history_id, client_id, site_id, coalesce(newest AND c.settled, false), c.billable_from,
    CASE WHEN c.billable_from IS NOT NULL THEN c.billable_until END, command, request
  FROM found LEFT JOIN their_clients c USING (client_id) ORDER BY n RETURNING seq),
moved AS (
  UPDATE event_log SET last = last + n FROM (SELECT count(*) AS n FROM numbered) c WHERE n > 0 RETURNING last)
SELECT (SELECT count(*) FROM fresh) AS lines, (SELECT pg_notify('connect_events', last::text) FROM moved)"""

_FORGET = """
WITH old AS (
  SELECT coalesce(max(seq), 0) AS seq FROM (
    SELECT seq, numbered_at FROM events ORDER BY seq LIMIT $2) e WHERE numbered_at < now() - $1::interval),
gone AS (DELETE FROM events e USING old WHERE e.seq <= old.seq)
UPDATE event_log SET forgotten = old.seq FROM old WHERE old.seq > forgotten RETURNING old.seq"""

log = structlog.get_logger(__name__)


class Numbering:
    """Numbers what waits, while ``run`` runs in any number of workers. Events are kept for so long; the history for
    good. ``every`` are seconds between two looks when nothing is heard."""

    def __init__(self, dsn: str, keep: timedelta, every: float = EVERY) -> None:
        self._dsn, self._keep, self._every = dsn, keep, every

    async def run(self) -> None:
        """Number for ever, through restarts of the database."""
        while True:
            try:
                async with own_connection(self._dsn, "connect events") as connection:
                    await self._keep_numbering(connection)
            except DRIVER_ERRORS as error:
                log.warning("events_held_up", error=safe_message(error))
            await asyncio.sleep(self._every)

    async def _keep_numbering(self, connection: asyncpg.Connection) -> None:
        notified = asyncio.Event()
        await connection.add_listener(NEWS, lambda *_: notified.set())
        while True:
            notified.clear()
            while await number(connection):
                pass
            while await forget(connection, self._keep):
                pass
            with suppress(TimeoutError):
                await asyncio.wait_for(notified.wait(), self._every)
                await asyncio.sleep(CALM)


async def number(connection: asyncpg.Connection, most: int = MOST, held_back: timedelta = HELD_BACK) -> int:
    """Give numbers to the first lines that wait. Returns how many lines; 0 also when somebody else is about it."""
    async with connection.transaction():
        # by itself: the next statement sees all that whoever numbered before has committed
        last = await connection.fetchval(_MINE.format(work=_WAITING))
        if last is None:
            return 0
        row = await connection.fetchrow(_NUMBER, most, held_back, last, _SWITCHES_NOTHING)
        return int(row["lines"])


async def forget(connection: asyncpg.Connection, keep: timedelta) -> int:
    """Forget the oldest events that are older than this. Returns up to which number; 0: there were none."""
    async with connection.transaction():
        if await connection.fetchval(_MINE.format(work=_OLD), keep) is None:
            return 0
        return int(await connection.fetchval(_FORGET, keep, MOST_FORGOTTEN) or 0)
