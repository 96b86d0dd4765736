"""A PostgreSQL database for one process: pools of connections, and a time limit on everything that can hang."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Literal, Self
from urllib.parse import urlsplit

import asyncpg

from activities.instances import Instances
from activities.settings import Settings
from workflows.domain.systems import MAIN, System, SystemInstance

DRIVER_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)
"""Every error of a database. TimeoutError is an OSError."""

CLOSE_TIMEOUT = 1.0
"""Seconds for a rollback, or for the server to stop a statement, before the connection is dropped instead."""

_OWN_CONNECT, _OWN_STATEMENT = 5.0, 10.0  # seconds, for a connection outside the pools

_READ_ONLY = {"default_transaction_read_only": "on"}

PLANNED_ONCE = {"plan_cache_mode": "force_generic_plan"}
"""Each statement is planned once in a session. It is for those that find rows by a key, whatever its value is."""

_CUT = (
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server's last words came while nobody listened
    ConnectionError,
)


class Database:
    """One database, with the name of its purpose (``telephony``) and its address. Its text never has the password.
    ``setting`` is where its address stands. ``session`` are settings of the server that its sessions have.

    Changes and their read-back use connections of different pools, so that evidence is what any other client of the
    database sees. It connects when first used, so a process can start while a system is away. ``operation`` limits all
    of one activity's work here, in seconds. Use it as ``async with``.

    The server's own limits (``lock_timeout``, ``statement_timeout``) are set when a connection is made, which costs no
    round trip later. So a session must be ours for as long as it lasts: a pooler that hands out one server connection
    per transaction (pgbouncer with ``pool_mode = transaction``) must not stand between.
    """

    def __init__(
        self, name: str, dsn: str, settings: Settings, setting: str = "", session: Mapping[str, str] | None = None
    ) -> None:
        self.name, self.setting = name, setting or f"CONNECT_{name.upper()}_DSN"
        self.where = _address(dsn) or f"({self.setting} is not set)"
        self.operation = settings.operation_seconds
        self._dsn, self._connect = dsn, settings.connect_seconds
        self._statement = settings.statement_seconds
        self._session = {
            "application_name": "connect",
            "lock_timeout": _milliseconds(settings.lock_seconds),
            "statement_timeout": _milliseconds(settings.statement_seconds),
            **(session or {}),
        }
        self._size = settings.pool_size

    def __str__(self) -> str:
        return f"{self.name} database {self.where}"

    async def __aenter__(self) -> Self:
        self._changes = await self._pool(max(1, self._size - self._size // 2), self._session)
        self._read_only = await self._pool(max(1, self._size // 2), self._session | _READ_ONLY)
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Wait for work in progress, at most as long as an operation may take."""
        for pool in (self._changes, self._read_only):
            try:
                async with asyncio.timeout(self.operation):
                    await pool.close()
            except TimeoutError:
                pool.terminate()

    def transaction(self, *, snapshot: bool = False) -> AbstractAsyncContextManager[asyncpg.Connection]:
        """A transaction: everything on this connection happens, or nothing.

        With ``snapshot`` all of its statements see the database as it was at the first; a row that another transaction
        changed since raises asyncpg's SerializationError.
        """
        return self._transaction(self._changes, "repeatable_read" if snapshot else None)

    def read_only(self) -> AbstractAsyncContextManager[asyncpg.Connection]:
        """A read-only connection, which sees what is committed."""
        return self._transaction(self._read_only)

    async def read(self, query: str, *values: object) -> list[asyncpg.Record]:
        """The rows of one SELECT on a read-only connection. One round trip."""
        return await self._once(self._read_only, query, values)

    async def write(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """The rows of one statement that commits by itself. One round trip.

        It must be idempotent: it is repeated when the connection is cut, because nobody knows then whether it happened.
        What is returned is of the second time then: an insert that had happened returns no row. Who counts rows looks.
        """
        return await self._once(self._changes, statement, values)

    # -- how ------------------------------------------------------------------------------------------------------

    async def _pool(self, size: int, session: dict[str, str]) -> asyncpg.Pool:
        return await asyncpg.create_pool(
            self._dsn,
            min_size=0,
            max_size=size,
            init=speak_json,
            reset=_keep,
            timeout=self._connect,
            command_timeout=self._statement + 1,  # the server's own limit comes first: it says more
            server_settings=session,
        )

    async def _once(self, pool: asyncpg.Pool, statement: str, values: tuple[object, ...]) -> list[asyncpg.Record]:
        try:
            return await self._alone(pool, statement, values)
        except _CUT:  # most often, a pooled connection died of old age
            await pool.expire_connections()
            return await self._alone(pool, statement, values)

    async def _alone(self, pool: asyncpg.Pool, statement: str, values: tuple[object, ...]) -> list[asyncpg.Record]:
        connection = await pool.acquire(timeout=self.operation)
        try:
            rows: list[asyncpg.Record] = await connection.fetch(statement, *values)
            return rows
        finally:
            await self._give_back(pool, connection)

    @asynccontextmanager
    async def _transaction(
        self, pool: asyncpg.Pool, isolation: Literal["repeatable_read"] | None = None
    ) -> AsyncIterator[asyncpg.Connection]:
        try:
            connection, transaction = await self._begin(pool, isolation)
        except _CUT:  # a pooled connection died of old age; nothing was sent on it yet
            await pool.expire_connections()
            connection, transaction = await self._begin(pool, isolation)
        try:
            yield connection
            await transaction.commit()
        except BaseException:
            await _abandon(connection, transaction)
            raise
        finally:
            await self._give_back(pool, connection)

    async def _begin(
        self, pool: asyncpg.Pool, isolation: Literal["repeatable_read"] | None
    ) -> tuple[asyncpg.Connection, asyncpg.transaction.Transaction]:
        connection = await pool.acquire(timeout=self.operation)
        try:
            transaction = connection.transaction(isolation=isolation)
            await transaction.start()
        except BaseException:
            connection.terminate()
            await self._give_back(pool, connection)
            raise
        return connection, transaction

    async def _give_back(self, pool: asyncpg.Pool, connection: asyncpg.Connection) -> None:
        """Return a connection to its pool. The pool closes one that cannot be reused; its work stays done."""
        try:
            await pool.release(connection, timeout=CLOSE_TIMEOUT)
        except DRIVER_ERRORS:
            return


@dataclass(frozen=True)
class Databases:
    """What a worker writes to: the directory, and a database for each instance that it serves, with pools of its own.
    One that its adapter does not need has no address and is not used."""

    directory: Database
    instances: Instances
    systems: Mapping[SystemInstance, Database]

    def of(self, system: System, instance: str = MAIN) -> Database:
        """The database of an instance that is served."""
        return self.systems[SystemInstance(system, instance)]


@asynccontextmanager
async def open_databases(settings: Settings) -> AsyncIterator[Databases]:
    """Pools for all of them, not yet connected."""
    instances = Instances.of(settings)
    directory = Database("directory", settings.directory_dsn.get_secret_value(), settings)
    systems = {
        key: Database(str(key), it.dsn, it.settings, it.setting("dsn"), PLANNED_ONCE)
        for key, it in instances.served.items()
    }
    async with AsyncExitStack() as stack:
        for database in (directory, *systems.values()):
            await stack.enter_async_context(database)
        yield Databases(directory, instances, systems)


@asynccontextmanager
async def own_connection(dsn: str, name: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection outside the pools, because a lock belongs to its session. ``name`` is what the server calls it."""
    connection = await asyncpg.connect(
        dsn, timeout=_OWN_CONNECT, command_timeout=_OWN_STATEMENT, server_settings={"application_name": name}
    )
    try:
        await speak_json(connection)
        yield connection
    finally:
        with suppress(*DRIVER_ERRORS):
            await connection.close(timeout=CLOSE_TIMEOUT)


async def _abandon(connection: asyncpg.Connection, transaction: asyncpg.transaction.Transaction) -> None:
    """Drop the connection of a transaction that failed. The server rolls it back unless it was committed."""
    if connection.is_closed():
        return
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await transaction.rollback()
    except DRIVER_ERRORS:
        connection.terminate()


async def speak_json(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")


async def _keep(_: asyncpg.Connection) -> None:
    """Skip the pool's reset, and save its round trip: our sessions keep nothing after a transaction. (LISTEN has its
    own connection.)"""


def _address(dsn: str) -> str:
    parts = urlsplit(dsn)
    return parts.netloc.rpartition("@")[2] + parts.path


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))
