"""Reports to the directory how this worker finds the systems: one row of ``system_states`` per worker and instance.

Best effort: while the directory is away nothing else is disturbed, and the next report replaces the lost one.
"""

import asyncio
import os
import socket

import structlog

from activities.database import DRIVER_ERRORS, Database
from activities.errors import safe_message
from activities.pacing.interceptor import Pacing, wait_changed
from workflows.domain.systems import SystemInstance

EVERY = 10.0
"""Seconds between two reports. A worker without a report for a minute counts as gone."""

_LONGEST = 2.0
"""Seconds for one report: a worker that stops does not wait for a directory that hangs."""

# Workers that were killed leave their rows; nobody counts them, and after a day they go.
_REPORT = """
WITH buried AS (DELETE FROM system_states WHERE updated_at < now() - interval '1 day' AND worker <> $2)
INSERT INTO system_states
  (system, worker, state, since, last_error, last_failure_at, last_success_at, instance, updated_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now())
ON CONFLICT (system, instance, worker) DO UPDATE SET state = excluded.state, since = excluded.since,
  last_error = excluded.last_error, last_failure_at = excluded.last_failure_at,
  last_success_at = excluded.last_success_at, updated_at = excluded.updated_at"""

_FORGET = "DELETE FROM system_states WHERE worker = $1"

log = structlog.get_logger(__name__)


def this_worker() -> str:
    """The name of this worker: host and process."""
    return f"{socket.gethostname()}:{os.getpid()}"


class SystemStates:
    """Keeps the rows of one worker up to date while ``run`` runs."""

    def __init__(self, pacing: Pacing, directory: Database, worker: str = "", every: float = EVERY) -> None:
        self._pacing, self._directory, self._every = pacing, directory, every
        self._worker = worker or this_worker()
        self._changed = pacing.changed()
        self._silent = False

    async def run(self) -> None:
        """Report every few seconds, and at once when the condition of a system changes, for ever."""
        while True:
            for key in self._pacing.breakers:
                await self._report(key)
            await wait_changed(self._changed, self._every)

    async def forget(self) -> None:
        """Remove the rows of this worker, which has stopped."""
        await self._write(_FORGET, self._worker)

    async def _report(self, key: SystemInstance) -> None:
        breaker, condition = self._pacing.breakers[key], self._pacing.condition(key)
        found = condition, breaker.since, breaker.last_error[:1000], breaker.last_failure_at, breaker.last_success_at
        await self._write(_REPORT, key.system, self._worker, *found, key.name)

    async def _write(self, statement: str, *values: object) -> None:
        try:
            async with asyncio.timeout(_LONGEST):
                await self._directory.write(statement, *values)
            failure = ""
        except DRIVER_ERRORS as error:
            failure = safe_message(error)
        if failure and not self._silent:
            log.warning("system_states_not_reported", error=failure)
        self._silent = bool(failure)
