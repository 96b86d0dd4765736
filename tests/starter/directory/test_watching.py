"""Claims about hearing of changes: nobody waits in vain, also when the connection that listens is lost."""

import asyncio
from typing import Any

import asyncpg

from starter.directory.watching import CHANNEL, Watch, until_settled
from tests.support.service import House, watched
from tests.support.waiting import eventually
from workflows.domain.lifecycle import Status


async def test_only_those_who_watch_a_client_or_all_hear_of_it(house: House) -> None:
    watch = house.desk.watch
    connection = await _connected(house)
    with watch.of("acme") as mine, watch.of("other") as other, watch.of() as every:

        async def heard() -> bool:
            await connection.execute("SELECT pg_notify($1, 'acme')", CHANNEL)
            return mine.is_set()

        await eventually(heard)
        assert (every.is_set(), other.is_set()) == (True, False)
    await connection.close()


async def test_a_lost_connection_is_made_anew_and_everybody_looks_again(house: House) -> None:
    dsn = house.settings.directory_dsn.get_secret_value()
    watch = Watch(f"{dsn}?application_name=watched", pause=0.05)
    connection = await _connected(house)
    async with watched(watch):
        with watch.of("acme") as changed:
            await asyncio.wait_for(changed.wait(), 5)  # connected
            changed.clear()

            async def cut() -> Any:
                return await connection.fetchval(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'watched'"
                )

            await eventually(cut)
            await asyncio.wait_for(changed.wait(), 5)
    await connection.close()


async def test_a_wait_ends_although_nothing_was_heard(house: House) -> None:
    client = await house.create(wait=0)
    deaf = Watch("postgresql://nobody@127.0.0.1:1/none")
    decided = await house.desk.client(client["client_id"])
    shown = await until_settled(house.desk.directory, deaf, decided, seconds=10, look_every=0.05)
    assert shown is not None
    assert shown.view.status == "active"


async def test_a_wait_for_what_never_comes_ends_in_time(house: House) -> None:
    client = await house.create()
    decided = (await house.desk.client(client["client_id"])).model_copy(update={"revision": 10**6})
    assert await until_settled(house.desk.directory, house.desk.watch, decided, seconds=0.2) is None


async def test_what_is_shown_is_not_taken_for_another_decision_of_the_same_revision(house: House) -> None:
    """As when a workflow was reset, and decides otherwise."""
    client = await house.desk.client((await house.create())["client_id"])
    decided = client.model_copy(update={"status": Status.SUSPENDED})
    assert await until_settled(house.desk.directory, house.desk.watch, client, seconds=5)
    assert await until_settled(house.desk.directory, house.desk.watch, decided, seconds=0.2) is None


async def _connected(house: House) -> asyncpg.Connection:
    return await asyncpg.connect(house.settings.directory_dsn.get_secret_value())
