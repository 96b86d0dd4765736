"""A client that another worker takes up: whatever comes together then, it does as any later replay would."""

import asyncio

import pytest
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from tests.waiting import eventually
from tests.workflows.conftest import SERVICES, House, replay
from worker import hearing_all_at_once
from workflows.client_lifecycle import ClientLifecycle
from workflows.domain.standing import Proof
from workflows.guard import Guard

FIRST_TOLD = {"suspend": {}, "convert": {"to": "virtual"}, "decommission": {}, "edit": {"name": "Acme Europe Ltd"}}


@pytest.mark.parametrize("last", ["directory", "telephony", "internet"])
@pytest.mark.parametrize("kind", list(FIRST_TOLD))
async def test_the_first_command_that_a_new_worker_brings_replays(
    temporal: WorkflowEnvironment, kind: str, last: str
) -> None:
    house = House(temporal)
    async with house.worker():
        handle = await house.start()
        hold = getattr(house, last).faults.hold = asyncio.Event()
        await house.command(handle, "rotate_credentials")
        await eventually(lambda: _heard(house, 2))  # each in a task of its own, which asks for nothing
        hold.set()
        await house.until(handle, lambda view: view.provisioning == "settled")
    async with house.worker():
        await house.command(handle, kind, **FIRST_TOLD[kind])
        await house.until(handle, lambda view: view.provisioning == "settled")
    await replay(await house.histories())


async def test_a_result_that_comes_together_with_a_newer_decision_counts_no_more(temporal: WorkflowEnvironment) -> None:
    house = House(temporal)
    async with house.worker():
        handle = await house.start()
    async with Worker(house.temporal, task_queue=house.queue, activities=house.activities):
        hold = house.telephony.faults.hold = asyncio.Event()
        house.telephony.faults.reached.clear()
        house.telephony.doubts[SERVICES.numbers[0]] = Proof.FAILED, "somebody has its row"
        async with _thinking(house):
            await house.command(handle, "rotate_credentials")
            await house.telephony.faults.reached.wait()
            await eventually(lambda: _heard(house, 2))
        hold.set()
        await eventually(lambda: _heard(house, 3))
        house.telephony.doubts.clear()
        await house.signal(handle, "suspend", {"source": "billing"})
        async with _thinking(house):
            await house.until(handle, lambda view: (view.status, view.provisioning) == ("suspended", "settled"))
    assert not [line for line in house.directory.told(handle.id.removeprefix("client-")) if "attempted" in line]
    await replay(await house.histories())


def _thinking(house: House) -> Worker:
    """A worker for the clients alone: what they order is done elsewhere."""
    worker = Worker(house.temporal, task_queue=house.queue, workflows=[ClientLifecycle], interceptors=[Guard()])
    return hearing_all_at_once(worker)


async def _heard(house: House, results: int) -> bool:
    """Whether so many orders have been carried out since the last command, as the history has it."""
    events = await house.events(house.handles[0])
    since = max(n for n, event in enumerate(events) if event == "WORKFLOW_EXECUTION_UPDATE_COMPLETED")
    return events[since:].count("ACTIVITY_TASK_COMPLETED") >= results
