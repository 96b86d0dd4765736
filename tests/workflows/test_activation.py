"""When clients come into service: on their start date, earlier, later, or by hand."""

from datetime import timedelta

from tests.support.workflows import Service
from workflows.domain.lifecycle import Activation


async def test_a_client_that_starts_months_ahead_is_activated_on_its_start_date(service: Service) -> None:
    handle = await service.start(starts_in=120)
    new = await service.view(handle)
    assert (new.status, [p.kind for p in new.planned]) == ("new", ["activate"])
    assert not service.telephony.orders
    assert not service.internet.orders

    await service.skip(handle, timedelta(days=118))  # a day ahead of it, at whatever hour, through a change of clocks
    assert (await service.view(handle)).status == "new"
    await service.skip(handle, timedelta(days=3))

    active = await service.settled(handle)
    assert (active.status, active.planned) == ("active", [])
    assert set(service.telephony.lines.values()) == {True}
    assert service.internet.subjects[active.client_id].on


async def test_a_start_date_moved_earlier_activates_earlier(service: Service) -> None:
    handle = await service.start(starts_in=120)
    await service.command(handle, "edit", start_date=str(service.day(10)))
    await service.skip(handle, timedelta(days=12))
    assert (await service.settled(handle)).status == "active"


async def test_a_start_date_moved_later_activates_later(service: Service) -> None:
    handle = await service.start(starts_in=5)
    await service.command(handle, "edit", start_date=str(service.day(30)))
    await service.skip(handle, timedelta(days=10))
    assert (await service.view(handle)).status == "new"
    await service.skip(handle, timedelta(days=25))
    assert (await service.settled(handle)).status == "active"


async def test_a_start_date_moved_to_today_activates_at_once(service: Service) -> None:
    handle = await service.start(starts_in=40)
    answer = await service.command(handle, "edit", start_date=str(service.day(-1)))
    assert answer.changed
    assert (await service.settled(handle)).status == "active"


async def test_activating_by_hand_ahead_of_the_start_date_takes_the_planned_activation_away(service: Service) -> None:
    handle = await service.start(starts_in=60)
    answer = await service.command(handle, "activate")
    assert (answer.status, answer.planned) == ("active", [])
    await service.settled(handle)
    assert set(service.telephony.lines.values()) == {True}


async def test_a_manual_client_stays_new_past_its_start_date_until_somebody_activates_it(service: Service) -> None:
    handle = await service.start(starts_in=1, activation=Activation.MANUAL)
    await service.command(handle, "decommission", last_day=str(service.day(300)))
    await service.skip(handle, timedelta(days=30))
    assert (await service.view(handle)).status == "new"
    await service.command(handle, "activate")
    assert (await service.settled(handle)).status == "active"


async def test_a_client_held_before_it_starts_comes_up_suspended_and_its_services_never_come_on(
    service: Service,
) -> None:
    handle = await service.start(starts_in=3)
    await service.command(handle, "suspend", source="billing", reason="deposit unpaid")
    await service.skip(handle, timedelta(days=4))
    assert (await service.settled(handle)).status == "suspended"
    assert not any(any(x.on for x in order.subjects.values()) for order in service.telephony.orders)
    assert not any(x.on for order in service.internet.orders for x in order.subjects.values())
