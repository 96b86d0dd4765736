"""Fresh databases for every test: the directory migrated, both systems with the schemas we deploy."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
import pytest_asyncio

from activities import database
from activities.directory.migrations import migrate
from activities.prepare import FENCE
from starter.local.postgres import EmbeddedPostgres
from tests.activities.fixtures import World
from tests.support.databases import run_scripts

DEPLOY = Path(__file__).parents[2] / "deploy"


@pytest_asyncio.fixture(scope="session")
async def templates(postgres: EmbeddedPostgres) -> dict[str, str]:
    """Databases to copy, by what they are for."""
    await migrate(await postgres.ensure_database("template_directory"))
    for name, folder in (("telephony", "kamailio"), ("internet", "freeradius")):
        await run_scripts(await postgres.ensure_database(f"template_{name}"), DEPLOY / folder / "schema.sql", FENCE)
    return {name: f"template_{name}" for name in ("directory", "telephony", "internet")}


@pytest_asyncio.fixture
async def world(
    postgres: EmbeddedPostgres,
    templates: dict[str, str],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[World]:
    """All three databases, empty, and the activities that work on them.

    A module that names some in ``DATABASES`` gets only those; the others do not exist, as if they were away.
    """
    test, names = uuid4().hex, getattr(request.module, "DATABASES", tuple(templates))
    server = await asyncpg.connect(postgres.dsn())
    for name in names:
        await server.execute(f'CREATE DATABASE "{name}_{test}" TEMPLATE "{templates[name]}" STRATEGY FILE_COPY')
    async with AsyncExitStack() as stack:
        world = World({name: postgres.dsn(f"{name}_{test}") for name in templates}, stack)
        speak_json = database.speak_json

        async def speak_and_log(connection: asyncpg.Connection) -> None:
            await speak_json(connection)
            connection.add_query_logger(world.statements.append)

        monkeypatch.setattr(database, "speak_json", speak_and_log)
        await world.open()
        if "directory" in names:
            await world.show_site()
        yield world
    for name in names:
        await server.execute(f'DROP DATABASE "{name}_{test}" WITH (FORCE)')
    await server.close()
