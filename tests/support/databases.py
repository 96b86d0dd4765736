"""Databases of the tests: what servers are set to, databases of one test, connections, locks, and silence."""

import os
import signal
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg

from starter.local.postgres import EmbeddedPostgres
from tests.support.waiting import HANGING, free_port

THROW_AWAY = {"fsync": "off", "full_page_writes": "off", "max_connections": "300"}


UNHURRIED: dict[str, Any] = {
    "attempt_seconds": 8 * HANGING,
    "operation_seconds": 2 * HANGING,
    "statement_seconds": HANGING,
    "lock_seconds": HANGING / 2,
    "connect_seconds": HANGING,
    "record_seconds": HANGING / 2,
}
"""Settings of a process on a machine that may have much else to do."""


@contextmanager
def running_postgres(data: Path) -> Iterator[EmbeddedPostgres]:
    """A server that may lose what it holds, stopped at the end."""
    server = EmbeddedPostgres(data, free_port(), "secret", settings=THROW_AWAY)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@asynccontextmanager
async def database(server: EmbeddedPostgres, name: str) -> AsyncIterator[str]:
    """A fresh database on a server, dropped at the end; gives its URL."""
    unique = f"{name}_{uuid.uuid4().hex[:8]}"
    await server.ensure_database(unique)
    try:
        yield server.dsn(unique)
    finally:
        async with server.session() as postgres:
            await postgres.execute(f'DROP DATABASE "{unique}" WITH (FORCE)')


@asynccontextmanager
async def connected(dsn: str, **options: Any) -> AsyncIterator[asyncpg.Connection]:
    """A connection of somebody else, closed at the end."""
    connection = await asyncpg.connect(dsn, **options)
    try:
        yield connection
    finally:
        await connection.close()


async def fetch(dsn: str, sql: str, *values: object) -> list[asyncpg.Record]:
    """The rows of one statement on a connection of its own."""
    async with connected(dsn) as connection:
        rows: list[asyncpg.Record] = await connection.fetch(sql, *values)
        return rows


async def run_scripts(dsn: str, *scripts: Path) -> None:
    """Carry out these files of SQL."""
    async with connected(dsn) as connection:
        for script in scripts:
            await connection.execute(script.read_text(encoding="utf-8"))  # a small local file


@asynccontextmanager
async def locked(dsn: str, tables: str) -> AsyncIterator[asyncpg.Connection]:
    """Somebody holds a lock on these tables: whoever else wants them waits."""
    async with connected(dsn) as somebody, somebody.transaction():
        await somebody.execute(f"LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")
        yield somebody


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
