"""FreeRADIUS and Kamailio for the tests: installed, or the tests are skipped; one pair of daemons for most of them."""

import os
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from starter.local.children import StartFailed
from starter.local.systems import check_installed
from tests.systems.accounting import SCHEMAS, Place, running_place
from tests.systems.service import Building, Systems, answering, running_service, running_systems


def pytest_runtest_setup() -> None:
    """FreeRADIUS and Kamailio are installed, or the tests are skipped, all in one line of the summary (it folds those
    from one place, which a fixture is not). With CONNECT_REQUIRE_SYSTEMS=1 they fail."""
    try:
        check_installed()
    except StartFailed as missing:
        if os.environ.get("CONNECT_REQUIRE_SYSTEMS") == "1":
            pytest.fail(str(missing))
        pytest.skip("FreeRADIUS and Kamailio are not installed: `.ci/run install` installs them, on Debian, as root")


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Systems]:
    with running_systems(tmp_path_factory.mktemp("systems") / "data") as systems:
        yield systems


@pytest_asyncio.fixture(scope="session")
async def systems(started: Systems) -> Systems:
    """Both daemons, for all tests that leave them alone."""
    return await answering(started)


@pytest.fixture(scope="session")
def started_to_be_broken(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Systems]:
    with running_systems(tmp_path_factory.mktemp("faults") / "data") as systems:
        yield systems


@pytest_asyncio.fixture(scope="session")
async def breakable(started_to_be_broken: Systems) -> Systems:
    """Both daemons, with a database server of their own, for tests that break them and mend them again."""
    return await answering(started_to_be_broken)


@pytest_asyncio.fixture(scope="session", params=[*SCHEMAS])
async def place(
    request: pytest.FixtureRequest, systems: Systems, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    """A RADIUS server that accounts: ours, and an operator's."""
    async with running_place(request.param, systems, tmp_path_factory.mktemp(request.param)) as place:
        yield place


@pytest_asyncio.fixture(scope="session")
async def building(systems: Systems) -> AsyncIterator[Building]:
    """The service in front of these systems. No test restarts a daemon: at the end they are the ones of the start."""
    async with running_service(systems) as building:
        pids = [daemon.process and daemon.process.pid for daemon in systems.daemons]
        yield building
    assert [daemon.process and daemon.process.pid for daemon in systems.daemons] == pids
    assert systems.freeradius.ready()
    assert systems.kamailio.ready()
