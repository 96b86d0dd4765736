"""PostgreSQL, Temporal and a worker as processes of their own, to be killed."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest_asyncio
from temporalio.client import Client as TemporalClient
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError

from starter.local.children import Child
from starter.local.databases import dsns, prepare
from starter.local.postgres import EmbeddedPostgres
from starter.local.temporal import NAMESPACE, TemporalServer
from tests.faults.conftest import KEY
from tests.support.databases import THROW_AWAY, fetch
from tests.support.waiting import eventually, free_port
from tests.support.workflows import SERVICES, replay_everything
from workflows.client_lifecycle import ClientLifecycle
from workflows.domain.client.client import Client
from workflows.domain.dates import NamedDay, resolve
from workflows.domain.provisioning.standing import Limits
from workflows.domain.state import ClientState
from workflows.visibility import attributes_at_start
from workflows.wire.start import TASK_QUEUE, ClientStart, workflow_id
from workflows.wire.update import Message
from workflows.wire.views import ClientView, CommandAnswer

LIMITS = Limits(attempt=20, first_pause=0.5, longest_pause=1)


class Place:
    """PostgreSQL, Temporal and one worker process, as children."""

    def __init__(self, folder: Path, postgres: EmbeddedPostgres) -> None:
        self.folder, self.postgres = folder, postgres
        self.temporal = TemporalServer(folder / "temporal.db", free_port(), folder / "temporal.log")
        self.dsns = dsns(postgres)

    @contextmanager
    def worker(self, **settings: str) -> Iterator[Child]:
        """A worker process; ended with the block, if it is still there."""
        env = self._environment() | settings
        child = Child("worker", [sys.executable, "-m", "worker"], self.folder / "worker.log", env)
        child.start()
        try:
            yield child
        finally:
            child.stop()

    def _environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith(("TEMPORAL_", "CONNECT_"))},
            **self.dsns,
            "CONNECT_MASTER_KEY": KEY,
            "TEMPORAL_ADDRESS": self.temporal.address,
        }

    async def client(self) -> TemporalClient:
        return await TemporalClient.connect(
            self.temporal.address, namespace=NAMESPACE, data_converter=pydantic_data_converter
        )

    async def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What the directory's database answers."""
        return [tuple(row) for row in await fetch(self.dsns["CONNECT_DIRECTORY_DSN"], query, *values)]

    def kill_temporal(self) -> None:
        """Temporal's server dies."""
        self.temporal.kill()

    async def start_temporal(self) -> None:
        """It is there again."""
        self.temporal.start()
        await eventually(self.temporal.ready)

    async def open(self, client_id: str, limits: Limits = LIMITS) -> None:
        """An active client, settled."""
        now = datetime.now(UTC)
        starts = resolve(NamedDay(now.date()), "Europe/London")
        client = Client(client_id, "Acme Ltd", "thames", "Europe/London", SERVICES, starts, now)
        state = ClientState.of_new(client, limits)
        attributes = attributes_at_start(state)
        await (await self.client()).start_workflow(
            ClientLifecycle.run,
            ClientStart(state=state),
            id=workflow_id(client_id),
            task_queue=TASK_QUEUE,
            search_attributes=attributes,
        )
        await self.shows(client_id, "active")

    async def command(self, client_id: str, kind: str, **fields: object) -> CommandAnswer:
        handle = (await self.client()).get_workflow_handle(workflow_id(client_id))
        answer: CommandAnswer = await handle.execute_update(
            "command", Message.model_validate({"kind": kind, **fields}), result_type=CommandAnswer
        )
        return answer

    async def shows(self, client_id: str, status: str) -> ClientView:
        """Wait until the client is in this status, and settled."""
        handle = (await self.client()).get_workflow_handle(workflow_id(client_id))

        async def settled() -> ClientView | None:
            try:
                view: ClientView = await handle.query("client", result_type=ClientView)
            except RPCError as away:  # on its way back
                raise AssertionError(away) from away
            return view if (view.status, view.provisioning) == (status, "settled") else None

        found = await eventually(settled)
        assert found is not None
        return found

    async def lines(self) -> set[int]:
        """The switches of every line."""
        rows = await fetch(self.dsns["CONNECT_TELEPHONY_DSN"], "SELECT in_service FROM subscriber")
        return {row["in_service"] for row in rows}


@pytest_asyncio.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    postgres = EmbeddedPostgres(tmp_path / "postgres", free_port(), "secret", settings=THROW_AWAY)
    postgres.start()
    place = Place(tmp_path, postgres)
    try:
        await asyncio.to_thread(prepare, postgres)
        await place.rows("INSERT INTO sites VALUES ('thames', 'Thames House', 'Europe/London')")
        place.temporal.start()
        await eventually(place.temporal.ready)
        yield place
        assert await replay_everything(await place.client())
    finally:
        place.temporal.stop()
        postgres.stop()
