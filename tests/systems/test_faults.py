"""Faults while a client is being switched, as telephones and routers live through them.

Each ends proven once the fault is over. And from outside, whatever goes wrong, nobody ever sees what was not decided:
not before the decision, not after the proof, and never back and forth in between.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial

import pytest
import pytest_asyncio
from pydantic import SecretStr

from activities.directory.migrations import migrate
from starter.local.postgres import EmbeddedPostgres
from starter.local.systems import FreeRadius, Kamailio
from tests.support.cut_proxy import CutProxy, Mode
from tests.support.databases import database, frozen, locked
from tests.support.waiting import eventually
from tests.systems.phone import Phone
from tests.systems.sampling import NOTHING, Samples, sampling
from tests.systems.service import Building, Systems, answers, running_service
from tests.systems.test_statuses import tenant

OK, NOT_IN_SERVICE = 200, 403
TROUBLE = {500, 503, NOTHING}  # the registration could not be kept, or nobody could find out: that decides nothing
ACCEPT, REJECT = 2, 3  # RFC 2865 section 4
TELEPHONY, INTERNET = 0, 1
PATIENCE = 0.8  # seconds that a telephone or router waits before it asks again
QUICK = {
    "attempt_seconds": 12,
    "first_pause_seconds": 0.5,
    "longest_pause_seconds": 1,
    "connect_seconds": 0.8,
    "lock_seconds": 0.6,
    "statement_seconds": 0.8,
    "operation_seconds": 3,
    "probe_seconds": 0.5,
    "watch_every_seconds": 0,
    "breaker_clients": 1000,
}


@dataclass
class Site:
    """The service, its systems, and a proxy before each of their databases."""

    building: Building
    systems: Systems
    telephony_proxy: CutProxy
    internet_proxy: CutProxy


@pytest_asyncio.fixture(scope="module")
async def site(breakable: Systems, postgres: EmbeddedPostgres) -> AsyncIterator[Site]:
    """The service in front of systems that may be broken; the directory is on another server."""
    server = breakable.server
    async with AsyncExitStack() as stack:
        directory = await stack.enter_async_context(database(postgres, "directory"))
        await migrate(directory)
        proxies = [await stack.enter_async_context(CutProxy("127.0.0.1", server.port)) for _ in range(2)]
        urls = [server.dsn("kamailio", "sip_prov"), server.dsn("radius", "radius_prov")]
        telephony, internet = (
            SecretStr(url.replace(f":{server.port}/", f":{proxy.port}/"))
            for url, proxy in zip(urls, proxies, strict=True)
        )
        service = running_service(
            breakable,
            directory_dsn=SecretStr(directory),
            telephony_dsn=telephony,
            internet_dsn=internet,
            **QUICK,
        )
        yield Site(await stack.enter_async_context(service), breakable, *proxies)


# -- what goes wrong --------------------------------------------------------------------------------------------------


@asynccontextmanager
async def killed(daemon: FreeRadius | Kamailio) -> AsyncIterator[None]:
    """Gone from one moment to the next, with all its processes, and started again, also when nobody wants to know any
    more."""
    try:
        daemon.kill()
        yield
    finally:
        daemon.start()
        await answers(daemon)


@asynccontextmanager
async def standing_still(daemon: FreeRadius | Kamailio) -> AsyncIterator[None]:
    """Alive, and says nothing."""
    os.killpg(pid_of(daemon), signal.SIGSTOP)
    try:
        yield
    finally:
        os.killpg(pid_of(daemon), signal.SIGCONT)


@asynccontextmanager
async def database_down(server: EmbeddedPostgres) -> AsyncIterator[None]:
    server.stop()
    try:
        yield
    finally:
        server.start()


@asynccontextmanager
async def database_frozen(server: EmbeddedPostgres) -> AsyncIterator[None]:
    with frozen(server):
        yield


@asynccontextmanager
async def answer_to_commit_lost(proxy: CutProxy) -> AsyncIterator[None]:
    """Done, and nobody hears of it."""
    proxy.lose_after(b"COMMIT")
    try:
        yield
    finally:
        proxy.recover()


def pid_of(daemon: FreeRadius | Kamailio) -> int:
    assert daemon.process is not None
    return daemon.process.pid


Fault = Callable[[Site], AbstractAsyncContextManager[None]]
FAULTS: dict[str, tuple[int, Fault]] = {
    "kamailio killed": (TELEPHONY, lambda site: killed(site.systems.kamailio)),
    "kamailio frozen": (TELEPHONY, lambda site: standing_still(site.systems.kamailio)),
    "freeradius killed": (INTERNET, lambda site: killed(site.systems.freeradius)),
    "freeradius frozen": (INTERNET, lambda site: standing_still(site.systems.freeradius)),
    "database down": (TELEPHONY, lambda site: database_down(site.systems.server)),
    "database frozen": (INTERNET, lambda site: database_frozen(site.systems.server)),
    "subscriber locked": (TELEPHONY, lambda site: locked(site.systems.server.dsn("kamailio"), "subscriber")),
    "radcheck locked": (INTERNET, lambda site: locked(site.systems.server.dsn("radius"), "radcheck")),
    "answer to kamailio's commit lost": (TELEPHONY, lambda site: answer_to_commit_lost(site.telephony_proxy)),
    "answer to freeradius's commit lost": (INTERNET, lambda site: answer_to_commit_lost(site.internet_proxy)),
}


# -- what is seen meanwhile -------------------------------------------------------------------------------------------


async def registered(phone: Phone) -> int:
    async with asyncio.timeout(PATIENCE):
        return await phone.register()


async def logged_in(building: Building, username: str, password: str) -> int:
    async with asyncio.timeout(PATIENCE):
        login = await building.router.log_in(username, password)
    return ACCEPT if login.accepted else REJECT


def never_wrong(samples: Samples, before: int, after: int, decided: float, proven: float) -> None:
    """Nobody saw what was not decided."""
    seen = [sample.code for sample in samples.taken]
    assert set(seen) <= {before, after, *TROUBLE}, seen
    assert samples.before(decided) <= {before, *TROUBLE}, seen
    assert samples.after(proven) - {NOTHING} == {after}, seen
    assert samples.never_goes_back(before, after), seen


async def view_of(site: Site, client_id: str) -> dict[str, object]:
    answer = await site.building.api.get(f"/clients/{client_id}")
    assert answer.status_code == 200, answer.text
    view: dict[str, object] = answer.json()
    return view


@pytest.mark.parametrize("off", [True, False], ids=["suspend", "unsuspend"])
@pytest.mark.parametrize("name", list(FAULTS))
async def test_a_fault_while_switching_ends_proven_and_nobody_ever_sees_what_was_not_decided(
    site: Site, name: str, off: bool
) -> None:
    system, fault = FAULTS[name]
    building, acme = site.building, await tenant(site.building)
    phone_before, phone_after, login_before, login_after = OK, NOT_IN_SERVICE, ACCEPT, REJECT
    if not off:
        await building.command(acme, "suspend")
        phone_before, phone_after, login_before, login_after = NOT_IN_SERVICE, OK, REJECT, ACCEPT
    radius = (await building.credentials(acme))["radius"]
    log_in: Callable[[], Awaitable[int]] = partial(logged_in, building, radius["username"], radius["password"])
    async with (
        await building.phone(acme) as phone,
        sampling("telephone", partial(registered, phone)) as calls,
        sampling("router", log_in) as logins,
    ):

        async def felt() -> bool:
            """The fault is there while the client is switched, and telephone and router have asked meanwhile."""
            systems = (await view_of(site, acme))["systems"]
            assert isinstance(systems, list)
            samples_since = min(
                sum(sample.sent_at > decided for sample in samples.taken) for samples in (calls, logins)
            )
            lost = [proxy for proxy in (site.telephony_proxy, site.internet_proxy) if proxy.mode is Mode.LOSE_ANSWERS]
            return systems[system]["state"] != "settled" and samples_since >= 3 and (bool(lost) or "commit" not in name)

        async def settled() -> bool:
            return (await view_of(site, acme))["provisioning"] == "settled"

        async with fault(site):
            decided = calls.now()
            answer = await building.post(f"/clients/{acme}/{'suspend' if off else 'unsuspend'}", wait=0)
            assert answer.status_code == 202, answer.text
            await eventually(felt)
        await eventually(settled)
        proven = calls.now()
    never_wrong(calls, phone_before, phone_after, decided, proven)
    never_wrong(logins, login_before, login_after, decided, proven)


async def test_a_conversion_to_virtual_is_never_noticed_by_a_telephone(site: Site) -> None:
    building = site.building
    acme, friend = await tenant(building), await tenant(building)
    radius = (await building.credentials(acme))["radius"]
    log_in: Callable[[], Awaitable[int]] = partial(logged_in, building, radius["username"], radius["password"])
    async with await building.phone(acme) as phone, await building.phone(friend) as caller:
        assert await phone.register() == await caller.register() == OK
        async with (
            sampling("telephone", phone.register) as registrations,
            sampling("caller", partial(caller.call, phone.username)) as incoming,
            sampling("router", log_in) as logins,
        ):
            decided = logins.now()
            await building.command(acme, "convert", to="virtual")
            proven = logins.now()
    assert {sample.code for sample in registrations.taken} == {OK}
    assert {sample.code for sample in incoming.taken} == {OK}
    never_wrong(logins, ACCEPT, REJECT, decided, proven)
