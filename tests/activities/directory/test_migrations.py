"""Databases become what Connect needs: its own by migration, the systems' when somebody asks."""

import asyncio
from pathlib import Path

import asyncpg
import pytest

from activities.directory.migrations import migrate
from activities.directory.version import NotMigrated, check_migrated, is_migrated, newest
from activities.prepare import FENCE, NotPrepared, check_systems, prepare
from starter.local.postgres import EmbeddedPostgres
from tests.activities.fixtures import ONE, World, access, lines
from tests.support.databases import database, fetch
from tests.support.waiting import free_port

DEPLOY = Path(__file__).parents[3] / "deploy"

STOCK_KAMAILIO = """
DROP TABLE subscriber, connect_fence;
CREATE TABLE subscriber (
    id SERIAL PRIMARY KEY NOT NULL,
    username VARCHAR(64) DEFAULT '' NOT NULL,
    domain VARCHAR(64) DEFAULT '' NOT NULL,
    password VARCHAR(64) DEFAULT '' NOT NULL,
    ha1 VARCHAR(128) DEFAULT '' NOT NULL,
    ha1b VARCHAR(128) DEFAULT '' NOT NULL,
    CONSTRAINT subscriber_account_idx UNIQUE (username, domain));
CREATE INDEX subscriber_username_idx ON subscriber (username)"""
"""The table as Kamailio 5.6 makes it (utils/kamctl/postgres/auth_db-create.sql)."""


async def test_migrating_twice_is_migrating_once(world: World) -> None:
    await migrate(world.dsns["directory"])
    assert await is_migrated(world.databases.directory)
    assert await world.rows("directory", "SELECT site_id FROM sites") == [("lon",)]
    await check_migrated(world.databases.directory)


async def test_processes_that_migrate_at_once_wait_for_each_other(postgres: EmbeddedPostgres) -> None:
    async with database(postgres, "migrated_at_once") as dsn:
        await asyncio.gather(*(migrate(dsn) for _ in range(4)))
        assert [row["version_num"] for row in await fetch(dsn, "SELECT version_num FROM alembic_version")] == [newest()]


async def test_a_database_that_is_not_migrated_is_told_apart(world: World) -> None:
    await world.open({"directory": world.dsns["internet"]})
    assert not await is_migrated(world.databases.directory)
    with pytest.raises(NotMigrated, match="run `connect migrate`"):
        await check_migrated(world.databases.directory)


async def test_a_migration_that_fails_leaves_nothing(world: World) -> None:
    await world.execute("internet", "CREATE TABLE history (id int)")
    with pytest.raises(asyncpg.DuplicateTableError):
        await migrate(world.dsns["internet"])
    assert await world.rows(
        "internet", "SELECT to_regclass('clients')::text, to_regclass('alembic_version')::text"
    ) == [(None, None)]


async def test_systems_as_we_deploy_them_are_ready(world: World) -> None:
    await check_systems(world.databases)
    assert [line.rpartition(": ")[2] for line in await prepare(world.settings)] == ["nothing to add"] * 2


async def test_a_stock_system_is_refused_at_start_prepared_when_asked_and_then_works(world: World) -> None:
    telephony = await world.admin("telephony")
    await telephony.execute(STOCK_KAMAILIO)
    await world.execute("internet", "DROP TABLE connect_fence")
    with pytest.raises(NotPrepared, match=r"lacks table connect_fence, column subscriber\.in_service") as refused:
        await check_systems(world.databases)
    assert "run `connect systems prepare`" in str(refused.value)
    prepared = await prepare(world.settings)
    assert [line.partition(": ")[2] for line in prepared] == [
        "table connect_fence added",
        "column subscriber.in_service added",
        "column subscriber.may_call_out added",
        "index connect_spelling added",
        "table connect_fence added",
    ]
    await check_systems(world.databases)
    assert (await world.telephony.ensure(lines("acme", 1, one=True))).findings[0].in_service
    assert (await world.internet.ensure(access("acme", 1, on=True))).findings[0].in_service


async def test_lines_that_a_stock_system_has_stay_in_service_when_it_is_prepared(world: World) -> None:
    telephony = await world.admin("telephony")
    await telephony.execute(STOCK_KAMAILIO)
    await telephony.execute("INSERT INTO subscriber (username, domain, ha1) VALUES ('442079460001', 'sip.test', 'old')")
    await prepare(world.settings)
    assert await world.subscriber(ONE) == (1, "old")


async def test_a_database_that_is_no_such_system_is_not_prepared(world: World) -> None:
    await world.open({"telephony": world.dsns["directory"]})
    with pytest.raises(NotPrepared, match="Correct CONNECT_TELEPHONY_DSN"):
        await prepare(world.settings)
    assert await world.rows("directory", "SELECT to_regclass('connect_fence')::text") == [(None,)]


async def test_a_system_that_is_away_does_not_keep_a_worker_from_starting(world: World) -> None:
    await world.open({"telephony": f"postgresql://postgres@127.0.0.1:{free_port()}/telephony"})
    await check_systems(world.databases)


async def test_both_systems_may_live_in_one_database(world: World) -> None:
    internet = await world.admin("internet")
    await internet.execute((DEPLOY / "kamailio/schema.sql").read_text(encoding="utf-8"))
    await world.open({"telephony": world.dsns["internet"]})
    await world.telephony.ensure(lines("acme", 9, one=True))
    assert (await world.internet.ensure(access("acme", 2, on=True))).findings[0].in_service


@pytest.mark.parametrize("folder", ["kamailio", "freeradius"])
def test_the_fence_stands_in_no_other_schema(folder: str) -> None:
    assert "connect_fence (" in FENCE.read_text(encoding="utf-8")
    assert "connect_fence" not in (DEPLOY / folder / "schema.sql").read_text(encoding="utf-8")


async def test_the_roles_we_grant_can_do_the_work_and_no_more(world: World) -> None:
    roles = {"telephony": ("sip_daemon", "sip_prov"), "internet": ("radius_daemon", "radius_prov")}
    for name, folder in (("telephony", "kamailio"), ("internet", "freeradius")):
        connection = await world.admin(name)
        for role in roles[name]:
            await connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'secret'")
        await connection.execute((DEPLOY / folder / "grants.sql").read_text(encoding="utf-8"))
    await world.open({name: world.dsns[name].replace("//postgres:", f"//{own}:") for name, (_, own) in roles.items()})
    for on in (True, False):
        assert (await world.telephony.ensure(lines("acme", 1, version=1 + on, one=on))).findings
        assert (await world.internet.ensure(access("acme", 1, on=on, version=1 + on))).findings
