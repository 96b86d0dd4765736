"""A whole service of its own, whose Temporal server reports a failing workflow as soon as `connect up` has it do."""

from collections.abc import AsyncIterator

import asyncpg
import pytest_asyncio
from temporalio.client import Client

from starter.local.postgres import EmbeddedPostgres
from starter.local.temporal import OPTIONS
from tests.support.service import Service, running_service, running_temporal, settings_on


@pytest_asyncio.fixture(scope="module")
async def temporal() -> AsyncIterator[Client]:
    left_out = ("journal", "synchronous")  # of its database
    settings = [option for option in OPTIONS if "=" in option and not option.startswith(left_out)]
    async with running_temporal(*settings) as temporal:
        yield temporal


@pytest_asyncio.fixture(scope="module")
async def service(temporal: Client, postgres: EmbeddedPostgres) -> AsyncIterator[Service]:
    async with running_service(temporal, await settings_on(postgres, "watched")) as service:
        yield service


@pytest_asyncio.fixture
async def directory(service: Service) -> AsyncIterator[asyncpg.Connection]:
    """A connection such as the watch has."""
    async with service.directory() as connection:
        yield connection
