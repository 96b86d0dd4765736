"""Billing as a workflow in a namespace of its own: an unpaid invoice suspends the client, paying it lifts the hold.

It knows nothing of Connect but the name of its Nexus service, and needs the package temporalio alone. Beside a running
`connect up`, with ID one of its clients:

    temporal operator namespace create --namespace billing
    python docs/examples/nexus_billing.py ID 1042
"""

import asyncio
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import nexusrpc
from temporalio import workflow
from temporalio.client import Client
from temporalio.exceptions import ApplicationError, NexusOperationError
from temporalio.service import RPCError
from temporalio.worker import Worker

ENDPOINT = "connect"
PATIENCE = timedelta(hours=1)  # while Connect is away, Temporal sends an operation again; it is done once


@nexusrpc.service(name="ClientLifecycle")
class ClientLifecycle:
    """What of the service is used here. Answers are JSON objects: the client, as Connect's HTTP API has it."""

    suspend: nexusrpc.Operation[dict[str, Any], dict[str, Any]]
    unsuspend: nexusrpc.Operation[dict[str, Any], dict[str, Any]]


@dataclass
class Invoice:
    client_id: str
    number: str


@workflow.defn
class UnpaidInvoice:
    """From the day on which an invoice should have been paid until it is. Its result is what became of the client."""

    def __init__(self) -> None:
        self._paid, self._status = False, ""

    @workflow.run
    async def run(self, invoice: Invoice) -> str:
        connect = workflow.create_nexus_client(service=ClientLifecycle, endpoint=ENDPOINT)
        hold = {"client_id": invoice.client_id, "source": "billing", "reason": f"invoice {invoice.number}"}
        try:
            unpaid = {**hold, "command_id": f"unpaid-{invoice.number}"}
            suspended = await connect.execute_operation(
                ClientLifecycle.suspend, unpaid, schedule_to_close_timeout=PATIENCE
            )
        except NexusOperationError as error:
            return f"Not suspended: {refusal_in(error)}"
        self._status = suspended["status"]
        await workflow.wait_condition(lambda: self._paid)
        paid = {**hold, "command_id": f"paid-{invoice.number}"}
        restored = await connect.execute_operation(ClientLifecycle.unsuspend, paid, schedule_to_close_timeout=PATIENCE)
        return f"Paid; {restored['name']} is {restored['status']}"

    @workflow.signal
    def paid(self) -> None:
        self._paid = True

    @workflow.query
    def status(self) -> str:
        """The client's status after the suspension; empty before."""
        return self._status


def refusal_in(error: BaseException) -> str:
    """The refusal, which is the innermost cause: its type, such as IllegalTransition, and its sentence."""
    while error.__cause__:
        error = error.__cause__
    return f"{error.type}: {error.message}" if isinstance(error, ApplicationError) else str(error)


async def main(client_id: str, number: str) -> None:
    """Run a worker of billing's and one workflow, which hears that the invoice is paid when Enter is pressed."""
    client = await Client.connect(os.environ.get("TEMPORAL_ADDRESS", "127.0.0.1:7233"), namespace="billing")
    async with Worker(client, task_queue="billing", workflows=[UnpaidInvoice]):
        invoice = Invoice(client_id, number)
        unpaid = await client.start_workflow(UnpaidInvoice.run, invoice, id=f"invoice-{number}", task_queue="billing")
        await asyncio.to_thread(input, "Press Enter when it is paid. ")
        with suppress(RPCError):  # it has ended already: the client was not suspended
            await unpaid.signal(UnpaidInvoice.paid)
        sys.stdout.write(f"{await unpaid.result()}\n")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
