"""What keeps a table of sessions from carrying accounting is named, each with what mends it; and that mends it."""

import pytest
from temporalio.exceptions import ApplicationError

from activities.prepare import INDEXES, check, prepare
from tests.activities.fixtures import World
from tests.support.waiting import eventually
from workflows.domain.systems import INTERNET

WEAK = {
    "a column": ("DROP COLUMN nasidentifier", "has no column nasidentifier"),
    "another column": ("DROP COLUMN accteventtime", "has no column accteventtime"),
    "an address as text": ("ALTER nasipaddress TYPE text USING host(nasipaddress)", "nasipaddress is text, not inet"),
    "IPv6 left out": ("DROP COLUMN framedipv6prefix", "has no column framedipv6prefix"),
    "a counter of 32 bits": ("ALTER acctinputoctets TYPE integer", "acctinputoctets is integer, not bigint"),
    "times without a zone": ("ALTER acctstarttime TYPE timestamp", "is timestamp without time zone, not timestamptz"),
    "a short id": ("ALTER acctsessionid TYPE varchar(64)", "acctsessionid holds 64 characters"),
    "a short column of others": ("ALTER callingstationid TYPE varchar(50)", "callingstationid holds 50 characters"),
    "no unique key": ("DROP CONSTRAINT radacct_acctuniqueid_key", "acctuniqueid is not unique"),
}


@pytest.mark.parametrize("weakness", WEAK)
async def test_what_is_weak_is_named_and_its_remedy_mends_it(world: World, weakness: str) -> None:
    assert await check(world.settings) == []
    damage, warning = WEAK[weakness]
    await world.execute("internet", f"ALTER TABLE radacct {damage}")
    problems = await check(world.settings)
    if "run `connect systems prepare`" in problems[0]:  # an index went with its column
        await prepare(world.settings)
        problems = await check(world.settings)
    assert warning in problems[0]
    for problem in problems:
        await world.execute("internet", problem.rpartition(": ")[2])
    assert await check(world.settings) == []


async def test_an_index_that_is_missing_is_named(world: World) -> None:
    await world.execute("internet", "DROP INDEX radacct_bulk_close")
    (problem,) = await check(world.settings)
    assert "has no index by NAS" in problem
    await world.execute("internet", problem.rpartition(": ")[2])
    assert await check(world.settings) == []


async def test_indexes_of_ours_that_are_missing_are_named_and_added(world: World) -> None:
    names = INDEXES[INTERNET]
    await world.execute("internet", f"DROP INDEX {', '.join(names)}")
    (problem,) = await check(world.settings)
    assert problem.endswith(f"lacks {', '.join(f'index {name}' for name in names)}: run `connect systems prepare`")
    await prepare(world.settings)
    assert await check(world.settings) == []


async def test_indexes_are_built_for_as_long_as_it_takes_and_one_that_was_never_finished_anew(world: World) -> None:
    await world.execute(
        "internet",
        """INSERT INTO radacct (acctsessionid, acctuniqueid, username, nasipaddress)
        SELECT n, n, 'isp/account-' || n || '@isp.example', '127.0.0.2' FROM generate_series(1, 60000) n""",
    )
    await world.execute("internet", "DROP INDEX radacct_spelling")
    sql = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'radacct_alive_spelling'::regclass"
    await world.execute("internet", sql)
    short = {"statement_seconds": 0.1, "lock_seconds": 0.05, "operation_seconds": 0.5}
    settings = world.settings.model_copy(update=short)

    async def prepared() -> list[str]:
        try:
            return await prepare(settings)
        except ApplicationError as error:  # what is no index may be too slow for once, on a busy machine
            return [] if "telephony database" in error.message else [error.message]

    assert [line.partition(": ")[2] for line in await eventually(prepared)][1:] == [
        "index radacct_spelling added",
        "index radacct_alive_spelling added",
    ]
    assert await check(world.settings) == []


@pytest.mark.parametrize("right", ["SELECT", "UPDATE"])
async def test_a_role_that_can_begin_a_session_and_not_go_on_is_named(world: World, right: str) -> None:
    role = f"daemon_without_{right.lower()}"
    other_rights = {"INSERT", "SELECT", "UPDATE"} - {right}
    await world.execute("internet", f"CREATE ROLE {role} LOGIN")
    await world.execute("internet", f"GRANT {', '.join(other_rights)} ON radacct TO {role}")
    assert f"{role} may not {right} radacct: GRANT {right} ON radacct TO {role}" in (await check(world.settings))[0]
    await world.execute("internet", f"DROP OWNED BY {role}")
    await world.execute("internet", f"DROP ROLE {role}")


async def test_rights_that_the_worker_needs_are_named(world: World) -> None:
    await world.execute("internet", "CREATE ROLE reader LOGIN PASSWORD 'secret'")
    readable = "radcheck, radreply, radacct, radusergroup, radgroupreply"
    await world.execute("internet", f"GRANT SELECT ON {readable} TO reader")
    await world.open({"internet": world.dsns["internet"].replace("//postgres:", "//reader:")})
    problems = await check(world.settings)
    assert [problem.partition(": ")[2] for problem in problems] == [
        "reader may not SELECT, INSERT, UPDATE connect_fence: deploy/ lists its rights",
        "reader may not INSERT, UPDATE, DELETE radcheck: deploy/ lists its rights",
        "reader may not SELECT radgroupcheck: deploy/ lists its rights",
        "reader may not INSERT, DELETE radreply: deploy/ lists its rights",
    ]
    await world.execute("internet", "DROP OWNED BY reader")
    await world.execute("internet", "DROP ROLE reader")
