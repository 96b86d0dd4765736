"""What every test folder shares: one PostgreSQL server for the whole session."""

from collections.abc import Iterator

import pytest

from starter.local.postgres import EmbeddedPostgres
from tests.support.waiting import free_port

THROW_AWAY = {"fsync": "off", "full_page_writes": "off", "max_connections": "300"}


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """An empty server: ``await postgres.ensure_database(name)`` makes a database, ``postgres.dsn(name)`` is its URL."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("postgres") / "data", free_port(), "secret", settings=THROW_AWAY)
    server.start()
    try:
        yield server
    finally:
        server.stop()
