"""The databases on the embedded server, with their schemas and roles: ours, that of clients' keys, Kamailio's and
FreeRADIUS's."""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import asyncpg
from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from activities.database import DRIVER_ERRORS
from activities.directory.migrations import migrate, migrate_keys
from activities.keys.client_keys import IN_USE, KeysMissing, check_used
from activities.keys.operator_keys import OperatorKeys
from activities.prepare import FENCE
from starter.local.children import StartFailed
from starter.local.data_folder import have_secret
from starter.local.postgres import SUPERUSER, UNSAID, EmbeddedPostgres
from starter.local.private_files import read_private

DEPLOY = Path(__file__).parents[2] / "deploy"
ACCESS = (  # each database, and a role that works in it, as in deploy/*/grants.sql
    ("connect", "connect"),
    ("connect_keys", "connect_keys"),
    ("kamailio", "sip_prov"),
    ("kamailio", "sip_daemon"),
    ("radius", "radius_prov"),
    ("radius", "radius_daemon"),
)
ORDINARY = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
ROLES = tuple(role for _, role in ACCESS)
SYSTEMS = {"kamailio": DEPLOY / "kamailio", "radius": DEPLOY / "freeradius"}  # databases, and what makes their tables
DSNS = {  # settings, and the database and role of each: the one with exactly the rights that Connect needs
    "CONNECT_DIRECTORY_DSN": ("connect", "connect"),
    "CONNECT_KEYS_DSN": ("connect_keys", "connect_keys"),
    "CONNECT_TELEPHONY_DSN": ("kamailio", "sip_prov"),
    "CONNECT_INTERNET_DSN": ("radius", "radius_prov"),
}


def dsns(server: EmbeddedPostgres, passfile_of: Callable[[str], Path] | None = None) -> dict[str, str]:
    """The settings with the URLs of the databases. With ``passfile_of`` they name files instead of passwords."""
    if passfile_of is None:
        return {name: server.dsn(*login) for name, login in DSNS.items()}
    return {
        name: f"postgresql://{role}@{server.host}:{server.port}/{database}?passfile={quote(str(passfile_of(role)))}"
        for name, (database, role) in DSNS.items()
    }


def prepare(server: EmbeddedPostgres) -> None:
    """Bring all of them to the newest schema, and give each role its password and only the rights that it needs.

    Data stays as it is, and superfluous rights are taken away. If this is killed half way, the next call completes it.
    Raises StartFailed.
    """
    with _start_errors(server):
        asyncio.run(_prepare(server))


def lock_superuser(server: EmbeddedPostgres) -> None:
    """Take the superuser's password away, until the next start of `connect up`. Raises StartFailed."""

    async def lock() -> None:
        async with server.session() as postgres:
            await postgres.execute(f"ALTER ROLE {SUPERUSER} PASSWORD NULL")

    with _start_errors(server):
        asyncio.run(lock())


def have_keys(server: EmbeddedPostgres, file: Path) -> None:
    """Make the operator's keys where no client has a key yet. Raises StartFailed unless those in the file open the keys
    of all clients."""

    async def keys_in_use() -> dict[str, int]:
        session = await asyncpg.connect(server.dsn("connect_keys", "connect_keys"))
        try:
            return {row["key_id"]: row["clients"] for row in await session.fetch(IN_USE)}
        finally:
            await session.close()

    with _start_errors(server):
        found = asyncio.run(keys_in_use())
    if not found:  # clients from before get keys as they are touched
        have_secret(file, secrets.token_hex(32))
    if not file.exists():
        used = ", ".join(sorted(found))
        raise StartFailed(f"{file} is missing, and clients' keys depend on it ({used}): put it back from a backup")
    try:
        check_used(found, OperatorKeys.parse(read_private(file)))
    except (KeysMissing, ValueError) as error:
        raise StartFailed(f"{file} does not fit the data beside it. {error}") from error


@contextmanager
def _start_errors(server: EmbeddedPostgres) -> Iterator[None]:
    try:
        yield
    except (*DRIVER_ERRORS, SQLAlchemyError, CommandError) as e:
        why = f"The databases cannot be made ready: {type(e).__name__}: {e}. {server.log} may say more"
        raise StartFailed(why) from e


async def _prepare(server: EmbeddedPostgres) -> None:
    async with server.session() as postgres:
        await postgres.execute(f"SET {UNSAID.replace('=', ' TO ')}")
        for role in ROLES:
            await _have_role(postgres, role, server.password_of(role))
    for database in ("postgres", "template1"):
        async with server.session(database) as session:
            await _close(session, database)
    for database in ("connect", "connect_keys"):
        await server.ensure_database(database, owner=database)
        async with server.session(database) as session:
            await _close(session, database)
    await migrate(server.dsn("connect", "connect"))
    await migrate_keys(server.dsn("connect_keys", "connect_keys"))
    for database, folder in SYSTEMS.items():
        await server.ensure_database(database)
        async with server.session(database) as session, session.transaction():
            await _close(session, database)
            for script in (folder / "schema.sql", FENCE, folder / "grants.sql"):
                await session.execute(script.read_text(encoding="utf-8"))


async def _have_role(session: asyncpg.Connection, role: str, password: str) -> None:
    """Make a role that can log in with this password and has no other rights."""
    if not await session.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
        await session.execute(f"CREATE ROLE {role}")
    await session.execute(f"ALTER ROLE {role} {ORDINARY} PASSWORD '{password}'")


async def _close(session: asyncpg.Connection, database: str) -> None:
    """Let only the roles that work in the database connect to it. Their rights in it are granted elsewhere."""
    await session.execute(f"REVOKE ALL ON DATABASE {database} FROM PUBLIC; REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    for name, role in ACCESS:
        how = "GRANT CONNECT ON DATABASE {} TO" if name == database else "REVOKE ALL ON DATABASE {} FROM"
        await session.execute(f"{how.format(database)} {role}")
