"""A change of rates reaches every living session, on real FreeRADIUS, or is not proven; one found later is told."""

import json
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.support.router import INTERIM, START, Nas, admitted
from tests.support.waiting import eventually, free_udp_port
from tests.systems.network import Network, running_network
from tests.systems.service import Systems
from tests.systems.weather import CLEAN_UP

OLD = admitted(100, 20, 110)
RATES = "Mikrotik-Rate-Limit"
NEW = {"down_mbps": 50, "up_mbps": 10, "vlan": 110}


@pytest_asyncio.fixture(scope="module")
async def network(systems: Systems) -> AsyncIterator[Network]:
    """A service that looks several times a second, with gear that changes the rates of a living session."""
    gear = {"127.0.0.0/8": {"secret": systems.secret, "port": (port := free_udp_port()), "coa": [RATES]}}
    shortly = {"first_pause_seconds": 0.3, "longest_pause_seconds": 1, "watch_every_seconds": 0.3}
    shortly["disconnect_seconds"] = 2  # its gear answers
    async with running_network(systems, nas=json.dumps(gear), **shortly) as network:
        network.port = port
        yield network


def gear(network: Network) -> Nas:
    nas = network.nas()
    nas.changes = frozenset({RATES})
    return nas


async def tenant(network: Network) -> tuple[str, str]:
    """A client whose account has its secret long since."""
    acme, password = await network.tenant()
    await network.execute("UPDATE connect_fence SET changed_at = '2025-01-01' WHERE subject = $1", f"account:{acme}")
    return acme, password


@pytest.mark.parametrize("cause", ["Stale", None], ids=["as stale", "without a cause"])
async def test_a_session_whose_row_a_clean_up_job_closed_has_the_new_rates(network: Network, cause: str | None) -> None:
    acme, password = await tenant(network)
    async with gear(network) as nas:
        assert await nas.log_in(acme, password, "s1") == OLD
        await network.execute(f"{CLEAN_UP} AND username = $2", cause, acme)
        await network.building.command(acme, "services", internet=NEW)
        assert nas.plans == {"s1": {RATES: "10M/50M"}}
        nas.sessions.clear()


async def test_a_session_whose_start_never_comes_is_found_by_its_interim_a_minute_after_the_proof(
    network: Network,
) -> None:
    """The Interim does not say when it began."""
    acme, _ = await tenant(network)
    async with gear(network) as nas:
        nas.sessions["s1"] = acme
        await network.building.command(acme, "services", internet=NEW)
        ago = "UPDATE connect_fence SET changed_at = changed_at - interval '1 minute' WHERE subject = $1"
        await network.execute(f"{ago} AND isfinite(changed_at)", f"rates:{acme}")
        await nas.account("s1", acme, INTERIM)
        await eventually(lambda: nas.plans == {"s1": {RATES: "10M/50M"}})
        await eventually(lambda: network.settled(acme))
        nas.sessions.clear()


async def test_a_session_whose_start_comes_after_the_proof_is_found_told_once_and_has_the_new_rates(
    network: Network,
) -> None:
    acme, _ = await tenant(network)
    async with gear(network) as nas:
        nas.sessions["late"] = acme
        began = int(time.time())
        await network.building.command(acme, "services", internet=NEW)
        assert nas.plans == {}
        await nas.account("late", acme, START, Event_Timestamp=began)
        await eventually(lambda: nas.plans == {"late": {RATES: "10M/50M"}})
        await eventually(lambda: network.settled(acme))
        await network.rounds()
        why = "session late on NAS 127.0.0.2 began before the change, and was accounted for after it"
        assert await network.lines_with(acme, "Drift of") == [f"Drift of internet access reported: {acme}: {why}"]
        nas.sessions.clear()


async def test_a_session_that_outlived_its_suspension_has_the_rates_with_which_it_comes_back(network: Network) -> None:
    acme, password = await tenant(network)
    async with gear(network) as nas:
        assert await nas.log_in(acme, password, "s1") == OLD
        nas.mute = True
        await network.send_command(acme, "suspend")
        await network.send_command(acme, "services", internet=NEW)
        await network.send_command(acme, "unsuspend", source="all")
        nas.mute = False
        await eventually(lambda: network.settled(acme))
        assert nas.plans == {"s1": {RATES: "10M/50M"}} or nas.sessions == {}
        nas.sessions.clear()
