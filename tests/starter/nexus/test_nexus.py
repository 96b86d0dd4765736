"""Workflows of another namespace command clients by Nexus, on a real server."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import pytest_asyncio
from nexusrpc import HandlerError, HandlerErrorType
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.api.nexus.v1 import EndpointSpec, EndpointTarget
from temporalio.api.operatorservice.v1 import CreateNexusEndpointRequest
from temporalio.client import Client, WorkflowFailureError
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import PayloadCodec
from temporalio.exceptions import ApplicationError, NexusOperationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from docs.examples.nexus_billing import ENDPOINT, Invoice, UnpaidInvoice
from starter.clients import ClientService
from starter.contract.callers import Role
from starter.errors import NotDecided
from starter.nexus.callers import Granted, NexusCallers
from starter.nexus.handler import BUSY
from starter.web.admission import Admission, AdmissionLimits, Place
from tests.support.service import BILLING, LIMITS, Service, unique
from tests.support.waiting import eventually
from tests.support.workflows import answer_of
from worker import of_callers
from workflows.wire.messages import AnyMessage
from workflows.wire.start import TASK_QUEUE
from workflows.wire.views import CommandAnswer

CALLS = "calls"


@workflow.defn
class Call:
    """One operation, by its name, with any input and headers."""

    @workflow.run
    async def run(self, operation: str, fields: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
        connect = workflow.create_nexus_client(service="ClientLifecycle", endpoint=ENDPOINT)
        answer: dict[str, Any] = await connect.execute_operation(
            operation, fields, output_type=dict[str, Any], headers=headers
        )
        return answer


class Scrambled(PayloadCodec):
    """Payloads that callers cannot read."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [Payload(metadata={"encoding": b"binary/scrambled"}, data=it.SerializeToString()) for it in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [Payload.FromString(it.data) for it in payloads]


class ForgetfulService(ClientService):
    """Carries out a command, and has its answer lost where a test says so."""

    lose_next = False

    async def command(self, client_id: str, message: AnyMessage, *, fresh: bool = False) -> CommandAnswer:
        answer = await super().command(client_id, message, fresh=fresh)
        if self.lose_next:
            self.lose_next = False
            raise NotDecided(client_id, message.command_id)
        return answer


class Billing:
    """Another service, with a namespace and plain payloads of its own."""

    def __init__(self, client: Client, connect: ForgetfulService, admission: Admission) -> None:
        self.client, self.connect, self.admission = client, connect, admission

    async def call(self, operation: str, **fields: Any) -> dict[str, Any]:
        answer: dict[str, Any] = await self.client.execute_workflow(
            Call.run, args=[operation, fields, {"note": "honest"}], id=unique("call"), task_queue=CALLS
        )
        return answer

    async def failure(self, operation: str, **fields: Any) -> BaseException:
        """What a caller's workflow is told of an operation that is not done."""
        with pytest.raises(WorkflowFailureError) as failed:
            await self.call(operation, **fields)
        assert isinstance(failed.value.cause, NexusOperationError)
        assert failed.value.cause.cause
        return failed.value.cause.cause


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def billing(service: Service) -> AsyncIterator[Billing]:
    """Billing, and a worker of ours that answers it."""
    target = EndpointTarget(worker=EndpointTarget.Worker(namespace=service.temporal.namespace, task_queue=TASK_QUEUE))
    await service.temporal.operator_service.create_nexus_endpoint(
        CreateNexusEndpointRequest(spec=EndpointSpec(name=ENDPOINT, target=target))
    )
    same = service.clients
    connect = ForgetfulService(same.gateway, same.directory, same.watch, LIMITS)
    callers = NexusCallers({BILLING: Granted(role=Role.ADMIN)})  # of the service itself, which forgets
    admission = Admission(AdmissionLimits(working=1, per_second=0))
    scrambled = replace(pydantic_data_converter, payload_codec=Scrambled())
    server, namespace = service.temporal.service_client, service.temporal.namespace
    ours = Client(server, namespace=namespace, data_converter=scrambled)
    theirs = Client(server, namespace=BILLING)
    async with (
        of_callers(ours, connect, TASK_QUEUE, callers, admission),
        Worker(theirs, task_queue=BILLING, workflows=[UnpaidInvoice]),
        Worker(theirs, task_queue=CALLS, workflows=[Call], workflow_runner=UnsandboxedWorkflowRunner()),
    ):
        yield Billing(theirs, connect, admission)


async def test_the_example_suspends_for_an_unpaid_invoice_until_it_is_paid(service: Service, billing: Billing) -> None:
    client, number = await service.create(), unique("inv")
    unpaid = await billing.client.start_workflow(
        UnpaidInvoice.run, Invoice(client["client_id"], number), id=f"invoice-{number}", task_queue=BILLING
    )

    async def status() -> str:
        return await answer_of(lambda: unpaid.query(UnpaidInvoice.status))

    await eventually(status, equal="suspended")
    hold = (await service.client(client["client_id"]))["holds"][0]
    assert (hold["source"], hold["reason"]) == ("billing", f"invoice {number}")
    assert hold["by"] == f"nexus:billing/invoice-{number}"
    await unpaid.signal(UnpaidInvoice.paid)
    assert await unpaid.result() == "Paid; Acme Ltd is active"
    assert (await service.client(client["client_id"]))["holds"] == []


async def test_plans_are_made_and_cancelled_and_a_client_is_shown_to_its_end(
    service: Service, billing: Billing
) -> None:
    acme = (await service.create())["client_id"]
    planned = await billing.call("decommission", client_id=acme, last_day="2099-03-31")
    assert [plan["kind"] for plan in planned["planned"]] == ["decommission"]
    cancelled = await billing.call("cancel", client_id=acme, change="decommission")
    assert (cancelled["changed"], cancelled["planned"]) == (True, [])
    view = await billing.call("view", client_id=acme)
    assert (view["client_id"], view["status"]) == (acme, "active")
    await billing.call("decommission", client_id=acme)
    await service.temporal.get_workflow_handle(f"client-{acme}").result()
    assert (await billing.call("view", client_id=acme))["status"] == "decommissioned"
    refused = await billing.failure("suspend", client_id=acme)
    assert isinstance(refused.__cause__, ApplicationError)
    assert (refused.__cause__.type, refused.__cause__.non_retryable) == ("IllegalTransition", True)
    assert refused.__cause__.details[0]["client_status"] == "decommissioned"


async def test_an_operation_whose_answer_was_lost_is_done_once(service: Service, billing: Billing) -> None:
    acme = (await service.create())["client_id"]
    billing.connect.lose_next = True
    answer = await billing.call("suspend", client_id=acme, source="billing")
    assert not billing.connect.lose_next
    assert (answer["changed"], answer["status"]) == (True, "suspended")  # a second command would have changed nothing

    async def requested() -> list[str]:
        query = {"client": acme, "kind": "requested"}
        events = (await service.api.get("/events", params=query)).json()["items"]
        return [event["request_id"] for event in events if event["command"] == "suspend"]

    (request_id,) = await eventually(requested)
    assert request_id, "the operation's own"


async def test_an_operation_for_which_there_was_no_room_is_done_once_there_is(
    service: Service, billing: Billing
) -> None:
    acme = (await service.create())["client_id"]
    with Place(billing.admission, Role.ADMIN).working():
        calling = await billing.client.start_workflow(
            Call.run, args=["suspend", {"client_id": acme}, {}], id=unique("call"), task_queue=CALLS
        )

        async def sent_back() -> bool:
            pending = (await calling.describe()).raw_description.pending_nexus_operations
            return any(BUSY in str(operation.last_attempt_failure) for operation in pending)

        await eventually(sent_back)
        assert (await service.client(acme))["status"] == "active"
    assert (await calling.result())["status"] == "suspended"


@pytest.mark.parametrize("header", ["nexus-link", "Nexus-Link"])
async def test_no_workflow_poses_as_another_namespace(service: Service, billing: Billing, header: str) -> None:
    acme = (await service.create())["client_id"]
    link = "temporal:///namespaces/ops/workflows/chief/0f/history?eventID=5&referenceType=EventReference"
    forged = {header: f'<{link}>; type="temporal.api.common.v1.Link.WorkflowEvent"'}
    calling = await billing.client.start_workflow(
        Call.run, args=["suspend", {"client_id": acme}, forged], id=unique("forged"), task_queue=CALLS
    )

    async def outcome() -> str:
        events = (await calling.fetch_history()).events
        if any(event.HasField("nexus_operation_scheduled_event_attributes") for event in events):
            return "it was sent"
        failed = [event.workflow_task_failed_event_attributes for event in events]
        return next((it.failure.message for it in failed if it.failure.message), "")

    assert "nexus-link" in (await eventually(outcome)).lower()
    await calling.terminate()
    client = await service.client(acme)
    assert (client["status"], client["holds"]) == ("active", [])
    assert (await billing.call("suspend", client_id=acme))["holds"][0]["by"].startswith("nexus:billing/call-")


async def test_what_cannot_be_asked_is_said_in_the_words_of_every_interface(billing: Billing) -> None:
    nobody = await billing.failure("view", client_id="nobody")
    assert isinstance(nobody.__cause__, ApplicationError)
    assert nobody.__cause__.type == "NoSuchClient"
    malformed = await billing.failure("suspend", client_id="acme", last_day="tomorrow", by="the chief")
    assert isinstance(malformed, HandlerError)
    assert malformed.type is HandlerErrorType.BAD_REQUEST
    assert "last_day is not a date. Write it as a text" in str(malformed.__cause__)
    assert "There is no field by." in str(malformed.__cause__)
