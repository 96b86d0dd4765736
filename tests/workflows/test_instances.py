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
from workflows.domain.services import ClientType, Services
from workflows.domain.systems import INTERNET, TELEPHONY, SystemInstance

LONDON = SystemInstance(TELEPHONY, "london")
QUICK = Limits(attempt=1, first_pause=0.2, longest_pause=0.5)
PROMPT = Limits(attempt=HANGING, first_pause=0.2, longest_pause=0.5, at_once=HANGING)


async def end_and_replay(service: Service, handle: Handle) -> None:
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
        view = await service.until(
            handle,
            lambda view: view.systems[0].state == "attention" and set(view.systems[1].actual.values()) == {"on"},
        )
        telephony, _ = view.systems
        assert telephony.last_error == (
            "no worker serves telephony london: start one that its settings name, or correct what they say of it"
        )
        assert service.telephony.orders == [], "main is not asked in its place"
        await end_and_replay(service, handle)


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
        await end_and_replay(service, handle)


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


async def test_what_is_signalled_is_served_by_the_instance_that_the_directory_says(
    temporal: WorkflowEnvironment,
) -> None:
    """A billing system that signals knows nothing of instances, and no setting of ours."""
    service, london = Service(temporal), FakeSystem(INTERNET)
    elsewhere = of_instances(temporal.client, Systems({SystemInstance(INTERNET, "london"): london}), service.queue)
    async with service.worker(), together(*elsewhere):
        office = Services(ClientType.RESIDENTIAL, rooms=("3.12",))
        handle = await service.start(services=office)
        service.directory.instances = {INTERNET: "london"}
        await service.signal(handle, "change_services", {"internet": {"down_mbps": 100, "up_mbps": 20}})
        view = await service.until(handle, lambda view: view.internet)
        view = await service.settled(handle)
        assert {system.system: system.instance for system in view.systems} == {TELEPHONY: "main", INTERNET: "london"}
        assert list(london.subjects) == [view.client_id]
        assert service.internet.orders == []
        service.directory.instances = {}
        await service.signal(handle, "change_services", {"internet": {"down_mbps": 200, "up_mbps": 20}})
        await service.until(handle, lambda view: view.internet.down_mbps == 200)
        await service.settled(handle)
        assert service.internet.orders == [], "what there is stays where it is"
        await end_and_replay(service, handle)
