"""What every test folder shares: one PostgreSQL server for the whole session, and options for runs of one's own."""

from collections.abc import Iterator

import pytest

from starter.local.postgres import EmbeddedPostgres
from tests.support.databases import THROW_AWAY
from tests.support.waiting import free_port

KILLS, COMMANDS = 10, 100


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("connect")
    group.addoption("--kills", type=int, default=KILLS, help="how often test_kills kills a part")
    group.addoption("--commands", type=int, default=COMMANDS, help="how many commands its callers send")
    group.addoption("--seed", type=int, help="of its chances, to repeat a run")


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
