"""A whole service of its own, whose Temporal server reports a failing workflow as soon as `connect up` has it do."""

from collections.abc import AsyncIterator

import asyncpg
import pytest_asyncio
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from activities.directory.migrations import migrate
from activities.settings import Settings
from starter.local.postgres import EmbeddedPostgres
from starter.local.temporal import OPTIONS
from tests.support.service import TEMPORAL, TOKEN, Service, running_service
from workflows.visibility import KEYS


@pytest_asyncio.fixture(scope="module")
async def temporal() -> AsyncIterator[Client]:
    settings = [
        option for option in OPTIONS if "=" in option and "journal" not in option and "synchronous" not in option
    ]
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(TEMPORAL),
        data_converter=pydantic_data_converter,
        search_attributes=KEYS,
        dev_server_log_level="error",
        dev_server_extra_args=[part for value in settings for part in ("--dynamic-config-value", value)],
    ) as environment:
        yield environment.client


@pytest_asyncio.fixture(scope="module")
async def service(temporal: Client, postgres: EmbeddedPostgres) -> AsyncIterator[Service]:
    dsn = await postgres.ensure_database("watched")
    await migrate(dsn)
    settings = Settings(directory_dsn=dsn, telephony_dsn=dsn, internet_dsn=dsn, token=TOKEN)
    async with running_service(temporal, settings) as service:
        yield service


@pytest_asyncio.fixture
async def directory(service: Service) -> AsyncIterator[asyncpg.Connection]:
    """A connection such as the watch has."""
    connection = await asyncpg.connect(service.settings.directory_dsn.get_secret_value())
    yield connection
    await connection.close()
