"""Connect's own database, brought to the newest schema: forward only, one numbered SQL file a step."""

from functools import cache
from pathlib import Path

import asyncpg

from activities.database import Database

STEPS = Path(__file__).with_name("schema") / "versions"

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('connect migrate', 0))"

_TABLE = "CREATE TABLE IF NOT EXISTS alembic_version (version_num varchar(32) PRIMARY KEY)"  # of the tool we once used

_VERSION = "SELECT version_num FROM alembic_version"


class NotMigrated(RuntimeError):
    """Connect's own database does not have the schema that this program needs. The message says what to do."""


async def migrate(dsn: str) -> None:
    """Bring the database to the newest schema, in one transaction. Processes that start together wait for each other.

    Raises NotMigrated when it has the schema of a newer program, and the driver's errors.
    """
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            await connection.execute(_LOCK)
            await connection.execute(_TABLE)
            version = await connection.fetchval(_VERSION) or ""
            if version > newest():
                raise NotMigrated(
                    f"The database has schema {version}, newer than {newest()}: use a Connect that is as new"
                )
            for number, step in _steps().items():
                if number > version:
                    await connection.execute(step.read_text(encoding="utf-8"))
            await connection.execute("DELETE FROM alembic_version")
            await connection.execute("INSERT INTO alembic_version VALUES ($1)", newest())
    finally:
        await connection.close()


async def is_migrated(database: Database) -> bool:
    """Whether the database has the schema this program needs, or a later one. Raises the driver's errors."""
    try:
        rows = await database.read(_VERSION)
    except asyncpg.UndefinedTableError:
        return False
    return any(row["version_num"] >= newest() for row in rows)


async def check_migrated(database: Database) -> None:
    """Raises NotMigrated unless the database has the schema this program needs."""
    if not await is_migrated(database):
        raise NotMigrated(f"The {database} does not have schema {newest()}: run `connect migrate`")


def newest() -> str:
    """The schema version that this program needs."""
    return max(_steps())


@cache
def _steps() -> dict[str, Path]:
    """The files by their versions, in order."""
    return {file.name.partition("_")[0]: file for file in sorted(STEPS.glob("*.sql"))}
