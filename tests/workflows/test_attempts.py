"""Attempts: what fails is tried again, what is outdated is abandoned, and one system never holds up another."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.exceptions import ActivityError, ApplicationError

from tests.support.waiting import eventually
from tests.workflows.conftest import Handle, House
from workflows.attempts import newer_revision
from workflows.client_lifecycle import ClientLifecycle
from workflows.domain.provisioning.standing import Limits
from workflows.ports import STALE_REVISION

PATIENT = Limits(attempt=8, first_pause=3600, longest_pause=3600)


async def test_a_system_that_fails_gets_attention_while_the_other_is_switched(house: House) -> None:
    handle = await house.start(limits=PATIENT)
    house.telephony.faults.down = True
    await house.command(handle, "suspend")
    view = await house.until(
        handle, lambda view: view.provisioning == "attention" and set(view.systems[1].actual.values()) == {"off"}
    )
    telephony, internet = view.systems
    assert "telephony does not answer" in telephony.last_error
    assert telephony.next_attempt_at is not None
    assert set(telephony.actual.values()) == {"unknown"}
    assert set(internet.actual.values()) == {"off"}
    await house.until(handle, lambda _: house.directory.orders[-1].view.provisioning == "attention")


async def test_a_failed_system_recovers_by_itself_after_its_pause(house: House) -> None:
    handle = await house.start(limits=PATIENT)
    house.internet.faults.down = True
    await house.command(handle, "suspend")
    await house.until(handle, lambda view: view.provisioning == "attention")
    house.internet.faults.down = False
    await house.skip(handle, timedelta(hours=1))
    view = await house.settled(handle)
    assert (view.provisioning, view.systems[1].attempts, view.systems[1].last_error) == ("settled", 0, "")
    await house.until(handle, lambda _: house.directory.orders[-1].view.provisioning != "attention")


async def test_a_new_decision_is_attempted_at_once_though_the_old_one_failed(house: House) -> None:
    handle = await house.start(limits=PATIENT)
    house.telephony.faults.down = True
    await house.command(handle, "suspend")
    await house.until(handle, lambda view: view.provisioning == "attention")
    house.telephony.faults.down = False
    await house.command(handle, "unsuspend")
    view = await house.settled(handle)
    assert set(view.systems[0].actual.values()) == {"on"}


async def test_a_newer_decision_abandons_the_attempt_for_the_older_and_its_late_arrival_is_refused(
    house: House,
) -> None:
    handle = await house.start()
    hold = house.telephony.faults.hold = asyncio.Event()
    await house.command(handle, "suspend")
    house.telephony.faults.reached.clear()
    await house.telephony.faults.reached.wait()
    house.telephony.faults.hold = None
    await house.command(handle, "unsuspend")
    view = await house.settled(handle)
    assert view.status == "active"
    assert set(house.telephony.lines.values()) == {True}
    orders = len(house.telephony.orders)
    hold.set()  # the attempt to suspend goes on only now
    await house.command(handle, "edit", name="Acme Holdings Ltd")
    await house.settled(handle)
    assert len(house.telephony.orders) == orders
    assert set(house.telephony.lines.values()) == {True}


async def test_a_client_whose_systems_obeyed_later_revisions_decides_above_them(house: House) -> None:
    handle = await house.start(client_id="reset")
    house.telephony.fence.newest["reset"] = house.internet.fence.newest["reset"] = 700
    await house.command(handle, "suspend")
    view = await house.settled(handle)
    assert view.revision > 700
    assert not any(house.telephony.lines.values())


async def test_a_directory_that_is_away_delays_no_switch_and_hears_everything_afterwards(house: House) -> None:
    handle = await house.start(limits=PATIENT)
    house.directory.faults.down = True
    await house.command(handle, "suspend", source="billing")
    view = await house.until(handle, lambda view: view.provisioning == "attention")
    assert set(view.systems[0].actual.values()) == set(view.systems[1].actual.values()) == {"off"}
    await house.command(handle, "suspend", source="security")
    house.directory.faults.down = False
    await house.command(handle, "unsuspend", source="all")
    settled = await house.settled(handle)
    assert house.directory.shown[settled.client_id].view.status == "active"
    told = house.directory.told(settled.client_id)
    assert [text for text in told if "billing" in text]
    assert [text for text in told if "security" in text]


async def test_a_decommissioned_client_ends_only_when_it_is_proven_off(house: House) -> None:
    handle = await house.start(limits=PATIENT)
    house.internet.faults.down = True
    await house.command(handle, "decommission")
    view = await house.until(handle, lambda view: view.provisioning == "attention")
    assert (view.status, view.systems[0].actual) == ("decommissioned", dict.fromkeys(view.systems[0].desired, "off"))
    house.internet.faults.down = False
    await house.skip(handle, timedelta(hours=1))
    assert (await handle.result()).provisioning == "settled"


async def test_a_conversion_to_virtual_keeps_the_lines_on_and_ends_the_internet(house: House) -> None:
    handle = await house.start()
    before = len(house.telephony.orders)
    answer = await house.command(handle, "convert", to="virtual")
    assert (answer.office_label, answer.internet) == ("Virtual Client", None)
    view = await house.settled(handle)
    assert len(house.telephony.orders) == before
    assert not house.internet.accounts[view.client_id].on
    back = await house.command(
        handle, "convert", to="residential", offices=["4.1"], internet={"down_mbps": 50, "up_mbps": 5}
    )
    assert {line.office for line in back.lines} == {"4.1"}
    await house.settled(handle)
    assert house.internet.accounts[view.client_id].on


async def test_decisions_that_cancel_each_other_out_before_any_attempt_leave_nothing_to_do(house: House) -> None:
    handle = await house.start(limits=PATIENT)
    house.telephony.faults.down = house.internet.faults.down = True
    await house.signal(handle, "suspend")
    await house.signal(handle, "unsuspend")
    await house.until(handle, lambda view: view.status == "active" and view.revision >= 4)
    house.telephony.faults.down = house.internet.faults.down = False
    await house.skip(handle, timedelta(hours=1))
    assert (await house.settled(handle)).provisioning == "settled"


async def test_drift_reported_of_a_system_that_has_nothing_to_do_leaves_the_client_settled(house: House) -> None:
    handle = await house.start(services=house.virtual("+442079460120"))
    await house.signal(handle, "report_drift", {"system": "internet", "reason": "a session was seen"})
    view = await house.settled(handle)
    await eventually(lambda: any("Drift of internet" in text for text in house.directory.told(view.client_id)))
    assert not house.internet.orders


async def test_a_workflow_that_is_reset_decides_above_what_its_systems_have_obeyed(house: House) -> None:
    handle = await house.start()
    for kind in ("suspend", "unsuspend", "suspend"):
        await house.command(handle, kind)
        await house.settled(handle)
    completed = [
        event.event_id
        async for event in handle.fetch_history_events()
        if event.HasField("workflow_task_completed_event_attributes")
    ]
    described = await house.temporal.get_workflow_handle(handle.id).describe()
    await house.temporal.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=house.temporal.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id, run_id=described.run_id),
            workflow_task_finish_event_id=completed[3],
            reason="a test",
            request_id="reset-1",
        )
    )
    current: Handle = house.temporal.get_workflow_handle_for(ClientLifecycle.run, handle.id)
    view = await house.settled(current)
    assert view.status == "suspended"
    assert not any(house.telephony.lines.values())
    assert house.directory.shown[view.client_id].view.status == "suspended"


@pytest.mark.parametrize(("newest", "believed"), [(7, 7), (2**53 - 1, 2**53 - 1), (2**53, None), (2**63, None)])
def test_a_revision_that_no_database_could_hold_is_a_failure_like_others(newest: int, believed: int | None) -> None:
    failure = ActivityError(
        "failed",
        scheduled_event_id=1,
        started_event_id=2,
        identity="",
        activity_type="",
        activity_id="",
        retry_state=None,
    )
    failure.__cause__ = ApplicationError("too old", {"newest": newest}, type=STALE_REVISION)
    assert newer_revision(failure) == believed
