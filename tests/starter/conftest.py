"""One service for all tests of the starter: each makes its own clients in it."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from temporalio.client import Client

from activities.instances import ServiceKind
from activities.settings import Settings
from starter.contract.catalogue import ONLY_BUILT_IN, Catalogue
from starter.local.postgres import EmbeddedPostgres
from tests.support.service import (
    TOKEN,
    Service,
    running_service,
    running_temporal,
    settings_on,
    with_kinds,
    with_limits,
)
from tests.support.terminal import Terminal
from tests.support.workflows import replay_everything
from workflows.domain.provisioning.standing import Limits


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account can walk to; pytest's own are private."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest_asyncio.fixture(scope="session")
async def settings(postgres: EmbeddedPostgres) -> Settings:
    """Settings of a process on a migrated directory of our own."""
    return await settings_on(postgres, "starter")


@pytest_asyncio.fixture(scope="session")
async def temporal() -> AsyncIterator[Client]:
    """A Temporal server that knows our search attributes."""
    async with running_temporal() as temporal:
        yield temporal


@pytest_asyncio.fixture(scope="session")
async def service(temporal: Client, settings: Settings) -> AsyncIterator[Service]:
    """The whole service. At the end every history that the tests made in it is replayed."""
    async with running_service(temporal, settings) as service:
        yield service
        assert await replay_everything(temporal) or not service.telephony.orders


@pytest_asyncio.fixture(scope="session")
async def with_doors(service: Service) -> AsyncIterator[Service]:
    """The same service, whose settings name doors as a further kind, with two instances."""
    catalogue = Catalogue(
        ONLY_BUILT_IN.kinds | {"doors": ServiceKind("doors", "Doors", in_building=True)},
        {"telephony": ["main", "london"], "internet": ["main"], "doors": ["main", "annex"]},
    )
    async with with_kinds(service, catalogue) as with_doors:
        yield with_doors


@pytest_asyncio.fixture(scope="session")
async def slow(service: Service) -> AsyncIterator[Service]:
    """The same service, for new clients with an hour between attempts and before the second look."""
    limits = Limits(attempt=8, first_pause=3600, longest_pause=3600, second_look=3600)
    async with with_limits(service, limits) as slow:
        yield slow


@pytest.fixture
def terminal(service: Service, tmp_path: Path) -> Terminal:
    """A command line that talks to the service."""
    return Terminal(tmp_path, {"CONNECT_URL": service.url, "CONNECT_TOKEN": TOKEN})


@pytest.fixture
def api(service: Service) -> httpx2.AsyncClient:
    """A caller with the token, at /api/v1."""
    return service.api
