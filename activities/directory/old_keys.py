"""Keys of requests that can matter no more: those about clients that there are not, and those of new clients that were
refused. No client is ever erased with them, so they go by themselves."""

import asyncio
from datetime import timedelta

import asyncpg
import structlog

from activities.database import DRIVER_ERRORS, own_connection
from activities.errors import safe_message

EVERY = 24 * 3600.0  # seconds between two looks; each reads all keys
AGAIN = 60.0  # seconds until the next one after trouble

# A refusal of a new client has the key as a digest, as its caller's claim has it (starter/directory/answers.py).
_FORGET_REFUSED = """
WITH refused AS (
  DELETE FROM answers a WHERE kind = 'create' AND refusal IS NOT NULL AND at < now() - $1::interval
    AND NOT EXISTS (SELECT FROM clients c WHERE c.client_id = a.client_id)
  RETURNING command_id)
DELETE FROM request_answers r USING refused
WHERE r.client_id = '' AND r.key = refused.command_id AND at < now() - $1::interval"""

_FORGET_UNKNOWN = """
DELETE FROM request_answers r WHERE client_id <> '' AND at < now() - $1::interval
  AND NOT EXISTS (SELECT FROM clients c WHERE c.client_id = r.client_id)"""

log = structlog.get_logger(__name__)


class OldKeys:
    """Forgets, while ``run`` runs in any number of workers, the keys that are older than ``keep`` and no client's."""

    def __init__(self, dsn: str, keep: timedelta) -> None:
        self._dsn, self._keep = dsn, keep

    async def run(self) -> None:
        """Forget for ever, through restarts of the database."""
        while True:
            pause = EVERY
            try:
                async with own_connection(self._dsn, "connect keys") as connection:
                    await forget_keys(connection, self._keep)
            except DRIVER_ERRORS as error:
                log.warning("keys_not_forgotten", error=safe_message(error))
                pause = AGAIN
            await asyncio.sleep(pause)


async def forget_keys(connection: asyncpg.Connection, keep: timedelta) -> None:
    """Forget the keys of no client's that are older than this."""
    for statement in (_FORGET_REFUSED, _FORGET_UNKNOWN):
        await connection.execute(statement, keep)
