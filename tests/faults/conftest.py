"""The real adapters on real PostgreSQL servers: one for the directory and internet, one of its own for telephony."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr
from temporalio.testing import WorkflowEnvironment

import worker
from activities.database import Databases, open_databases
from activities.directory.migrations import migrate
from activities.prepare import FENCE
from activities.settings import Settings
from starter.local.databases import DEPLOY
from starter.local.postgres import EmbeddedPostgres
from tests.support.cut_proxy import CutProxy
from tests.support.databases import database, run_scripts, running_postgres
from tests.support.workflows import SERVICES, Handle, Service, running_server
from workflows.domain.provisioning.standing import Limits
from workflows.domain.systems import INTERNET, TELEPHONY

QUICK = Limits(attempt=8, first_pause=0.3, longest_pause=0.6)
KEY = "a master key that is long enough for the tests"


@pytest_asyncio.fixture(scope="session")
async def faulty_temporal() -> AsyncIterator[WorkflowEnvironment]:
    """A server of its own, so that these tests' real waiting disturbs no other."""
    async with running_server() as environment:
        yield environment


@pytest.fixture(scope="session")
def telephony_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """The telephone system's own database server, for stopping and freezing."""
    with running_postgres(tmp_path_factory.mktemp("telephony") / "data") as server:
        yield server


class RealService(Service):
    """A service whose systems are real. ``proxy`` stands between the adapters and the telephone system's database."""

    def __init__(
        self, environment: WorkflowEnvironment, settings: Settings, databases: Databases, proxy: CutProxy
    ) -> None:
        super().__init__(environment)
        self.settings, self.databases, self.proxy = settings, databases, proxy

    def worker(self, *_: Any, **options: Any) -> AbstractAsyncContextManager[object]:
        return worker.build(self.temporal, self.databases, self.settings, self.queue)

    async def lines_on(self, *numbers: str) -> list[bool]:
        """Whether Kamailio would serve these lines now."""
        names = [number.removeprefix("+") for number in numbers]
        async with self.databases.of(TELEPHONY).read_only() as connection:
            rows = await connection.fetch("SELECT in_service FROM subscriber WHERE username = ANY($1)", names)
        return [row["in_service"] == 1 for row in rows]

    async def internet_on(self, account: str) -> bool:
        """Whether FreeRADIUS would admit this account now."""
        async with self.databases.of(INTERNET).read_only() as connection:
            barred = await connection.fetchval(
                "SELECT count(*) FROM radcheck WHERE username = $1 AND attribute = 'Auth-Type'", account
            )
            known = await connection.fetchval(
                "SELECT count(*) FROM radcheck WHERE username = $1 AND attribute = 'Cleartext-Password'", account
            )
        return bool(known and not barred)

    async def state_of(self, client_id: str) -> tuple[str, str]:
        """The client's status in the directory, and where provisioning stands."""
        [row] = await self.databases.directory.read(
            "SELECT status, provisioning FROM clients WHERE client_id = $1", client_id
        )
        return row["status"], row["provisioning"]

    async def start_real(self) -> tuple[Handle, str, list[str]]:
        """A client with two lines and internet, active and settled; its handle, its id and its numbers."""
        handle = await self.start(limits=QUICK, services=SERVICES)
        view = await self.view(handle)
        return handle, view.client_id, [line.number for line in view.lines]


@pytest_asyncio.fixture
async def real_service(
    faulty_temporal: WorkflowEnvironment, postgres: EmbeddedPostgres, telephony_server: EmbeddedPostgres
) -> AsyncIterator[RealService]:
    """The worker as it is built for production, on fresh databases; at the end every history is replayed."""
    async with (
        database(postgres, "directory") as directory,
        database(postgres, "radius") as radius,
        database(telephony_server, "kamailio") as kamailio,
        CutProxy("127.0.0.1", telephony_server.port) as proxy,
    ):
        await migrate(directory)
        await run_scripts(kamailio, DEPLOY / "kamailio/schema.sql", FENCE)
        await run_scripts(radius, DEPLOY / "freeradius/schema.sql", FENCE)
        settings = Settings(
            directory_dsn=SecretStr(directory),
            telephony_dsn=SecretStr(kamailio.replace(f":{telephony_server.port}/", f":{proxy.port}/")),
            internet_dsn=SecretStr(radius),
            master_key=SecretStr(KEY),
            connect_seconds=0.8,
            lock_seconds=0.6,
            statement_seconds=0.8,
            operation_seconds=1.5,
        )
        async with open_databases(settings) as databases:
            async with databases.directory.transaction() as connection:
                await connection.execute("INSERT INTO sites VALUES ('thames', 'Thames House', 'Europe/London')")
            async with RealService(faulty_temporal, settings, databases, proxy).at_work() as service:
                yield service
