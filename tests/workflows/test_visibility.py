"""What operators find and read in Temporal itself."""

from datetime import timedelta

from temporalio.common import TypedSearchAttributes

from tests.support.waiting import eventually
from tests.workflows.conftest import Handle, House
from workflows.domain.provisioning.standing import Limits
from workflows.visibility import NEXT_CHANGE_AT, PROVISIONING, SITE, STATUS, TYPE

SECRETS = ("Acme", "unpaid", "+4420")


async def attributes(house: House, handle: Handle) -> TypedSearchAttributes:
    return (await house.temporal.get_workflow_handle(handle.id).describe()).typed_search_attributes


async def test_clients_are_found_by_status_type_site_and_next_change(house: House) -> None:
    handle = await house.start(starts_in=10)
    found = await attributes(house, handle)
    assert (found[STATUS], found[TYPE], found[SITE]) == ("new", "residential", "thames")
    assert found[NEXT_CHANGE_AT] == (await house.view(handle)).planned[0].at

    await house.command(handle, "activate")
    await house.command(handle, "convert", to="virtual")
    await house.settled(handle)
    found = await attributes(house, handle)
    assert (found[STATUS], found[TYPE], found.get(NEXT_CHANGE_AT)) == ("active", "virtual", None)


async def test_only_clients_in_attention_are_marked_so_and_the_mark_goes(house: House) -> None:
    handle = await house.start(limits=Limits(attempt=8, first_pause=600))
    assert (await attributes(house, handle)).get(PROVISIONING) is None
    house.telephony.faults.down = True
    await house.command(handle, "suspend")

    async def marked() -> bool:
        return (await attributes(house, handle)).get(PROVISIONING) == "attention"

    await eventually(marked)
    house.telephony.faults.down = False
    await house.skip(handle, timedelta(minutes=11))
    await house.settled(handle)

    async def unmarked() -> bool:
        return not await marked()

    await eventually(unmarked)


async def test_nothing_personal_is_in_ids_attributes_summaries_or_details(house: House) -> None:
    handle = await house.start(name="Acme Ltd")
    await house.command(handle, "suspend", reason="invoice unpaid")
    await house.command(handle, "decommission", last_day=str(house.day(9)))
    await house.settled(handle)
    told = [str(await attributes(house, handle)), handle.id]
    async for event in handle.fetch_history_events():
        told.append(str(event.user_metadata))
        told.append(event.activity_task_scheduled_event_attributes.activity_id)
    told.append(str(await handle.query("__temporal_workflow_metadata", result_type=dict)))
    assert not [word for word in SECRETS if word in " ".join(told)]


async def test_the_loop_s_timer_says_what_it_waits_for(house: House) -> None:
    handle = await house.start()
    await house.command(handle, "decommission", last_day=str(house.day(9)))
    summaries = [
        event.user_metadata.summary.data.decode()
        async for event in handle.fetch_history_events()
        if event.HasField("timer_started_event_attributes")
    ]
    assert f'"decommission at {house.day(10)} 00:00 Europe/London"' in summaries
