"""What operators find and read in Temporal itself."""

from datetime import timedelta
from typing import Any

from temporalio.api.operatorservice.v1 import RemoveSearchAttributesRequest
from temporalio.common import TypedSearchAttributes
from temporalio.testing import WorkflowEnvironment

from starter.temporal.connection import ensure_search_attributes
from tests.support.waiting import HANGING, eventually
from tests.support.workflows import Handle, Service, replay
from workflows.domain.provisioning.standing import Limits
from workflows.visibility import NEXT_CHANGE_AT, PROVISIONING, SITE, STATUS, TYPE

SECRETS = ("Acme", "unpaid", "+4420")


async def attributes(service: Service, handle: Handle) -> TypedSearchAttributes:
    return (await service.temporal.get_workflow_handle(handle.id).describe()).typed_search_attributes


async def test_clients_are_found_by_status_type_site_and_next_change(service: Service) -> None:
    handle = await service.start(starts_in=10)
    found = await attributes(service, handle)
    assert (found[STATUS], found[TYPE], found[SITE]) == ("new", "residential", "thames")
    assert found[NEXT_CHANGE_AT] == (await service.view(handle)).planned[0].at

    await service.command(handle, "activate")
    await service.command(handle, "convert", to="virtual")
    await service.settled(handle)
    found = await attributes(service, handle)
    assert (found[STATUS], found[TYPE], found.get(NEXT_CHANGE_AT)) == ("active", "virtual", None)


async def test_only_clients_in_attention_are_marked_so_and_the_mark_goes(service: Service) -> None:
    handle = await service.start(limits=Limits(attempt=HANGING, first_pause=600))
    assert (await attributes(service, handle)).get(PROVISIONING) is None
    service.telephony.faults.down = True
    await service.command(handle, "suspend")

    async def mark() -> Any:
        return (await attributes(service, handle)).get(PROVISIONING)

    await eventually(mark, equal="attention")
    service.telephony.faults.down = False
    await service.skip(handle, timedelta(minutes=11))
    await service.settled(handle)
    await eventually(mark, equal=None)


async def test_nothing_personal_is_in_ids_attributes_summaries_or_details(service: Service) -> None:
    handle = await service.start(name="Acme Ltd")
    await service.command(handle, "suspend", reason="invoice unpaid")
    await service.command(handle, "decommission", last_day=str(service.day(9)))
    await service.settled(handle)
    texts = [str(await attributes(service, handle)), handle.id]
    async for event in handle.fetch_history_events():
        texts.append(str(event.user_metadata))
        texts.append(event.activity_task_scheduled_event_attributes.activity_id)
    texts.append(str(await handle.query("__temporal_workflow_metadata", result_type=dict)))
    assert not [word for word in SECRETS if word in " ".join(texts)]


async def test_the_loop_s_timer_says_what_it_waits_for(service: Service) -> None:
    handle = await service.start()
    await service.command(handle, "decommission", last_day=str(service.day(9)))
    summaries = [
        event.user_metadata.summary.data.decode()
        async for event in handle.fetch_history_events()
        if event.HasField("timer_started_event_attributes")
    ]
    assert f'"decommission at {service.day(10)} 00:00 Europe/London"' in summaries


async def test_a_client_goes_on_when_search_attributes_were_removed_and_added_again_and_is_found_after_a_renewal(
    temporal: WorkflowEnvironment,
) -> None:
    service = Service(temporal)
    async with service.worker():
        handle = await service.start()
        await service.command(handle, "suspend")
        await service.command(handle, "decommission", last_day="2199-03-31")
        await service.settled(handle)
    names = [key.name for key in (STATUS, TYPE, NEXT_CHANGE_AT)]
    await temporal.client.operator_service.remove_search_attributes(
        RemoveSearchAttributesRequest(namespace=temporal.client.namespace, search_attributes=names)
    )
    await ensure_search_attributes(temporal.client)
    async with service.worker():
        assert (await service.view(handle)).status == "suspended"
        assert (await service.command(handle, "suspend", source="billing")).changed
        await service.settled(handle)
        await replay(await service.histories())
        await service.signal(handle, "roll")

        async def found() -> bool:
            known = await attributes(service, handle)
            return (known.get(STATUS), known.get(TYPE)) == ("suspended", "residential")

        await eventually(found)
        view = await service.settled(service.latest(handle))
        assert (await attributes(service, handle)).get(NEXT_CHANGE_AT) == view.planned[0].at
        await service.command(service.latest(handle), "decommission")
        await service.latest(handle).result()
    await replay(await service.histories())
