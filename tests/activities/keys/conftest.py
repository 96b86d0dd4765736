"""A database of clients' keys for each test, and processes that use it."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

import asyncpg
import pytest_asyncio

from activities.database import Database
from activities.directory.migrations import migrate_keys
from activities.keys.client_keys import ClientKeys
from activities.keys.encryption import Encryption
from activities.keys.operator_keys import OperatorKeys
from activities.settings import Settings
from starter.local.postgres import EmbeddedPostgres
from tests.support.databases import UNHURRIED, database, fetch

KEY = "4d" * 32


class CountingDatabase(Database):
    """A database that knows what it was asked, and can be away."""

    statements: list[str]
    away = False

    async def write(self, statement: str, *values: object) -> list[asyncpg.Record]:
        self.statements = [*getattr(self, "statements", []), statement.split()[0]]
        if self.away:
            raise ConnectionRefusedError
        return await super().write(statement, *values)


@dataclass
class Store:
    """The database of clients' keys. ``process(keys)`` is one process with these keys of the operator."""

    dsn: str
    process: Callable[[str], Encryption]
    databases: list[CountingDatabase] = field(default_factory=list)

    def keys(self, operator: str = KEY) -> ClientKeys:
        keys = self.process(operator).keys
        assert keys is not None
        return keys

    async def rows(self) -> dict[str, tuple[str, bool]]:
        """The operator's key of each client's, and whether the client's is there."""
        rows = await fetch(self.dsn, "SELECT client_id, key_id, wrapped IS NOT NULL AS kept FROM client_keys")
        return {row["client_id"]: (row["key_id"], row["kept"]) for row in rows}


@pytest_asyncio.fixture
async def store(postgres: EmbeddedPostgres) -> AsyncIterator[Store]:
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(database(postgres, "keys"))
        await migrate_keys(dsn)
        databases = []
        for number in range(3):
            settings = Settings(directory_dsn=dsn, **UNHURRIED)
            databases.append(await stack.enter_async_context(CountingDatabase(f"keys {number}", dsn, settings)))
        free = iter(databases)

        def process(operator: str) -> Encryption:
            return Encryption(next(free), OperatorKeys.parse(operator) if operator else None, own=False)

        yield Store(dsn, process, databases)
