"""What Temporal keeps of a client says nothing of it to whoever has not its key (issue 14)."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionRequest, ListWorkflowExecutionsRequest
from temporalio.client import Client
from temporalio.common import RawValue

from tests.starter.lives import lived
from tests.support.databases import connected, fetch
from tests.support.service import Service
from tests.support.waiting import eventually
from workflows.domain.lifecycle import Status


async def stored_by_temporal(temporal: Client, workflow: str) -> bytes:
    """All that Temporal tells of a workflow, as it tells it."""
    handle = temporal.get_workflow_handle(workflow)
    events = [event.SerializeToString() async for event in handle.fetch_history_events()]
    execution, about = WorkflowExecution(workflow_id=workflow), f"WorkflowId = '{workflow}'"
    describe = DescribeWorkflowExecutionRequest(namespace=temporal.namespace, execution=execution)
    described = await temporal.workflow_service.describe_workflow_execution(describe)
    listing = ListWorkflowExecutionsRequest(namespace=temporal.namespace, query=about)
    listed = await temporal.workflow_service.list_workflow_executions(listing)
    return b"\n".join([*events, described.SerializeToString(), listed.SerializeToString()])


async def test_the_history_of_a_life_says_nothing_in_the_clear(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    life = await lived(service)
    stored = await stored_by_temporal(service.temporal, f"client-{life.client_id}")
    logs = "".join(capsys.readouterr())
    assert life.client_id in logs
    for word in (life.word, *life.secrets):
        assert word.encode() not in stored.lower(), word
        assert word not in logs.lower(), word
    assert life.word in str(await service.history(life.client_id))  # whoever may read it reads all of it


def plain(service: Service) -> Client:
    """A client of Temporal without any key, as the ``temporal`` program is."""
    return Client(service.temporal.service_client, namespace=service.temporal.namespace)


async def test_plain_signals_are_read_and_damaged_ones_refused(service: Service) -> None:
    """As `temporal workflow signal --input` sends them; nothing that comes in stops a client."""
    client_id: str = (await service.create())["client_id"]
    other: str = (await service.create())["client_id"]
    handle = plain(service).get_workflow_handle(f"client-{client_id}")
    history = service.temporal.get_workflow_handle(f"client-{other}").fetch_history_events()
    [of_other] = (await anext(history)).workflow_execution_started_event_attributes.input.payloads
    names = {"encoding": b"binary/encrypted", "encryption-key-id": client_id.encode()}
    for damaged in (of_other, Payload(metadata=names, data=b"x" * 99), Payload(metadata=names)):
        await handle.signal("suspend", RawValue(damaged))
    await handle.signal("suspend", {"source": "billing", "reason": "invoice 1042 unpaid", "by": "billing"})

    async def suspended() -> bool:
        return (await service.clients.gateway.client(client_id)).status is Status.SUSPENDED

    await eventually(suspended)
    await service.known(client_id)
    refused = [line for line in await service.history(client_id) if line["event"] == "refused"]
    assert len(refused) == 3


@asynccontextmanager
async def without_keys(service: Service) -> AsyncIterator[asyncpg.Connection]:
    """The service while clients' keys can be read nowhere, and no process has any in memory."""
    async with connected(service.settings.keys_dsn.get_secret_value()) as keys:
        await keys.execute("ALTER TABLE client_keys RENAME TO away")
        assert service.encryption.keys
        service.encryption.keys._cached.clear()
        try:
            yield keys
        finally:
            await keys.execute("ALTER TABLE away RENAME TO client_keys")


async def test_while_a_clients_key_is_away_nothing_is_done_and_nothing_lost(service: Service) -> None:
    client_id: str = (await service.create())["client_id"]
    signalled = plain(service).get_workflow_handle(f"client-{client_id}")

    async def task_failed() -> bool:
        history = await signalled.fetch_history()
        return any(event.HasField("workflow_task_failed_event_attributes") for event in history.events)

    async with without_keys(service):
        answer = await service.post(client_id, "suspend", reason="arrears")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert "table of clients' keys: run `connect migrate`" in answer.json()["detail"]
        assert (await service.api.get(f"{service.url}/readyz")).status_code == 503
        await signalled.signal("suspend", {"source": "billing", "reason": "invoice 1042 unpaid"})
        await eventually(task_failed)

    async def obeyed() -> bool:  # Temporal tries the task again after some seconds
        return (await service.post(client_id, "suspend", reason="arrears", key=f"{client_id}-1")).status_code == 200

    await eventually(obeyed)
    assert {hold["source"] for hold in (await service.client(client_id))["holds"]} == {"billing", "operator"}
    assert [line["event"] for line in await service.history(client_id)].count("refused") == 0


async def test_only_creating_a_client_makes_a_key(service: Service) -> None:
    client_id: str = (await service.create())["client_id"]
    for nobody in ("nobody-1", "nobody-2"):
        assert (await service.post(nobody, "suspend", reason="arrears")).status_code == 404
        assert (await service.api.get(f"/clients/{nobody}")).status_code == 404
    rows = await fetch(service.settings.keys_dsn.get_secret_value(), "SELECT client_id FROM client_keys")
    owners = {row["client_id"] for row in rows}
    assert client_id in owners
    assert not owners & {"nobody-1", "nobody-2"}
