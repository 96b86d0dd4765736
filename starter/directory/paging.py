"""Shared by queries on the read model: conditions, cursors, and errors of the database."""

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from activities.errors import BUSY, UNAVAILABLE
from starter.errors import DirectoryAway, NoSuchPage

_AWAY = (
    *UNAVAILABLE,
    *BUSY,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InvalidCatalogNameError,
)


@asynccontextmanager
async def directory_errors(seconds: float) -> AsyncIterator[None]:
    """Turn errors of the database into DirectoryAway."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except asyncpg.UndefinedTableError as error:
        raise DirectoryAway("it has no tables yet", "Run connect migrate") from error
    except _AWAY as error:
        raise DirectoryAway(type(error).__name__) from error


@asynccontextmanager
async def paging() -> AsyncIterator[None]:
    """Turn a cursor that the database cannot read into NoSuchPage. All other input was checked before."""
    try:
        yield
    except asyncpg.DataError as error:
        raise NoSuchPage from error


@dataclass
class Where:
    """SQL conditions, and the values of their parameters."""

    terms: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    def given(self, value: object) -> str:
        """Add a value, and return the parameter that stands for it."""
        self.values.append(value)
        return f"${len(self.values)}"

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
