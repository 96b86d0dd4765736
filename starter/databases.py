"""The three databases on the embedded server: ours, Kamailio's and FreeRADIUS's, with their schemas."""

from dataclasses import dataclass
from pathlib import Path

import asyncpg

from activities.migrations import migrate
from activities.prepare import FENCE
from starter.postgres import EmbeddedPostgres

DEPLOY = Path(__file__).parents[1] / "deploy"
OWNER = "connect"  # no superuser: what works here works on a server that somebody else runs


@dataclass(frozen=True)
class Urls:
    """Where the databases are."""

    directory: str
    telephony: str
    internet: str


async def prepare(server: EmbeddedPostgres) -> Urls:
    """Have all three with the newest schema. What is there already stays as it is."""
    await _ensure_owner(server)
    urls = Urls(
        directory=await _owned(server, "connect"),
        telephony=await _owned(server, "kamailio"),
        internet=await _owned(server, "radius"),
    )
    await migrate(urls.directory)
    await _load(urls.telephony, DEPLOY / "kamailio/schema.sql", unless="subscriber")
    await _load(urls.internet, DEPLOY / "freeradius/schema.sql", unless="radcheck")
    return urls


async def _ensure_owner(server: EmbeddedPostgres) -> None:
    connection = await asyncpg.connect(server.dsn())
    try:
        if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", OWNER):
            await connection.execute(f"CREATE ROLE {OWNER} LOGIN PASSWORD '{server.password}'")
    finally:
        await connection.close()


async def _owned(server: EmbeddedPostgres, database: str) -> str:
    await server.ensure_database(database, owner=OWNER)
    return server.dsn(database, user=OWNER)


async def _load(dsn: str, schema: Path, unless: str) -> None:
    """Have the tables of a schema, all or none, and the one that Connect adds."""
    connection = await asyncpg.connect(dsn)
    try:
        async with connection.transaction():
            if await connection.fetchval("SELECT to_regclass($1)", unless) is None:
                await connection.execute(schema.read_text())
            await connection.execute(FENCE.read_text())
    finally:
        await connection.close()
