"""What must be unique is decided by the directory, before a command takes effect."""

import asyncio

import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from tests.support.waiting import HANGING, eventually
from tests.support.workflows import Service, refusal_of
from workflows.client_lifecycle import ClientLifecycle
from workflows.domain.provisioning.standing import Limits
from workflows.domain.services import ClientType, Line, Services

VIRTUAL = Services(ClientType.VIRTUAL, (Line("+442079460100"),))


async def test_a_blank_billing_ref_is_generated_and_shown(service: Service) -> None:
    handle = await service.start()
    view = await service.settled(handle)
    assert view.billing_ref == "C000001"
    assert service.directory.published[view.client_id].view.billing_ref == "C000001"


async def test_a_client_whose_number_is_taken_is_turned_away_and_its_id_can_be_used_again(service: Service) -> None:
    await service.start()
    handle = await service.start("late-comer", wait=False)
    refused = await refusal_of(handle.execute_update(ClientLifecycle.wait_registered))
    assert refused.type == "NumberTaken"
    assert refused.details[0]["field"] == "lines"
    with pytest.raises(WorkflowFailureError) as failed:
        await handle.result()
    assert isinstance(failed.value.cause, ApplicationError)
    assert failed.value.cause.type == "NumberTaken"
    assert (await service.settled(await service.start("late-comer", services=VIRTUAL))).status == "active"


async def test_a_line_that_another_client_has_is_refused_and_changes_nothing(service: Service) -> None:
    await service.start(services=VIRTUAL)
    handle = await service.start()
    before = await service.view(handle)
    refused = await refusal_of(
        service.command(handle, "change_services", add_lines=[{"number": "+442079460100", "office": "1"}])
    )
    assert refused.type == "NumberTaken"
    assert refused.details[0]["client_status"] == "active"
    after = await service.settled(handle)
    assert after.lines == before.lines
    assert service.directory.numbers["+442079460100"] != after.client_id


async def test_an_added_line_is_claimed_switched_on_and_shown(service: Service) -> None:
    handle = await service.start()
    answer = await service.command(
        handle, "change_services", add_lines=[{"number": "+442079460111", "office": "3.14"}], command_id="add"
    )
    assert (answer.changed, len(answer.lines)) == (True, 3)
    view = await service.settled(handle)
    assert service.telephony.lines["+442079460111"]
    assert service.directory.numbers["+442079460111"] == view.client_id
    again = await service.command(
        handle, "change_services", add_lines=[{"number": "+442079460111", "office": "3.14"}], command_id="add"
    )
    assert (again.changed, len(again.lines)) == (True, 3)


async def test_a_removed_line_is_free_for_others_only_once_it_is_proven_off(service: Service) -> None:
    handle = await service.start()
    hold = service.telephony.faults
    hold.down = True
    await service.command(handle, "change_services", remove_lines=["+442079460002"])
    await service.until(handle, lambda view: view.provisioning == "attention")
    assert "+442079460002" in service.directory.numbers
    hold.down = False
    await service.command(handle, "suspend")
    await service.settled(handle)
    assert not service.telephony.lines["+442079460002"]
    assert service.telephony.orders[-1].release == ["+442079460002"]


async def test_a_planned_line_is_claimed_when_it_is_planned(service: Service) -> None:
    handle = await service.start()
    line = {"number": "+442079460112", "office": "3.14"}
    planned = await service.command(handle, "change_services", add_lines=[line], last_day=str(service.day(9)))
    assert [p.kind for p in planned.planned] == ["change_services"]
    view = await service.settled(handle)
    assert service.directory.numbers["+442079460112"] == view.client_id
    await service.command(handle, "cancel_planned", change="change_services")
    await service.settled(handle)
    assert "+442079460112" not in service.directory.numbers


async def test_an_edited_billing_ref_is_claimed_and_a_cleared_one_generated(service: Service) -> None:
    handle = await service.start(billing_ref="ACME-1")
    other = await service.start(services=VIRTUAL, billing_ref="OTHER-1")
    refused = await refusal_of(service.command(handle, "edit", billing_ref="OTHER-1"))
    assert (refused.type, refused.details[0]["field"]) == ("BillingRefTaken", "billing_ref")
    assert (await service.command(handle, "edit", billing_ref="ACME-2")).billing_ref == "ACME-2"
    cleared = await service.command(other, "edit", billing_ref="", command_id="clear")
    assert cleared.billing_ref
    assert (await service.command(other, "edit", billing_ref="", command_id="clear")).billing_ref == cleared.billing_ref


async def test_a_claim_the_directory_cannot_decide_is_undecided_and_decided_later(service: Service) -> None:
    handle = await service.start(limits=Limits(attempt=HANGING, first_pause=0.1, longest_pause=0.2))
    service.directory.faults.down = True
    line = {"number": "+442079460113", "office": "3.14"}
    with pytest.raises(WorkflowUpdateFailedError) as undecided:
        await service.command(handle, "change_services", add_lines=[line], command_id="claim")
    assert isinstance(undecided.value.cause, ApplicationError)
    assert undecided.value.cause.type == "Undecided"
    service.directory.faults.down = False
    await service.until(handle, lambda view: len(view.lines) == 3)
    again = await service.command(handle, "change_services", add_lines=[line], command_id="claim")
    assert (again.changed, len(again.lines)) == (True, 3)


async def test_a_signalled_line_that_is_taken_is_a_recorded_refusal(service: Service) -> None:
    await service.start(services=VIRTUAL)
    handle = await service.start()
    await service.signal(handle, "change_services", {"add_lines": [{"number": "+442079460100", "office": "1"}]})
    view = await service.settled(handle)
    assert len(view.lines) == 2
    assert [t for t in service.directory.texts_of(view.client_id) if t.startswith("refused") and "in use" in t]


async def test_the_same_number_asked_for_twice_at_once_is_added_once_and_the_client_goes_on(service: Service) -> None:
    handle = await service.start()
    line = {"number": "+442079460114", "office": "3.14"}
    answers = await asyncio.gather(
        *(service.command(handle, "change_services", add_lines=[line], command_id=f"twice-{n}") for n in range(4))
    )
    assert [len(answer.lines) for answer in answers] == [3] * 4
    assert sorted(answer.changed for answer in answers) == [False, False, False, True]
    await service.settled(handle)
    published = len(service.directory.orders)
    await service.command(handle, "edit", name="Acme Holdings Ltd")
    await service.settled(handle)
    assert len(service.directory.orders) == published + 1


async def test_a_line_removed_while_it_is_asked_for_again_is_claimed_before_it_is_added(service: Service) -> None:
    handle = await service.start()
    hold = service.directory.faults.hold = asyncio.Event()
    await service.command(handle, "change_services", remove_lines=["+442079460002"])
    adding = asyncio.ensure_future(
        service.command(handle, "change_services", add_lines=[{"number": "+442079460002", "office": "9"}])
    )
    hold.set()
    assert [line.office for line in (await adding).lines] == ["3.12", "9"]
    view = await service.settled(handle)
    assert service.directory.numbers["+442079460002"] == view.client_id


async def test_a_client_turned_away_refuses_what_was_asked_of_it_meanwhile_and_its_id_is_free(service: Service) -> None:
    await service.start()
    hold = service.directory.faults.hold = asyncio.Event()
    handle = await service.start("turned-away", wait=False)
    service.directory.faults.reached.clear()
    waiting = asyncio.ensure_future(service.command(handle, "edit", billing_ref="MINE-1"))
    registered = asyncio.ensure_future(handle.execute_update(ClientLifecycle.wait_registered))
    await eventually(lambda: service.has_accepted(handle, "command"))
    hold.set()
    assert (await refusal_of(registered)).type == "NumberTaken"
    assert (await refusal_of(waiting)).type == "NumberTaken"
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    service.directory.faults.hold = None
    assert (await service.settled(await service.start("turned-away", services=VIRTUAL))).status == "active"


async def test_a_lost_claim_says_that_it_is_recorded_already(service: Service) -> None:
    await service.start(services=VIRTUAL)
    handle = await service.start()
    line = {"number": "+442079460100", "office": "1"}
    refused = await refusal_of(service.command(handle, "change_services", add_lines=[line]))
    assert refused.details[0]["recorded"] is True
    refused = await refusal_of(service.command(handle, "convert", to="virtual", offices=["1"]))
    assert refused.details[0]["recorded"] is False
