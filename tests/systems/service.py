"""The whole service on real systems: our API, a worker with its real adapters, Kamailio and FreeRADIUS themselves."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
from pydantic import SecretStr

import worker
from activities.background import background
from activities.database import open_databases
from activities.settings import Settings
from starter.app import create_app
from starter.clients import ClientService
from starter.credentials import Keyring
from starter.directory.reads import DirectoryReads
from starter.directory.watching import Watch
from starter.local.data_folder import DataFolder
from starter.local.databases import prepare
from starter.local.postgres import EmbeddedPostgres
from starter.local.private_files import read_private
from starter.local.systems import FreeRadius, Kamailio, daemons
from starter.temporal.gateway import Gateway
from tests.support.databases import fetch, running_postgres
from tests.support.router import Login, Router
from tests.support.service import SITE, TOKEN, calling, running_temporal, serving, waiting
from tests.support.waiting import HANGING, eventually, free_udp_port
from tests.systems.phone import Phone
from workflows.domain.systems import System

DOMAIN = "sip.test"
KEY = "a master key that is long enough for the tests"


@dataclass(frozen=True)
class Systems:
    """Both daemons, the server of their databases, the RADIUS secret, and that of Kamailio's JSON-RPC."""

    server: EmbeddedPostgres
    freeradius: FreeRadius
    kamailio: Kamailio
    secret: str
    rpc_secret: str

    @property
    def daemons(self) -> tuple[FreeRadius, Kamailio]:
        return self.freeradius, self.kamailio


@dataclass
class Building:
    """The service, and the systems that it switches. Telephones and routers are configured as the API says."""

    api: httpx2.AsyncClient
    kamailio: Kamailio
    freeradius: FreeRadius
    router: Router
    databases: dict[str, str]
    gateway: Gateway

    async def create(self, **record: Any) -> str:
        """A new client, settled; its id."""
        body = {"name": "Acme Ltd", "type": "residential", "site": SITE, **record}
        client_id: str = (await self._settled(await self.post("/clients", **body)))["client_id"]
        return client_id

    async def command(self, client_id: str, command: str, **body: Any) -> dict[str, Any]:
        """Have a command obeyed: accepted, and proven on the systems."""
        return await self._settled(await self.post(f"/clients/{client_id}/{command}", **body))

    async def post(self, path: str, wait: int = 20, **body: Any) -> httpx2.Response:
        """The answer to a request that is accepted. A service that is too busy has it repeated, under its key."""
        headers = waiting(wait) | {"Idempotency-Key": uuid.uuid4().hex}

        async def answered() -> httpx2.Response | None:
            answer = await self.api.post(path, json=body, headers=headers)
            return None if answer.status_code == httpx2.codes.SERVICE_UNAVAILABLE else answer

        answer = await eventually(answered)
        assert answer is not None
        assert answer.is_success, answer.text
        return answer

    async def _settled(self, answer: httpx2.Response) -> dict[str, Any]:
        """The client of an answer, once what it was answered to is proven."""
        accepted: dict[str, Any] = answer.json()

        async def proven() -> dict[str, Any] | None:
            found = await self.api.get(f"/clients/{accepted['client_id']}")
            assert found.status_code == httpx2.codes.OK, found.text
            view: dict[str, Any] = found.json()
            return view if view["provisioning"] == "settled" and view["revision"] >= accepted["revision"] else None

        view = accepted if accepted["provisioning"] == "settled" else await eventually(proven)
        assert view is not None
        return view

    async def rounds(self, system: System, count: int = 2) -> None:
        """Return when all that is off on a system was looked at so many times more."""
        sql = "SELECT begun_at FROM watch_rounds WHERE system = $1"
        for _ in range(count):
            before = await fetch(self.databases["connect"], sql, system)

            async def another(before: list[asyncpg.Record] = before) -> bool:
                return await fetch(self.databases["connect"], sql, system) != before

            await eventually(another)

    async def credentials(self, client_id: str) -> dict[str, Any]:
        async def answered() -> httpx2.Response:
            answer = await self.api.get(f"/clients/{client_id}/credentials")
            assert answer.status_code == 200, answer.text
            return answer

        answer = await eventually(answered)
        assert answer.headers["Cache-Control"] == "no-store"
        credentials: dict[str, Any] = answer.json()
        return credentials

    async def phone(self, client_id: str, line: int = 0) -> Phone:
        """A telephone configured for a line of the client. Open it with ``async with``."""
        credentials = await self.credentials(client_id)
        host, _, port = credentials["servers"]["sip"].partition(":")
        login = credentials["sip"][line]
        return Phone(login["username"], login["password"], credentials["servers"]["sip_domain"], (host, int(port)))

    @asynccontextmanager
    async def phones(self, *clients: str) -> AsyncIterator[list[Phone]]:
        """A registered telephone for the first line of each client."""
        async with AsyncExitStack() as stack:
            phones = [await stack.enter_async_context(await self.phone(client)) for client in clients]
            assert [await phone.register() for phone in phones] == [200] * len(phones)
            yield phones

    async def log_in(self, client_id: str) -> Login:
        """A login of the router configured for the client."""
        radius = (await self.credentials(client_id))["radius"]
        return await self.router.log_in(radius["username"], radius["password"])


@contextmanager
def running_systems(folder: Path) -> Iterator[Systems]:
    """Both daemons as `connect up --systems` starts them, with a database server of their own."""
    with DataFolder.held(folder) as held, running_postgres(held.postgres) as server, ExitStack() as stack:
        prepare(server)
        freeradius, kamailio = daemons(server, held, free_udp_port(), free_udp_port(), DOMAIN)
        for daemon in (freeradius, kamailio):
            stack.callback(daemon.stop)
            daemon.start()
        yield Systems(server, freeradius, kamailio, *map(read_private, (held.radius_secret, held.rpc_secret)))


async def answering(systems: Systems) -> Systems:
    """The same, once both daemons answer."""
    for daemon in systems.daemons:
        await answers(daemon)
    return systems


async def answers(daemon: FreeRadius | Kamailio) -> None:
    """Return once a daemon answers. Nobody else has to wait while it is asked."""
    await eventually(lambda: asyncio.to_thread(daemon.ready))


def for_preparation(server: EmbeddedPostgres, *, telephony: str = "kamailio", internet: str = "radius") -> Settings:
    """Settings for `connect prepare`, with the owner's access to databases of these names."""
    return Settings(
        directory_dsn=SecretStr(server.dsn("connect", "connect")),
        telephony_dsn=SecretStr(server.dsn(telephony)),
        internet_dsn=SecretStr(server.dsn(internet)),
        master_key=SecretStr(KEY),
    )


@asynccontextmanager
async def running_service(systems: Systems, **changed: Any) -> AsyncIterator[Building]:
    """The service in front of these systems, set up as `connect up --systems` does, but for what is ``changed``."""
    server, freeradius, kamailio = systems.server, systems.freeradius, systems.kamailio
    await answering(systems)
    settings = Settings(
        **{
            "directory_dsn": SecretStr(server.dsn("connect", "connect")),
            "telephony_dsn": SecretStr(server.dsn("kamailio", "sip_prov")),
            "internet_dsn": SecretStr(server.dsn("radius", "radius_prov")),
            "master_key": SecretStr(KEY),
            "sip_domain": DOMAIN,
            "sip_server": kamailio.address,
            "sip_rpc_urls": kamailio.rpc_url,
            "sip_rpc_secret": systems.rpc_secret,
            "probe_lines": True,
            "radius_server": freeradius.address,
            "radius_secret": SecretStr(systems.secret),
            "probe_accounts": True,
            "disconnect_pause_seconds": 0.2,
            **changed,
        }
    )
    databases = {name: server.dsn(name) for name in ("connect", "kamailio", "radius")}
    watch = Watch(settings.directory_dsn.get_secret_value(), pause=0.1)
    async with (
        running_temporal('history.timerProcessorMaxTimeShift="1ms"') as temporal,
        open_databases(settings) as pools,
        worker.build(temporal, pools, settings),
    ):
        directory = DirectoryReads(pools.directory, timeout=HANGING)
        gateway = Gateway(temporal, "http://ui", patience=HANGING, timeout=HANGING)
        clients = ClientService(gateway, directory, watch, settings.limits, Keyring.of(settings))
        async with background(watch.run), serving(create_app(clients, TOKEN)) as url, calling(url) as api:
            site = {"site_id": SITE, "name": "Thames House", "timezone": "Europe/London"}
            assert (await api.post("/sites", json=site)).status_code in (201, 409)  # services on the same systems
            router = Router(freeradius.port, systems.secret)
            yield Building(api, kamailio, freeradius, router, databases, gateway)
