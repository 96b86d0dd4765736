"""Each instance of a system has its own task queue: what serves one is nothing to another."""

import asyncio
from collections import Counter

from temporalio.testing import WorkflowEnvironment

from activities.systems import Systems
from tests.support.fakes import FakeSystem
from tests.support.waiting import HANGING
from tests.support.workflows import Handle, Service, end, replay
from tests.workflows.test_at_once import attempts
from worker import of_instances, together
from workflows.domain.provisioning.standing import Limits
from workflows.domain.systems import TELEPHONY, SystemInstance

LONDON = SystemInstance(TELEPHONY, "london")
QUICK = Limits(attempt=1, first_pause=0.2, longest_pause=0.5)
PROMPT = Limits(attempt=HANGING, first_pause=0.2, longest_pause=0.5, at_once=2)


async def replayed(service: Service, handle: Handle) -> None:
    """End the client, whose history replays."""
    histories = await service.histories()
    await end(service, handle)
    await replay(histories)


async def test_an_instance_that_no_worker_serves_comes_to_attention_with_what_to_do(
    temporal: WorkflowEnvironment,
) -> None:
    service = Service(temporal)
    async with service.worker():
        handle = await service.start(instances={TELEPHONY: "london"}, limits=QUICK, wait=False)
        view = await service.until(handle, lambda view: view.systems[0].state == "attention")
        telephony, internet = view.systems
        assert telephony.last_error == (
            "no worker serves telephony london: start one that its settings name, or correct what they say of it"
        )
        assert set(internet.actual.values()) == {"on"}, "the other system is switched meanwhile"
        assert service.telephony.orders == [], "main is not asked in its place"
        await replayed(service, handle)


async def test_what_another_worker_serves_goes_through_its_queue_and_the_rest_is_done_at_once(
    temporal: WorkflowEnvironment,
) -> None:
    service, london = Service(temporal), FakeSystem()
    elsewhere = of_instances(temporal.client, Systems({LONDON: london}), service.queue)
    async with service.worker(), together(*elsewhere):
        handle = await service.start(instances={TELEPHONY: "london"}, limits=PROMPT)
        await service.command(handle, "suspend")
        await service.settled(handle)
        assert Counter(await attempts(handle))["ensure"] == 2, "telephony's alone, at the start and now"
        assert [order.instance for order in london.orders] == ["london", "london"]
        assert service.telephony.orders == []
        assert not any(london.lines.values())
        await replayed(service, handle)


async def test_an_instance_that_hangs_holds_up_no_client_of_another(temporal: WorkflowEnvironment) -> None:
    service, london = Service(temporal), FakeSystem()
    elsewhere = of_instances(temporal.client, Systems({LONDON: london}), service.queue, max_concurrent_activities=1)
    async with service.worker(), together(*elsewhere):
        virtual = service.virtual("+442079460777")
        stuck = await service.start(instances={TELEPHONY: "london"}, limits=PROMPT, services=virtual)
        london.faults.hold = asyncio.Event()
        await service.command(stuck, "suspend")
        handle = await service.start(limits=PROMPT)
        answer = await service.command(handle, "suspend")
        assert answer.provisioning == "settled"
        assert set(await attempts(handle)) == {"at_once"}
        london.faults.hold.set()
        await service.settled(stuck)
        await end(service, stuck)
        await end(service, handle)
