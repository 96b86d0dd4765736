"""A server that changes its role, or what it allows, under our connections; and what stands between us and it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import asyncpg
import pytest
from temporalio.exceptions import ApplicationError

from activities.errors import SYSTEM_REJECTED, SYSTEM_UNAVAILABLE, translated
from activities.prepare import check, why_not_written
from tests.activities.fixtures import AT, ONE, World, access, lines, publication
from tests.support.cut_proxy import CutProxy
from tests.support.pooler import Pooler
from workflows.domain.systems import INTERNET, TELEPHONY
from workflows.ports import Watched

READ_ONLY = "SET default_transaction_read_only = on"


async def as_owner(world: World, name: str, *statements: str) -> None:
    """Have statements executed, whatever is read-only."""
    owner = await asyncpg.connect(world.dsns[name], server_settings={"default_transaction_read_only": "off"})
    for statement in statements:
        await owner.execute(statement)
    await owner.close()


async def for_new_sessions(world: World, name: str, what: str) -> None:
    """Change what sessions of this database begin with. Those that there are stay as they are."""
    database = urlsplit(world.dsns[name]).path[1:]
    await as_owner(world, name, f'ALTER DATABASE "{database}" {what}')


@asynccontextmanager
async def demoted(world: World, name: str) -> AsyncIterator[None]:
    """The server says of itself that it is read-only, to every session that there is."""
    await as_owner(world, name, f"ALTER SYSTEM {READ_ONLY}", "SELECT pg_reload_conf()")
    try:
        yield
    finally:
        await as_owner(world, name, "ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")


@asynccontextmanager
async def proxied(world: World, name: str) -> AsyncIterator[CutProxy]:
    """The world goes to a database by a proxy, which counts connections."""
    where = urlsplit(world.dsns[name])
    assert where.hostname
    assert where.port
    async with CutProxy(where.hostname, where.port) as proxy:
        await world.open({name: through(proxy.port, world.dsns[name])})
        yield proxy


def through(port: int, dsn: str) -> str:
    return dsn.replace(f":{urlsplit(dsn).port}/", f":{port}/")


async def test_connections_to_a_demoted_server_are_dropped_and_the_change_is_made_once_on_a_new_one(
    world: World,
) -> None:
    async with proxied(world, "telephony") as proxy:
        await world.telephony.ensure(lines("acme", 1, one=True))
        before, _ = proxy.connections, world.took()
        async with demoted(world, "telephony"):
            await for_new_sessions(world, "telephony", "SET default_transaction_read_only = off")  # another server
            evidence = await world.telephony.ensure(lines("acme", 2, one=False))
        assert not evidence.findings[0].in_service
        assert evidence.complete
        assert proxy.connections == before + 2, "one to change, and one to read back: of no other server"
        assert world.took("connect_fence AS f") == 1, "nothing was sent on the old one"
        revision = "SELECT revision FROM connect_fence WHERE subject = 'client:acme'"
        assert await world.rows("telephony", revision) == [(2,)]
        await world.telephony.ensure(lines("acme", 3, one=True))
        assert proxy.connections == before + 2


async def test_a_statement_by_itself_is_repeated_on_a_new_connection(world: World) -> None:
    async with proxied(world, "directory") as proxy:
        ref = await world.register("acme", ONE)
        before = proxy.connections
        async with demoted(world, "directory"):
            await for_new_sessions(world, "directory", "SET default_transaction_read_only = off")
            await world.directory.publish(publication("acme", 2, ONE, billing_ref=ref))
        assert proxy.connections == before + 1
        assert await world.rows("directory", "SELECT revision FROM clients") == [(2,)]
        assert await world.rows("directory", "SELECT count(*) FROM clients") == [(1,)]


async def test_one_that_stays_read_only_is_unavailable_with_the_remedy_and_costs_two_connections(world: World) -> None:
    async with proxied(world, "telephony") as proxy:
        await for_new_sessions(world, "telephony", READ_ONLY)
        for _ in range(2):
            before = proxy.connections
            with pytest.raises(ApplicationError) as raised:
                await world.telephony.ensure(lines("acme", 1, one=True))
            assert raised.value.type == SYSTEM_UNAVAILABLE
            assert not raised.value.non_retryable
            assert "is unavailable: its transactions are read-only. It is a standby, or" in raised.value.message
            assert "CONNECT_TELEPHONY_DSN" in raised.value.message
            assert proxy.connections <= before + 2
        before = proxy.connections
        await for_new_sessions(world, "telephony", "RESET default_transaction_read_only")
        assert (await world.telephony.ensure(lines("acme", 1, one=True))).findings[0].in_service
        assert proxy.connections == before + 2, "one to change, one to read back"


async def test_a_refusal_in_the_middle_of_a_change_drops_the_connections_too(world: World) -> None:
    """As servers before PostgreSQL 14 do, which do not tell their role."""
    async with proxied(world, "telephony") as proxy:
        await world.telephony.ensure(lines("acme", 1, one=True))
        await as_owner(
            world,
            "telephony",
            """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
            AS 'BEGIN RAISE ''cannot execute UPDATE in a read-only transaction'' USING ERRCODE = ''25006''; END';
            CREATE TRIGGER refuse BEFORE UPDATE ON subscriber EXECUTE FUNCTION refuse()""",
        )
        with pytest.raises(ApplicationError) as raised:
            await world.telephony.ensure(lines("acme", 2, one=False))
        assert raised.value.type == SYSTEM_UNAVAILABLE
        await world.execute("telephony", "DROP FUNCTION refuse CASCADE")
        before = proxy.connections
        assert not (await world.telephony.ensure(lines("acme", 2, one=False))).findings[0].in_service
        assert proxy.connections == before + 2


@pytest.mark.parametrize("alone", [True, False])
async def test_a_failed_transaction_that_was_left_behind_costs_nothing(world: World, alone: bool) -> None:
    database = world.databases.of(TELEPHONY)
    connection = await database._changes.acquire()
    with suppress(asyncpg.DivisionByZeroError):
        await connection.execute("BEGIN; SELECT 1 / 0")
    await database._changes.release(connection)
    if alone:
        await database.write("INSERT INTO location (ruid, username) VALUES ('1', '1')")
        assert await world.rows("telephony", "SELECT username FROM location") == [("1",)]
    else:
        assert (await world.telephony.ensure(lines("acme", 1, one=True))).findings[0].in_service


@pytest.mark.parametrize(
    "error", [asyncpg.AdminShutdownError, asyncpg.CannotConnectNowError, asyncpg.TransactionTimeoutError]
)
async def test_a_session_that_was_ended_is_trouble_of_the_system_and_not_of_the_client(
    world: World, error: type[asyncpg.PostgresError]
) -> None:
    failure = translated(error("terminating connection"), world.databases.of(TELEPHONY))
    assert (failure.type, failure.non_retryable) == (SYSTEM_UNAVAILABLE, False)


# -- what stands between -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ignored", [{"lock_timeout"}, {"statement_timeout"}, {"row_security"}])
async def test_a_pooler_that_ignores_our_limits_is_refused_with_the_remedy(world: World, ignored: set[str]) -> None:
    where = urlsplit(world.dsns["telephony"])
    assert where.hostname
    assert where.port
    async with Pooler(where.hostname, where.port, ignored) as pooler:
        await world.open({"telephony": through(pooler.port, world.dsns["telephony"])})
        with pytest.raises(ApplicationError) as raised:
            await world.telephony.ensure(lines("acme", 1, one=True))
        assert (raised.value.type, raised.value.non_retryable) == (SYSTEM_REJECTED, True)
        assert f"its session does not keep {min(ignored)}. Connect to PostgreSQL itself" in raised.value.message
        assert await check(world.settings) == [raised.value.message]
        assert await world.rows("telephony", "SELECT FROM connect_fence") == []
        pooler.ignore = {"application_name"}
        assert (await world.telephony.ensure(lines("acme", 1, one=True))).findings[0].in_service


async def test_a_pooler_that_does_not_know_our_limits_is_named(world: World) -> None:
    error = asyncpg.ProtocolViolationError("unsupported startup parameter: lock_timeout")
    failure = translated(error, world.databases.of(TELEPHONY))
    assert failure.type == SYSTEM_REJECTED
    assert "unsupported startup parameter: lock_timeout. Connect to PostgreSQL itself" in failure.message


# -- what is hidden ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["radcheck", "radreply", "radacct", "connect_fence"])
async def test_rows_that_are_hidden_from_us_are_an_error_and_not_absent(world: World, table: str) -> None:
    await world.internet.ensure(access("acme", 1, on=True))
    await as_owner(
        world,
        "internet",
        f"""CREATE ROLE blinkered LOGIN PASSWORD 'secret';
        GRANT ALL ON ALL TABLES IN SCHEMA public TO blinkered; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO blinkered;
        ALTER TABLE {table} ENABLE ROW LEVEL SECURITY""",
    )
    try:
        await world.open({"internet": world.dsns["internet"].replace("//postgres:", "//blinkered:")})
        looked_at = [] if table == "radreply" else [world.internet.observe([Watched("acme", "acme", AT)])]
        for attempt in (world.internet.ensure(access("acme", 2, on=False)), *looked_at):
            with pytest.raises(ApplicationError) as raised:
                await attempt
            assert raised.value.type == SYSTEM_REJECTED
            assert f'would be affected by row-level security policy for table "{table}"' in raised.value.message
    finally:
        await as_owner(world, "internet", "DROP OWNED BY blinkered", "DROP ROLE blinkered")


# -- a write that leaves nothing ---------------------------------------------------------------------------------------


async def test_a_write_that_is_tried_leaves_nothing_behind(world: World) -> None:
    await world.telephony.ensure(lines("acme", 1, one=True))
    everything = "SELECT n_tup_ins, n_tup_upd, n_tup_del, n_dead_tup FROM pg_stat_user_tables ORDER BY relname"
    for name, database, table in (
        ("directory", world.databases.directory, "sites"),
        ("telephony", world.databases.of(TELEPHONY), "connect_fence"),
        ("internet", world.databases.of(INTERNET), "connect_fence"),
    ):
        await world.execute(name, "SELECT pg_stat_force_next_flush()")
        before = await world.rows(name, everything)
        await database.try_write(table)
        assert await world.rows(name, everything) == before


async def test_why_the_directory_takes_no_write_is_told_with_the_remedy(world: World) -> None:
    assert await why_not_written(world.settings) == ""
    await for_new_sessions(world, "directory", READ_ONLY)
    assert "CONNECT_DIRECTORY_DSN name the primary" in await why_not_written(world.settings)
    await for_new_sessions(world, "directory", "RESET default_transaction_read_only")
    await world.open()
    await world.execute("directory", "DROP TABLE sites CASCADE")
    assert "Run `connect migrate`" in await why_not_written(world.settings)
