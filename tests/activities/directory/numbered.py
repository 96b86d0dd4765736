"""Events of a world's directory: numbered, and read as the API reads them."""

from datetime import timedelta
from typing import Any

from activities.database import own_connection
from activities.directory.events import ClientEvent
from activities.directory.numbering import HELD_BACK, number
from starter.contract.events import EventFilter, EventPage
from starter.directory.events import events
from starter.directory.paging import DirectoryDatabase
from tests.activities.fixtures import World

LINE = "INSERT INTO history (client_id, event, at, kind, text) VALUES ($1, 'refused', now(), 'suspend', $2)"
"""A line of a client, which becomes an event."""


async def numbered(world: World, held_back: timedelta = HELD_BACK) -> None:
    async with own_connection(world.dsns["directory"], "test") as connection:
        while await number(connection, held_back=held_back):
            pass


async def page(world: World, span: int = 1000, sites: list[str] | None = None, **filters: Any) -> EventPage:
    return await events(DirectoryDatabase(world.databases.directory, sites=sites), EventFilter(**filters), span)


async def numbered_events(world: World, **filters: Any) -> list[ClientEvent]:
    """The events there are, once all that waits is numbered."""
    await numbered(world)
    return (await page(world, **filters)).items
