"""Finds clients whose workflow cannot run, by comparing Temporal with the directory: rows of table ``matters``.

A workflow that was terminated, fails its tasks or was never registered says nothing itself. So one worker at a time (an
advisory lock, held by the connection that all of this is read and written on) looks three times a minute:

- which workflows Temporal reports problems of, from its list;
- which clients should have had a planned change a minute ago, from the directory's index; these few are looked at one
  by one;
- which living clients have no running workflow, and which running workflow has no client: only when the number of
  running workflows less the number of living clients, or the number that ended badly, is another than at the last such
  comparison, and once an hour. It lists all running workflows, so it pauses twenty times as long as it took.

What such a comparison finds counts when the next one finds it, too: a client may be between two runs, or on its way
into the directory. A matter goes when the look no longer finds it.
"""

import asyncio
import json
from collections.abc import Mapping, Set
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta

import asyncpg
import structlog
from temporalio.service import RPCError

from activities.database import DRIVER_ERRORS, own_connection
from activities.errors import safe_message
from activities.watch import matters
from activities.watch.diagnosis import of_ended
from activities.watch.executions import ENDED_BADLY, FAILING, RUNNING, Executions, Run
from activities.watch.matters import WORKFLOW, Matter
from workflows.domain.text import safe_text
from workflows.wire.start import client_id_of, workflow_id

EVERY = 20.0  # seconds between two looks
_COMPARE_AT_LEAST = 3600.0  # seconds between two comparisons, if nothing speaks for an earlier one
_PAUSE_FACTOR = 20  # a comparison takes at most this part of the time
OVERDUE = timedelta(minutes=1)
_UNTAKEN = timedelta(minutes=5)  # a task that no worker has begun: behind others in a storm, or of another version
_MOST_OVERDUE = 100  # looked at one by one

_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('watch', 0))"

_LIVING = "SELECT client_id, incarnation FROM clients WHERE status <> 'decommissioned'"
_COUNT_LIVING = "SELECT count(*) FROM clients WHERE status <> 'decommissioned'"
_KNOWN = "SELECT client_id FROM clients WHERE client_id = ANY($1::text[])"

_OPEN = "SELECT client_id FROM matters WHERE matter = $1"

_OVERDUE_CLIENTS = """
SELECT client_id, next_change_at FROM clients
WHERE next_change_at < now() - $1::interval AND status <> 'decommissioned' ORDER BY next_change_at LIMIT $2"""

# The rows of this kind become what was found; pages that show such a client hear of it.
_KEEP = """
WITH found AS (
  SELECT * FROM jsonb_to_recordset($1::text::jsonb)
    AS f(client_id text, kind text, since timestamptz, text text, remedies jsonb)),
mended AS (
  DELETE FROM matters m WHERE m.matter = $2 AND m.client_id NOT IN (SELECT client_id FROM found) RETURNING client_id),
kept AS (
  INSERT INTO matters AS m (client_id, matter, kind, since, text, remedies)
  SELECT client_id, $2, kind, coalesce(since, now()), text, remedies FROM found
  ON CONFLICT (client_id, matter) DO UPDATE SET kind = excluded.kind, text = excluded.text,
    remedies = excluded.remedies, since = CASE WHEN m.kind = excluded.kind THEN m.since ELSE excluded.since END
  WHERE (m.kind, m.text, m.remedies) IS DISTINCT FROM (excluded.kind, excluded.text, excluded.remedies)
  RETURNING client_id)
SELECT client_id, pg_notify('connect_clients', client_id) FROM (TABLE mended UNION TABLE kept) changed"""

log = structlog.get_logger(__name__)

Found = Mapping[str, Matter]  # by client


@dataclass(frozen=True)
class Comparison:
    """What the last comparison came to, and by the loop's clock from when to when the next one is made.

    ``balance``: running workflows less living clients, and how many ended badly. ``found``: those of the suspected
    that were suspected before.
    """

    balance: tuple[int, int] | None = None
    suspected: Set[str] = frozenset()
    found: Found = field(default_factory=dict)
    not_before: float = 0.0
    again_at: float = 0.0


class WorkflowWatch:
    """Keeps the open matters about workflows as they are, while ``run`` runs in a worker.

    ``every``: seconds between two looks. ``overdue``: how long after its moment a planned change counts as missed.
    """

    def __init__(self, executions: Executions, dsn: str, every: float = EVERY, overdue: timedelta = OVERDUE) -> None:
        self._executions, self._dsn, self._every, self._overdue = executions, dsn, every, overdue
        self._last = Comparison()

    async def run(self) -> None:
        """Look, for ever, whenever no other worker does. Errors are logged, and the next look may go well."""
        while True:
            try:
                async with own_connection(self._dsn, "connect watch") as connection:
                    while True:
                        if await connection.fetchval(_LOCK):
                            await self.look(connection)
                        else:
                            self._last = Comparison()
                        await asyncio.sleep(self._every)
            except DRIVER_ERRORS as error:
                log.warning("watch_held_up", error=safe_message(error))
            except RPCError as error:
                log.warning("watch_held_up", error=f"{error.status.name}: {error.message}"[:300])
            await asyncio.sleep(self._every)

    async def look(self, connection: asyncpg.Connection) -> Found:
        """Find what is so now, and write it down. Raises an error of the driver, or RPCError."""
        await self._compare_if_due(connection)
        found = {**await self._overdue_ones(connection), **await self._failing(), **self._last.found}
        rows = [asdict(matter) | {"since": matter.since and matter.since.isoformat()} for matter in found.values()]
        changed = await connection.fetch(_KEEP, json.dumps(rows), WORKFLOW)
        for client_id in (row["client_id"] for row in changed):
            if client_id in found:
                log.warning("workflow_cannot_run", client_id=client_id, kind=found[client_id].kind)
            else:
                log.info("workflow_runs_again", client_id=client_id)
        return found

    # -- three ways to find them --------------------------------------------------------------------------------------

    async def _failing(self) -> Found:
        return {
            client_id: matters.fails(client_id, run)
            async for run in self._executions.matching(FAILING)
            if (client_id := _client_of(run))
        }

    async def _overdue_ones(self, connection: asyncpg.Connection) -> Found:
        rows = await connection.fetch(_OVERDUE_CLIENTS, self._overdue, _MOST_OVERDUE)
        now, found = datetime.now(UTC), {}
        for client_id, due in rows:
            described = await self._executions.describe(workflow_id(client_id))
            if described is None or described.run.status != "running":
                continue  # the comparison finds it
            if described.activities or described.next_change_at is None or described.next_change_at > now:
                continue  # it is at work; or it has moved on, and the directory follows
            task = described.task
            if task is not None and now - task.since < (self._overdue if task.begun else _UNTAKEN):
                continue
            found[client_id] = matters.stands_still(client_id, described.run, due, task)
        return found

    async def _compare_if_due(self, connection: asyncpg.Connection) -> None:
        clock, last = asyncio.get_running_loop().time, self._last
        began = clock()
        running, bad = await self._executions.count(RUNNING), await self._executions.count(ENDED_BADLY)
        balance = (running - await connection.fetchval(_COUNT_LIVING), bad)
        due = balance != last.balance or last.suspected != last.found.keys() or began >= last.again_at
        if not due or began < last.not_before:
            return
        before = {row["client_id"] for row in await connection.fetch(_OPEN, WORKFLOW)} | last.suspected
        suspected = await self._compare(connection)
        found = {client_id: matter for client_id, matter in suspected.items() if client_id in before}
        pause = _PAUSE_FACTOR * (clock() - began)
        self._last = Comparison(balance, suspected.keys(), found, clock() + pause, clock() + _COMPARE_AT_LEAST)

    async def _compare(self, connection: asyncpg.Connection) -> Found:
        """Living clients without a running workflow, and running workflows without a client."""
        running = {run.workflow_id: run async for run in self._executions.matching(RUNNING)}
        living = {workflow_id(row["client_id"]): row["incarnation"] for row in await connection.fetch(_LIVING)}
        found = {}
        runs = await self._executions.runs_of(living.keys() - running.keys())
        for name in living.keys() - running.keys():
            its = runs.get(name, [])
            if not any(run.status == "running" for run in its):
                client_id = client_id_of(name)
                found[client_id] = await of_ended(self._executions, client_id, living[name], its)
        strangers = {_client_of(running[name]): running[name] for name in running.keys() - living.keys()}
        known = {row["client_id"] for row in await connection.fetch(_KNOWN, list(strangers))}
        return found | {
            client_id: matters.unknown(client_id, run) for client_id, run in strangers.items() if client_id not in known
        }


def _client_of(run: Run) -> str:
    """The client that a workflow is of. Who starts one past us can give it any id."""
    return safe_text(client_id_of(run.workflow_id))
