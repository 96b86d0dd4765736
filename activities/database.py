"""A PostgreSQL database for one process: pools of connections, and a time limit on everything that can hang."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
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

_DONE_WITH = (
    asyncpg.ReadOnlySQLTransactionError,  # its server is a standby now, or may not be written to any more
    asyncpg.InFailedSQLTransactionError,  # somebody left a transaction behind
    asyncpg.IdleInTransactionSessionTimeoutError,
)
"""A connection that is good for nothing more: what was sent on it did not happen, and may on another."""

_LIMITS = ("lock_timeout", "statement_timeout", "row_security", "default_transaction_read_only")
_UNKEPT = """
SELECT name FROM unnest($1::text[], $2::text[]) AS w(name, value) JOIN pg_settings s USING (name)
WHERE s.setting <> w.value ORDER BY name"""

# A commit that is real, with a right to write to the table that is tried out, and no row of it.
_WRITE = """
WITH none AS (INSERT INTO {table} SELECT * FROM {table} WHERE false)
SELECT pg_logical_emit_message(true, 'connect', 'can be written to')"""


class LimitsNotKept(asyncpg.ClientConfigurationError):  # type: ignore[misc]  # asyncpg has no types
    """A session does not have the limits that it was made with. The message names them, and no value."""


PATIENCE = 60.0
"""Seconds to wait for a lock, and for transactions of others to end, where an index is made beside them."""


class Database:
    """One database, with the name of its purpose (``telephony``) and its address. Its text never has the password.
    ``setting`` is where its address stands; ``tls``: whether that speaks of TLS. ``session`` are settings of the
    server that its sessions have.

    Changes and their read-back use connections of different pools, so that evidence is what any other client of the
    database sees. It connects when first used, so a process can start while a system is away. ``operation`` limits all
    of one activity's work here, in seconds. Use it as ``async with``.

    The server's own limits (``lock_timeout``, ``statement_timeout``) are set when a connection is made, which costs no
    round trip later. So a session must be ours for as long as it lasts: a pooler that hands out one server connection
    per transaction (pgbouncer with ``pool_mode = transaction``) must not stand between. One that ignores our limits is
    found out as soon as we connect (LimitsNotKept). Rows that row level security would hide are an error
    (``row_security``): nobody takes them for absent.

    A server changes its role, or what it allows, under its connections. When one became a standby, or may not be
    written to, all are dropped, and what was asked is asked once more on a new one. Servers report their role by
    themselves from PostgreSQL 14 on; an older one refuses a change first, and the next attempt finds another.
    """

    def __init__(
        self, name: str, dsn: str, settings: Settings, setting: str = "", session: Mapping[str, str] | None = None
    ) -> None:
        self.name, self.setting = name, setting or f"CONNECT_{name.upper()}_DSN"
        self.tls = "sslmode=" in dsn or "sslrootcert=" in dsn
        self.where = _address(dsn) or f"({self.setting} is not set)"
        self.operation = settings.operation_seconds
        self._dsn, self._connect = dsn, settings.connect_seconds
        self._statement = settings.statement_seconds
        self._session = {
            "application_name": "connect",
            "lock_timeout": _milliseconds(settings.lock_seconds),
            "statement_timeout": _milliseconds(settings.statement_seconds),
            "row_security": "off",
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

    async def try_write(self, table: str) -> None:
        """Commit something and leave nothing behind. Raises what a change of this table would raise now."""
        await self.write(_WRITE.format(table=table))

    async def build(self, statement: str) -> None:
        """Carry out a statement that may take hours, and commits by itself, as one that makes an index. It waits for
        others ``PATIENCE`` at most. Raises the driver's errors."""
        session = self._session | {"statement_timeout": "0", "lock_timeout": _milliseconds(PATIENCE)}
        connection = await asyncpg.connect(self._dsn, timeout=self._connect, server_settings=session)
        try:
            await connection.execute(statement)
        finally:
            with suppress(*DRIVER_ERRORS):
                await connection.close(timeout=CLOSE_TIMEOUT)

    # -- how ------------------------------------------------------------------------------------------------------

    async def _pool(self, size: int, session: dict[str, str]) -> asyncpg.Pool:
        return await asyncpg.create_pool(
            self._dsn,
            min_size=0,
            max_size=size,
            init=partial(_begin_session, limits={name: session[name] for name in _LIMITS if name in session}),
            reset=_skip_reset,
            timeout=self._connect,
            command_timeout=self._statement + 1,  # the server's own limit comes first: it says more
            server_settings=session,
        )

    async def _once(self, pool: asyncpg.Pool, statement: str, values: tuple[object, ...]) -> list[asyncpg.Record]:
        try:
            rows, of_standby = await self._alone(pool, statement, values)
        except (*_CUT, *_DONE_WITH):  # most often, a pooled connection died of old age
            await self._expire()
        else:
            if not of_standby or pool is self._changes:
                return rows
            await self._expire()
        return (await self._alone(pool, statement, values))[0]

    async def _alone(
        self, pool: asyncpg.Pool, statement: str, values: tuple[object, ...]
    ) -> tuple[list[asyncpg.Record], bool]:
        """The rows, and whether a standby answered."""
        connection = await pool.acquire(timeout=self.operation)
        try:
            rows: list[asyncpg.Record] = await connection.fetch(statement, *values)
            return rows, _is_on(connection, "in_hot_standby")
        finally:
            await self._give_back(pool, connection)

    async def _expire(self) -> None:
        """Have every connection replaced before it is used again, those that read as well: a change must not be read
        back from another server."""
        for pool in (self._changes, self._read_only):
            await pool.expire_connections()

    @asynccontextmanager
    async def _transaction(
        self, pool: asyncpg.Pool, isolation: Literal["repeatable_read"] | None = None
    ) -> AsyncIterator[asyncpg.Connection]:
        try:
            connection, transaction = await self._begin(pool, isolation)
        except (*_CUT, *_DONE_WITH):  # it died of old age, or its server has another role; nothing was sent on it yet
            await self._expire()
            connection, transaction = await self._begin(pool, isolation, standby=pool is self._read_only)
        try:
            yield connection
            await transaction.commit()
        except BaseException as error:
            await _abandon(connection, transaction)
            if isinstance(error, _DONE_WITH):
                await self._expire()
            raise
        finally:
            await self._give_back(pool, connection)

    async def _begin(
        self, pool: asyncpg.Pool, isolation: Literal["repeatable_read"] | None, *, standby: bool = False
    ) -> tuple[asyncpg.Connection, asyncpg.transaction.Transaction]:
        connection = await pool.acquire(timeout=self.operation)
        try:
            transaction = connection.transaction(isolation=isolation)
            await transaction.start()
            if _is_on(connection, "in_hot_standby") and not standby:
                raise asyncpg.ReadOnlySQLTransactionError("it is a standby")
            if pool is self._changes and _is_on(connection, "default_transaction_read_only"):
                raise asyncpg.ReadOnlySQLTransactionError("its transactions are read-only")
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
        """The database of an instance. Raises KeyError for one that this worker does not serve."""
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


async def _begin_session(connection: asyncpg.Connection, limits: Mapping[str, str]) -> None:
    """Make sure of the limits, which a pooler may have ignored. Raises LimitsNotKept."""
    if unkept := await connection.fetch(_UNKEPT, list(limits), list(limits.values())):
        raise LimitsNotKept(f"its session does not keep {', '.join(row['name'] for row in unkept)}")
    await speak_json(connection)


def _is_on(connection: asyncpg.Connection, setting: str) -> bool:
    """Whether the server says, with its last answer, that the setting is on."""
    return bool(getattr(connection.get_settings(), setting, "off") == "on")


async def speak_json(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")


async def _skip_reset(_: asyncpg.Connection) -> None:
    """Skip the pool's reset, and save its round trip: our sessions keep nothing after a transaction. (LISTEN has its
    own connection.)"""


def _address(dsn: str) -> str:
    parts = urlsplit(dsn)
    return parts.netloc.rpartition("@")[2] + parts.path


def _milliseconds(seconds: float) -> str:
    return str(max(1, round(seconds * 1000)))
