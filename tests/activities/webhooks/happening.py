"""Events of clients, for webhooks to receive."""

from activities.database import own_connection
from activities.directory.numbering import number
from tests.activities.fixtures import World

LINE = "INSERT INTO history (client_id, event, at, kind, text) VALUES ($1, 'refused', now(), 'suspend', 'no')"


async def happens(world: World, *clients: str) -> None:
    """An event of each of these, which is numbered."""
    for client in clients:
        await world.execute("directory", LINE, client)
    async with own_connection(world.dsns["directory"], "test") as connection:
        while await number(connection):
            pass
