"""One service for all tests of the starter: each makes its own clients in it."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from fastapi import FastAPI

from activities.instances import KindSettings
from starter.app import create_app
from starter.contract.catalogue import ONLY_BUILT_IN, Catalogue
from tests.support.service import (
    TOKEN,
    Service,
    with_kinds,
)
from tests.support.terminal import Terminal


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every account can walk to; pytest's own are private."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest_asyncio.fixture(scope="session")
async def with_doors(service: Service) -> AsyncIterator[Service]:
    """The same service, whose settings name doors as a further kind, with two instances."""
    catalogue = Catalogue(
        ONLY_BUILT_IN.kinds | {"doors": KindSettings("doors", "Doors", in_building=True)},
        {"telephony": ["main", "london"], "internet": ["main"], "doors": ["main", "annex"]},
    )
    async with with_kinds(service, catalogue) as with_doors:
        yield with_doors


@pytest.fixture
def terminal(service: Service, tmp_path: Path) -> Terminal:
    """A command line that talks to the service."""
    return Terminal(tmp_path, {"CONNECT_URL": service.url, "CONNECT_TOKEN": TOKEN})


@pytest.fixture
def api(service: Service) -> httpx2.AsyncClient:
    """A caller with the token, at /api/v1."""
    return service.api


@pytest.fixture(scope="session")
def app(service: Service) -> FastAPI:
    """The app that the service serves, for callers in the task of their test: cheaper, and what each asks for is told
    apart."""
    return create_app(service.clients, TOKEN)
