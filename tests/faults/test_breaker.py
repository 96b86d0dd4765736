"""Systems behind an API, through a worker as it is built for production: a storm is paced, and drained in order."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from temporalio.testing import WorkflowEnvironment

import worker
from activities.background import background
from activities.database import Databases, open_databases
from activities.directory.migrations import migrate
from activities.pacing.breaker import Condition, Paces
from activities.pacing.interceptor import Pacing
from activities.pacing.recovery import Drain
from activities.prepare import check_systems, prepare
from activities.settings import Settings
from starter.local.postgres import EmbeddedPostgres
from tests.faults.conftest import KEY
from tests.support.cut_proxy import CutProxy
from tests.support.databases import database
from tests.support.json_system import TOKEN, JsonSystem, json_system
from tests.support.waiting import eventually, unless_it_hangs
from tests.support.workflows import Handle, Service
from workflows.domain.provisioning.standing import Limits
from workflows.domain.services import ClientType, Internet, Line, Services
from workflows.domain.systems import TELEPHONY, SystemInstance
from workflows.wire.start import client_id_of

PATIENT = Limits(attempt=6, first_pause=900, longest_pause=3600)  # only a person, or a recovery, wakes it
ADAPTERS = {
    "CONNECT_TELEPHONY_ADAPTER": "activities.json_http.adapter:JsonHttpTelephony",
    "CONNECT_INTERNET_ADAPTER": "activities.json_http.adapter:JsonHttpInternet",
}

PHONES = SystemInstance(TELEPHONY)

_numbers = itertools.count(1000)


@dataclass(frozen=True)
class Systems:
    """What stands behind the API of each."""

    telephony: JsonSystem
    internet: JsonSystem


class JsonService(Service):
    """A service whose systems have an API."""

    def __init__(
        self, environment: WorkflowEnvironment, settings: Settings, databases: Databases, systems: Systems
    ) -> None:
        super().__init__(environment)
        self.settings, self.databases, self.systems = settings, databases, systems
        self.pacing = Pacing.of(settings, databases.instances.served)

    def worker(self, *_: Any, **options: Any) -> AbstractAsyncContextManager[object]:
        return worker.build(self.temporal, self.databases, self.settings, self.queue, self.pacing)

    async def tenants(self, how_many: int, limits: Limits = PATIENT) -> list[Handle]:
        """So many virtual clients with a line each, active and settled."""
        lines = [self.virtual(f"+44207946{next(_numbers)}") for _ in range(how_many)]
        return list(await asyncio.gather(*(self.start(services=line, limits=limits) for line in lines)))

    async def in_trouble(self, handles: Sequence[Handle]) -> None:
        """Suspend these while the telephone system is down, and return when the directory shows all in attention."""
        self.systems.telephony.down = True
        for handle in handles:
            await self.command(handle, "suspend")
        await self.in_attention(handles)

    async def back(self, probe: Handle) -> None:
        """The telephone system is up again, and this client has found that out: it tries until it has had its turn."""
        self.systems.telephony.down = False

        async def found_out() -> bool:
            if (await self.view(probe)).systems[0].state == "attention":
                await self.command(probe, "retry", system="telephony", reason="is it back?")
            return self.pacing.condition(PHONES) is not Condition.FAILING

        await eventually(found_out)

    async def in_attention(self, handles: Sequence[Handle]) -> None:
        """Until the directory shows all of these in attention."""
        ids = [client_id_of(handle.id) for handle in handles]

        async def all_in_attention() -> bool:
            found = await self.rows("SELECT FROM clients WHERE provisioning = 'attention' AND client_id = ANY($1)", ids)
            return len(found) == len(ids)

        await eventually(all_in_attention)

    async def in_state(self, state: str, how_many: int) -> None:
        """Until the directory shows the telephone system of so many clients in this state, at least."""
        in_state = """SELECT FROM clients, jsonb_array_elements(document->'systems') s
            WHERE s->>'system' = 'telephony' AND s->>'state' = $1"""

        async def enough() -> bool:
            return len(await self.rows(in_state, state)) >= how_many

        await eventually(enough)

    async def rows(self, sql: str, *args: object) -> list[asyncpg.Record]:
        return await self.databases.directory.read(sql, *args)


@pytest_asyncio.fixture
async def json_service(
    faulty_temporal: WorkflowEnvironment,
    postgres: EmbeddedPostgres,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> AsyncIterator[JsonService]:
    """The worker, told by its environment to use the other adapters; at the end every history is replayed.

    A test may give more of the environment as the fixture's parameter.
    """
    async with json_system() as telephony, json_system() as internet, database(postgres, "directory") as directory:
        await migrate(directory)
        for name, value in {
            **ADAPTERS,
            "CONNECT_DIRECTORY_DSN": directory,
            "CONNECT_JSON_TELEPHONY_URL": telephony.url,
            "CONNECT_JSON_INTERNET_URL": internet.url,
            "CONNECT_JSON_TELEPHONY_TOKEN": TOKEN,
            "CONNECT_JSON_INTERNET_TOKEN": TOKEN,
            "CONNECT_MASTER_KEY": KEY,
            "CONNECT_BREAKER_CLIENTS": "3",
            "CONNECT_BREAKER_PACE_SECONDS": "1",
            "CONNECT_WATCH_EVERY_SECONDS": "0",
            **getattr(request, "param", {}),
        }.items():
            monkeypatch.setenv(name, value)
        settings = Settings()
        async with open_databases(settings) as databases:
            assert await check_systems(databases) == []
            await databases.directory.write("INSERT INTO sites VALUES ('thames', 'Thames House', 'Europe/London')")
            service = JsonService(faulty_temporal, settings, databases, Systems(telephony, internet))
            async with worker.watching(service.temporal, databases, settings, service.pacing), service.at_work():
                yield service


async def test_other_systems_are_one_setting_away(json_service: JsonService) -> None:
    number = "+442079460999"
    services = Services(ClientType.RESIDENTIAL, (Line(number, "3.12"),), Internet(100, 20, 110))
    handle = await json_service.start(services=services, limits=PATIENT)
    client_id = client_id_of(handle.id)
    line, account = json_service.systems.telephony.things[number], json_service.systems.internet.things[client_id]
    assert (line.in_service, account.in_service) == (True, True)
    await json_service.command(handle, "suspend", source="billing")
    view = await json_service.settled(handle)
    assert (line.in_service, account.in_service) == (False, False)
    assert {system.method for system in view.systems} == {"JSON HTTP, read back in a request of its own"}
    await json_service.command(handle, "unsuspend", source="billing")
    await json_service.settled(handle)
    assert (line.in_service, account.in_service) == (True, True)
    proofs = await json_service.rows("SELECT FROM proofs WHERE client_id = $1", client_id)
    assert len(proofs) == 6
    assert await prepare(json_service.settings) == [
        "Other adapters than our own switch every system: nothing to prepare"
    ]


@asynccontextmanager
async def another_worker(service: JsonService, dsn: str = "") -> AsyncIterator[Pacing]:
    """What another worker knows of the systems, and does after a recovery. ``dsn`` leads it to the directory."""
    pacing = Pacing(Paces(clients=3, pace=1, drain=2), [PHONES])
    dsn = dsn or service.settings.directory_dsn.get_secret_value()
    async with background(Drain(service.temporal, dsn, pacing, rate=2, pause=0.2).run):
        yield pacing


@pytest.mark.parametrize("json_service", [{"CONNECT_BREAKER_DRAIN_PER_SECOND": "2"}], indirect=True, ids=["two-each"])
async def test_a_storm_on_a_failing_system_is_paced_shown_and_drained_operators_first(
    json_service: JsonService,
) -> None:
    telephony = json_service.systems.telephony
    probe, *others = await json_service.tenants(11)
    bulk, operators = others[:5], others[5:]
    telephony.down = True
    for handle in (probe, *bulk):
        await json_service.command(handle, "suspend", source="bulk")
    await eventually(lambda: json_service.pacing.condition(PHONES) is Condition.FAILING)

    before, began = len(telephony.requests), time.monotonic()
    for handle in operators:
        await json_service.command(handle, "suspend")
    await json_service.in_attention(json_service.handles)
    seconds = time.monotonic() - began
    requests = len(telephony.requests) - before
    assert requests <= seconds + 4, "one a second, not one for each of eleven clients again and again"
    (state,) = await json_service.rows("SELECT * FROM system_states WHERE system = 'telephony'")
    assert state["state"] == "failing"
    assert "the exchange is being rebooted" in state["last_error"]

    telephony.down = False
    async with another_worker(json_service) as pacing:
        for n in range(3):
            pacing.failed(PHONES, f"c{n}", "SystemUnavailable: as here", pacing.clock())
        await json_service.back(probe)
        await json_service.settled(probe)
        pacing.succeeded(PHONES, "c0")
        async with unless_it_hangs():
            for handle in json_service.handles:
                assert (await json_service.settled(handle)).status == "suspended"
    assert not any(thing.in_service for thing in telephony.things.values())
    woken = await json_service.rows("SELECT client_id FROM history WHERE source = 'recovery' ORDER BY at")
    order = [row["client_id"] for row in woken]
    assert len(order) == len(set(order)), "two workers saw the recovery, one drained"
    assert set(order[:5]) == {client_id_of(handle.id) for handle in operators}
    assert {*order} - {client_id_of(probe.id)} == {client_id_of(handle.id) for handle in others}


@pytest.mark.parametrize("json_service", [{"CONNECT_BREAKER_DRAIN_PER_SECOND": "1"}], indirect=True, ids=["slowly"])
async def test_a_drain_stops_when_the_system_fails_again_and_the_next_one_goes_on(json_service: JsonService) -> None:
    telephony = json_service.systems.telephony
    probe, gone, *others = await json_service.tenants(12)
    await json_service.in_trouble(json_service.handles)
    await gone.terminate("its workflow is gone, its row is not")

    await json_service.back(probe)
    telephony.down = True
    await eventually(lambda: json_service.pacing.condition(PHONES) is Condition.FAILING)
    sleeping = "SELECT client_id FROM clients WHERE provisioning = 'attention'"
    asleep = {row["client_id"] for row in await json_service.rows(sleeping)}
    woken_by_it = "SELECT client_id FROM history WHERE source = 'recovery'"
    woken = await eventually(lambda: json_service.rows(woken_by_it))
    assert len(woken) < len(others)
    assert asleep - {client_id_of(gone.id)}, "it has not come to all of them"

    await json_service.back(next(handle for handle in others if client_id_of(handle.id) in asleep))
    async with unless_it_hangs():
        for handle in (probe, *others):
            assert (await json_service.settled(handle)).status == "suspended"


@pytest.mark.parametrize("json_service", [{"CONNECT_BREAKER_DRAIN_PER_SECOND": "0.5"}], indirect=True, ids=["in-turn"])
async def test_clients_whose_attempt_runs_out_before_their_turn_are_woken_again_until_all_had_one(
    json_service: JsonService,
) -> None:
    telephony = json_service.systems.telephony
    probe, *others = await json_service.tenants(9)
    await json_service.in_trouble(json_service.handles)

    await json_service.back(probe)
    await json_service.settled(probe)
    before = len(telephony.requests)
    for handle in others:  # eight at once, of whom one has a turn every two seconds, have six seconds
        await json_service.command(handle, "retry", system="telephony", reason="it is back")
    async with asyncio.timeout(120):
        for handle in others:
            assert (await json_service.settled(handle)).status == "suspended"
    late = await json_service.rows("SELECT DISTINCT client_id FROM history WHERE text LIKE '%has come back%'")
    assert late, "somebody's time ran out"
    assert len(telephony.requests) - before <= 3 * len(others), "a turn is a PUT and a GET; few had more than one"


async def test_a_client_that_is_proven_and_does_not_know_is_woken(json_service: JsonService) -> None:
    """Its attempt was carried out when its time was over: the directory has the proof, and nobody told its workflow."""
    [handle] = await json_service.tenants(1)
    await json_service.in_trouble([handle])
    json_service.systems.telephony.down = False
    client_id, breaker = client_id_of(handle.id), json_service.pacing.breakers[PHONES]
    proven = "UPDATE client_systems SET proven = wanted WHERE client_id = $1 AND system = 'telephony'"
    await json_service.databases.directory.write(proven, client_id)
    breaker.too_late[client_id] = json_service.pacing.clock()
    async with unless_it_hangs():
        assert (await json_service.settled(handle)).status == "suspended"
    assert breaker.late() == {}


@pytest.mark.parametrize("json_service", [{"CONNECT_BREAKER_CLIENTS": "1000"}], indirect=True, ids=["only-the-other"])
async def test_a_drain_that_loses_the_directory_goes_on_where_it_was(
    json_service: JsonService, postgres: EmbeddedPostgres
) -> None:
    telephony = json_service.systems.telephony
    handles = await json_service.tenants(5)
    await json_service.in_trouble(handles)
    telephony.down = False

    async def woken() -> list[str]:
        rows = await json_service.rows("SELECT client_id FROM history WHERE source = 'recovery'")
        return [row["client_id"] for row in rows]

    dsn = json_service.settings.directory_dsn.get_secret_value()
    async with CutProxy("127.0.0.1", postgres.port) as proxy:
        through = dsn.replace(f":{postgres.port}/", f":{proxy.port}/")
        async with another_worker(json_service, through) as pacing:
            proxy.hang()
            for n in range(3):
                pacing.failed(PHONES, f"c{n}", "SystemUnavailable: as here", pacing.clock())
            pacing.succeeded(PHONES, "c0")
            await eventually(lambda: proxy.connections)
            assert await woken() == []
            proxy.recover()
            await eventually(woken)
            proxy.cut()
            async with unless_it_hangs():
                for handle in handles:
                    assert (await json_service.settled(handle)).status == "suspended"
    assert sorted(await woken()) == sorted(client_id_of(handle.id) for handle in handles)


@pytest.mark.parametrize("json_service", [{"CONNECT_STATEMENT_SECONDS": "15"}], indirect=True, ids=["patiently"])
async def test_a_system_that_is_silent_for_longer_than_an_attempt_may_take_is_failing_too(
    json_service: JsonService,
) -> None:
    telephony = json_service.systems.telephony
    handles = await json_service.tenants(4)
    telephony.silent = asyncio.Event()
    for handle in handles:
        await json_service.command(handle, "suspend")
    await eventually(lambda: json_service.pacing.condition(PHONES) is Condition.FAILING)
    assert json_service.pacing.breakers[PHONES].last_error == "did not answer in time"
    telephony.silent.set()
    telephony.silent = None
    async with unless_it_hangs():
        for handle in handles:
            await json_service.command(handle, "retry", system="telephony", reason="it answers")
            await json_service.settled(handle)


async def test_a_system_that_answers_for_nothing_is_failing_and_those_not_proven_are_woken_when_it_is_back(
    json_service: JsonService,
) -> None:
    telephony = json_service.systems.telephony
    probe, *others = await json_service.tenants(6)
    telephony.deaf = True
    for handle in (probe, *others):
        await json_service.command(handle, "suspend")
    await eventually(lambda: json_service.pacing.condition(PHONES) is Condition.FAILING)
    assert json_service.pacing.breakers[PHONES].last_error == "not proven: it is in service"
    await json_service.in_state("not_proven", 2)

    telephony.deaf = False
    await json_service.command(probe, "retry", system="telephony", reason="it does as it is told again")
    async with unless_it_hangs():
        for handle in json_service.handles:
            assert (await json_service.settled(handle)).status == "suspended"
    assert await json_service.rows("SELECT FROM history WHERE source = 'recovery'")


async def test_who_is_in_attention_though_all_is_proven_is_not_woken(json_service: JsonService) -> None:
    """As it is when something was found alive again and again: that the system is back is no news then."""
    restless, waiting = map(client_id_of, [handle.id for handle in await json_service.tenants(2)])
    await json_service.databases.directory.write(
        """UPDATE client_systems
        SET state = 'attention', proven = CASE WHEN client_id = $1 THEN proven ELSE wanted - 1 END
        WHERE system = 'telephony' AND client_id IN ($1, $2)""",
        *(restless, waiting),
    )
    async with another_worker(json_service) as pacing:
        for n in range(3):
            pacing.failed(PHONES, f"c{n}", "not proven: silence", pacing.clock())
        pacing.succeeded(PHONES, "c0")

        async def woken() -> list[str]:
            return [r["client_id"] for r in await json_service.rows("SELECT * FROM history WHERE source = 'recovery'")]

        assert await eventually(woken) == [waiting]


async def test_a_failing_system_that_nobody_tries_is_tried_by_one_client_after_the_other_until_it_is_back(
    json_service: JsonService,
) -> None:
    telephony = json_service.systems.telephony
    handles = await json_service.tenants(4)
    await json_service.in_trouble(handles)

    dsn = json_service.settings.directory_dsn.get_secret_value()
    drains = [
        Drain(json_service.temporal, dsn, json_service.pacing, rate=5, pause=0.1, probe_every=1.5) for _ in range(2)
    ]  # of two workers: one of them tells for both
    probes = "SELECT client_id, at FROM history WHERE source = 'recovery' AND reason LIKE '%is it back?' ORDER BY at"

    async def two_are_ordered() -> bool:
        return len(await json_service.rows(probes)) >= 2

    async with background(*(drain.run for drain in drains)):
        await eventually(two_are_ordered)
        telephony.down = False
        async with unless_it_hangs():
            for handle in handles:
                assert (await json_service.settled(handle)).status == "suspended"
    rows = await json_service.rows(probes)
    assert len({row["client_id"] for row in rows}) == min(len(rows), len(handles)), "each in its turn"
    assert all((late["at"] - early["at"]).total_seconds() >= 1 for early, late in itertools.pairwise(rows))
