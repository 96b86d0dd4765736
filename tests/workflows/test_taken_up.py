"""A client that another worker takes up: whatever comes together then, it does as any later replay would."""

import asyncio
from contextlib import AbstractAsyncContextManager

import pytest
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from tests.support.waiting import HANGING, eventually
from tests.support.workflows import SERVICES, Service, replay
from worker import hearing_all_at_once, of_instances, together
from workflows.client_lifecycle import ClientLifecycle
from workflows.domain.provisioning.standing import Limits, Proof
from workflows.guard import Guard

FIRST_COMMANDS = {"suspend": {}, "convert": {"to": "virtual"}, "decommission": {}, "edit": {"name": "Acme Europe Ltd"}}


@pytest.mark.parametrize("last", ["directory", "telephony", "internet"])
@pytest.mark.parametrize("kind", list(FIRST_COMMANDS))
async def test_the_first_command_that_a_new_worker_brings_replays(
    temporal: WorkflowEnvironment, kind: str, last: str
) -> None:
    service = Service(temporal)
    async with service.worker():
        handle = await service.start()
        hold = getattr(service, last).faults.hold = asyncio.Event()
        await service.command(handle, "rotate_credentials")
        await eventually(lambda: _orders_done(service, 2))  # each in a task of its own, which asks for nothing
        hold.set()
        await service.until(handle, lambda view: view.provisioning == "settled")
    async with service.worker():
        await service.command(handle, kind, **FIRST_COMMANDS[kind])
        await service.until(handle, lambda view: view.provisioning == "settled")
    await replay(await service.histories())


async def test_a_result_that_comes_together_with_a_newer_decision_counts_no_more(temporal: WorkflowEnvironment) -> None:
    service = Service(temporal)
    async with service.worker():
        handle = await service.start(limits=Limits(attempt=HANGING))  # workers come and go during an attempt
    async with _done_elsewhere(service):
        hold = service.telephony.faults.hold = asyncio.Event()
        service.telephony.faults.reached.clear()
        service.telephony.doubts[SERVICES.numbers[0]] = Proof.FAILED, "somebody has its row"
        async with _thinking(service):
            await service.command(handle, "rotate_credentials")
            await service.telephony.faults.reached.wait()
            await eventually(lambda: _orders_done(service, 2))
        hold.set()
        await eventually(lambda: _orders_done(service, 3))
        service.telephony.doubts.clear()
        await service.signal(handle, "suspend", {"source": "billing"})
        async with _thinking(service):
            await service.until(handle, lambda view: (view.status, view.provisioning) == ("suspended", "settled"))
    assert not [line for line in service.directory.texts_of(handle.id.removeprefix("client-")) if "attempted" in line]
    await replay(await service.histories())


def _thinking(service: Service) -> Worker:
    """A worker for the clients alone: what they order is done elsewhere."""
    worker = Worker(service.temporal, task_queue=service.queue, workflows=[ClientLifecycle], interceptors=[Guard()])
    return hearing_all_at_once(worker)


def _done_elsewhere(service: Service) -> AbstractAsyncContextManager[None]:
    """Workers for all but the clients."""
    directory = Worker(service.temporal, task_queue=service.queue, activities=[service.directory.publish])
    return together(directory, *of_instances(service.temporal, service.served, service.queue))


async def _orders_done(service: Service, results: int) -> bool:
    """Whether so many orders have been carried out since the last command, as the history has it."""
    events = await service.events(service.handles[0])
    since = max(n for n, event in enumerate(events) if event == "WORKFLOW_EXECUTION_UPDATE_COMPLETED")
    return events[since:].count("ACTIVITY_TASK_COMPLETED") >= results
