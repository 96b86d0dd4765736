"""A whole service under test: the real API on a real port, the real directory, a real Temporal server, fake systems."""

import asyncio
import itertools
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import uvicorn
from fastapi import FastAPI
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.at_once import SideBySide
from activities.background import background
from activities.calendar import ZoneRules
from activities.database import Database
from activities.directory.evidence import Evidences
from activities.directory.migrations import migrate, migrate_keys
from activities.directory.numbering import Numbering
from activities.directory.publish import PostgresDirectory
from activities.keys.encryption import Encryption
from activities.settings import Settings
from activities.systems import Systems
from starter.app import create_app
from starter.clients import ClientService
from starter.contract.answers import Servers
from starter.contract.catalogue import Catalogue
from starter.credentials import Keyring
from starter.directory.reads import DirectoryReads
from starter.directory.watching import Watch
from starter.errors import NotRunning, WorkflowStuck
from starter.local.postgres import EmbeddedPostgres
from starter.temporal.gateway import Gateway
from starter.web.http_server import Server
from starter.web.preferences import LONGEST_WAIT
from tests.support.databases import UNHURRIED, connected
from tests.support.fakes import FakeSystem
from tests.support.waiting import HANGING, eventually, free_port, http_client
from tests.support.workflows import ONE_PARTITION
from worker import hearing_all_at_once, of_instances, together
from workflows.client_lifecycle import ClientLifecycle
from workflows.domain.provisioning.standing import Limits
from workflows.domain.systems import INTERNET, TELEPHONY, System, SystemInstance
from workflows.guard import Guard
from workflows.ports import Ensure, Evidence
from workflows.visibility import KEYS
from workflows.wire.start import TASK_QUEUE

TEMPORAL = Path(sys.executable).with_name("temporal")
TOKEN = "a-token-for-the-tests"
HOME = "http://127.0.0.1"  # where sessions of the tests begin; they know no port
MASTER_KEY = b"k" * 32
SITE = "thames"
BILLING = "billing"
KEYRING = Keyring(MASTER_KEY, Servers(sip="sip.test:5060", sip_domain="sip.test", radius=None))
LIMITS = Limits(attempt=HANGING, first_pause=0.2, longest_pause=1)

_numbers = itertools.count(1000)


def number() -> str:
    """A number nobody has yet."""
    return f"+44207946{next(_numbers):04}"


def read_back(evidence: Evidence) -> Evidence:
    """The evidence, with what a real system would have shown of each line or account."""
    findings = [replace(x, seen={"row": "on" if x.in_service else "off"}) for x in evidence.findings]
    return replace(evidence, findings=findings)


class RecordedSystem(FakeSystem):
    """A fake system, whose evidence is taken down in the real directory."""

    def __init__(self, system: System, evidences: Evidences) -> None:
        super().__init__(system)
        self._evidences = evidences

    async def ensure(self, order: Ensure) -> Evidence:
        evidence = read_back(await super().ensure(order))
        return await self._evidences.record(order.client_id, evidence, order.release)


@dataclass
class Service:
    """What a test needs of the service: its address, its API, and what lies behind it."""

    url: str
    api: httpx2.AsyncClient
    clients: ClientService
    temporal: Client
    telephony: FakeSystem
    internet: FakeSystem
    doors: FakeSystem
    settings: Settings
    encryption: Encryption

    async def create(self, name: str = "Acme Ltd", wait: int = LONGEST_WAIT, **record: Any) -> dict[str, Any]:
        """A new client; settled, residential and active unless said otherwise."""
        body = {"name": name, "type": "residential", "site": SITE, **record}
        if "lines" not in record:
            body["lines"] = [{"number": number(), **({"office": "3.12"} if body["type"] == "residential" else {})}]
        answer = await self.api.post("/clients", json=body, headers=waiting(wait))
        assert answer.status_code == 201, answer.text
        client: dict[str, Any] = answer.json()
        assert not wait or client["provisioning"] == "settled", client
        return client

    async def site(self, name: str = "", timezone: str = "Europe/London", *, site_id: str = "", **record: Any) -> str:
        """The identifier of a new site, and its name unless it is given one."""
        site_id = site_id or unique("site")
        body = {"site_id": site_id, "name": name or site_id, "timezone": timezone, "systems": {}, **record}
        answer = await self.api.post("/sites", json=body)
        assert (answer.status_code, body.items() <= answer.json().items()) == (201, True), answer.text
        return site_id

    async def post(
        self, client_id: str, command: str, wait: int = LONGEST_WAIT, key: str = "", **body: Any
    ) -> httpx2.Response:
        """The answer to a command."""
        headers = waiting(wait) | ({"Idempotency-Key": key} if key else {})
        return await self.api.post(f"/clients/{client_id}/{command}", json=body, headers=headers)

    async def client(self, client_id: str) -> dict[str, Any]:
        """A client, as the API shows it."""
        answer = await self.api.get(f"/clients/{client_id}")
        assert answer.status_code == 200, answer.text
        client: dict[str, Any] = answer.json()
        return client

    def directory(self) -> AbstractAsyncContextManager[asyncpg.Connection]:
        """A connection to the directory's database."""
        return connected(self.settings.directory_dsn.get_secret_value())

    async def known(self, client_id: str) -> None:
        """Return when the client's workflow knows what the directory shows: proofs are there a moment before."""

        async def settled() -> bool:
            return (await self.clients.gateway.client(client_id)).provisioning.over

        await eventually(settled)

    async def still(self, client_id: str) -> None:
        """Return when nothing is under way for a client: all that it may attempt now was attempted, and the directory
        has all that its workflow had to say of it."""
        handle = self.temporal.get_workflow_handle(f"client-{client_id}")

        async def idle() -> bool:
            return not (await handle.describe()).raw_description.pending_activities

        async def still() -> bool:
            try:  # also after the workflow has seen what came of the last
                return await idle() and bool(await self.clients.gateway.client(client_id)) and await idle()
            except (NotRunning, WorkflowStuck):
                return True
            except RPCError as error:
                return error.status is RPCStatusCode.NOT_FOUND

        await eventually(still)

    async def tried(self, client_id: str) -> dict[str, Any]:
        """The client, as the API shows it, when nothing is under way for it."""
        await self.still(client_id)
        return await self.client(client_id)

    async def activity_types(self, client_id: str) -> set[str]:
        """The types of the activities that the client's workflow had carried out."""
        handle = self.temporal.get_workflow_handle(f"client-{client_id}")
        return {
            event.activity_task_scheduled_event_attributes.activity_type.name
            async for event in handle.fetch_history_events()
        } - {""}

    async def history(self, client_id: str) -> list[dict[str, Any]]:
        """A client's history, newest first, with all that its workflow had to say."""
        await self.still(client_id)
        answer = await self.api.get(f"/clients/{client_id}/history")
        assert answer.status_code == 200, answer.text
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def line_with(self, client_id: str, words: str) -> dict[str, Any] | None:
        """The newest line of a client's history with these words."""
        return next((line for line in await self.history(client_id) if words in line["text"]), None)

    @asynccontextmanager
    async def without(self, *systems: FakeSystem) -> AsyncIterator[None]:
        """The service while these systems do not answer."""
        for system in systems:
            system.faults.down = True
        try:
            yield
        finally:
            for system in systems:
                system.faults.down = False

    async def stuck(self, client_id: str, command: str, *systems: FakeSystem) -> None:
        """Send a command that these systems do not carry out, and return when the client gave them up for now, and the
        directory says so."""
        names = {system.system for system in systems}

        async def gave_up() -> bool:
            [view] = await self.clients.these([client_id])
            return names <= {system.system for system in view.systems if system.state == "attention"}

        async with self.without(*systems):
            await self.post(client_id, command, wait=0)
            await eventually(gave_up)

    async def closed(self, **record: Any) -> dict[str, Any]:
        """A client that was decommissioned, and whose workflow is over."""
        client = await self.create(**record)
        assert (await self.post(client["client_id"], "decommission")).status_code == 200
        handle = self.temporal.get_workflow_handle(f"client-{client['client_id']}")
        await asyncio.wait_for(handle.result(), HANGING)
        return client


def waiting(seconds: int) -> dict[str, str]:
    return {"Prefer": f"wait={seconds}"} if seconds else {}


@asynccontextmanager
async def serving(app: FastAPI) -> AsyncIterator[str]:
    """The app on a port of its own, as uvicorn serves it."""
    config = uvicorn.Config(
        app, host="127.0.0.1", port=free_port(), access_log=False, log_config=None, timeout_graceful_shutdown=3
    )
    async with running(Server(config)) as url:
        yield url


@asynccontextmanager
async def running(server: Server) -> AsyncIterator[str]:
    """The server's address, while it runs."""
    task = asyncio.create_task(server.serve())
    await eventually(lambda: server.started)
    try:
        yield f"http://127.0.0.1:{server.config.port}"
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def calling(url: str, token: str = TOKEN) -> AsyncIterator[httpx2.AsyncClient]:
    """A caller with the token."""
    async with http_client(base_url=f"{url}/api/v1", headers={"Authorization": f"Bearer {token}"}) as api:
        yield api


@asynccontextmanager
async def running_temporal(*dynamic_config: str) -> AsyncIterator[Client]:
    """A Temporal server that knows our search attributes, with this dynamic configuration, and a further namespace of
    others, ``billing``."""
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(TEMPORAL),
        data_converter=pydantic_data_converter,
        search_attributes=KEYS,
        dev_server_log_level="error",
        dev_server_startup_timeout=timedelta(seconds=HANGING),
        dev_server_extra_args=[
            *ONE_PARTITION,
            *("--namespace", BILLING),
            *(part for value in dynamic_config for part in ("--dynamic-config-value", value)),
        ],
    ) as environment:
        yield environment.client


def encrypting(client: Client, converter: DataConverter) -> Client:
    """A client of the same server, which reads and writes with this converter."""
    return Client(client.service_client, namespace=client.namespace, data_converter=converter)


async def settings_on(postgres: EmbeddedPostgres, name: str) -> Settings:
    """Settings of a process on a migrated directory of its own."""
    dsn, keys = await postgres.ensure_database(name), await postgres.ensure_database(f"{name}_keys")
    await migrate(dsn)
    await migrate_keys(keys)
    return Settings(
        directory_dsn=dsn,
        telephony_dsn=dsn,
        internet_dsn=dsn,
        token=TOKEN,
        keys_dsn=keys,
        encryption_keys="4d" * 32,
        **UNHURRIED,
    )


@asynccontextmanager
async def running_service(temporal: Client, settings: Settings) -> AsyncIterator[Service]:
    """The service with one worker and one site."""
    dsn = settings.directory_dsn.get_secret_value()
    async with Database("directory", dsn, settings) as database, Encryption.of(settings, database) as encryption:
        at_work, temporal = (encrypting(temporal, encryption.converter(makes=makes)) for makes in (True, False))
        evidences = Evidences(database, HANGING)
        telephony, internet, doors = (RecordedSystem(system, evidences) for system in (TELEPHONY, INTERNET, "doors"))
        fakes = {TELEPHONY: telephony, INTERNET: internet, "doors": doors}
        served = {SystemInstance(system): fake for system, fake in fakes.items()}
        systems = Systems({**served, SystemInstance("doors", "annex"): doors})
        directory = PostgresDirectory(database)
        worker = Worker(
            at_work,
            task_queue=TASK_QUEUE,
            workflows=[ClientLifecycle],
            activities=[
                *(directory.publish, ZoneRules().resolve_days),
                SideBySide(systems, directory, lambda order, carry_out: carry_out(order)).at_once,
            ],
            interceptors=[Guard()],
            workflow_runner=UnsandboxedWorkflowRunner(),  # as in production; tests/workflows has the sandbox
        )
        workers = together(*of_instances(at_work, systems, TASK_QUEUE), hearing_all_at_once(worker))
        watch, numbering = Watch(dsn, pause=0.1), Numbering(dsn, timedelta(days=90))
        gateway = Gateway(temporal, "http://ui", patience=HANGING, timeout=HANGING, encryption=encryption)
        clients = ClientService(gateway, DirectoryReads(database, timeout=HANGING), watch, LIMITS, KEYRING)
        app = create_app(clients, TOKEN)
        app.state.guesses.most = 10_000  # what one test sends with wrong tokens is nothing to the next
        async with (
            workers,
            background(watch.run, numbering.run),
            serving(app) as url,
            calling(url) as api,
        ):
            service = Service(url, api, clients, temporal, telephony, internet, doors, settings, encryption)
            await service.site("Thames House", site_id=SITE)
            yield service


@asynccontextmanager
async def with_limits(service: Service, limits: Limits) -> AsyncIterator[Service]:
    """The same service, whose new clients are told other limits."""
    clients = ClientService(service.clients.gateway, service.clients.directory, service.clients.watch, limits, KEYRING)
    async with serving(create_app(clients, TOKEN)) as url, calling(url) as api:
        yield replace(service, url=url, api=api, clients=clients)


@asynccontextmanager
async def with_kinds(service: Service, catalogue: Catalogue) -> AsyncIterator[Service]:
    """The same service, whose settings name these kinds and instances."""
    same = service.clients
    clients = ClientService(same.gateway, same.directory, same.watch, LIMITS, KEYRING, catalogue)
    async with serving(create_app(clients, TOKEN)) as url, calling(url) as api:
        yield replace(service, url=url, api=api, clients=clients)


def unique(prefix: str) -> str:
    """An id nobody has yet."""
    return f"{prefix}-{uuid.uuid4().hex[:8]}"
