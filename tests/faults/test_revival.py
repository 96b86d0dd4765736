"""The remedy for a client that stands still, by which test_kills goes on: it stands where it stood, and obeys."""

from temporalio import workflow
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from tests.faults.revival import Revival
from tests.support.waiting import eventually
from tests.support.workflows import Service, end, replay
from workflows.wire.start import ClientStart


@workflow.defn(name="ClientLifecycle")
class Foreign:
    """Another program under the same name, which no history of a client can be replayed with."""

    @workflow.run
    async def run(self, start: ClientStart) -> None:
        await workflow.wait_condition(lambda: False)


async def test_a_client_that_stands_still_goes_on_and_obeys_what_it_was_sent_meanwhile(
    faulty_temporal: WorkflowEnvironment,
) -> None:
    service = Service(faulty_temporal)
    revival = Revival(service.temporal)
    async with service.worker():
        handle = await service.start()
        await service.command(handle, "suspend", source="billing")
        await service.settled(handle)
    first = (await handle.describe()).run_id
    async with Worker(
        service.temporal, task_queue=service.queue, workflows=[Foreign], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        await handle.signal("suspend", {"source": "security"})

        async def reset() -> bool:
            await revival.revive()
            return bool(revival.reset)

        await eventually(reset)
    assert revival.reset == [first]
    async with service.worker():
        view = await service.settled(service.latest(handle))
        assert (view.status, sorted(hold.source for hold in view.holds)) == ("suspended", ["billing", "security"])
        await revival.revive()
        assert revival.reset == [first], "it goes on"
        await replay(await service.histories())
        await end(service, handle)
