"""When clients come into service: on their start date, earlier, later, or by hand."""

from datetime import timedelta

from tests.workflows.conftest import House
from workflows.domain.lifecycle import Activation


async def test_a_client_that_starts_months_ahead_is_activated_on_its_start_date(house: House) -> None:
    handle = await house.start(starts_in=120)
    new = await house.view(handle)
    assert (new.status, [p.kind for p in new.planned]) == ("new", ["activate"])
    assert not house.telephony.orders
    assert not house.internet.orders

    await house.skip(handle, timedelta(days=119))
    assert (await house.view(handle)).status == "new"
    await house.skip(handle, timedelta(days=2))

    active = await house.settled(handle)
    assert (active.status, active.planned) == ("active", [])
    assert set(house.telephony.lines.values()) == {True}
    assert house.internet.accounts[active.client_id].on


async def test_a_start_date_moved_earlier_activates_earlier(house: House) -> None:
    handle = await house.start(starts_in=120)
    await house.command(handle, "edit", start_date=str(house.day(10)))
    await house.skip(handle, timedelta(days=12))
    assert (await house.settled(handle)).status == "active"


async def test_a_start_date_moved_later_activates_later(house: House) -> None:
    handle = await house.start(starts_in=5)
    await house.command(handle, "edit", start_date=str(house.day(30)))
    await house.skip(handle, timedelta(days=10))
    assert (await house.view(handle)).status == "new"
    await house.skip(handle, timedelta(days=25))
    assert (await house.settled(handle)).status == "active"


async def test_a_start_date_moved_to_today_activates_at_once(house: House) -> None:
    handle = await house.start(starts_in=40)
    answer = await house.command(handle, "edit", start_date=str(house.day(-1)))
    assert answer.changed
    assert (await house.settled(handle)).status == "active"


async def test_activating_by_hand_ahead_of_the_start_date_takes_the_planned_activation_away(house: House) -> None:
    handle = await house.start(starts_in=60)
    answer = await house.command(handle, "activate")
    assert (answer.status, answer.planned) == ("active", [])
    await house.settled(handle)
    assert set(house.telephony.lines.values()) == {True}


async def test_a_manual_client_stays_new_past_its_start_date_until_somebody_activates_it(house: House) -> None:
    handle = await house.start(starts_in=1, activation=Activation.MANUAL)
    await house.command(handle, "decommission", last_day=str(house.day(300)))
    await house.skip(handle, timedelta(days=30))
    assert (await house.view(handle)).status == "new"
    await house.command(handle, "activate")
    assert (await house.settled(handle)).status == "active"


async def test_a_client_held_before_it_starts_comes_up_suspended_and_its_services_never_come_on(house: House) -> None:
    handle = await house.start(starts_in=3)
    await house.command(handle, "suspend", source="billing", reason="deposit unpaid")
    await house.skip(handle, timedelta(days=4))
    assert (await house.settled(handle)).status == "suspended"
    assert not any(any(order.lines.values()) for order in house.telephony.orders)
    assert not any(access.on for order in house.internet.orders for access in order.accounts)
