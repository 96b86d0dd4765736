"""The process under test: our worker as it is, and beside it the floors', so that all suffer the same machine."""

import asyncio
import os
import signal

import asyncpg
import structlog
import uvloop
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

import worker
from activities.database import open_databases
from activities.keys.encryption import Encryption
from activities.log import set_up
from activities.settings import Settings
from bench.floor import PLAIN, TUNED, Floor, Touches, task_queue
from starter.temporal.connection import connect

FLOOR_DSN = "BENCH_FLOOR_DSN"
STARTED = "bench_worker_started"

log = structlog.get_logger(__name__)


async def run() -> None:
    """Work until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settings = Settings()
    floors = await connect(lazy=False)  # what encryption costs is ours alone
    async with (
        open_databases(settings) as databases,
        Encryption.of(settings, databases.directory) as encryption,
        asyncpg.create_pool(
            os.environ[FLOOR_DSN], min_size=0, max_size=settings.worker_activities, reset=_keep
        ) as pool,  # a connection for each of as many activities at once as ours
        _tuned_worker(floors, pool, settings),
        _plain(await plain_client(floors), pool),
    ):
        client = await connect(encryption.converter(makes=True), lazy=False)
        async with (
            worker.build(client, databases, settings) as pacing,
            worker.watching(client, databases, settings, pacing),
        ):
            log.info(STARTED)
            await stop.wait()


async def plain_client(like: Client) -> Client:
    """A client of the same server, with the SDK's defaults."""
    return await Client.connect(like.service_client.config.target_host, namespace=like.namespace)


def _plain(client: Client, pool: asyncpg.Pool) -> Worker:
    """A worker with none, and so in the sandbox."""
    return Worker(client, task_queue=task_queue(PLAIN), workflows=[Floor], activities=[Touches(pool).touch])


def _tuned_worker(client: Client, pool: asyncpg.Pool, settings: Settings) -> Worker:
    """A worker with every setting that worker.py gives ours."""
    return worker.hearing_all_at_once(
        Worker(
            client,
            task_queue=task_queue(TUNED),
            workflows=[Floor],
            activities=[Touches(pool).touch],
            workflow_runner=UnsandboxedWorkflowRunner(),
            max_concurrent_activities=settings.worker_activities,
            max_cached_workflows=settings.worker_cached_clients,
            sticky_queue_schedule_to_start_timeout=worker.STICKY,
        )
    )


async def _keep(_: asyncpg.Connection) -> None:
    """No round trip to reset a session, as in activities/database.py."""


if __name__ == "__main__":
    set_up(json=True)
    uvloop.run(run())  # as ours
    os._exit(0)  # see worker.py
