"""40 clients are suspended while their routers log in as fast as they can: no session is left alive."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import asyncpg
import pytest_asyncio

from activities.background import background
from tests.support.databases import connected
from tests.support.router import Nas
from tests.support.waiting import eventually
from tests.systems.findings import Findings
from tests.systems.gear import Gear
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
        gear = [await stack.enter_async_context(gear_of(network, 10 + n)) for n in range(GEAR)]
        rejected, findings = Counter[str](), Findings(interim=math.inf)
        routers = (partial(log_in_again_and_again, gear[n % GEAR], *it, rejected) for n, it in enumerate(clients))
        async with background(*routers):
            await eventually(lambda: sum(len(nas.sessions) for nas in gear) >= CLIENTS)
            accounts = [account for account, _ in clients]
            await side_by_side([network.send_command(account, "suspend") for account in accounts])
            for account in accounts:
                await eventually(partial(network.settled, account))
                before = rejected[account]
                await eventually(lambda who=account, n=before: rejected[who] > n + 1)  # type: ignore[misc]
                await judge(network, findings, gear, account)
            assert findings.false == []
            assert [nas.sessions for nas in gear] == [{}] * GEAR
        await eventually(partial(network.open_sessions, *accounts), equal=[])
        assert [nas.sessions for nas in gear] == [{}] * GEAR
        assert sum(len(nas.disconnects) for nas in gear) >= CLIENTS


async def test_a_login_that_is_being_answered_at_the_suspension_leaves_no_session(network: Network) -> None:
    """FreeRADIUS has seen the password, and is slow to note it: there is no sign of the session before it is proven."""
    in_time = False
    while not in_time:  # a busy machine may account for it only after the second round
        in_time = await suspended_during_a_login(network)


async def suspended_during_a_login(network: Network) -> bool:
    """Answers whether the session was accounted for before the proof; then it is ended."""
    acme, password = await network.tenant()
    async with gear_of(network, 9) as nas, connected(network.building.databases["radius"]) as slow:
        await slow.execute("BEGIN; LOCK TABLE radpostauth IN EXCLUSIVE MODE")
        login = asyncio.create_task(nas.log_in(acme, password, "late"))
        await eventually(lambda: held_up(slow))
        await network.send_command(acme, "suspend")
        await eventually(lambda: slow.fetch("SELECT FROM radcheck WHERE username = $1 AND value = 'Reject'", acme))
        await slow.execute("ROLLBACK")
        assert (await login).accepted
        await eventually(partial(network.settled, acme))
        findings = Findings(interim=math.inf)
        await judge(network, findings, [nas], acme)
        assert findings.false == []
        assert nas.sessions == {}
        in_time = not findings.excused
        assert {*nas.disconnects} == {"late"} or not in_time
        return in_time


def gear_of(network: Network, number: int) -> Gear:
    """Access gear that knows since when its sessions live, and when each was accounted for."""
    return Gear(network.building.freeradius.port, network.secret, network.port, f"127.0.0.{number}")


async def judge(network: Network, findings: Findings, gear: Sequence[Gear], account: str) -> None:
    """Hold what lives of an account that is proven off against what could be known at the proof. What could not is
    ended: nobody looks for it here."""
    since = datetime.fromisoformat((await network.internet(account))["proven_at"]).timestamp()
    for nas in gear:
        for life in [life for life in nas.living.values() if life.account == account]:
            findings.session(life, since, time.time())
            nas.end(life.session)


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


async def log_in_again_and_again(nas: Nas, account: str, password: str, rejected: Counter[str]) -> None:
    """A router that logs in whenever it is thrown off, or ends its session itself, until it is cancelled."""
    while True:
        answer = await nas.log_in(account, password)
        rejected[account] += not answer.accepted
        mine = [session for session, whose in nas.sessions.items() if whose == account]
        if answer.accepted and len(mine) > 1:
            nas.end(mine[0])
        await asyncio.sleep(0)
