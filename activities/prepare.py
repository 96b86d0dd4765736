"""What Connect needs beside a system's own tables. It is added only on request."""

from collections.abc import Iterable
from pathlib import Path

import asyncpg
from temporalio.exceptions import ApplicationError

from activities.database import Database, Databases, open_databases
from activities.errors import SYSTEM_REJECTED, attempt_on
from activities.settings import Settings
from workflows.domain.systems import INTERNET, TELEPHONY, System

FENCE = Path(__file__).parents[1] / "deploy/fence.sql"

SWITCHES = """
ALTER TABLE subscriber
  ADD COLUMN IF NOT EXISTS in_service   smallint NOT NULL DEFAULT 1 CHECK (in_service IN (0, 1)),
  ADD COLUMN IF NOT EXISTS may_call_out smallint NOT NULL DEFAULT 1 CHECK (may_call_out IN (0, 1))"""

ALIVE = """
CREATE INDEX radacct_alive_idx ON radacct (lower(username))
  WHERE acctstoptime IS NULL OR acctupdatetime > acctstoptime"""

HELPFUL = {TELEPHONY: (), INTERNET: ("index radacct_alive_idx",)}
"""What is added, too, but not needed: without it the watch of what is off is slower (activities/internet/alive.py)."""

OF_SYSTEMS = {
    TELEPHONY: ("table subscriber", "table location"),
    INTERNET: ("table radcheck", "table radreply", "table radacct"),
}
"""The systems' own tables that Connect uses."""

OURS = {
    TELEPHONY: ("table connect_fence", "column subscriber.in_service", "column subscriber.may_call_out"),
    INTERNET: ("table connect_fence",),
}
"""The tables and columns that Connect adds."""

_MISSING = """
SELECT part FROM unnest($1::text[]) WITH ORDINALITY AS w(part, n), split_part(part, ' ', 2) AS name
WHERE CASE WHEN part NOT LIKE 'column %' THEN to_regclass(name) IS NULL
  ELSE NOT EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = to_regclass(split_part(name, '.', 1))
    AND a.attname = split_part(name, '.', 2) AND NOT a.attisdropped) END
ORDER BY n"""


class NotPrepared(RuntimeError):
    """A system lacks what Connect adds. The message explains what to do."""


async def prepare(settings: Settings) -> list[str]:
    """Add what is missing to the instances that our own adapters switch. Returns a line for each addition.

    Raises NotPrepared where that cannot be done. Needs a role that may change their tables; what the worker's role
    needs then is in deploy/*/grants.sql.
    """
    async with open_databases(settings) as databases:
        databases.instances.check_environment()
        ours = [it for it in databases.instances.served.values() if it.ours]
        added = [line for it in ours for line in await _prepare(it.system, databases.of(*it.key))]
    return added or ["Other adapters than our own switch every system: nothing to prepare"]


async def check_systems(databases: Databases) -> list[str]:
    """What instances of a file that our own adapters switch lack. One that is away is not checked.

    Raises NotPrepared when one that the environment describes lacks something.
    """
    problems = []
    for instance in databases.instances.served.values():
        if instance.ours and (why := await _lack(instance.system, databases.of(*instance.key))):
            if instance.in_environment:
                raise NotPrepared(why)
            problems.append(why)
    return problems


async def _lack(system: System, database: Database) -> str:
    """What a system's database lacks, and the remedy; empty when nothing is missing, or it is away."""
    try:
        async with attempt_on(database), database.read_only() as connection:
            missing = await _missing(connection, (*OF_SYSTEMS[system], *OURS[system]))
    except ApplicationError as error:
        return error.message if error.type == SYSTEM_REJECTED else ""
    return f"The {database} lacks {', '.join(missing)}: run `connect systems prepare`" if missing else ""


async def _prepare(system: System, database: Database) -> list[str]:
    async with attempt_on(database), database.transaction() as connection:
        if foreign := await _missing(connection, OF_SYSTEMS[system]):
            raise NotPrepared(
                f"The {database} has no {', '.join(foreign)}: it is not the database of this system. "
                f"Correct {database.setting}, or load the system's own schema first"
            )
        missing = await _missing(connection, (*OURS[system], *HELPFUL[system]))
        if "table connect_fence" in missing:
            await connection.execute(FENCE.read_text(encoding="utf-8"))
        if any(part.startswith("column") for part in missing):
            await connection.execute(SWITCHES)
        if "index radacct_alive_idx" in missing:
            await connection.execute(ALIVE)
    return [f"{database}: {part} added" for part in missing] or [f"{database}: nothing to add"]


async def _missing(connection: asyncpg.Connection, parts: Iterable[str]) -> list[str]:
    return [row["part"] for row in await connection.fetch(_MISSING, list(parts))]
