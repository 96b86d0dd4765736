"""A worker's composition root: settings, pools, activities, Worker. No logic. ``python worker.py`` runs one."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, TypeVar

import asyncpg
import structlog
import uvloop
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker
from temporalio.worker._workflow_instance import _WorkflowLogicFlag  # there is no public way to it yet

from activities.adapters import adapters_of, check_named
from activities.at_once import SideBySide
from activities.background import background
from activities.bounds import Bounds
from activities.calendar import ZoneRules
from activities.canary.canary import Canaries
from activities.database import Databases, open_databases
from activities.directory.evidence import Evidences
from activities.directory.numbering import Numbering
from activities.directory.old_keys import OldKeys
from activities.directory.publish import PostgresDirectory
from activities.directory.version import NotMigrated, check_migrated
from activities.errors import tls_remedy
from activities.keys.client_keys import KeysAway, KeysMissing
from activities.keys.codec import making_no_keys
from activities.keys.encryption import Encryption
from activities.log import set_up
from activities.pacing.breaker import Condition
from activities.pacing.interceptor import Pacing
from activities.pacing.recovery import Drain
from activities.pacing.states import SystemStates
from activities.prepare import NotPrepared, check_systems
from activities.settings import Settings
from activities.systems import Systems
from activities.watch.executions import Executions
from activities.watch.proofs import ProofWatch
from activities.watch.watch import WorkflowWatch
from activities.webhooks.delivery import FEW, Deliveries, Patience
from activities.webhooks.dispatch import Dispatch, queue_of_webhooks
from activities.webhooks.sending import Sender, networks_of
from starter.clients import ClientService
from starter.contract.catalogue import Catalogue
from starter.directory.reads import DirectoryReads
from starter.directory.watching import Watch
from starter.nexus.callers import NexusCallers
from starter.nexus.handler import AT_ONCE, PATIENCE, ClientLifecycleHandler
from starter.temporal.connection import (
    SearchAttributesMissing,
    connect,
    connection_remedy,
    ensure_search_attributes,
)
from starter.temporal.gateway import Gateway
from starter.web.admission import Admission
from starter.web.descriptors import raise_limit
from workflows.client_lifecycle import ClientLifecycle
from workflows.guard import Guard
from workflows.wire.start import TASK_QUEUE, queue_of

# A killed worker's cached clients answer again after this long instead of ten seconds (TEMPORAL.md section 16).
STICKY = timedelta(seconds=2)

T = TypeVar("T")

# What Temporal (the SDK's RuntimeError while it never answered) and PostgreSQL raise while they are away.
AWAY = (RuntimeError, RPCError, OSError, asyncpg.PostgresConnectionError, asyncpg.CannotConnectNowError, KeysAway)

log = structlog.get_logger(__name__)


@asynccontextmanager
async def build(
    client: Client,
    databases: Databases,
    settings: Settings,
    task_queue: str = TASK_QUEUE,
    pacing: Pacing | None = None,
) -> AsyncIterator[Pacing]:
    """Run clients, switch the instances that are served, each on a task queue of its own, and watch what was switched
    off. Gives their breakers.

    Raises AdapterNotUsable. A test may give the breakers.
    """
    evidences = Evidences(databases.directory, settings.record_seconds)
    adapters, unusable = adapters_of(databases, evidences)
    for problem in (*databases.instances.problems, *unusable):
        log.error("systems_file_wrong", problem=problem)
    systems, directory = Systems(adapters), PostgresDirectory(databases.directory)
    pacing = pacing or Pacing.of(settings, adapters)
    limits: dict[str, Any] = {
        "max_concurrent_activities": settings.worker_activities,
        "graceful_shutdown_timeout": timedelta(seconds=settings.operation_seconds),
    }
    clients = Worker(
        client,
        task_queue=task_queue,
        workflows=[ClientLifecycle],
        activities=[
            *(directory.publish, ZoneRules().resolve_days),
            SideBySide(systems, directory, pacing.attempt).at_once,
        ],
        interceptors=[Guard(), pacing, Bounds()],
        # The sandbox stands guard in the tests, with the walls of ruff and the replay of every history; here it would
        # cost a fifth of the worker's work (docs/design.md, "Decisions").
        workflow_runner=UnsandboxedWorkflowRunner(),
        max_cached_workflows=settings.worker_cached_clients,
        sticky_queue_schedule_to_start_timeout=STICKY,
        **limits,
    )
    serving = of_instances(client, systems, task_queue, interceptors=[pacing, Bounds()], **limits)
    proofs = ProofWatch(
        client,
        databases.directory,
        adapters,
        lambda key: pacing.condition(key) is Condition.FAILING,
        settings.watch_every_seconds,
        settings.operation_seconds,
    )
    watches = [proofs.run] if settings.watch_every_seconds else []
    may = NexusCallers.of(settings)
    callers = of_callers(client, client_service(client, databases, settings), task_queue, may)
    webhooks = [webhooks_of(client, databases, settings, task_queue)] if settings.has_master_key else []
    async with together(*serving, *webhooks, hearing_all_at_once(clients), callers), background(*watches):
        yield pacing


def of_instances(client: Client, systems: Systems, clients: str, **options: Any) -> list[Worker]:
    """A worker for each instance, on a task queue of its own beside that of the ``clients``: one whose activities hang
    takes no place from the others."""
    return [
        Worker(client, task_queue=queue_of(*key, clients), activities=[systems.ensure], **options)
        for key in systems.served
    ]


def client_service(client: Client, databases: Databases, settings: Settings) -> ClientService:
    """The service behind every interface, as the Nexus service needs it: no key is made for whom a caller names."""
    converter = making_no_keys(client.data_converter)
    asking = Client(client.service_client, namespace=client.namespace, data_converter=converter)
    gateway = Gateway(asking, settings.temporal_ui_url, patience=PATIENCE)
    watch, catalogue = Watch(settings.directory_dsn.get_secret_value()), Catalogue.of(databases.instances)
    directory = DirectoryReads(databases.directory)
    return ClientService(gateway, directory, watch, settings.limits, catalogue=catalogue)


def of_callers(
    client: Client,
    clients: ClientService,
    task_queue: str,
    callers: NexusCallers | None = None,
    admission: Admission | None = None,
) -> Worker:
    """A worker that answers workflows of other namespaces, by Nexus, on the task queue of the clients. ``callers`` says
    what each may do, and ``admission``, which a test may give, when there is room for it.

    Payloads of it are plain, whatever ``client`` reads and writes: callers have keys of their own, or none.
    """
    plain = Client(client.service_client, namespace=client.namespace, data_converter=pydantic_data_converter)
    handler = ClientLifecycleHandler(clients, callers, admission)
    return Worker(plain, task_queue=task_queue, nexus_service_handlers=[handler], max_concurrent_nexus_tasks=AT_ONCE)


def webhooks_of(
    client: Client, databases: Databases, settings: Settings, clients: str, patience: Patience | None = None
) -> Worker:
    """A worker for what waits for receivers of webhooks, on a task queue of its own."""
    sender = Sender(networks_of(settings.webhook_networks), settings.webhook_seconds)
    source = settings.public_url.rstrip("/") or "urn:connect"
    share = max(FEW, settings.webhooks_at_once // 4)
    deliveries = Deliveries(databases.directory, settings.read_master_key(), sender, source, patience, share=share)
    return Worker(
        client,
        task_queue=queue_of_webhooks(clients),
        activities=[deliveries.deliver],
        max_concurrent_activities=settings.webhooks_at_once,
        graceful_shutdown_timeout=timedelta(seconds=settings.webhook_seconds),
    )


@asynccontextmanager
async def together(*workers: Worker) -> AsyncIterator[None]:
    """Run these workers. They end side by side, so that one that hangs holds up no other's end."""
    async with AsyncExitStack() as stack:
        for worker in workers:
            await stack.enter_async_context(worker)
        try:
            yield
        finally:
            await asyncio.gather(*(worker.shutdown() for worker in workers))


def hearing_all_at_once(worker: Worker) -> Worker:
    """Have a client hear all that a task brings, messages and results, before it acts on any of it.

    The SDK has it act on the messages first. When another worker takes a client up, a result that asked for nothing is
    brought together with the update after it, but not so in any later replay (temporalio/sdk-rust, issue 1146): the
    client then did in one order what it does in another, and never runs again. Acting once on all of it is the same in
    both. The SDK records the choice in each history: older ones replay as they were made.
    """
    worker._set_default_workflow_logic_flag(
        _WorkflowLogicFlag.PROCESS_WORKFLOW_ACTIVATION_JOBS_AS_SINGLE_BATCH, enabled=True
    )
    return worker


async def run(settings: Settings) -> None:
    """Run one worker until SIGINT or SIGTERM, then let its activities end.

    Raises NotMigrated, NotPrepared, KeysMissing or SearchAttributesMissing, which say what to do. A system that is away
    is no reason not to start; Temporal and the directory are waited for.
    """
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with open_databases(settings) as databases, Encryption.of(settings, databases.directory) as encryption:
        databases.instances.check_environment()
        directory = databases.directory
        await _until_there(
            "directory", lambda: check_migrated(directory), stop, lambda error: tls_remedy(error, directory)
        )
        for problem in await _until_there("keys", encryption.check, stop) or ():
            log.warning("encryption", problem=problem)
        for problem in await check_systems(databases):
            log.error("system_not_prepared", problem=problem)
        for problem in await check_named(databases):
            log.error("instance_not_named", problem=problem)
        converter = encryption.converter(makes=True)
        client = await _until_there("temporal", lambda: connect(converter, lazy=False), stop, connection_remedy)
        if client is None:
            return
        await ensure_search_attributes(client)
        async with (
            build(client, databases, settings) as pacing,
            watching(client, databases, settings, pacing),
        ):
            serves = [f"{key.system}:{key.name}" for key in pacing.breakers]
            log.info("worker_started", task_queue=TASK_QUEUE, namespace=client.namespace, serves=serves)
            await stop.wait()
        log.info("worker_stopped")


@asynccontextmanager
async def watching(client: Client, databases: Databases, settings: Settings, pacing: Pacing) -> AsyncIterator[None]:
    """Number events and have webhooks told of them, forget old keys, tell how the systems are found, wake the clients
    that waited for one that is back, find those that cannot run, and make the rounds of the canaries. Raises ValueError
    when a setting that canaries need is missing."""
    states = SystemStates(pacing, databases.directory)
    dsn, rate = settings.directory_dsn.get_secret_value(), settings.breaker_drain_per_second
    drain, watch = Drain(client, dsn, pacing, rate), WorkflowWatch(Executions(client), dsn)
    canaries = Canaries.of(settings, databases, client)
    keep = timedelta(days=settings.events_days)
    events = Numbering(dsn, keep), Dispatch(client, dsn, keep), OldKeys(dsn, keep)
    try:
        async with background(*(it.run for it in (states, drain, watch, canaries, *events))):
            yield
    finally:
        await states.forget()


async def _until_there(
    name: str,
    call: Callable[[], Awaitable[T]],
    stop: asyncio.Event,
    remedy: Callable[[Exception], str] = lambda _: "",
) -> T | None:
    """The answer, as soon as there is one; None when the worker is to stop before. ``remedy`` of an error goes to the
    log, where there is one."""
    while not stop.is_set():
        try:
            return await call()
        except (NotMigrated, KeysMissing):
            raise
        except AWAY as error:
            known = {"remedy": text} if (text := remedy(error)) else {}
            log.warning("not_there_yet", what=name, error=f"{type(error).__name__}: {error}"[:300], **known)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), timeout=1)
    return None


def main() -> int:
    """The exit status of one worker process: 0 when it was stopped, 1 when it cannot start."""
    try:
        settings = Settings()
        set_up(json=settings.json_logs)
        raise_limit()
        uvloop.run(run(settings))
    except (ValueError, OSError, NotMigrated, NotPrepared, KeysMissing, SearchAttributesMissing) as error:
        sys.stderr.write(f"connect worker: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    os._exit(status)  # the SDK's threads can crash an interpreter that is shutting down (sdk-python issue 300)
