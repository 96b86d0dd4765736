"""The databases of `connect up`: a password and the least rights for each role, also where there were others."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from activities.prepare import FENCE
from starter.local.children import StartFailed
from starter.local.databases import ACCESS, DEPLOY, ROLES, have_keys, lock_superuser, prepare
from starter.local.postgres import EmbeddedPostgres
from tests.support.databases import connected, fetch
from tests.support.waiting import free_port

DATABASES = ("connect", "connect_keys", "kamailio", "radius", "postgres", "template1")
OF = {role: database for database, role in ACCESS}
OF_SUPERUSERS = (
    "COPY (SELECT 1) TO PROGRAM 'true'",
    "COPY connect_fence FROM PROGRAM 'true'",
    "COPY (SELECT 1) TO '/tmp/by-the-server'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    "SELECT rolpassword FROM pg_authid",
    "ALTER SYSTEM SET log_statement = 'all'",
    "ALTER ROLE postgres PASSWORD 'mine'",
    "CREATE ROLE another",
    "CREATE DATABASE another",
    "SET ROLE postgres",
    "CREATE EXTENSION adminpack",
)
Execute = Callable[..., Coroutine[Any, Any, object]]
OWNERS = ("connect", "connect_keys")
WRONG_PASSWORD = asyncpg.InvalidPasswordError
NO_RIGHT = (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidAuthorizationSpecificationError)


def server_of(folder: Path) -> EmbeddedPostgres:
    """A server as `connect up` has it."""
    return EmbeddedPostgres(folder / "postgres", free_port(), access=ACCESS, settings={"fsync": "off"})


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """A server with everything in it, for all tests that change nothing."""
    server = server_of(tmp_path_factory.mktemp("prepared"))
    server.start()
    prepare(server)
    lock_superuser(server)
    yield server
    server.stop()


async def test_keys_that_do_not_open_the_clients_are_said_before_anything_starts(
    prepared: EmbeddedPostgres, tmp_path: Path
) -> None:
    file, keys = tmp_path / "encryption-keys", prepared.dsn("connect_keys", "connect_keys")
    file.write_text("4d" * 32, encoding="utf-8")
    file.chmod(0o600)
    await asyncio.to_thread(have_keys, prepared, file)
    await fetch(keys, "INSERT INTO client_keys (client_id, key_id, wrapped) VALUES ('acme', 'another', '')")
    try:
        with pytest.raises(StartFailed, match=r"encryption-keys does not fit .* under another \(1 clients\)"):
            await asyncio.to_thread(have_keys, prepared, file)
        file.unlink()
        with pytest.raises(StartFailed, match=r"encryption-keys is missing.*\(another\).*backup"):
            await asyncio.to_thread(have_keys, prepared, file)
        assert not file.exists(), "no other keys take the place of those that are missing"
    finally:
        await fetch(keys, "DELETE FROM client_keys")
    await asyncio.to_thread(have_keys, prepared, file)
    assert len(file.read_text(encoding="utf-8").strip()) == 64


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_can_connect_to_the_database_it_works_in_and_to_no_other(
    prepared: EmbeddedPostgres, role: str
) -> None:
    for database in DATABASES:
        if database == OF[role]:
            async with connected(prepared.dsn(database, role)) as connection:
                assert await connection.fetchval("SELECT session_user") == role
        else:
            with pytest.raises(NO_RIGHT):
                await asyncpg.connect(prepared.dsn(database, role))


@pytest.mark.parametrize("role", ROLES)
async def test_a_role_has_no_right_to_another_database_even_if_it_could_reach_it(
    prepared: EmbeddedPostgres, role: str
) -> None:
    open_to_it = "SELECT datname FROM pg_database WHERE datallowconn AND has_database_privilege(datname, 'CONNECT')"
    async with connected(prepared.dsn(OF[role], role)) as connection:
        assert [row["datname"] for row in await connection.fetch(open_to_it)] == [OF[role]]
        temporary = "SELECT has_database_privilege(current_database(), 'TEMPORARY')"
        assert await connection.fetchval(temporary) is (role in OWNERS), "which own their databases"


@pytest.mark.parametrize("role", ROLES)
async def test_a_roles_password_opens_no_other_role(prepared: EmbeddedPostgres, role: str) -> None:
    for other in {*ROLES, "postgres"} - {role}:
        with pytest.raises(WRONG_PASSWORD):
            await asyncpg.connect(prepared.dsn(OF.get(other, "postgres"), other, prepared.password_of(role)))


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("statement", OF_SUPERUSERS)
async def test_no_role_can_do_what_a_superuser_can(prepared: EmbeddedPostgres, role: str, statement: str) -> None:
    async with connected(prepared.dsn(OF[role], role)) as connection:
        with pytest.raises((asyncpg.InsufficientPrivilegeError, asyncpg.FeatureNotSupportedError)):
            await connection.execute(statement)


@pytest.mark.parametrize("role", ROLES)
async def test_only_the_role_that_migrates_can_make_tables(prepared: EmbeddedPostgres, role: str) -> None:
    async with connected(prepared.dsn(OF[role], role)) as connection:
        if role in OWNERS:
            await connection.execute("CREATE TABLE mine (); DROP TABLE mine")
            return
        for statement in ("CREATE TABLE mine ()", "CREATE TEMPORARY TABLE mine ()", "CREATE SCHEMA mine"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)


@pytest.mark.parametrize(
    ("role", "statement"),
    [
        ("sip_daemon", "UPDATE subscriber SET in_service = 1"),
        ("sip_daemon", "SELECT FROM connect_fence"),
        ("sip_daemon", "SELECT nextval('subscriber_id_seq')"),
        ("sip_prov", "UPDATE subscriber SET may_call_out = 1"),
        ("sip_prov", "DELETE FROM subscriber"),
        ("sip_prov", "INSERT INTO location (username) VALUES ('4420')"),
        ("sip_prov", "SELECT FROM dialog"),
        ("sip_prov", "SELECT nextval('location_id_seq')"),
        ("sip_prov", "DELETE FROM connect_fence"),
        ("radius_daemon", "INSERT INTO radcheck (username) VALUES ('guest')"),
        ("radius_daemon", "DELETE FROM radacct"),
        ("radius_daemon", "SELECT FROM radpostauth"),
        ("radius_daemon", "SELECT FROM nas"),
        ("radius_daemon", "SELECT FROM connect_fence"),
        ("radius_daemon", "SELECT nextval('radcheck_id_seq')"),
        ("radius_prov", "UPDATE radacct SET acctstoptime = now()"),
        ("radius_prov", "SELECT FROM nas"),
        ("radius_prov", "UPDATE radreply SET value = ''"),
        ("radius_prov", "SELECT nextval('radacct_radacctid_seq')"),
        ("radius_prov", "DELETE FROM connect_fence"),
    ],
)
async def test_a_role_can_do_nothing_in_its_database_that_it_does_not_need(
    prepared: EmbeddedPostgres, role: str, statement: str
) -> None:
    async with connected(prepared.dsn(OF[role], role)) as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


async def test_while_it_runs_no_password_lets_the_superuser_in(prepared: EmbeddedPostgres) -> None:
    for password in (prepared.password, "", *map(prepared.password_of, ROLES)):
        with pytest.raises(WRONG_PASSWORD):
            await asyncpg.connect(prepared.dsn(password=password or None))


# -- a folder with other passwords -------------------------------------------------------------------------------------


@pytest.fixture
async def before(tmp_path: Path) -> EmbeddedPostgres:
    """A stopped server whose roles have other passwords and too many rights."""
    server = EmbeddedPostgres(tmp_path / "postgres", free_port(), "old", settings={"fsync": "off"})
    server.start()
    async with connected(server.dsn()) as superuser:
        for role in ROLES:
            await superuser.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'old'")
        await superuser.execute("ALTER ROLE sip_prov CREATEROLE")
    await server.ensure_database("connect", owner="connect")
    for database, folder, grants in (
        ("kamailio", "kamailio", "INSERT, UPDATE ON subscriber TO sip_prov"),
        ("radius", "freeradius", "SELECT ON nas TO radius_daemon"),
    ):
        async with connected(await server.ensure_database(database)) as superuser:
            schema = (DEPLOY / folder / "schema.sql").read_text(encoding="utf-8")
            await superuser.execute(schema + FENCE.read_text(encoding="utf-8"))
            roles = ", ".join(role for role in ROLES if OF[role] == database)
            await superuser.execute(f"GRANT {grants}; GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {roles}")
    async with connected(server.dsn("kamailio")) as superuser:
        await superuser.execute("INSERT INTO subscriber (username, may_call_out) VALUES ('442079460001', 0)")
    server.stop()
    return server


async def test_other_passwords_and_superfluous_rights_are_gone_after_a_start(
    before: EmbeddedPostgres, tmp_path: Path
) -> None:
    server = server_of(tmp_path)
    server.start()
    try:
        await asyncio.to_thread(prepare, server)
        await prepared_anew(server)
    finally:
        server.stop()


async def test_killed_anywhere_while_the_databases_are_prepared_the_next_start_goes_on(
    before: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before every third statement in turn, we and the server are gone: it hears nothing more, and writes nothing."""
    killed = 0
    while True:
        server = server_of(tmp_path)
        server.start()
        try:
            with monkeypatch.context() as patch:
                patch.setattr(asyncpg.Connection, "execute", killer(server, asyncpg.Connection.execute, killed))
                await asyncio.to_thread(prepare, server)
            await prepared_anew(server)
            break
        except Killed:
            killed += 2  # each of them takes a second
        finally:
            server.stop()
    assert killed > 20, "it was killed between many steps"


class Killed(BaseException):
    """We are gone."""


def killer(server: EmbeddedPostgres, execute: Execute, after: int) -> Execute:
    """A way to execute statements that kills the server and us after so many of them."""
    left = iter(range(after))

    async def until_killed(connection: asyncpg.Connection, *words: object) -> object:
        if connection._addr[1] != server.port:  # others of this process go on beside us
            return await execute(connection, *words)
        if next(left, None) is None:
            assert server.process
            server.process.kill()
            raise Killed
        return await execute(connection, *words)

    return until_killed


async def prepared_anew(server: EmbeddedPostgres) -> None:
    """Everything is as in a new folder, and the data still there."""
    for database, role in [("postgres", "postgres"), *ACCESS]:
        with pytest.raises(WRONG_PASSWORD):
            await asyncpg.connect(server.dsn(database, role, "old"))
        async with connected(server.dsn(database, role)) as connection:
            mighty = "SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = session_user"
            assert await connection.fetchval(mighty) is (role == "postgres")
    async with connected(server.dsn("kamailio", "sip_prov")) as connection:
        assert await connection.fetchval("SELECT may_call_out FROM subscriber") == 0
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("UPDATE subscriber SET may_call_out = 1")
    async with connected(server.dsn("radius", "radius_daemon")) as connection:
        for statement in ("SELECT FROM nas", "SELECT nextval('nas_id_seq')"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(statement)
