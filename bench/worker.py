"""The process under test: our worker as it is, and beside it the floor's, so that both suffer the same machine."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import structlog
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

import worker
from activities.database import open_databases
from activities.log import set_up
from activities.settings import Settings
from bench.floor import TASK_QUEUE, Floor, Touches
from starter.temporal.connection import connect

FLOOR_DSN = "BENCH_FLOOR_DSN"
STARTED = "bench_worker_started"

log = structlog.get_logger(__name__)


async def run() -> None:
    """Work until SIGTERM."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    settings = Settings()
    client = await connect(lazy=False)
    async with (
        open_databases(settings) as databases,
        _floor(client, settings) as floor,
        worker.build(client, databases, settings),
        floor,
    ):
        log.info(STARTED)
        await stop.wait()


@asynccontextmanager
async def _floor(client: Client, settings: Settings) -> AsyncIterator[Worker]:
    """As many activities at once as ours, and a connection for each."""
    async with asyncpg.create_pool(
        os.environ[FLOOR_DSN], min_size=0, max_size=settings.worker_activities, reset=_keep
    ) as pool:
        yield Worker(
            client,
            task_queue=TASK_QUEUE,
            workflows=[Floor],
            activities=[Touches(pool).touch],
            workflow_runner=UnsandboxedWorkflowRunner(),  # as ours
            max_concurrent_activities=settings.worker_activities,
            max_cached_workflows=settings.worker_cached_clients,
            sticky_queue_schedule_to_start_timeout=worker.STICKY,
        )


async def _keep(_: asyncpg.Connection) -> None:
    """No round trip to reset a session, as in activities/database.py."""


if __name__ == "__main__":
    set_up(json=True)
    asyncio.run(run())
    os._exit(0)  # see worker.py
