"""Access gear for tests that end sessions."""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.activities.fixtures import World
from tests.activities.internet.gear import SECRET, reopen
from tests.support.router import Nas
from tests.support.waiting import free_port


@pytest_asyncio.fixture
async def nas(world: World) -> AsyncIterator[Nas]:
    """Access gear that the activities know. Nobody accounts for the end of its sessions: it is forgetful."""
    nobody = free_port()
    async with Nas(nobody, SECRET, free_port(), forgetful=True) as nas:
        await reopen(world, nas)
        yield nas
