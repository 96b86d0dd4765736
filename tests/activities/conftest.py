"""Fresh databases for every test: the directory migrated, both systems with the schemas we deploy."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from activities.directory.migrations import migrate
from activities.prepare import FENCE
from starter.local.postgres import EmbeddedPostgres
from tests.activities.fixtures import World

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest_asyncio.fixture(scope="session")
async def templates(postgres: EmbeddedPostgres) -> dict[str, str]:
    """Databases to copy, by what they are for."""
    await migrate(await postgres.ensure_database("template_directory"))
    for name, folder in (("telephony", "kamailio"), ("internet", "freeradius")):
        connection = await asyncpg.connect(await postgres.ensure_database(f"template_{name}"))
        await connection.execute(
            (DEPLOY / folder / "schema.sql").read_text(encoding="utf-8") + FENCE.read_text(encoding="utf-8")
        )
        await connection.close()
    return {name: f"template_{name}" for name in ("directory", "telephony", "internet")}


@pytest_asyncio.fixture
async def world(
    postgres: EmbeddedPostgres, templates: dict[str, str], request: pytest.FixtureRequest
) -> AsyncIterator[World]:
    """All three databases, empty, and the activities that work on them.

    A module that names some in ``DATABASES`` gets only those; the others do not exist, as if they were away.
    """
    test, wanted = uuid4().hex, getattr(request.module, "DATABASES", tuple(templates))
    server = await asyncpg.connect(postgres.dsn())
    for name in wanted:
        await server.execute(f'CREATE DATABASE "{name}_{test}" TEMPLATE "{templates[name]}" STRATEGY FILE_COPY')
    async with AsyncExitStack() as stack:
        world = World({name: postgres.dsn(f"{name}_{test}") for name in templates}, stack)
        await world.open()
        if "directory" in wanted:
            await world.show_site()
        yield world
    for name in wanted:
        await server.execute(f'DROP DATABASE "{name}_{test}" WITH (FORCE)')
    await server.close()
