"""What the test folders share: a PostgreSQL server and a service for the session, and options for runs of one's own."""

import os
import random
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
import structlog
from temporalio.client import Client
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from activities.settings import Settings
from starter.local.postgres import EmbeddedPostgres
from starter.local.temporal import NO_FORGED_LINKS
from tests.support.databases import running_postgres
from tests.support.scheduling import ByFolder
from tests.support.service import Service, running_service, running_temporal, settings_on, with_limits
from tests.support.waiting import HANGING
from tests.support.workflows import replay_everything
from workflows.domain.provisioning.standing import Limits

KILLS, COMMANDS, DEATHS, CHANGES = 10, 100, 5, 40
MEMORY, ROOM = Path("/dev/shm"), 4 * 2**30

# A run in the background ignores Ctrl-C, and so would what its tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ["TEMPORAL_DEBUG"] = "1"  # or the SDK takes a workflow for deadlocked that had no turn for two seconds
structlog.configure(  # or a traceback shows what its variables hold, and all the world that hangs on them: for minutes
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:  # servers start ten times as fast there as on a busy disk
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("connect")
    group.addoption("--kills", type=int, default=KILLS, help="how often test_kills kills a part")
    group.addoption("--commands", type=int, default=COMMANDS, help="how many commands its callers send")
    group.addoption("--deaths", type=int, default=DEATHS, help="how often test_fast_path has Temporal die")
    group.addoption("--changes", type=int, default=CHANGES, help="how many random changes test_random_changes makes")
    group.addoption("--seed", type=int, help="of its chances, to repeat a run")
    group.addoption("--shuffle", type=int, metavar="SEED", help="files, and the tests of each, in an order of chance")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """No test leans on another: the order that a seed makes is as good as the one they are written in."""
    if (seed := config.getoption("shuffle")) is not None:
        chance = random.Random(seed)
        chances = {path: chance.random() for path in dict.fromkeys(item.path for item in items)}
        chance.shuffle(items)
        items.sort(key=lambda item: chances[item.path])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    """With several processes, files of one folder run where its servers are."""
    return ByFolder(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Have the figures that tests recorded printed, whether they passed or not."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """An empty server: ``await postgres.ensure_database(name)`` makes a database, ``postgres.dsn(name)`` is its URL."""
    with running_postgres(tmp_path_factory.mktemp("postgres") / "data") as server:
        yield server


@pytest_asyncio.fixture(scope="session")
async def settings(postgres: EmbeddedPostgres) -> Settings:
    """Settings of a process on a migrated directory of the service's own."""
    return await settings_on(postgres, "service")


@pytest_asyncio.fixture(scope="session")
async def temporal() -> AsyncIterator[Client]:
    """A Temporal server that knows our search attributes, whose HTTP API answers nobody, and that lets no workflow say
    who calls by Nexus, as in every deployment."""
    async with running_temporal("frontend.httpAllowedHosts=[]", *NO_FORGED_LINKS) as temporal:
        yield temporal


@pytest_asyncio.fixture(scope="session")
async def service(temporal: Client, settings: Settings) -> AsyncIterator[Service]:
    """The whole service: the real API and console, the real directory, a real Temporal server, fake systems. At the
    end every history that the tests made in it is replayed."""
    async with running_service(temporal, settings) as service:
        yield service
        erased = {f"client-{client_id}" for client_id in await service.encryption.destroyed()}
        assert await replay_everything(service.temporal, erased) or not service.telephony.orders


@pytest_asyncio.fixture(scope="session")
async def slow(service: Service) -> AsyncIterator[Service]:
    """The same service, for new clients with an hour between attempts."""
    limits = Limits(attempt=HANGING, first_pause=3600, longest_pause=3600)
    async with with_limits(service, limits) as slow:
        yield slow
