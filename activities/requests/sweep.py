"""Asks clients about commands whose answer nobody has written down (ARCHITECTURE.md, "The fast path").

The API writes a command down before it sends it, and the answer's publication takes the row away. A row that stays was
lost on its way, or its answer was: the API, the worker or Temporal died. One worker at a time sends it again under the
same command_id, so that the client does it once. What Temporal could not be given for a minute is withdrawn: a system
may have been switched for it in a workflow task that was never recorded, so every system of the client is brought back
to what is decided.
"""

import asyncio
from datetime import timedelta
from typing import Any

import asyncpg
import structlog
from temporalio.client import Client, RPCTimeoutOrCancelledError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.database import DRIVER_ERRORS, own_connection
from activities.errors import safe_message
from workflows.client_lifecycle import UNDECIDED, ClientLifecycle
from workflows.domain.answers import fingerprint, refused
from workflows.domain.errors import REFUSALS, Refusal, Withdrawn, refusal_of
from workflows.wire.messages import DriftReport, Message
from workflows.wire.start import workflow_id

YOUNG, LIMIT = 5.0, 60.0
"""Seconds: a row below the first is still on its way; one above the second is withdrawn."""

PAGE = 100
_ANSWER = timedelta(seconds=10)

_LOCK = "SELECT pg_try_advisory_lock(hashtextextended('requests', 0))"

_OPEN = """
SELECT client_id, command_id, message, extract(epoch FROM now() - at)::float8 AS age FROM requests
WHERE at < now() - make_interval(secs => $1) ORDER BY client_id, at, command_id LIMIT $2"""

_ANSWERED = """
DELETE FROM requests r USING answers a WHERE a.client_id = r.client_id AND a.command_id = r.command_id"""

_CLOSE = "DELETE FROM requests WHERE client_id = $1 AND command_id = $2"

# The verdict and its line of the history; a verdict that was given meanwhile stands.
_REFUSE = """
WITH closed AS (DELETE FROM requests WHERE client_id = $1 AND command_id = $2),
verdict AS (
  INSERT INTO answers (client_id, command_id, fingerprint, kind, changed, message, refusal)
  VALUES ($1, $2, $3, $4, false, $5, $6) ON CONFLICT DO NOTHING RETURNING client_id)
INSERT INTO history (client_id, event, at, kind, text, by, source, reason, command_id, revision, facts)
SELECT client_id, 'refused', now(), $4, $5, $7, $8, $9, $2, revision, $6 FROM verdict JOIN clients USING (client_id)"""

_WHY = "a command was withdrawn that may have been carried out in part"

log = structlog.get_logger(__name__)


class Sweep:
    """Sweeps while ``run`` runs, every ``pause`` seconds. ``young`` and ``limit`` are ages of a request in seconds."""

    def __init__(
        self, client: Client, dsn: str, pause: float = 5.0, young: float = YOUNG, limit: float = LIMIT
    ) -> None:
        self._client, self._dsn = client, dsn
        self._pause, self._young, self._limit = pause, young, limit

    async def run(self) -> None:
        """Sweep for ever. Errors are logged, and the next sweep tries again."""
        while True:
            try:
                async with own_connection(self._dsn, "connect sweep") as connection:
                    while await connection.fetchval(_LOCK):
                        await self.sweep(connection)
                        await asyncio.sleep(self._pause)
            except DRIVER_ERRORS as error:
                log.warning("sweep_held_up", error=safe_message(error))
            except Exception as error:  # ours to mend; the next sweep may go well all the same
                log.error("sweep_held_up", error=type(error).__name__, exc_info=error)
            await asyncio.sleep(self._pause)

    async def sweep(self, connection: asyncpg.Connection) -> None:
        """Look once at every request that is open. Those of one client go in their order, the next after an answer."""
        await connection.execute(_ANSWERED)  # a publication may have come between an answer and a row
        held_up = set[str]()
        for row in await connection.fetch(_OPEN, self._young, PAGE):
            if row["client_id"] in held_up:
                continue
            try:
                if row["age"] < self._limit:
                    await self._send_again(connection, row)
                else:
                    await self._withdraw(connection, row)
            except (RPCError, RPCTimeoutOrCancelledError) as error:
                held_up.add(row["client_id"])
                log.warning("request_waits", client_id=row["client_id"], error=f"{type(error).__name__}: {error}"[:300])

    async def _send_again(self, connection: asyncpg.Connection, row: asyncpg.Record) -> None:
        """Have the client do it, or hear that it was done. What it refuses is kept as its verdict."""
        try:
            await self._handle(row).execute_update(
                "command", Message.model_validate(row["message"]), rpc_timeout=_ANSWER
            )
        except WorkflowUpdateFailedError as failed:
            cause = failed.cause
            if not isinstance(cause, ApplicationError) or cause.type not in REFUSALS or not cause.details:
                if not isinstance(cause, ApplicationError) or cause.type != UNDECIDED:
                    log.warning("request_waits", client_id=row["client_id"], error=str(cause)[:300])
                return
            await self._refuse(connection, row, refusal_of(cause.type, cause.details[0]))
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            await connection.execute(_CLOSE, row["client_id"], row["command_id"])  # it has ended, or never was
        log.info("request_sent_again", client_id=row["client_id"], command_id=row["command_id"])

    async def _withdraw(self, connection: asyncpg.Connection, row: asyncpg.Record) -> None:
        """Say that it will not be done, unless the client knows it, and bring every system back to what is decided."""
        handle = self._handle(row)
        try:
            if await handle.query(ClientLifecycle.knows, row["command_id"], rpc_timeout=_ANSWER):
                return  # its publication takes the row away
            systems = (await handle.query(ClientLifecycle.client, rpc_timeout=_ANSWER)).systems
            for system in systems:
                report = DriftReport(system=system.system, reason=_WHY, source="connect", by="connect")
                await handle.signal("report_drift", report)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
        why = f"The command could not be given to the client within {self._limit:g} seconds, and was withdrawn"
        await self._refuse(connection, row, Withdrawn(why, "Ask again, under a new key"))
        log.warning("request_withdrawn", client_id=row["client_id"], command_id=row["command_id"])

    async def _refuse(self, connection: asyncpg.Connection, row: asyncpg.Record, refusal: Refusal) -> None:
        command = Message.model_validate(row["message"]).command()
        answer = refused(command.command_id, fingerprint(command), command.kind, refusal)
        values = (answer.fingerprint, answer.kind, answer.message, answer.refusal)
        who = (command.by, command.source, command.reason)
        await connection.execute(_REFUSE, row["client_id"], row["command_id"], *values, *who)

    def _handle(self, row: asyncpg.Record) -> Any:
        return self._client.get_workflow_handle_for(ClientLifecycle.run, workflow_id(row["client_id"]))
