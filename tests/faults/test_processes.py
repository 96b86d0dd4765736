"""The worker or Temporal itself killed in the middle of a change: every client goes on where it was."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio
from temporalio.client import Client as TemporalClient
from temporalio.contrib.pydantic import pydantic_data_converter

from starter.local.children import Child, signal_family
from starter.local.databases import dsns, prepare
from starter.local.postgres import EmbeddedPostgres
from starter.local.temporal import NAMESPACE, TemporalServer
from tests.conftest import THROW_AWAY
from tests.faults.conftest import KEY
from tests.support.waiting import eventually, free_port
from tests.workflows.conftest import SERVICES, replay_everything
from workflows.client_lifecycle import ClientLifecycle
from workflows.domain.client.client import Client
from workflows.domain.provisioning.standing import Limits
from workflows.domain.state import ClientState
from workflows.visibility import attributes_at_start
from workflows.wire.messages import Message
from workflows.wire.start import TASK_QUEUE, ClientStart, workflow_id
from workflows.wire.views import ClientView, CommandAnswer

LIMITS = Limits(attempt=20, first_pause=0.5, longest_pause=1)


class Place:
    """PostgreSQL, Temporal and one worker process, as children."""

    def __init__(self, folder: Path, postgres: EmbeddedPostgres) -> None:
        self.folder, self.postgres = folder, postgres
        self.temporal = TemporalServer(folder / "temporal.db", free_port(), folder / "temporal.log")
        self.dsns = dsns(postgres)

    @contextmanager
    def worker(self) -> Iterator[Child]:
        """A worker process; ended with the block, if it is still there."""
        child = Child("worker", [sys.executable, "-m", "worker"], self.folder / "worker.log", self._environment())
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

    async def open(self, client_id: str) -> None:
        """An active client, settled."""
        now = datetime.now(UTC)
        client = Client(client_id, "Acme Ltd", "thames", "Europe/London", SERVICES, now.date(), now)
        state = ClientState.of_new(client, LIMITS)
        await (await self.client()).start_workflow(
            ClientLifecycle.run,
            ClientStart(state=state),
            id=workflow_id(client_id),
            task_queue=TASK_QUEUE,
            search_attributes=attributes_at_start(state),
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
            view: ClientView = await handle.query("client", result_type=ClientView)
            return view if (view.status, view.provisioning) == (status, "settled") else None

        found = await eventually(settled, within=45)
        assert found is not None
        return found

    async def lines(self) -> set[int]:
        """The switches of every line."""
        connection = await asyncpg.connect(self.dsns["CONNECT_TELEPHONY_DSN"])
        try:
            return {row["in_service"] for row in await connection.fetch("SELECT in_service FROM subscriber")}
        finally:
            await connection.close()


@pytest_asyncio.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    postgres = EmbeddedPostgres(tmp_path / "postgres", free_port(), "secret", settings=THROW_AWAY)
    postgres.start()
    place = Place(tmp_path, postgres)
    try:
        await asyncio.to_thread(prepare, postgres)
        connection = await asyncpg.connect(place.dsns["CONNECT_DIRECTORY_DSN"])
        await connection.execute("INSERT INTO sites VALUES ('thames', 'Thames House', 'Europe/London')")
        await connection.close()
        place.temporal.start()
        await eventually(place.temporal.ready, within=30)
        yield place
        assert await replay_everything(await place.client())
    finally:
        place.temporal.stop()
        postgres.stop()


async def test_a_worker_killed_in_the_middle_of_a_change_is_carried_on_by_the_next(place: Place) -> None:
    somebody = await asyncpg.connect(place.postgres.dsn("kamailio"))
    with place.worker() as first:
        await place.open("acme")
        lock = somebody.transaction()
        await lock.start()
        await somebody.execute("LOCK TABLE subscriber IN ACCESS EXCLUSIVE MODE")
        await place.command("acme", "suspend", source="billing")

        async def waits() -> bool:
            return bool(await somebody.fetchval("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))

        await eventually(waits)
        assert first.process is not None
        signal_family(first.process.pid, signal.SIGKILL)
        first.process.wait()
    await lock.rollback()
    with place.worker():
        await place.shows("acme", "suspended")
        assert await place.lines() == {0}
    await somebody.close()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "stopped"])
async def test_a_temporal_server_that_ends_in_the_middle_of_a_change_goes_on_when_it_is_back(
    place: Place, how: signal.Signals
) -> None:
    somebody = await asyncpg.connect(place.postgres.dsn("kamailio"))
    with place.worker():
        await place.open("acme")
        async with somebody.transaction():
            await somebody.execute("LOCK TABLE subscriber IN ACCESS EXCLUSIVE MODE")
            await place.command("acme", "suspend", source="billing")
            assert place.temporal.process is not None
            signal_family(place.temporal.process.pid, how)
            place.temporal.process.wait()
        place.temporal.start()
        await eventually(place.temporal.ready, within=30)
        await place.shows("acme", "suspended")
        assert await place.lines() == {0}
    await somebody.close()


async def test_changes_that_came_due_while_everything_was_down_happen_at_once(place: Place) -> None:
    with place.worker():
        await place.open("acme")
        due = datetime.now(UTC) + timedelta(seconds=8)
        answer = await place.command("acme", "suspend", at=due.isoformat(), reason="refit")
        assert [change.kind for change in answer.planned] == ["suspend"]
    assert place.temporal.process is not None
    signal_family(place.temporal.process.pid, signal.SIGKILL)
    place.temporal.process.wait()
    await eventually(lambda: datetime.now(UTC) > due, within=15)
    place.temporal.start()
    await eventually(place.temporal.ready, within=30)
    with place.worker():
        view = await place.shows("acme", "suspended")
        assert view.holds[0].reason == "refit"
        assert await place.lines() == {0}
