"""Connect's own database, brought to the newest schema: forward only, one numbered SQL file a step."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import sqlalchemy
from alembic import command, op
from alembic.config import Config
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from activities.directory.version import SCHEMA

KEYS = Path(__file__).with_name("client_keys.sql")

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('connect migrate', 0))"


async def migrate(dsn: str, version: str = "head") -> None:
    """Bring the database to the newest schema, or to a version before it, in one transaction. Processes that start
    together wait for each other."""
    engine = create_async_engine(
        "postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(dsn), poolclass=NullPool
    )
    try:
        async with engine.begin() as connection:
            await connection.execute(sqlalchemy.text(_LOCK))
            await connection.run_sync(_upgrade, version)
    finally:
        await engine.dispose()


async def migrate_keys(dsn: str) -> None:
    """Have the table of clients' keys in a database of their own. The directory's steps bring one, too."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(KEYS.read_text(encoding="utf-8"))
    finally:
        await connection.close()


def execute_beside(step: str) -> None:
    """Execute the SQL file beside a step's Python file, as it stands."""
    statements = Path(step).with_suffix(".sql").read_text(encoding="utf-8")
    on_connection(lambda connection: connection.execute(statements))


def on_connection(work: Callable[[asyncpg.Connection], Awaitable[object]]) -> None:
    """Do some of a step in Python, on its connection and in its transaction."""
    adapter = op.get_bind().connection.dbapi_connection
    assert adapter is not None
    adapter.run_async(work)


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCHEMA).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _upgrade(connection: sqlalchemy.Connection, version: str) -> None:
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, version)
