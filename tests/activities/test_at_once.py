"""All that a decision asks for, side by side: nothing waits for another."""

import asyncio

from activities.at_once import LATE, SideBySide
from activities.systems import Systems
from tests.support.fakes import FakeDirectory, FakeSystem
from tests.support.orders import access_order, line_order
from workflows.domain.systems import INTERNET, SystemInstance
from workflows.ports import Batch, Evidence, Failed


async def test_a_system_that_hangs_is_late_and_the_other_is_proven() -> None:
    telephony, internet = FakeSystem(), FakeSystem(INTERNET)
    systems = Systems({SystemInstance(it.system): it for it in (telephony, internet)})
    telephony.faults.hold = asyncio.Event()  # and nobody sets it
    orders = [line_order("acme", 1, {"+442079460001": True}), access_order("acme", 1, [])]
    at_once = SideBySide(systems, FakeDirectory(), lambda order, carry_out: carry_out(order)).at_once
    late, done = (await at_once(Batch(list(orders), 0.05))).answers
    assert late == Failed(LATE, "no answer within 0.05 s")
    assert isinstance(done, Evidence)
    assert (done.system, telephony.orders) == (INTERNET, [])
