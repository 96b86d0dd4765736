"""What Connect needs beside a system's own tables. Added when somebody asks for it, never silently."""

from dataclasses import dataclass
from pathlib import Path

import asyncpg
import structlog

from activities.database import Database, Databases, open_databases
from activities.errors import UNAVAILABLE, attempt_on
from activities.settings import Settings

FENCE = Path(__file__).with_name("schema") / "fence.sql"

SWITCHES = """
ALTER TABLE subscriber
  ADD COLUMN IF NOT EXISTS in_service   smallint NOT NULL DEFAULT 1 CHECK (in_service IN (0, 1)),
  ADD COLUMN IF NOT EXISTS may_call_out smallint NOT NULL DEFAULT 1 CHECK (may_call_out IN (0, 1))"""

_PRESENT = """
SELECT w.name FROM unnest($1::text[], $2::text[]) AS w(name, col)
WHERE CASE WHEN w.col IS NULL THEN to_regclass(w.name) IS NOT NULL
  ELSE EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(split_part(w.name, '.', 1)) AND attname = w.col
    AND NOT attisdropped) END"""

log = structlog.get_logger(__name__)


class NotPrepared(RuntimeError):
    """A system lacks what Connect adds. The text says what to do."""


@dataclass(frozen=True)
class Part:
    """A table, or a column of one, and the statement that adds it."""

    name: str
    column: str | None
    statement: str


def _parts(database: Database) -> list[Part]:
    fence = Part("connect_fence", None, FENCE.read_text())
    if database.name != "telephony":
        return [fence]
    return [fence, *(Part(f"subscriber.{column}", column, SWITCHES) for column in ("in_service", "may_call_out"))]


async def prepare(settings: Settings) -> list[str]:
    """Add to both systems what they lack, and say so, one line each. Needs a role that may change their tables."""
    async with open_databases(settings) as databases:
        return [line for database in (databases.telephony, databases.internet) for line in await _prepare(database)]


async def check_systems(databases: Databases) -> None:
    """Raises NotPrepared when a system lacks something; one that is away is left to the attempts to come."""
    for database in (databases.telephony, databases.internet):
        try:
            async with database.witness() as connection:
                missing = await _missing(connection, database)
        except UNAVAILABLE as error:
            log.warning(
                "system_away", system=database.name, where=database.where, error=f"{type(error).__name__}: {error}"
            )
            continue
        if missing:
            names = ", ".join(part.name for part in missing)
            raise NotPrepared(f"The {database} lacks {names}: run `connect systems prepare`")


async def _prepare(database: Database) -> list[str]:
    async with attempt_on(database), database.transaction() as connection:
        missing = await _missing(connection, database)
        for statement in dict.fromkeys(part.statement for part in missing):
            await connection.execute(statement)
    return [f"{database}: {part.name} added" for part in missing] or [f"{database}: nothing to add"]


async def _missing(connection: asyncpg.Connection, database: Database) -> list[Part]:
    parts = _parts(database)
    rows = await connection.fetch(_PRESENT, [part.name for part in parts], [part.column for part in parts])
    present = {row["name"] for row in rows}
    return [part for part in parts if part.name not in present]
