"""The three databases on the embedded server: ours, Kamailio's and FreeRADIUS's, with their schemas and roles."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg
from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from activities.database import DRIVER_ERRORS
from activities.directory.migrations import migrate
from activities.prepare import FENCE
from starter.local.postgres import SUPERUSER, UNSAID, EmbeddedPostgres

DEPLOY = Path(__file__).parents[2] / "deploy"
ACCESS = (  # each database, and a role that works in it, as in deploy/*/grants.sql
    ("connect", "connect"),
    ("kamailio", "sip_prov"),
    ("kamailio", "sip_daemon"),
    ("radius", "radius_prov"),
    ("radius", "radius_daemon"),
)
ORDINARY = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
ROLES = tuple(role for _, role in ACCESS)


@dataclass(frozen=True)
class System:
    """A system's database: its name, the newest of its tables, what makes them, and who may do what with them.

    When that table is missing, the schema runs and adds every table that is missing.
    """

    database: str
    landmark: str
    schema: str
    grants: str

    @classmethod
    def read(cls, database: str, landmark: str, folder: Path) -> "System":
        return cls(database, landmark, _read(folder / "schema.sql") + _read(FENCE), _read(folder / "grants.sql"))


@dataclass(frozen=True)
class Urls:
    """The URLs of the databases, each for the role with exactly the rights that Connect needs."""

    directory: str
    telephony: str
    internet: str

    def without_passwords(self, passfile_of: Callable[[str], Path]) -> "Urls":
        """The same URLs without passwords, for programs that read each role's password from its file."""

        def reading(url: str) -> str:
            parts = urlsplit(url)
            assert parts.username
            address = f"{parts.username}@{parts.hostname}:{parts.port}"
            return urlunsplit(
                parts._replace(netloc=address, query=f"passfile={quote(str(passfile_of(parts.username)))}")
            )

        return Urls(reading(self.directory), reading(self.telephony), reading(self.internet))


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


class PrepareFailed(RuntimeError):
    """The databases could not be prepared."""


def prepare(server: EmbeddedPostgres) -> Urls:
    """Bring all three to the newest schema, and give each role its password and only the rights that it needs.

    Data stays as it is, and superfluous rights are taken away. If this is killed half way, the next call completes it.
    Raises PrepareFailed.
    """
    kamailio = System.read("kamailio", "dialog", DEPLOY / "kamailio")
    radius = System.read("radius", "radcheck", DEPLOY / "freeradius")
    try:
        return asyncio.run(_prepare(server, kamailio, radius))
    except (*DRIVER_ERRORS, SQLAlchemyError, CommandError) as e:
        raise PrepareFailed(f"{type(e).__name__}: {e}") from e


def lock_superuser(server: EmbeddedPostgres) -> None:
    """Take the superuser's password away, until the next start of `connect up`. Raises PrepareFailed."""

    async def lock() -> None:
        async with _session(server.dsn()) as postgres:
            await postgres.execute(f"ALTER ROLE {SUPERUSER} PASSWORD NULL")

    try:
        asyncio.run(lock())
    except DRIVER_ERRORS as e:
        raise PrepareFailed(f"{type(e).__name__}: {e}") from e


async def _prepare(server: EmbeddedPostgres, kamailio: System, radius: System) -> Urls:
    async with _session(server.dsn()) as postgres:
        await postgres.execute(f"SET {UNSAID.replace('=', ' TO ')}")
        for role in ROLES:
            await _have_role(postgres, role, server.password_of(role))
    for database in ("postgres", "template1"):
        async with _session(server.dsn(database)) as session:
            await _close(session, database)
    async with _session(await server.ensure_database("connect", owner="connect")) as session:
        await _close(session, "connect")
    urls = Urls(
        directory=server.dsn("connect", "connect"),
        telephony=server.dsn(kamailio.database, "sip_prov"),
        internet=server.dsn(radius.database, "radius_prov"),
    )
    await migrate(urls.directory)
    for system in (kamailio, radius):
        await _make_tables(server, system)
    return urls


async def _have_role(session: asyncpg.Connection, role: str, password: str) -> None:
    """Make a role that can log in with this password and has no other rights."""
    if not await session.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
        await session.execute(f"CREATE ROLE {role}")
    await session.execute(f"ALTER ROLE {role} {ORDINARY} PASSWORD '{password}'")


async def _close(session: asyncpg.Connection, database: str) -> None:
    """Let only these roles connect to the database. Their rights in it are granted elsewhere."""
    await session.execute(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    for name, role in ACCESS:
        how = (
            f"GRANT CONNECT ON DATABASE {database} TO"
            if name == database
            else f"REVOKE ALL ON DATABASE {database} FROM"
        )
        await session.execute(f"{how} {role}")


async def _make_tables(server: EmbeddedPostgres, system: System) -> None:
    """Make the tables of a system and grant the rights to them, in one transaction."""
    async with _session(await server.ensure_database(system.database)) as session, session.transaction():
        await _close(session, system.database)
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
