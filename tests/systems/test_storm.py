"""40 clients are suspended while their routers log in as fast as they can: no session is left alive."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, TypeVar

import asyncpg
import pytest_asyncio

from activities.background import background
from tests.support.databases import connected
from tests.support.router import Nas
from tests.support.waiting import eventually
from tests.systems.network import Network, running_network
from tests.systems.service import Systems

CLIENTS, GEAR = 40, 4
AT_ONCE = 8

T = TypeVar("T")


@pytest_asyncio.fixture(scope="module")
async def network(systems: Systems) -> AsyncIterator[Network]:
    """Nobody looks a second time: the switching itself must leave nothing alive."""
    async with running_network(
        systems, disconnect_pause_seconds=1.0, disconnect_seconds=2.0, first_pause_seconds=0.5, watch_every_seconds=0
    ) as network:
        yield network


async def test_forty_suspensions_amid_a_storm_of_logins_leave_no_session_alive(network: Network) -> None:
    clients = await side_by_side([network.tenant() for _ in range(CLIENTS)])
    async with AsyncExitStack() as stack:
        gear = [await stack.enter_async_context(network.nas(f"127.0.0.{10 + n}")) for n in range(GEAR)]
        async with background(*(partial(log_in_again_and_again, gear[n % GEAR], *it) for n, it in enumerate(clients))):
            await eventually(lambda: sum(len(nas.sessions) for nas in gear) >= CLIENTS)
            accounts = [account for account, _ in clients]
            await side_by_side([network.ask(account, "suspend") for account in accounts])
            for account in accounts:
                await eventually(partial(network.settled, account))
            assert [nas.sessions for nas in gear] == [{}] * GEAR
        await eventually(partial(network.open_sessions, *accounts), equal=[])
        assert [nas.sessions for nas in gear] == [{}] * GEAR
        assert sum(len(nas.asked) for nas in gear) >= CLIENTS


async def test_a_login_that_is_being_answered_at_the_suspension_leaves_no_session(network: Network) -> None:
    """FreeRADIUS has seen the password, and is slow to note it: there is no sign of the session before it is proven."""
    acme, password = await network.tenant()
    async with network.nas("127.0.0.9") as nas, connected(network.building.databases["radius"]) as slow:
        await slow.execute("BEGIN; LOCK TABLE radpostauth IN EXCLUSIVE MODE")
        login = asyncio.create_task(nas.log_in(acme, password, "late"))
        await eventually(lambda: held_up(slow))
        await network.ask(acme, "suspend")
        await eventually(lambda: slow.fetch("SELECT FROM radcheck WHERE username = $1 AND value = 'Reject'", acme))
        await slow.execute("ROLLBACK")
        assert (await login).accepted
        await eventually(partial(network.settled, acme))
        assert nas.asked == ["late"]
        assert nas.sessions == {}


async def held_up(connection: asyncpg.Connection) -> bool:
    """Whether somebody waits for a lock on the logins."""
    sql = "SELECT count(*) FROM pg_locks WHERE relation = 'radpostauth'::regclass AND NOT granted"
    return bool(await connection.fetchval(sql))


async def side_by_side(work: list[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of all work, some of it at once."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(it: Coroutine[Any, Any, T]) -> T:
        async with gate:
            return await it

    return await asyncio.gather(*map(one, work))


async def log_in_again_and_again(nas: Nas, account: str, password: str) -> None:
    """A router that logs in whenever it is thrown off, or ends its session itself, until it is cancelled."""
    while True:
        answer = await nas.log_in(account, password)
        mine = [session for session, whose in nas.sessions.items() if whose == account]
        if answer.accepted and len(mine) > 1:
            nas.end(mine[0])
        await asyncio.sleep(0)
