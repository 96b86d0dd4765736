"""Two instances of each system, on two servers: one of them frozen is nothing to the clients of the other."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from asyncpg.connection import LoggedQuery
from pydantic import SecretStr
from temporalio.testing import WorkflowEnvironment

import worker
from activities import database as databases_of_activities
from activities.database import Databases, open_databases
from activities.directory.migrations import migrate
from activities.pacing.breaker import Condition
from activities.pacing.interceptor import Pacing
from activities.prepare import FENCE
from activities.settings import Settings
from starter.local.databases import DEPLOY
from starter.local.postgres import EmbeddedPostgres
from tests.faults.conftest import KEY
from tests.support.databases import database, frozen, run_scripts
from tests.support.waiting import HANGING, eventually, unless_it_hangs
from tests.support.workflows import Handle, Service
from workflows.domain.provisioning.standing import Limits
from workflows.domain.services import ClientType, Internet, Line, Services
from workflows.domain.systems import BUILT_IN, INTERNET, MAIN, TELEPHONY, SystemInstance

YORK = "york"
IMPATIENT = Limits(attempt=8, first_pause=0.3, longest_pause=0.6, at_once=1)
PROMPT = Limits(attempt=HANGING, at_once=HANGING)
SCHEMAS = {TELEPHONY: "kamailio", INTERNET: "freeradius"}
CLIENTS = 6  # more than make a breaker open

_numbers = itertools.count(2000)


class TwoInstances(Service):
    """A worker that serves ``main`` and ``york``. ``statements`` are all that were sent, to any database."""

    def __init__(
        self,
        environment: WorkflowEnvironment,
        settings: Settings,
        databases: Databases,
        statements: list[LoggedQuery],
    ) -> None:
        super().__init__(environment)
        self.settings, self.databases = settings, databases
        self.pacing = Pacing.of(settings, databases.instances.served)
        self.statements = statements

    def worker(self, *_: Any, **options: Any) -> AbstractAsyncContextManager[object]:
        return worker.build(self.temporal, self.databases, self.settings, self.queue, self.pacing)

    async def client_of(self, instance: str, limits: Limits) -> Handle:
        """An active client with a line and internet access, which this instance of each system serves."""
        line = Line(f"+44207946{next(_numbers)}", "3.12")
        services = Services(ClientType.RESIDENTIAL, (line,), Internet(100, 20, 110))
        return await self.start(services=services, limits=limits, instances=dict.fromkeys(BUILT_IN, instance))

    def sent_to(self, instance: str) -> int:
        """How many statements were sent to the databases of an instance."""
        addresses = {self.databases.of(system, instance).where.rpartition("/")[2] for system in BUILT_IN}
        return sum(statement.conn_params.database in addresses for statement in self.statements)

    async def changes(self, handle: Handle, how_many: int) -> list[tuple[int, int]]:
        """What each of so many suspensions and reactivations costs on york, all done and proven when answered:
        statements, and events of the client's history."""
        costs = []
        for kind in itertools.islice(itertools.cycle(("suspend", "unsuspend")), how_many):
            self.statements.clear()
            before = len(await self.events(handle))
            answer = await self.command(handle, kind)
            assert answer.provisioning == "settled"
            costs.append((self.sent_to(YORK), len((await self.events(handle))[before:])))
        return costs


@pytest_asyncio.fixture
async def two(
    faulty_temporal: WorkflowEnvironment,
    postgres: EmbeddedPostgres,
    telephony_server: EmbeddedPostgres,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[TwoInstances]:
    """``main`` is on a server that tests may freeze; ``york``, in a file, beside the directory."""
    async with AsyncExitStack() as stack:
        directory = await stack.enter_async_context(database(postgres, "directory"))
        main = {it: await stack.enter_async_context(database(telephony_server, f"main_{it}")) for it in BUILT_IN}
        york = {it: await stack.enter_async_context(database(postgres, f"york_{it}")) for it in BUILT_IN}
        await migrate(directory)
        for system, schema in SCHEMAS.items():
            await run_scripts(main[system], DEPLOY / schema / "schema.sql", FENCE)
            await run_scripts(york[system], DEPLOY / schema / "schema.sql", FENCE)
        file = tmp_path / "systems.toml"
        file.write_text("\n".join(map(york_in_a_file, york.items())), encoding="utf-8")
        settings = Settings(
            directory_dsn=SecretStr(directory),
            telephony_dsn=SecretStr(main[TELEPHONY]),
            internet_dsn=SecretStr(main[INTERNET]),
            systems_file=file,
            master_key=SecretStr(KEY),
            connect_seconds=0.8,
            lock_seconds=0.6,
            statement_seconds=0.8,
            operation_seconds=1.5,
            disconnect_pause_seconds=0,
        )
        statements = logged_statements(monkeypatch)
        databases = await stack.enter_async_context(open_databases(settings))
        service = TwoInstances(faulty_temporal, settings, databases, statements)
        await databases.directory.write("INSERT INTO sites VALUES ('thames', 'Thames House', 'Europe/London')")
        async with service.at_work():
            yield service


def york_in_a_file(system_and_dsn: tuple[str, str]) -> str:
    """Its databases, and limits that a busy machine keeps."""
    system, dsn = system_and_dsn
    own = "disconnect_pause_seconds = 0" if system == INTERNET else ""
    limits = "connect_seconds = 9\nlock_seconds = 8\nstatement_seconds = 9\noperation_seconds = 25"
    return f'[{system}.{YORK}]\ndsn = "{dsn}"\n{limits}\n{own}\n'


def logged_statements(monkeypatch: pytest.MonkeyPatch) -> list[LoggedQuery]:
    """All that is sent to databases which are opened from now on."""
    speak_json, statements = databases_of_activities.speak_json, list[LoggedQuery]()

    async def logged(connection: asyncpg.Connection) -> None:
        await speak_json(connection)
        connection.add_query_logger(statements.append)

    monkeypatch.setattr(databases_of_activities, "speak_json", logged)
    return statements


def conditions(service: TwoInstances, instance: str) -> Mapping[str, Condition]:
    return {system: service.pacing.condition(SystemInstance(system, instance)) for system in BUILT_IN}


async def test_no_statement_of_a_client_runs_on_an_instance_that_does_not_serve_it(two: TwoInstances) -> None:
    of_main, of_york = await two.client_of(MAIN, PROMPT), await two.client_of(YORK, PROMPT)
    for handle, own, other in ((of_main, MAIN, YORK), (of_york, YORK, MAIN)):
        for kind in ("suspend", "unsuspend", "rotate_credentials", "decommission"):
            two.statements.clear()
            await two.command(handle, kind)
            await (handle.result() if kind == "decommission" else two.settled(handle))
            assert two.sent_to(own) > 0, kind
            assert two.sent_to(other) == 0, kind


async def test_clients_of_one_instance_are_as_quick_while_the_other_is_frozen(
    two: TwoInstances, telephony_server: EmbeddedPostgres
) -> None:
    stuck = [await two.client_of(MAIN, IMPATIENT) for _ in range(CLIENTS)]
    handle = await two.client_of(YORK, PROMPT)
    await two.changes(handle, 2)  # connections are there
    before = await two.changes(handle, 4)
    with frozen(telephony_server):
        waiting = [asyncio.create_task(two.command(other, "suspend")) for other in stuck]
        during = await two.changes(handle, 4)
        await eventually(lambda: set(conditions(two, MAIN).values()) == {Condition.FAILING})
        later = await two.changes(handle, 4)
        assert conditions(two, YORK) == dict.fromkeys(BUILT_IN, Condition.WORKING)
        await asyncio.gather(*waiting)
    assert during == later == before, "statements and events of each change"
    async with unless_it_hangs():
        for other in stuck:
            assert (await two.settled(other)).status == "suspended"
