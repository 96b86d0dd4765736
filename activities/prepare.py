"""What Connect needs beside a system's own tables. It is added only on request."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

import asyncpg
from temporalio.exceptions import ApplicationError

from activities.database import DRIVER_ERRORS, Database, Databases, open_databases
from activities.errors import SYSTEM_REJECTED, attempt_on, translated
from activities.internet.accounting import weaknesses
from activities.internet.sql import FOLD, TABLES
from activities.settings import Settings
from activities.telephony.spelling import PLAIN
from workflows.domain.systems import DIRECTORY, INTERNET, TELEPHONY, System

FENCE = Path(__file__).parents[1] / "deploy/fence.sql"

SWITCHES = """
ALTER TABLE subscriber
  ADD COLUMN IF NOT EXISTS in_service   smallint NOT NULL DEFAULT 1 CHECK (in_service IN (0, 1)),
  ADD COLUMN IF NOT EXISTS may_call_out smallint NOT NULL DEFAULT 1 CHECK (may_call_out IN (0, 1))"""

INDEXES = {
    TELEPHONY: {
        "connect_spelling": ("subscriber", f"({PLAIN.format('username')})"),
        "connect_registered": ("location", f"({PLAIN.format('username')})"),
    },
    INTERNET: {
        "radcheck_spelling": ("radcheck", f"({FOLD.format('username')})"),
        "radusergroup_spelling": ("radusergroup", f"({FOLD.format('username')})"),
        "radacct_spelling": ("radacct", f"({FOLD.format('username')}, acctstoptime)"),
        "radacct_alive_spelling": (
            "radacct",
            f"({FOLD.format('username')}) WHERE acctstoptime IS NULL OR acctupdatetime > acctstoptime",
        ),
    },
}
"""Indexes by what all spellings of a line or account have in common: table, and what of it."""

HELPFUL = {system: tuple(f"index {name}" for name in indexes) for system, indexes in INDEXES.items()}
"""What is added, too, but not needed: without it lines and accounts are found slowly in all their spellings
(activities/telephony/spelling.py, activities/internet/sql.py), and the watch of what is off is slower."""

OF_SYSTEMS = {
    TELEPHONY: ("table subscriber", "table location"),
    INTERNET: tuple(f"table {name}" for name in TABLES),
}
"""The systems' own tables that Connect uses."""

OURS = {
    TELEPHONY: ("table connect_fence", "column subscriber.in_service", "column subscriber.may_call_out"),
    INTERNET: ("table connect_fence",),
}
"""The tables and columns that Connect adds."""

RIGHTS = {
    TELEPHONY: {
        "subscriber": "SELECT INSERT UPDATE",
        "location": "SELECT DELETE",
        "connect_fence": "SELECT INSERT UPDATE",
    },
    INTERNET: {
        "radcheck": "SELECT INSERT UPDATE DELETE",
        "radreply": "SELECT INSERT DELETE",
        "radacct": "SELECT",
        "radusergroup": "SELECT",
        "radgroupcheck": "SELECT",
        "radgroupreply": "SELECT",
        "connect_fence": "SELECT INSERT UPDATE",
    },
}
"""What the worker's role may do to each table, as deploy/*/grants.sql grants it."""

CHECKS: dict[System, tuple[Callable[[asyncpg.Connection], Awaitable[list[str]]], ...]] = {INTERNET: (weaknesses,)}
"""What else is looked for in a system that lacks nothing."""

_NOT_GRANTED = """
SELECT name, string_agg(privilege, ', ' ORDER BY n) AS privileges
FROM unnest($1::text[], $2::text[]) AS t(name, list),
  unnest(string_to_array(list, ' ')) WITH ORDINALITY AS p(privilege, n)
WHERE NOT CASE privilege WHEN 'DELETE' THEN has_table_privilege(name, privilege)
  ELSE has_any_column_privilege(name, privilege) END GROUP BY name ORDER BY name"""

_MISSING = """
SELECT part FROM unnest($1::text[]) WITH ORDINALITY AS w(part, n), split_part(part, ' ', 2) AS name
WHERE CASE WHEN part LIKE 'table %' THEN to_regclass(name) IS NULL
  WHEN part LIKE 'index %' THEN NOT EXISTS (SELECT FROM pg_index WHERE indexrelid = to_regclass(name) AND indisvalid)
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


async def why_not_written(settings: Settings) -> str:
    """Why Connect's own database takes no write of ours, and the remedy; empty when it does."""
    async with Database(DIRECTORY, settings.directory_dsn.get_secret_value(), settings) as directory:
        try:
            async with asyncio.timeout(directory.operation):
                await directory.try_write("sites")
        except DRIVER_ERRORS as error:
            return translated(error, directory).message
    return ""


async def check(settings: Settings) -> list[str]:
    """What is wrong with the instances that our own adapters switch, and what to do, a line each. Changes nothing.

    Empty when nothing is. An instance that is away counts as wrong.
    """
    async with open_databases(settings) as databases:
        databases.instances.check_environment()
        ours = [it for it in databases.instances.served.values() if it.ours]
        return [line for it in ours for line in await _problems(it.system, databases.of(*it.key))]


async def _problems(system: System, database: Database) -> list[str]:
    try:
        async with asyncio.timeout(database.operation), database.read_only() as connection:
            if missing := await _missing(connection, (*OF_SYSTEMS[system], *OURS[system], *HELPFUL[system])):
                return [_lacks(database, missing)]
            rights = RIGHTS[system]
            rows = await connection.fetch(_NOT_GRANTED, list(rights), list(rights.values()))
            role = await connection.fetchval("SELECT current_user")
            found = [f"{role} may not {row['privileges']} {row['name']}: deploy/ lists its rights" for row in rows]
            if not found:
                await database.try_write("connect_fence")
            found += [line for check in CHECKS.get(system, ()) for line in await check(connection)]
    except DRIVER_ERRORS as error:
        return [translated(error, database).message]
    return [f"{database}: {line}" for line in found]


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
    return _lacks(database, missing) if missing else ""


def _lacks(database: Database, missing: Iterable[str]) -> str:
    return f"The {database} lacks {', '.join(missing)}: run `connect systems prepare`"


async def _prepare(system: System, database: Database) -> list[str]:
    async with attempt_on(database), database.transaction() as connection:
        if foreign := await _missing(connection, OF_SYSTEMS[system]):
            raise NotPrepared(
                f"The {database} has no {', '.join(foreign)}: it is not the database of this system. "
                f"Correct {database.setting}, or load the system's own schema first"
            )
        missing = await _missing(connection, OURS[system])
        if "table connect_fence" in missing:
            await connection.execute(FENCE.read_text(encoding="utf-8"))
        if any(part.startswith("column") for part in missing):
            await connection.execute(SWITCHES)
    missing += await _add_indexes(system, database)
    return [f"{database}: {part} added" for part in missing] or [f"{database}: nothing to add"]


async def _add_indexes(system: System, database: Database) -> list[str]:
    """Make the indexes that are missing, which on long tables takes as long as it takes. Who writes to them does not
    wait."""
    async with attempt_on(database), database.read_only() as connection:
        missing = await _missing(connection, HELPFUL[system])
    try:
        for name in (part.partition(" ")[2] for part in missing):
            table, what = INDEXES[system][name]
            await database.build(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")  # one that was never finished
            await database.build(f"CREATE INDEX CONCURRENTLY {name} ON {table} {what}")
            await database.build(f"ANALYZE {table}")
    except DRIVER_ERRORS as error:
        raise translated(error, database) from None
    return missing


async def _missing(connection: asyncpg.Connection, parts: Iterable[str]) -> list[str]:
    return [row["part"] for row in await connection.fetch(_MISSING, list(parts))]
