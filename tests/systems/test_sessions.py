"""Internet sessions in progress: an account that goes off loses them, on real FreeRADIUS, or is not proven off."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from activities.prepare import check, prepare
from starter.local.databases import DEPLOY
from starter.local.systems import FreeRadius
from tests.support.databases import connected, run_scripts
from tests.support.router import INTERIM, NOT_REMOVABLE, REJECTED, SESSION_NOT_FOUND, START, STOP, admitted
from tests.support.waiting import eventually, free_udp_port
from tests.systems.network import Network, running_network
from tests.systems.service import Systems, for_preparation

ADMITTED = admitted(100, 20, 110)
STOCK = Path("/etc/freeradius/3.0/mods-config/sql/main/postgresql/schema.sql")
PATIENCE = 8


@pytest_asyncio.fixture(scope="module")
async def network(systems: Systems) -> AsyncIterator[Network]:
    """A service that is short of patience, and looks at what is off several times a second."""
    async with running_network(
        systems,
        attempt_seconds=PATIENCE,
        first_pause_seconds=0.3,
        longest_pause_seconds=1,
        watch_every_seconds=0.3,
    ) as network:
        yield network


async def test_an_open_session_ends_at_suspension_and_no_login_comes_off_from_then_on(network: Network) -> None:
    acme, password = await network.tenant()
    other, other_password = await network.tenant()
    async with network.nas() as nas:
        assert await nas.log_in(acme, password, "ours") == ADMITTED
        assert await nas.log_in(other, other_password, "theirs") == ADMITTED
        await network.building.command(acme, "suspend")
        assert {*nas.disconnects} == {"ours"}
        assert nas.sessions == {"theirs": other}
        router = network.building.router
        assert await router.log_in(acme, password) == REJECTED
        assert await router.log_in(acme, password, chap=True) == REJECTED
        await eventually(partial(network.open_sessions, acme, other), equal=[(other, "theirs")])
        found = await network.evidence(acme)
        names = ("login", "open_sessions", "disconnected", "disowned", "probe")
        assert {name: found["seen"][name] for name in names} == {
            "login": "rejected",
            "open_sessions": "0",
            "disconnected": "1 by ACK",
            "disowned": "0",
            "probe": "Access-Reject",
        }
        assert found["method"] == (
            "radcheck, radreply, groups and radacct, read back on another connection, "
            "sessions ended with Disconnect-Requests, a login of our own"
        )
        await network.building.command(acme, "unsuspend")
        assert await router.log_in(acme, password, chap=True) == ADMITTED
        assert (await network.evidence(acme))["seen"]["probe"] == "Access-Accept"
        await network.building.command(other, "decommission")
        await eventually(lambda: not nas.sessions)


async def test_a_nas_that_is_silent_leaves_it_not_proven_then_a_person_is_told_and_its_answer_proves_it(
    network: Network,
) -> None:
    acme, password = await network.tenant()
    async with network.nas() as nas:
        assert await nas.log_in(acme, password, "s1") == ADMITTED
        nas.mute = True
        await network.send_command(acme, "suspend")

        async def state() -> Any:
            return (await network.internet(acme))["state"]

        await eventually(state, equal="not_proven")
        assert "session s1 may still be open" in (await network.internet(acme))["last_error"]
        assert await network.building.router.log_in(acme, password) == REJECTED
        await eventually(state, equal="attention")
        nas.mute = False
        await eventually(state, equal="settled")
        assert nas.sessions == {}


async def test_a_nas_with_another_secret_is_silent(network: Network) -> None:
    acme, password = await network.tenant()
    async with network.nas() as nas:
        assert await nas.log_in(acme, password, "s1") == ADMITTED
        nas.secret, right = "another", nas.secret
        await network.send_command(acme, "suspend")

        async def unknown() -> bool:
            return "session s1 may still be open" in (await network.internet(acme))["last_error"]

        await eventually(unknown)
        assert nas.sessions == {"s1": acme}
        nas.secret = right
        await eventually(lambda: network.settled(acme))
        assert nas.sessions == {}


async def test_a_session_that_its_nas_does_not_know_is_gone_though_its_row_stays_open(network: Network) -> None:
    acme, password = await network.tenant()
    async with network.nas() as nas:
        assert await nas.log_in(acme, password, "stale") == ADMITTED
        nas.sessions.clear()  # it was restarted an hour ago, and nobody accounted for that
        await network.execute(
            """UPDATE radacct SET acctstarttime = now() - interval '1 hour', acctupdatetime = now() - interval '1 hour'
            WHERE username = $1""",
            acme,
        )
        await network.building.command(acme, "suspend")
        assert (await network.evidence(acme))["seen"]["disowned"] == "1 not found"
        assert (acme, "stale") in await network.open_sessions(acme)
        await network.rounds()
        assert await network.settled(acme)
        assert await network.lines_with(acme, "alive") == []
        await nas.account("stale", acme, STOP)


async def test_a_nas_that_refuses_needs_a_person_at_once(network: Network) -> None:
    acme, password = await network.tenant()
    async with network.nas() as nas:
        assert await nas.log_in(acme, password, "s1") == ADMITTED
        nas.refuses = NOT_REMOVABLE
        await network.send_command(acme, "suspend")

        async def reported() -> bool:
            system = await network.internet(acme)
            return system["state"] == "attention" and "Session Context Not Removable" in system["last_error"]

        await eventually(reported)
        nas.refuses = 0
        await eventually(lambda: network.settled(acme))
        assert nas.sessions == {}


async def test_not_found_is_not_believed_while_accounting_hears_of_the_session(network: Network) -> None:
    acme, password = await network.tenant()
    async with network.nas() as nas:
        assert await nas.log_in(acme, password, "s1") == ADMITTED
        nas.refuses = SESSION_NOT_FOUND
        await network.send_command(acme, "suspend")

        async def reported() -> bool:
            await nas.account("s1", acme, INTERIM)
            return "does not find it (Error-Cause 503)" in (await network.internet(acme))["last_error"]

        await eventually(reported, every=0.2)
        assert not await network.settled(acme)
        await nas.account("s1", acme, STOP)
        await eventually(lambda: network.settled(acme))


@pytest.mark.parametrize("status", [START, INTERIM], ids=["its Start", "an Interim"])
async def test_a_session_that_was_accepted_before_and_is_heard_of_afterwards_is_ended_within_a_round_and_told_once(
    network: Network, status: int
) -> None:
    acme, password = await network.tenant()
    async with network.nas() as nas:
        assert await nas.log_in(acme, password, "s1") == ADMITTED
        await network.building.command(acme, "suspend")
        nas.sessions["late"] = acme
        await nas.account("late", acme, status)
        await eventually(lambda: not nas.sessions)
        assert {*nas.disconnects} == {"s1", "late"}
        await eventually(lambda: network.settled(acme))
        await network.rounds(3)
        assert await network.lines_with(acme, "alive") == [
            f"Internet access found alive again: {acme}: session late on NAS 127.0.0.2 goes on"
        ]


async def test_an_interim_ten_minutes_later_of_a_session_whose_row_stayed_open_is_found(network: Network) -> None:
    acme, password = await network.tenant()
    async with network.nas() as nas:
        assert await nas.log_in(acme, password, "s1") == ADMITTED
        nas.sessions.clear()  # another part of it says that it does not know the session
        await grow_old(network, acme)  # nothing was heard of it for longer than an Interim interval: that is believed
        await network.building.command(acme, "suspend")
        await ten_minutes_pass(network, acme)
        nas.sessions["s1"] = acme
        await nas.account("s1", acme, INTERIM)
        await eventually(lambda: not nas.sessions)
        await eventually(lambda: network.settled(acme))
        assert len(await network.lines_with(acme, "alive")) == 1


async def ten_minutes_pass(network: Network, client_id: str) -> None:
    """As far as rows can tell, all that they say was ten minutes ago."""
    await network.rounds(1)
    not_looked_at = "UPDATE watched SET instance = 'elsewhere' WHERE client_id = $1"  # or rows that change are alive
    await network.execute(not_looked_at, client_id, database="connect")
    await network.rounds()
    await grow_old(network, client_id)
    later = "UPDATE watched SET instance = 'main', since = since - interval '10 minutes' WHERE client_id = $1"
    await network.execute(later, client_id, database="connect")
    await network.rounds()
    assert await network.lines_with(client_id, "alive") == []


async def grow_old(network: Network, client_id: str) -> None:
    """What accounting has of the client's sessions is older by eleven minutes: by more than an Interim interval."""
    await network.execute(
        """UPDATE radacct SET acctstarttime = acctstarttime - interval '11 minutes',
          acctupdatetime = acctupdatetime - interval '11 minutes' WHERE username = $1""",
        client_id,
    )


async def test_an_account_that_comes_alive_after_its_client_was_closed_is_ended_and_told(network: Network) -> None:
    acme, password = await network.tenant()
    async with network.nas() as nas:
        assert await nas.log_in(acme, password, "s1") == ADMITTED
        await network.building.command(acme, "decommission")
        nas.sessions["late"] = acme
        await nas.account("late", acme, START)
        await eventually(lambda: not nas.sessions)

        async def reported() -> list[str]:
            return await network.lines_with(acme, "alive")

        (text,) = await eventually(reported)
        assert text.startswith("Internet access found alive again, and ended: ")


async def test_a_nas_that_acknowledges_and_lets_live_is_found_out(network: Network) -> None:
    acme, password = await network.tenant()
    async with network.nas() as nas:
        assert await nas.log_in(acme, password, "s1") == ADMITTED
        nas.undead = True
        await network.send_command(acme, "suspend")

        async def found_out() -> bool:
            await nas.account("s1", acme, INTERIM)
            return "acknowledged the Disconnect-Request, but" in (await network.internet(acme))["last_error"]

        await eventually(found_out, every=0.2)
        nas.undead = False
        await eventually(lambda: network.settled(acme))
        assert nas.sessions == {}


async def test_every_status_is_the_same_for_pap_and_chap(network: Network) -> None:
    acme, password = await network.tenant(activation="manual")
    router = network.building.router
    for command, login in (
        ("", REJECTED),
        ("activate", ADMITTED),
        ("suspend", REJECTED),
        ("unsuspend", ADMITTED),
        ("decommission", REJECTED),
    ):
        if command:
            await network.building.command(acme, command)
        for chap in (False, True):
            assert await router.log_in(acme, password, chap=chap) == login, (command, chap)


async def test_a_stop_that_overtakes_its_start_leaves_no_open_row(network: Network) -> None:
    async with network.nas() as nas:
        for status in (STOP, START, INTERIM):
            await nas.account("hasty", "nobody", status)
        assert await network.open_sessions("nobody") == []


async def test_rotating_ends_the_session_and_only_the_new_password_logs_in(network: Network) -> None:
    acme, old = await network.tenant()
    async with network.nas() as nas:
        assert await nas.log_in(acme, old, "s1") == ADMITTED
        await network.building.command(acme, "rotate-credentials")
        assert nas.sessions == {}
        new = (await network.building.credentials(acme))["radius"]["password"]
        for chap in (False, True):
            assert await network.building.router.log_in(acme, old, chap=chap) == REJECTED
            assert await network.building.router.log_in(acme, new, chap=chap) == ADMITTED


@pytest.mark.parametrize("way", ["User-Password", "CHAP-Password"])
async def test_radclient_gets_what_our_own_router_gets(network: Network, way: str) -> None:
    acme, password = await network.tenant()

    async def radclient() -> tuple[int, str]:
        port = network.building.freeradius.port
        packet = f'User-Name = "{acme}", {way} = "{password}", Message-Authenticator = 0x00'
        words = ["radclient", "-x", "-t", "2", f"127.0.0.1:{port}", "auth", network.secret]
        result = await asyncio.to_thread(
            subprocess.run, words, input=packet, capture_output=True, encoding="utf-8", check=False
        )
        return result.returncode, result.stdout.partition("\nReceived ")[2]

    status, answer = await radclient()
    assert status == 0
    assert answer.startswith("Access-Accept")
    assert 'Mikrotik-Rate-Limit = "20M/100M"' in answer
    assert 'Tunnel-Private-Group-Id:1 = "110"' in answer
    await network.building.command(acme, "suspend")
    status, answer = await radclient()
    assert status == 1
    assert answer.startswith("Access-Reject")
    assert answer.count(" = ") == answer.count("Message-Authenticator = ") == 1, "a reject has no attributes of a plan"


# -- FreeRADIUS's own schema ------------------------------------------------------------------------------------------


async def test_the_stock_schema_works_once_it_is_prepared(systems: Systems, tmp_path: Path) -> None:
    server = systems.server
    stock_radius = await server.ensure_database("stock_radius")
    await run_scripts(stock_radius, STOCK)
    settings = for_preparation(server, internet="stock_radius")
    assert any("table connect_fence added" in line for line in await prepare(settings))
    async with connected(stock_radius) as connection:
        for problem in await check(settings):
            if "radacct" in problem:
                await connection.execute(problem.rpartition(": ")[2])
    await run_scripts(server.dsn("stock_radius"), DEPLOY / "freeradius/grants.sql")
    here = (tmp_path / "radius", tmp_path / "radius.log")
    daemon = FreeRadius(server, free_udp_port(), systems.secret, *here, database="stock_radius")
    daemon.start()
    try:
        await eventually(daemon.ready)
        internet = SecretStr(server.dsn("stock_radius", "radius_prov"))
        stock = replace(systems, freeradius=daemon)
        async with running_network(stock, internet_dsn=internet) as network, network.nas("127.0.0.3") as nas:
            acme, password = await network.tenant()
            for _ in range(2):
                assert await nas.log_in(acme, password) == ADMITTED
                await network.building.command(acme, "suspend")
                assert nas.sessions == {}
                assert await network.building.router.log_in(acme, password) == REJECTED
                await network.building.command(acme, "unsuspend")
    finally:
        daemon.stop()
