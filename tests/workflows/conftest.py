"""A real Temporal server whose time can be skipped, and a worker with fake systems on a task queue of its own."""

from collections.abc import AsyncIterator

import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

from tests.support.workflows import Service, running_server


@pytest_asyncio.fixture(scope="session")
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    """One server for all tests of a session; each test has a worker and a task queue of its own."""
    async with running_server() as environment:
        yield environment


@pytest_asyncio.fixture
async def service(temporal: WorkflowEnvironment) -> AsyncIterator[Service]:
    """A worker with fake systems. At the end every history made in it is replayed."""
    async with Service(temporal).at_work() as service:
        yield service
        await service.directory_agrees()
