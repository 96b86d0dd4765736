"""What Connect needs beside a system's own tables. It is added only on request."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from temporalio.exceptions import ApplicationError

from activities.database import Database, Databases, open_databases
from activities.errors import SYSTEM_REJECTED, attempt_on
from activities.settings import Settings
from workflows.domain.systems import BUILT_IN, TELEPHONY, System

FENCE = Path(__file__).parents[1] / "deploy/fence.sql"

SWITCHES = """
ALTER TABLE subscriber
  ADD COLUMN IF NOT EXISTS in_service   smallint NOT NULL DEFAULT 1 CHECK (in_service IN (0, 1)),
  ADD COLUMN IF NOT EXISTS may_call_out smallint NOT NULL DEFAULT 1 CHECK (may_call_out IN (0, 1))"""

_PRESENT = """
SELECT w.relation, w.name FROM unnest($1::text[], $2::text[]) AS w(relation, name)
WHERE CASE WHEN w.name = '' THEN to_regclass(w.relation) IS NOT NULL
  ELSE EXISTS (SELECT FROM pg_attribute a
    WHERE a.attrelid = to_regclass(w.relation) AND a.attname = w.name AND NOT a.attisdropped) END"""


class NotPrepared(RuntimeError):
    """A system lacks what Connect adds. The message explains what to do."""


@dataclass(frozen=True)
class Part:
    """A table, or a column of one. Those that Connect does not add itself have no statement."""

    table: str
    column: str = ""
    statement: str = ""

    def __str__(self) -> str:
        return f"column {self.table}.{self.column}" if self.column else f"table {self.table}"


def parts_of(system: System) -> list[Part]:
    """Every table and column that Connect uses in a system's database."""
    fence = Part("connect_fence", statement=FENCE.read_text(encoding="utf-8"))
    if system == TELEPHONY:
        switches = [Part("subscriber", column, SWITCHES) for column in ("in_service", "may_call_out")]
        return [Part("subscriber"), Part("location"), fence, *switches]
    return [Part("radcheck"), Part("radreply"), Part("radacct"), fence]


async def prepare(settings: Settings) -> list[str]:
    """Add what is missing to the systems that our own adapters switch. Returns a line for each addition.

    Raises NotPrepared where that cannot be done. Needs a role that may change their tables; what the worker's role
    needs then is in deploy/*/grants.sql.
    """
    async with open_databases(settings) as databases:
        added = [
            line for system in settings.prepared_systems for line in await _prepare(system, _of(system, databases))
        ]
    return added or ["Other adapters than our own switch both systems: nothing to prepare"]


async def check_systems(databases: Databases, systems: Iterable[System] = BUILT_IN) -> None:
    """Raises NotPrepared when a system lacks something. A system that is away is not checked.

    ``systems`` are those that our own adapters switch.
    """
    for system in systems:
        database = _of(system, databases)
        try:
            async with attempt_on(database), database.read_only() as connection:
                missing = await _missing(connection, system)
        except ApplicationError as error:
            if error.type == SYSTEM_REJECTED:
                raise NotPrepared(error.message) from error
            continue
        if missing:
            raise NotPrepared(f"The {database} lacks {', '.join(map(str, missing))}: run `connect systems prepare`")


def _of(system: System, databases: Databases) -> Database:
    return databases.telephony if system == TELEPHONY else databases.internet


async def _prepare(system: System, database: Database) -> list[str]:
    async with attempt_on(database), database.transaction() as connection:
        missing = await _missing(connection, system)
        if foreign := [part for part in missing if not part.statement]:
            raise NotPrepared(
                f"The {database} has no {', '.join(map(str, foreign))}: it is not the database of this system. "
                f"Correct CONNECT_{system.upper()}_DSN, or load the system's own schema first"
            )
        for statement in dict.fromkeys(part.statement for part in missing):
            await connection.execute(statement)
    return [f"{database}: {part} added" for part in missing] or [f"{database}: nothing to add"]


async def _missing(connection: asyncpg.Connection, system: System) -> list[Part]:
    parts = parts_of(system)
    rows = await connection.fetch(_PRESENT, [part.table for part in parts], [part.column for part in parts])
    present = {(row["relation"], row["name"]) for row in rows}
    return [part for part in parts if (part.table, part.column) not in present]
