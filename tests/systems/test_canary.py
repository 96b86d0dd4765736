"""A canary on real systems: each part killed, frozen and cut off in turn. Red names the stage, and green comes back."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio

from activities.database import Database
from activities.settings import Settings
from starter.contract.answers import CanaryState
from starter.directory.canaries import canaries
from starter.directory.paging import DirectoryDatabase
from starter.local.children import Child, signal_family
from starter.local.databases import prepare
from starter.local.postgres import EmbeddedPostgres
from starter.local.temporal import TemporalServer
from tests.support.cut_proxy import CutProxy
from tests.support.databases import connected, fetch, frozen, running_postgres
from tests.support.service import TOKEN, calling
from tests.support.udp_relay import Relay, relayed
from tests.support.waiting import eventually, free_port
from tests.systems.service import DOMAIN, KEY, Systems, running_systems

SITE, NUMBER = "york", "+441904960999"
EVERY, ROUND = 0.2, 6.0  # seconds
MOST = 5  # rounds until it names the stage: one under way, one cut short, the one that says so; a busy machine has more
REPORTS = """
CREATE TABLE reports (rounds int, state text, stage text);
CREATE FUNCTION note_report() RETURNS trigger LANGUAGE plpgsql AS
  'BEGIN INSERT INTO reports VALUES (NEW.rounds, NEW.state, NEW.stage); RETURN NULL; END';
CREATE TRIGGER note_report AFTER UPDATE OF rounds ON canaries FOR EACH ROW EXECUTE FUNCTION note_report()"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="freezes processes by their session")


@dataclass
class Station:
    """All parts as processes of their own, each with a way to it that can be cut."""

    systems: Systems
    server: EmbeddedPostgres
    temporal: TemporalServer
    api: Child
    worker: Child
    ways: dict[str, CutProxy]
    relays: dict[str, Relay]
    reads: DirectoryDatabase
    http: httpx2.AsyncClient

    async def wait_for_state(self, state: str, stage: str = "") -> CanaryState:
        found = await eventually(lambda: self._state_of(state, stage))
        assert found is not None
        return found

    async def rounds(self) -> int:
        """How many were reported by now."""
        (row,) = await fetch(self.server.dsn("connect"), "SELECT rounds FROM canaries")
        return int(row["rounds"])

    async def named(self, stage: str, after: int) -> int | None:
        """The first round after this one that named the stage, whenever somebody looked. None: the API says it itself,
        because no report comes."""
        sql = "SELECT min(rounds) AS first FROM reports WHERE (state, stage) = ('red', $1) AND rounds > $2"
        (row,) = await fetch(self.server.dsn("connect"), sql, stage, after)
        first: int | None = row["first"]
        return first

    async def _state_of(self, state: str, stage: str) -> CanaryState | None:
        """As the directory has it, whoever is away."""
        found = await canaries(self.reads)
        assert [(it.state, it.stage) for it in found] == [(state, stage)], found
        return found[0]


@pytest.fixture(scope="module")
def breakable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Systems, EmbeddedPostgres, Path]]:
    """Systems of our own, and a server of its own for the directory."""
    folder = tmp_path_factory.mktemp("canary")
    with running_systems(folder / "systems") as systems, running_postgres(folder / "postgres") as server:
        prepare(server)
        yield systems, server, folder


@pytest_asyncio.fixture(scope="module")
async def station(breakable: tuple[Systems, EmbeddedPostgres, Path]) -> AsyncIterator[Station]:
    systems, server, folder = breakable
    temporal, port = TemporalServer(folder / "temporal.db", free_port(), folder / "temporal.log"), free_port()
    ports = {
        "api": port,
        "temporal": temporal.port,
        "the worker's directory": server.port,
        "the API's directory": server.port,
        "telephony": systems.server.port,
    }
    for daemon in systems.daemons:
        await eventually(daemon.ready)
    async with AsyncExitStack() as stack:
        ways = {name: await stack.enter_async_context(CutProxy("127.0.0.1", to)) for name, to in ports.items()}
        addresses = {"kamailio": systems.kamailio.address, "freeradius": systems.freeradius.address}
        relays = {name: await stack.enter_async_context(relayed(to)) for name, to in addresses.items()}

        def through(way: str, dsn: str) -> str:
            return dsn.replace(f":{ports[way]}/", f":{ways[way].port}/")

        directory = server.dsn("connect", "connect")
        shared = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("TEMPORAL_", "CONNECT_"))},
            "TEMPORAL_ADDRESS": f"127.0.0.1:{ways['temporal'].port}",
            "CONNECT_MASTER_KEY": KEY,
            "CONNECT_TOKEN": TOKEN,
            "CONNECT_STATEMENT_SECONDS": "1",
            "CONNECT_LOCK_SECONDS": "0.8",
            "CONNECT_CONNECT_SECONDS": "0.8",
            "CONNECT_SIP_DOMAIN": DOMAIN,
            "CONNECT_AT_ONCE_SECONDS": "0.5",
        }
        of_worker = {
            "CONNECT_DIRECTORY_DSN": through("the worker's directory", directory),
            "CONNECT_TELEPHONY_DSN": through("telephony", systems.server.dsn("kamailio", "sip_prov")),
            "CONNECT_INTERNET_DSN": systems.server.dsn("radius", "radius_prov"),
            "CONNECT_OPERATION_SECONDS": "2",
            "CONNECT_SIP_SERVER": f"127.0.0.1:{relays['kamailio'].port}",
            "CONNECT_RADIUS_SERVER": f"127.0.0.1:{relays['freeradius'].port}",
            "CONNECT_RADIUS_SECRET": systems.secret,
            "CONNECT_PROBE_SECONDS": "0.5",
            "CONNECT_WATCH_EVERY_SECONDS": "0",
            "CONNECT_CANARIES": f"{SITE}={NUMBER}",
            "CONNECT_CANARY_EVERY_SECONDS": str(EVERY),
            "CONNECT_CANARY_SECONDS": str(ROUND),
            "CONNECT_URL": f"http://127.0.0.1:{ways['api'].port}",
        }
        of_api = {"CONNECT_DIRECTORY_DSN": through("the API's directory", directory), "CONNECT_PORT": str(port)}
        python = [sys.executable, "-m"]
        api = Child("api", [*python, "starter.cli.main", "serve"], folder / "api.log", shared | of_api, patience=0)
        worker = Child("worker", [*python, "worker"], folder / "worker.log", shared | of_worker, patience=0)
        await fetch(directory, "INSERT INTO sites VALUES ($1, 'York House', 'Europe/London')", SITE)
        async with connected(server.dsn("connect")) as owner:
            await owner.execute(f"{REPORTS}; GRANT INSERT ON reports TO connect")
        for child in (temporal, api, worker):
            stack.callback(child.stop)
            child.start()
        database = await stack.enter_async_context(Database("directory", directory, Settings(directory_dsn=directory)))
        http = await stack.enter_async_context(calling(f"http://127.0.0.1:{port}"))
        station = Station(systems, server, temporal, api, worker, ways, relays, DirectoryDatabase(database), http)
        yield station


# -- what goes wrong --------------------------------------------------------------------------------------------------

Fault = Callable[[Station], AbstractAsyncContextManager[None]]


def killed(part: Callable[[Station], Child]) -> Fault:
    """Gone with all its processes, and started again."""

    @asynccontextmanager
    async def fault(station: Station) -> AsyncIterator[None]:
        child = part(station)
        await asyncio.to_thread(child.kill)
        try:
            yield
        finally:
            child.start()
            for relay in station.relays.values():
                if relay.closed:
                    await relay.open()

    return fault


def standing_still(part: Callable[[Station], Child]) -> Fault:
    """Alive, and says nothing."""

    @asynccontextmanager
    async def fault(station: Station) -> AsyncIterator[None]:
        child = part(station)
        assert child.process is not None
        signal_family(child.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            signal_family(child.process.pid, signal.SIGCONT)

    return fault


def cut_off(*ways: str) -> Fault:
    """Connections are taken, and nothing passes."""

    @asynccontextmanager
    async def fault(station: Station) -> AsyncIterator[None]:
        for way in ways:
            station.ways[way].hang()
        try:
            yield
        finally:
            for way in ways:
                station.ways[way].recover()

    return fault


def lost(daemon: str) -> Fault:
    """No datagram arrives."""

    @asynccontextmanager
    async def fault(station: Station) -> AsyncIterator[None]:
        station.relays[daemon].cut = True
        try:
            yield
        finally:
            station.relays[daemon].cut = False

    return fault


@asynccontextmanager
async def database_killed(station: Station) -> AsyncIterator[None]:
    for pid in station.server.processes():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    try:
        yield
    finally:
        station.server.start()


@asynccontextmanager
async def database_frozen(station: Station) -> AsyncIterator[None]:
    with frozen(station.server):
        yield


FAULTS: dict[str, tuple[str, Fault]] = {
    "api killed": ("api", killed(lambda it: it.api)),
    "api frozen": ("api", standing_still(lambda it: it.api)),
    "api cut off": ("api", cut_off("api")),
    "worker killed": ("worker", killed(lambda it: it.worker)),
    "worker frozen": ("worker", standing_still(lambda it: it.worker)),
    "worker cut off": ("worker", cut_off("the worker's directory")),
    "temporal killed": ("temporal", killed(lambda it: it.temporal)),
    "temporal frozen": ("temporal", standing_still(lambda it: it.temporal)),
    "temporal cut off": ("temporal", cut_off("temporal")),
    "kamailio killed": ("system", killed(lambda it: it.systems.kamailio)),
    "kamailio frozen": ("network", standing_still(lambda it: it.systems.kamailio)),
    "kamailio cut off": ("network", lost("kamailio")),
    "kamailio's database cut off": ("system", cut_off("telephony")),
    "freeradius killed": ("system", killed(lambda it: it.systems.freeradius)),
    "freeradius frozen": ("network", standing_still(lambda it: it.systems.freeradius)),
    "freeradius cut off": ("network", lost("freeradius")),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_red_names_the_stage_that_fails_and_green_comes_back(station: Station, name: str) -> None:
    stage, fault = FAULTS[name]
    await station.wait_for_state("green")
    async with fault(station):
        before = await station.rounds()
        red = await station.wait_for_state("red", stage)
        assert (await station.named(stage, before) or red.rounds) - before <= MOST
        assert not red.system or red.system == ("internet" if "radius" in name else "telephony")
    await station.wait_for_state("green")


OF_THE_DIRECTORY: dict[str, Fault] = {
    "killed": database_killed,
    "frozen": database_frozen,
    "cut off": cut_off("the worker's directory", "the API's directory"),
}


@pytest.mark.parametrize("name", OF_THE_DIRECTORY)
async def test_a_directory_that_is_away_is_said_at_once_and_written_down_when_it_is_back(
    station: Station, name: str
) -> None:
    """Nothing can be read of it meanwhile, so the API says so itself, and the worker's log does."""
    before = await station.wait_for_state("green")

    async def refused_and_logged() -> bool:
        answer = await station.http.get("/systems")
        assert (answer.status_code, answer.json().get("title")) == (503, "Directory away"), answer.text
        return count_logged(station) > lines

    lines = count_logged(station)
    async with OF_THE_DIRECTORY[name](station):
        await eventually(refused_and_logged)

    async def written_down() -> bool:
        after = await station.wait_for_state("green")
        return (after.failed_stage, after.failures > before.failures) == ("directory", True)

    async def answered() -> bool:
        answer = await station.http.get("/systems")  # refused until the API is connected again
        return answer.status_code == 200 and [it["state"] for it in answer.json()["canaries"]] == ["green"]

    await eventually(written_down)
    await eventually(answered)


def count_logged(station: Station) -> int:
    """How often the worker's log said that a canary is red because of the directory."""
    lines = station.worker.log.read_text(encoding="utf-8").splitlines()
    return sum('"canary_red"' in line and '"directory"' in line for line in lines)
