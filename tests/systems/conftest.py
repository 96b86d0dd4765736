"""The whole service on real systems: our API, a worker with its real adapters, Kamailio and FreeRADIUS themselves."""

import os
import socket
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

import worker
from activities.database import open_databases
from activities.settings import Settings
from starter.api import create_app
from starter.credentials import Keyring
from starter.daemons import Daemon, DaemonsMissing, FreeRadius, Kamailio, check_installed, daemons
from starter.data_folder import DataFolder
from starter.databases import prepare
from starter.desk import Desk
from starter.directory import Directory
from starter.gateway import Gateway
from starter.listening import is_free
from starter.postgres import EmbeddedPostgres
from starter.watching import Watch
from tests.conftest import THROW_AWAY
from tests.starter.house import SITE, TEMPORAL, TOKEN, calling, serving, waiting, watched
from tests.systems.phone import Phone
from tests.systems.router import Login, Router
from tests.waiting import eventually, free_port
from workflows.visibility import KEYS

DOMAIN = "sip.test"
KEY = "a master key that is long enough for the tests"


@dataclass
class Building:
    """The service, and the systems that it switches. Telephones and routers are configured as the API says."""

    api: httpx.AsyncClient
    kamailio: Kamailio
    freeradius: FreeRadius
    router: Router
    databases: dict[str, str]

    async def create(self, **record: Any) -> str:
        """A new client, settled; its id."""
        body = {"name": "Acme Ltd", "type": "residential", "site": SITE, **record}
        answer = await self.api.post("/clients", json=body, headers=waiting(20))
        assert answer.status_code == 201, answer.text
        assert answer.json()["provisioning"] == "settled", answer.text
        client_id: str = answer.json()["client_id"]
        return client_id

    async def tell(self, client_id: str, command: str, **body: Any) -> dict[str, Any]:
        """Have a command obeyed: accepted, and proven on the systems."""
        answer = await self.api.post(f"/clients/{client_id}/{command}", json=body, headers=waiting(20))
        assert answer.status_code == 200, answer.text
        view: dict[str, Any] = answer.json()
        return view

    async def credentials(self, client_id: str) -> dict[str, Any]:
        answer = await self.api.get(f"/clients/{client_id}/credentials")
        assert answer.status_code == 200, answer.text
        assert answer.headers["Cache-Control"] == "no-store"
        told: dict[str, Any] = answer.json()
        return told

    async def phone(self, client_id: str, line: int = 0) -> Phone:
        """A telephone configured for a line of the client. Open it with ``async with``."""
        told = await self.credentials(client_id)
        host, _, port = told["servers"]["sip"].partition(":")
        login = told["sip"][line]
        return Phone(login["username"], login["password"], told["servers"]["sip_domain"], (host, int(port)))

    async def log_in(self, client_id: str) -> Login:
        """A login of the router configured for the client."""
        radius = (await self.credentials(client_id))["radius"]
        return await self.router.log_in(radius["username"], radius["password"])


def pytest_runtest_setup() -> None:
    """FreeRADIUS and Kamailio are installed, or the tests are skipped, all in one line of the summary (it folds those
    from one place, which a fixture is not). With CONNECT_REQUIRE_SYSTEMS=1 they fail."""
    try:
        check_installed()
    except DaemonsMissing as missing:
        if os.environ.get("CONNECT_REQUIRE_SYSTEMS") == "1":
            pytest.fail(str(missing))
        pytest.skip("FreeRADIUS and Kamailio are not installed: `.ci/run install` installs them, on Debian, as root")


@pytest.fixture(scope="session")
def systems(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[EmbeddedPostgres, tuple[FreeRadius, Kamailio], str]]:
    """Both daemons as `connect up --systems` starts them, the server of their databases, and the RADIUS secret."""
    with DataFolder.held(tmp_path_factory.mktemp("systems") / "data") as folder:
        server = EmbeddedPostgres(folder.postgres, free_port(), "secret", settings=THROW_AWAY)
        server.start()
        started: list[Daemon] = []
        try:
            prepare(server)
            both = daemons(server, folder, free_udp_port(), free_udp_port(), DOMAIN)
            for it in both:
                started.append(it)
                it.start()
            yield server, both, folder.make_radius_secret()
        finally:
            for daemon in started:
                daemon.stop()
            server.stop()


@pytest_asyncio.fixture(scope="session")
async def building(
    systems: tuple[EmbeddedPostgres, tuple[FreeRadius, Kamailio], str],
) -> AsyncIterator[Building]:
    """The service in front of these systems. No test restarts a daemon: at the end they are the ones of the start."""
    server, (freeradius, kamailio), secret = systems
    for daemon in (freeradius, kamailio):
        await eventually(daemon.ready)
    pids = [daemon.process and daemon.process.pid for daemon in (freeradius, kamailio)]
    settings = Settings(
        directory_dsn=SecretStr(server.dsn("connect", "connect")),
        telephony_dsn=SecretStr(server.dsn("kamailio", "sip_prov")),
        internet_dsn=SecretStr(server.dsn("radius", "radius_prov")),
        master_key=SecretStr(KEY),
        sip_domain=DOMAIN,
        sip_server=kamailio.address,
        radius_server=freeradius.address,
    )
    databases = {name: server.dsn(name) for name in ("kamailio", "radius")}
    watch = Watch(settings.directory_dsn.get_secret_value(), pause=0.1)
    async with (
        await WorkflowEnvironment.start_local(
            dev_server_existing_path=str(TEMPORAL),
            data_converter=pydantic_data_converter,
            search_attributes=KEYS,
            dev_server_log_level="error",
            dev_server_extra_args=["--dynamic-config-value", 'history.timerProcessorMaxTimeShift="1ms"'],
        ) as environment,
        open_databases(settings) as pools,
        worker.build(environment.client, pools, settings),
    ):
        directory = Directory(pools.directory)
        desk = Desk(Gateway(environment.client, "http://ui"), directory, watch, settings.limits, Keyring.of(settings))
        async with watched(watch), serving(create_app(desk, TOKEN)) as url, calling(url) as api:
            site = {"site_id": SITE, "name": "Thames House", "timezone": "Europe/London"}
            assert (await api.post("/sites", json=site)).status_code == 201
            yield Building(api, kamailio, freeradius, Router(freeradius.port, secret), databases)
    assert [daemon.process and daemon.process.pid for daemon in (freeradius, kamailio)] == pids
    assert freeradius.ready()
    assert kamailio.ready()


def free_udp_port() -> int:
    """A port of loopback that nobody has for UDP, nor the one after it."""
    while True:
        port = free_port()
        if is_free(port, socket.SOCK_DGRAM) and is_free(port + 1, socket.SOCK_DGRAM):
            return port
