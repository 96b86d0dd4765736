"""What must be unique is decided by the directory, before a command takes effect."""

import asyncio

import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from tests.support.waiting import eventually
from tests.workflows.conftest import House, refusal_of
from workflows.client_lifecycle import ClientLifecycle
from workflows.domain.provisioning.standing import Limits
from workflows.domain.services import ClientType, Line, Services

VIRTUAL = Services(ClientType.VIRTUAL, (Line("+442079460100"),))


async def test_a_blank_billing_ref_is_generated_and_shown(house: House) -> None:
    handle = await house.start()
    view = await house.settled(handle)
    assert view.billing_ref == "C000001"
    assert house.directory.shown[view.client_id].view.billing_ref == "C000001"


async def test_a_client_whose_number_is_taken_is_turned_away_and_its_id_can_be_used_again(house: House) -> None:
    await house.start()
    handle = await house.start("late-comer", wait=False)
    refused = await refusal_of(handle.execute_update(ClientLifecycle.wait_registered))
    assert refused.type == "NumberTaken"
    assert refused.details[0]["field"] == "lines"
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "NumberTaken"
    assert (await house.settled(await house.start("late-comer", services=VIRTUAL))).status == "active"


async def test_a_line_that_another_client_has_is_refused_and_changes_nothing(house: House) -> None:
    await house.start(services=VIRTUAL)
    handle = await house.start()
    before = await house.view(handle)
    refused = await refusal_of(
        house.command(handle, "change_services", add_lines=[{"number": "+442079460100", "office": "1"}])
    )
    assert refused.type == "NumberTaken"
    assert refused.details[0]["client_status"] == "active"
    after = await house.settled(handle)
    assert after.lines == before.lines
    assert house.directory.numbers["+442079460100"] != after.client_id


async def test_an_added_line_is_claimed_switched_on_and_shown(house: House) -> None:
    handle = await house.start()
    answer = await house.command(
        handle, "change_services", add_lines=[{"number": "+442079460111", "office": "3.14"}], command_id="add"
    )
    assert (answer.changed, len(answer.lines)) == (True, 3)
    view = await house.settled(handle)
    assert house.telephony.lines["+442079460111"]
    assert house.directory.numbers["+442079460111"] == view.client_id
    again = await house.command(
        handle, "change_services", add_lines=[{"number": "+442079460111", "office": "3.14"}], command_id="add"
    )
    assert (again.changed, len(again.lines)) == (True, 3)


async def test_a_removed_line_is_free_for_others_only_once_it_is_proven_off(house: House) -> None:
    handle = await house.start()
    hold = house.telephony.faults
    hold.down = True
    await house.command(handle, "change_services", remove_lines=["+442079460002"])
    await house.until(handle, lambda view: view.provisioning == "attention")
    assert "+442079460002" in house.directory.numbers
    hold.down = False
    await house.command(handle, "suspend")
    await house.settled(handle)
    assert not house.telephony.lines["+442079460002"]
    assert house.telephony.orders[-1].release == ["+442079460002"]


async def test_a_planned_line_is_claimed_when_it_is_planned(house: House) -> None:
    handle = await house.start()
    line = {"number": "+442079460112", "office": "3.14"}
    planned = await house.command(handle, "change_services", add_lines=[line], last_day=str(house.day(9)))
    assert [p.kind for p in planned.planned] == ["change_services"]
    view = await house.settled(handle)
    assert house.directory.numbers["+442079460112"] == view.client_id
    await house.command(handle, "cancel_planned", change="change_services")
    await house.settled(handle)
    assert "+442079460112" not in house.directory.numbers


async def test_an_edited_billing_ref_is_claimed_and_a_cleared_one_generated(house: House) -> None:
    handle = await house.start(billing_ref="ACME-1")
    other = await house.start(services=VIRTUAL, billing_ref="OTHER-1")
    refused = await refusal_of(house.command(handle, "edit", billing_ref="OTHER-1"))
    assert (refused.type, refused.details[0]["field"]) == ("BillingRefTaken", "billing_ref")
    assert (await house.command(handle, "edit", billing_ref="ACME-2")).billing_ref == "ACME-2"
    cleared = await house.command(other, "edit", billing_ref="", command_id="clear")
    assert cleared.billing_ref
    assert (await house.command(other, "edit", billing_ref="", command_id="clear")).billing_ref == cleared.billing_ref


async def test_a_claim_the_directory_cannot_decide_is_undecided_and_decided_later(house: House) -> None:
    handle = await house.start(limits=Limits(attempt=8, first_pause=0.1, longest_pause=0.2))
    house.directory.faults.down = True
    line = {"number": "+442079460113", "office": "3.14"}
    with pytest.raises(WorkflowUpdateFailedError) as undecided:
        await house.command(handle, "change_services", add_lines=[line], command_id="claim")
    assert isinstance(undecided.value.cause, ApplicationError)
    assert undecided.value.cause.type == "Undecided"
    house.directory.faults.down = False
    await house.until(handle, lambda view: len(view.lines) == 3)
    again = await house.command(handle, "change_services", add_lines=[line], command_id="claim")
    assert (again.changed, len(again.lines)) == (True, 3)


async def test_a_signalled_line_that_is_taken_is_a_recorded_refusal(house: House) -> None:
    await house.start(services=VIRTUAL)
    handle = await house.start()
    await house.signal(handle, "change_services", {"add_lines": [{"number": "+442079460100", "office": "1"}]})
    view = await house.settled(handle)
    assert len(view.lines) == 2
    assert [t for t in house.directory.told(view.client_id) if t.startswith("refused") and "in use" in t]


async def test_the_same_number_asked_for_twice_at_once_is_added_once_and_the_client_goes_on(house: House) -> None:
    handle = await house.start()
    line = {"number": "+442079460114", "office": "3.14"}
    answers = await asyncio.gather(
        *(house.command(handle, "change_services", add_lines=[line], command_id=f"twice-{n}") for n in range(4))
    )
    assert [len(answer.lines) for answer in answers] == [3] * 4
    assert sorted(answer.changed for answer in answers) == [False, False, False, True]
    await house.settled(handle)
    published = len(house.directory.orders)
    await house.command(handle, "edit", name="Acme Holdings Ltd")
    await house.settled(handle)
    assert len(house.directory.orders) == published + 1


async def test_a_line_removed_while_it_is_asked_for_again_is_claimed_before_it_is_added(house: House) -> None:
    handle = await house.start()
    hold = house.directory.faults.hold = asyncio.Event()
    await house.command(handle, "change_services", remove_lines=["+442079460002"])
    adding = asyncio.ensure_future(
        house.command(handle, "change_services", add_lines=[{"number": "+442079460002", "office": "9"}])
    )
    hold.set()
    assert [line.office for line in (await adding).lines] == ["3.12", "9"]
    view = await house.settled(handle)
    assert house.directory.numbers["+442079460002"] == view.client_id


async def test_a_client_turned_away_refuses_what_was_asked_of_it_meanwhile_and_its_id_is_free(house: House) -> None:
    await house.start()
    hold = house.directory.faults.hold = asyncio.Event()
    handle = await house.start("turned-away", wait=False)
    house.directory.faults.reached.clear()
    waiting = asyncio.ensure_future(house.command(handle, "edit", billing_ref="MINE-1"))
    registered = asyncio.ensure_future(handle.execute_update(ClientLifecycle.wait_registered))
    await eventually(lambda: house.asked(handle, "command"))
    hold.set()
    assert (await refusal_of(registered)).type == "NumberTaken"
    assert (await refusal_of(waiting)).type == "NumberTaken"
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    house.directory.faults.hold = None
    assert (await house.settled(await house.start("turned-away", services=VIRTUAL))).status == "active"


async def test_a_lost_claim_says_that_it_is_recorded_already(house: House) -> None:
    await house.start(services=VIRTUAL)
    handle = await house.start()
    line = {"number": "+442079460100", "office": "1"}
    refused = await refusal_of(house.command(handle, "change_services", add_lines=[line]))
    assert refused.details[0]["recorded"] is True
    refused = await refusal_of(house.command(handle, "convert", to="virtual", offices=["1"]))
    assert refused.details[0]["recorded"] is False
