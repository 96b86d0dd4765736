"""Which schema Connect's own database has, and which this program needs. It needs nothing of what migrates."""

from functools import cache
from pathlib import Path

import asyncpg

from activities.database import Database

SCHEMA = Path(__file__).with_name("schema")

_VERSION = "SELECT version_num FROM alembic_version"


class NotMigrated(RuntimeError):
    """Connect's own database does not have the schema that this program needs. The message says what to do."""


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


@cache
def newest() -> str:
    """The schema version that this program needs: the number of its last step."""
    return max(step.name[:4] for step in (SCHEMA / "versions").glob("[0-9]*.py"))
