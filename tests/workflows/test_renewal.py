"""A run is renewed now and then; nothing that came in is lost, and command ids are remembered."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from tests.support.waiting import HANGING, eventually
from tests.support.workflows import Service
from workflows.domain.provisioning.standing import Limits
from workflows.domain.state import FORMAT, ClientState

SHORT_RUNS = Limits(attempt=HANGING, first_pause=1, longest_pause=60, renew_after=400)


async def test_three_hundred_commands_across_renewals_are_all_obeyed_and_still_deduplicated(service: Service) -> None:
    handle = await service.start(limits=SHORT_RUNS)

    async def suspend(number: int) -> bool:
        source = f"source-{number % 50}"
        return (
            await service.command(handle, "suspend", command_id=f"id-{number}", source=source, reason=f"{number}")
        ).changed

    for first in range(0, 300, 5):
        assert await asyncio.gather(*(suspend(number) for number in range(first, first + 5))) == [True] * 5
    view = await service.settled(handle)
    assert {hold.reason for hold in view.holds} == {str(number) for number in range(250, 300)}
    assert len({history.run_id for history in await service.histories()}) >= 3

    revision = view.revision
    repeated = await service.command(handle, "suspend", command_id="id-17", source="source-17", reason="17")
    assert (repeated.changed, repeated.revision) == (True, revision)
    lines = [text for text in service.directory.texts_of(view.client_id) if "source-" in text]
    assert len(lines) == 300


async def test_an_idle_client_takes_new_code_when_it_is_asked_to_roll(service: Service) -> None:
    handle = await service.start()
    await service.renew(handle)
    view = await service.settled(handle)
    assert view.status == "active"
    assert len(service.telephony.orders) == 1
    assert await (await service.latest(handle).describe()).memo() == {"created_by": "the tests"}


async def test_a_client_of_a_newer_version_waits_for_its_worker_and_loses_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_new = ClientState.of_new
    monkeypatch.setattr(ClientState, "of_new", lambda *values: replace(of_new(*values), format=FORMAT + 1))
    handle = await service.start(wait=False)

    async def failed() -> bool:
        return "WORKFLOW_TASK_FAILED" in await service.events(handle)

    await eventually(failed)
    assert service.directory.orders == []
    await handle.terminate()


async def test_signals_amid_renewals_are_not_lost(service: Service) -> None:
    handle = await service.start(limits=Limits(attempt=HANGING, renew_after=60))
    for number in range(60):
        await service.signal(handle, "suspend", {"source": f"source-{number}", "command_id": f"s-{number}"})
    await service.until(handle, lambda view: len(view.holds) == 60)


async def test_callers_waiting_through_a_renewal_hear_an_answer(service: Service) -> None:
    handle = await service.start(limits=Limits(attempt=HANGING, renew_after=60))

    async def suspend(number: int) -> None:
        await service.command(handle, "suspend", command_id=f"w-{number}", source=f"w-{number}")
        assert (await service.settled(handle)).provisioning == "settled"

    for first in range(0, 24, 4):
        await asyncio.gather(*(suspend(number) for number in range(first, first + 4)))
    assert len((await service.view(handle)).holds) == 24


async def test_a_renewal_does_not_wait_for_a_system_that_hangs_and_retries_the_other_meanwhile(
    service: Service,
) -> None:
    handle = await service.start(limits=Limits(attempt=HANGING, first_pause=0.2, longest_pause=0.5))
    hold = service.internet.faults.hold = asyncio.Event()
    service.telephony.faults.down = True
    await service.command(handle, "suspend")
    await service.until(handle, lambda view: view.provisioning == "attention")
    run = (await service.temporal.get_workflow_handle(handle.id).describe()).run_id
    await service.signal(handle, "roll")
    current = service.temporal.get_workflow_handle(handle.id)

    async def renewed() -> bool:
        return (await current.describe()).run_id != run

    await eventually(renewed)
    old = [event async for event in service.temporal.get_workflow_handle(handle.id, run_id=run).fetch_history_events()]
    since = max(n for n, event in enumerate(old) if event.HasField("workflow_execution_signaled_event_attributes"))
    assert len(old) - since < 60, "the run that is to end attempts nothing again"
    service.telephony.faults.down = False
    service.internet.faults.hold = None
    hold.set()
    view = await service.settled(handle)
    assert {word for system in view.systems for word in system.actual.values()} == {"off"}


async def test_a_client_renewed_with_all_it_can_remember_goes_on(service: Service) -> None:
    handle = await service.start(limits=Limits(attempt=HANGING, first_pause=3600, longest_pause=3600))
    service.directory.faults.down = True
    for number in range(400):
        reason = f"{number}: " + "x" * 480
        await service.signal(
            handle, "suspend", {"source": f"s-{number % 90}", "reason": reason, "command_id": f"{number}"}
        )
    await service.until(handle, lambda view: len(view.holds) == 90)
    with pytest.raises(WorkflowUpdateFailedError) as full:
        await service.command(handle, "suspend", source="one-more")
    assert isinstance(full.value.cause, ApplicationError)
    assert full.value.cause.type == "TooManyWaiting"
    await service.signal(handle, "roll")
    service.directory.faults.down = False
    await service.skip(handle, timedelta(hours=2))
    view = await service.settled(handle)
    assert view.status == "suspended"
    history = service.directory.texts_of(view.client_id)
    assert [text for text in history if "more refused while the directory was away" in text]
    assert (await service.command(handle, "unsuspend", source="all")).status == "active"
