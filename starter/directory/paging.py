"""Shared by queries on the read model: the database with its errors, conditions, pages and cursors."""

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import asyncpg

from activities.database import Database, LimitsNotKept
from activities.errors import BUSY, UNAVAILABLE, safe_message, tls_remedy, translated
from starter.directory.scope import scoped
from starter.errors import DirectoryAway, DirectoryNotWritable, NoSuchPage

T = TypeVar("T")

_AWAY = (
    *UNAVAILABLE,
    *BUSY,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)


class DirectoryDatabase:
    """The directory's database. ``timeout`` limits each statement, in seconds.

    Every statement raises DirectoryAway when the database does not answer, or has no tables yet.

    ``sites``: reads find what belongs to these alone (scope.py); None: everything. Writes are not limited: whoever
    writes has read before what it is about.
    """

    def __init__(self, database: Database, timeout: float = 5.0, sites: Sequence[str] | None = None) -> None:
        self._database, self._timeout, self.sites = database, timeout, sites

    def within(self, sites: Sequence[str] | None) -> "DirectoryDatabase":
        """The same database, for a caller who sees these sites alone."""
        return DirectoryDatabase(self._database, self._timeout, sites)

    async def read(self, query: str, *values: object) -> list[asyncpg.Record]:
        if self.sites is not None:
            query, found = scoped(query, values, self.sites)
            return await self._answer(self._database.read(query, *found))
        return await self._answer(self._database.read(query, *values))

    async def page(
        self, query: str, values: Iterable[object], limit: int
    ) -> tuple[list[asyncpg.Record], asyncpg.Record | None]:
        """The rows of a page, and the last of them if there are more: the query selects one more than ``limit``.

        Raises NoSuchPage for a cursor that the database cannot read. All other input was checked before.
        """
        try:
            rows = await self.read(query, *values)
        except asyncpg.DataError as error:
            raise NoSuchPage from error
        return rows[:limit], rows[limit - 1] if len(rows) > limit else None

    async def write(self, statement: str, *values: object) -> list[asyncpg.Record]:
        """As ``Database.write``: the statement must be idempotent."""
        return await self._answer(self._database.write(statement, *values))

    async def transact(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        """What is done on this connection happens as a whole, or nothing of it. Nothing is repeated."""

        async def in_transaction() -> T:
            async with self._database.transaction() as connection:
                return await work(connection)

        return await self._answer(in_transaction())

    async def as_a_whole(self, work: Callable[["DirectoryDatabase"], Awaitable[T]]) -> T:
        """As ``transact``, for what asks a DirectoryDatabase: this one, as the transaction has it."""

        async def in_transaction(connection: asyncpg.Connection) -> T:
            inside = copy(self)
            inside._database = cast("Database", _OneConnection(connection))
            return await work(inside)

        return await self.transact(in_transaction)

    async def try_write(self, table: str) -> None:
        """As ``Database.try_write``. Raises DirectoryAway, with the remedy, whatever keeps us from writing."""
        try:
            await self._answer(self._database.try_write(table))
        except asyncpg.PostgresError as error:
            raise DirectoryNotWritable(translated(error, self._database).message) from error

    async def _answer(self, rows: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self._timeout):
                return await rows
        except asyncpg.UndefinedTableError as error:
            raise DirectoryAway("it has no tables yet", "Run connect migrate") from error
        except (asyncpg.ReadOnlySQLTransactionError, LimitsNotKept) as error:
            raise DirectoryNotWritable(translated(error, self._database).message) from error
        except _AWAY as error:
            if remedy := tls_remedy(error, self._database):
                raise DirectoryAway(safe_message(error), remedy) from error
            raise DirectoryAway(type(error).__name__) from error


class _OneConnection:
    """What of a Database a transaction can do by itself."""

    tls = False  # or none, which is over by now

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection = connection

    async def read(self, query: str, *values: object) -> list[asyncpg.Record]:
        rows: list[asyncpg.Record] = await self._connection.fetch(query, *values)
        return rows

    write = read

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection]:
        async with self._connection.transaction():
            yield self._connection


@dataclass
class Where:
    """SQL conditions, and the values of their parameters."""

    terms: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    def parameter(self, value: object) -> str:
        """Add a value, and return the parameter that stands for it."""
        self.values.append(value)
        return f"${len(self.values)}"

    def equal(self, columns: Mapping[str, object]) -> None:
        """Add the condition that each column has its value. A value of None is no condition."""
        self.terms += [f"{column} = {self.parameter(value)}" for column, value in columns.items() if value]

    def beyond(self, term: str, place: Iterable[object]) -> None:
        """Add the condition that a row comes after a place in the list. ``{}`` in the term stands for each part."""
        self.terms.append(term.format(*map(self.parameter, place)))

    def __str__(self) -> str:
        return f"WHERE {' AND '.join(self.terms)}" if self.terms else ""


def sealed(order: str, place: tuple[object, ...]) -> str:
    """An opaque cursor for a place in a list."""
    return base64.urlsafe_b64encode(json.dumps([order, *place]).encode()).decode().rstrip("=")


def opened(cursor: str, order: str, types: tuple[type, ...]) -> list[Any]:
    """The place in a list that a cursor stands for. Raises NoSuchPage for a cursor of another list."""
    try:
        place = json.loads(base64.urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)))
    except (binascii.Error, UnicodeError, ValueError, RecursionError) as error:
        raise NoSuchPage from error
    if not isinstance(place, list) or [type(part) for part in place] != [str, *types] or place[0] != order:
        raise NoSuchPage
    return place[1:]
