"""A worker keeps few clients in memory; those it puts away come back from their history."""

import asyncio

from temporalio.testing import WorkflowEnvironment

from tests.support.waiting import HANGING, unless_it_hangs
from tests.support.workflows import Service
from workflows.domain.provisioning.standing import Limits


async def test_clients_put_away_in_the_middle_of_a_change_go_on_and_the_worker_stops_in_time(
    temporal: WorkflowEnvironment,
) -> None:
    service = Service(temporal)
    async with unless_it_hangs():
        async with service.worker(max_cached_workflows=2):
            limits = Limits(attempt=HANGING, first_pause=0.2, longest_pause=0.2)
            handles = [
                await service.start(services=service.virtual(f"+44207946030{n}"), limits=limits) for n in range(5)
            ]
            service.telephony.faults.down = True
            for handle in handles:
                await service.command(handle, "decommission", last_day="2099-03-31")
                if handle is handles[0]:
                    await handle.cancel()
                await service.command(handle, "suspend")
            service.telephony.faults.down = False
            for handle in handles:
                assert (await service.settled(handle)).status == "suspended"
            service.telephony.faults.down = True
            for handle in handles:
                await service.command(handle, "unsuspend")
        for handle in handles:
            await handle.terminate("the test is over")


async def test_a_client_put_away_while_it_is_about_to_be_renewed_does_not_hold_up_its_worker(
    temporal: WorkflowEnvironment,
) -> None:
    service = Service(temporal)
    async with unless_it_hangs():
        async with service.worker():
            limits = Limits(attempt=HANGING, renew_after=30)
            handle = await service.start(services=service.virtual("+442079460310"), limits=limits)
            service.telephony.faults.hold = asyncio.Event()
            for number in range(8):
                await service.command(handle, "suspend", source=f"source-{number}")
        await handle.terminate("the test is over")
