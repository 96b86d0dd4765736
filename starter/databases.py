"""The three databases on the embedded server: ours, Kamailio's and FreeRADIUS's, with their schemas and roles."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from activities.database import DRIVER_ERRORS
from activities.migrations import migrate
from starter.postgres import EmbeddedPostgres

DEPLOY = Path(__file__).parents[1] / "deploy"
ROLES = ("connect", "sip_prov", "sip_daemon", "radius_prov", "radius_daemon")  # as in deploy/*/grants.sql


@dataclass(frozen=True)
class System:
    """A system's database: its name, the newest of its tables, what makes them, and who may do what with them.

    Where that table is missing, so may be others: the schema adds what is not there, or there is nothing yet.
    """

    database: str
    landmark: str
    schema: str
    grants: str

    @classmethod
    def read(cls, database: str, landmark: str, folder: Path) -> "System":
        return cls(database, landmark, (folder / "schema.sql").read_text(), (folder / "grants.sql").read_text())


@dataclass(frozen=True)
class Urls:
    """Where the databases are, each for a role that may do there what Connect does, and no more."""

    directory: str
    telephony: str
    internet: str


class PrepareFailed(RuntimeError):
    """The databases are not as this program needs them."""


def prepare(server: EmbeddedPostgres) -> Urls:
    """Have all three with the newest schema. What is there already stays as it is. PrepareFailed."""
    kamailio = System.read("kamailio", "dialog", DEPLOY / "kamailio")
    radius = System.read("radius", "radcheck", DEPLOY / "freeradius")
    try:
        return asyncio.run(_prepare(server, kamailio, radius))
    except (*DRIVER_ERRORS, SQLAlchemyError, CommandError) as e:
        raise PrepareFailed(f"{type(e).__name__}: {e}") from e


async def _prepare(server: EmbeddedPostgres, kamailio: System, radius: System) -> Urls:
    async with _session(server.dsn()) as postgres:
        for role in ROLES:
            if not await postgres.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
                await postgres.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{server.password}'")
    await server.ensure_database("connect", owner="connect")
    urls = Urls(
        directory=server.dsn("connect", "connect"),
        telephony=server.dsn(kamailio.database, "sip_prov"),
        internet=server.dsn(radius.database, "radius_prov"),
    )
    await migrate(urls.directory)
    for system in (kamailio, radius):
        await _furnish(server, system)
    return urls


async def _furnish(server: EmbeddedPostgres, system: System) -> None:
    """Have the tables of a system and the rights to them, all or nothing."""
    async with _session(await server.ensure_database(system.database)) as session, session.transaction():
        if await session.fetchval("SELECT to_regclass($1)", system.landmark) is None:
            await session.execute(system.schema)
        await session.execute(system.grants)


@asynccontextmanager
async def _session(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()
