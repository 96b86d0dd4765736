"""What every test folder shares: one PostgreSQL server for the whole session, and options for runs of one's own."""

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from starter.local.postgres import EmbeddedPostgres
from tests.support.databases import THROW_AWAY
from tests.support.waiting import free_port

KILLS, COMMANDS, DEATHS = 10, 100, 5
MEMORY, ROOM = Path("/dev/shm"), 4 * 2**30

os.environ["TEMPORAL_DEBUG"] = "1"  # or the SDK takes a workflow for deadlocked that had no turn for two seconds
if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:  # servers start ten times as fast there as on a busy disk
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("connect")
    group.addoption("--kills", type=int, default=KILLS, help="how often test_kills kills a part")
    group.addoption("--commands", type=int, default=COMMANDS, help="how many commands its callers send")
    group.addoption("--deaths", type=int, default=DEATHS, help="how often test_fast_path has Temporal die")
    group.addoption("--seed", type=int, help="of its chances, to repeat a run")
    group.addoption("--shuffle", type=int, metavar="SEED", help="files, and the tests of each, in an order of chance")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """No test leans on another: the order that a seed makes is as good as the one they are written in."""
    if (seed := config.getoption("shuffle")) is not None:
        chance = random.Random(seed)
        chances = {path: chance.random() for path in dict.fromkeys(item.path for item in items)}
        chance.shuffle(items)
        items.sort(key=lambda item: chances[item.path])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Have the figures that tests recorded printed, whether they passed or not."""
    for report in terminalreporter.getreports("passed") + terminalreporter.getreports("failed"):
        for name, value in report.user_properties:
            terminalreporter.write_line(f"{name}: {value}")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """An empty server: ``await postgres.ensure_database(name)`` makes a database, ``postgres.dsn(name)`` is its URL."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres") / "data", free_port(), "secret", settings=THROW_AWAY)
    server.start()
    try:
        yield server
    finally:
        server.stop()
