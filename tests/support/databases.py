"""Database servers of the tests: what they are set to, databases of one test, and one that answers nothing."""

import os
import signal
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from starter.local.postgres import EmbeddedPostgres

THROW_AWAY = {"fsync": "off", "full_page_writes": "off", "max_connections": "300"}


@asynccontextmanager
async def database(server: EmbeddedPostgres, name: str) -> AsyncIterator[str]:
    """A fresh database on a server, dropped at the end; gives its URL."""
    unique = f"{name}_{uuid.uuid4().hex[:8]}"
    await server.ensure_database(unique)
    try:
        yield server.dsn(unique)
    finally:
        await server.drop_database(unique)


@contextmanager
def frozen(server: EmbeddedPostgres) -> Iterator[None]:
    """Every process of a server stands still: it takes connections and answers nothing."""
    stopped = server.processes()
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
