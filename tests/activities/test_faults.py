"""When a database is away, frozen, locked or not ours: which error, in what time, and that nothing is half done."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import asyncpg
import pytest
import pytest_asyncio
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.errors import SYSTEM_BUSY, SYSTEM_REJECTED, SYSTEM_UNAVAILABLE, attempt_on
from activities.secrets import radius_password
from tests.activities.fixtures import MASTER_KEY, ONE, World, access, lines
from tests.support.cut_proxy import CutProxy
from tests.support.waiting import free_port
from workflows.domain.systems import TELEPHONY

PATIENT = {"attempt_seconds": 40000, "operation_seconds": 3600, "lock_seconds": 1800, "statement_seconds": 3600}
"""Without the one limit that a test is about, it would not end."""


@pytest_asyncio.fixture
async def proxy(world: World) -> AsyncIterator[CutProxy]:
    """A way to the telephone system that can be cut. The world goes by it."""
    where = urlsplit(world.dsns["telephony"])
    assert where.hostname
    assert where.port
    async with CutProxy(where.hostname, where.port) as proxy:
        await world.open({"telephony": through(proxy.port, world.dsns["telephony"])}, PATIENT)
        yield proxy


def through(port: int, dsn: str) -> str:
    return dsn.replace(f":{urlsplit(dsn).port}/", f":{port}/")


async def failure(world: World, revision: int = 1) -> ApplicationError:
    with pytest.raises(ApplicationError) as raised:
        await world.telephony.ensure(lines("acme", revision, one=True))
    return raised.value


async def test_a_locked_table_is_busy_within_the_time_to_wait_for_a_lock(world: World) -> None:
    await world.open(limits=PATIENT | {"lock_seconds": 0.2})
    other = await world.admin("telephony")
    async with other.transaction():
        await other.execute("LOCK TABLE subscriber IN ACCESS EXCLUSIVE MODE")
        error = await failure(world)
    assert error.type == SYSTEM_BUSY
    assert not error.non_retryable
    assert "lock timeout" in error.message
    assert await world.rows("telephony", "SELECT FROM connect_fence") == []


async def test_a_refused_connection_is_unavailable_and_says_where_but_not_the_password(world: World) -> None:
    port = free_port()
    await world.open({"telephony": through(port, world.dsns["telephony"])})
    error = await failure(world)
    assert error.type == SYSTEM_UNAVAILABLE
    assert error.category is ApplicationErrorCategory.BENIGN
    assert not error.non_retryable
    assert f"telephony database 127.0.0.1:{port}/telephony" in error.message
    assert "secret" not in error.message


async def test_a_frozen_database_is_unavailable_in_bounded_time(world: World, proxy: CutProxy) -> None:
    await world.open({"telephony": through(proxy.port, world.dsns["telephony"])}, PATIENT | {"operation_seconds": 1})
    proxy.hang()
    error = await failure(world)
    assert error.type == SYSTEM_UNAVAILABLE
    assert "no answer in time" in error.message


async def test_one_frozen_under_our_hands_is_unavailable_and_fine_afterwards(world: World, proxy: CutProxy) -> None:
    database = world.databases.of(TELEPHONY)
    await world.telephony.ensure(lines("acme", 1, one=True))
    proxy.hang()
    patience, database.operation = database.operation, 0.5
    assert (await failure(world, 2)).type == SYSTEM_UNAVAILABLE
    proxy.recover()
    database.operation = patience
    assert (await world.telephony.ensure(lines("acme", 3, one=False))).findings[0].subject == ONE


async def test_pooled_connections_that_were_cut_cost_no_attempt(world: World, proxy: CutProxy) -> None:
    await world.telephony.ensure(lines("acme", 1, one=True))
    proxy.cut()
    evidence = await world.telephony.ensure(lines("acme", 2, one=False))
    assert not evidence.findings[0].in_service


async def test_what_only_looks_can_change_nothing(world: World) -> None:
    with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
        await world.databases.of(TELEPHONY).read("DELETE FROM subscriber RETURNING username")


async def test_single_statements_outlive_pooled_connections_that_were_cut(world: World, proxy: CutProxy) -> None:
    database = world.databases.of(TELEPHONY)
    await database.write("INSERT INTO subscriber (username) VALUES ('1') ON CONFLICT DO NOTHING")
    await database.read("SELECT")
    proxy.cut()
    await database.write("INSERT INTO subscriber (username) VALUES ('2') ON CONFLICT DO NOTHING")
    assert len(await database.read("SELECT FROM subscriber")) == 2


async def test_backends_ended_by_an_administrator_cost_no_attempt(world: World) -> None:
    await world.telephony.ensure(lines("acme", 1, one=True))
    await world.execute(
        "telephony",
        """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()""",
    )
    evidence = await world.telephony.ensure(lines("acme", 2, one=False))
    assert not evidence.findings[0].in_service


async def test_when_the_answer_to_the_commit_is_lost_the_next_attempt_finds_it_done(
    world: World, proxy: CutProxy
) -> None:
    database = world.databases.of(TELEPHONY)
    patience, database.operation = database.operation, 1.0
    proxy.lose_after(b"COMMIT")
    assert (await failure(world)).type == SYSTEM_UNAVAILABLE
    before = await world.rows("telephony", "SELECT xmin::text, in_service FROM subscriber")
    assert [row[1] for row in before] == [1]
    proxy.recover()
    database.operation = patience
    evidence = await world.telephony.ensure(lines("acme", 1, one=True))
    assert evidence.findings[0].in_service
    assert await world.rows("telephony", "SELECT xmin::text, in_service FROM subscriber") == before


async def test_a_cancelled_attempt_leaves_nothing_half_done_and_a_usable_pool(world: World) -> None:
    await world.telephony.ensure(lines("acme", 1, one=True))
    async with world.held("telephony", "subscriber"):
        attempt = asyncio.create_task(world.telephony.ensure(lines("acme", 2, one=False)))
        await world.waiting_for_locks(1)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt
    assert (await world.telephony.ensure(lines("acme", 1, one=True))).findings[0].in_service


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("DROP TABLE connect_fence", "Run `connect systems prepare`"),
        ("ALTER TABLE subscriber DROP COLUMN in_service", "Run `connect systems prepare`"),
    ],
)
async def test_a_system_that_is_not_prepared_is_rejected_with_the_remedy(world: World, damage: str, words: str) -> None:
    await world.execute("telephony", damage)
    error = await failure(world)
    assert (error.type, error.non_retryable) == (SYSTEM_REJECTED, True)
    assert error.category is ApplicationErrorCategory.BENIGN  # one line of log for each attempt, no traceback
    assert words in error.message


async def test_a_wrong_password_is_rejected_and_names_the_setting(world: World) -> None:
    await world.open({"telephony": world.dsns["telephony"].replace(":secret@", ":wrong@")})
    error = await failure(world)
    assert error.type == SYSTEM_REJECTED
    assert "CONNECT_TELEPHONY_DSN" in error.message
    assert "wrong@" not in error.message


async def test_an_account_that_a_check_is_against_is_refused_without_its_password(world: World) -> None:
    check = "ALTER TABLE radcheck ADD CONSTRAINT long CHECK (attribute <> 'Cleartext-Password' OR length(value) > 99)"
    await world.execute("internet", check)
    with pytest.raises(ApplicationError, match='violates check constraint "long"') as raised:
        await world.internet.ensure(access("acme", 1, on=True))
    assert radius_password(MASTER_KEY, "acme", "acme", 1) not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize("statement", ["SELECT 'hunter2'::int", "SELECT $1::int", "SELECT 'hunter2'::json"])
async def test_a_value_that_is_refused_is_not_told(world: World, statement: str) -> None:
    values = ["hunter2"] if "$1" in statement else []
    with pytest.raises(ApplicationError) as raised:
        async with attempt_on(world.databases.of(TELEPHONY)):
            await world.databases.of(TELEPHONY).read(statement, *values)
    assert "hunter2" not in str(raised.value)
    assert raised.value.type == SYSTEM_REJECTED


async def test_a_missing_privilege_is_rejected(world: World) -> None:
    await world.execute("telephony", "CREATE ROLE stranger LOGIN PASSWORD 'secret'")
    await world.open({"telephony": world.dsns["telephony"].replace("//postgres:", "//stranger:")})
    error = await failure(world)
    assert error.type == SYSTEM_REJECTED
    assert "Grant the role" in error.message


async def test_a_directory_that_is_away_does_not_fail_the_change(world: World) -> None:
    await world.register("acme")
    await world.open({"directory": through(free_port(), world.dsns["directory"])})
    assert not (await world.telephony.ensure(lines("acme", 2, one=True))).recorded
    assert not (await world.internet.ensure(access("acme", 2, on=True))).recorded
    assert (await world.subscriber(ONE) or (0,))[0] == 1


async def test_a_directory_that_freezes_under_our_hands_holds_up_no_system(world: World) -> None:
    await world.register("acme")
    where = urlsplit(world.dsns["directory"])
    assert where.hostname
    assert where.port
    async with CutProxy(where.hostname, where.port) as proxy:
        through_it = {"directory": through(proxy.port, world.dsns["directory"])}
        await world.open(through_it, PATIENT | {"record_seconds": 1.0})
        assert (await world.telephony.ensure(lines("acme", 2, one=True))).recorded
        proxy.hang()
        assert not (await world.telephony.ensure(lines("acme", 3, one=False))).recorded
        proxy.recover()
        assert (await world.telephony.ensure(lines("acme", 4, one=True))).recorded


async def test_a_locked_directory_holds_up_no_system(world: World) -> None:
    await world.register("acme")
    await world.open(limits=PATIENT | {"record_seconds": 0.3})
    other = await world.admin("directory")
    async with other.transaction():
        await other.execute("LOCK TABLE clients IN ACCESS EXCLUSIVE MODE")
        assert not (await world.telephony.ensure(lines("acme", 2, one=True))).recorded
