"""Attempts: what fails is tried again, what is outdated is abandoned, and one system never holds up another."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError, FailureError, TimeoutType
from temporalio.exceptions import TimeoutError as TimedOut

from tests.support.builders import NOW, in_directory, tenant
from tests.support.waiting import HANGING, eventually
from tests.support.workflows import Handle, Service
from workflows.attempts import newer_revision, record_of
from workflows.client_lifecycle import ClientLifecycle
from workflows.domain.provisioning.standing import Limits
from workflows.domain.state import ClientState
from workflows.domain.systems import TELEPHONY
from workflows.ports import STALE_REVISION

PATIENT = Limits(attempt=HANGING, first_pause=3600, longest_pause=3600)


async def test_a_system_that_fails_gets_attention_while_the_other_is_switched(service: Service) -> None:
    handle = await service.start(limits=PATIENT)
    service.telephony.faults.down = True
    await service.command(handle, "suspend")
    view = await service.until(
        handle, lambda view: view.provisioning == "attention" and set(view.systems[1].actual.values()) == {"off"}
    )
    telephony, internet = view.systems
    assert "telephony does not answer" in telephony.last_error
    assert telephony.next_attempt_at is not None
    assert set(telephony.actual.values()) == {"unknown"}
    assert set(internet.actual.values()) == {"off"}
    await service.until(handle, lambda _: service.directory.orders[-1].view.provisioning == "attention")


async def test_a_failed_system_recovers_by_itself_after_its_pause(service: Service) -> None:
    handle = await service.start(limits=PATIENT)
    service.internet.faults.down = True
    await service.command(handle, "suspend")
    await service.until(handle, lambda view: view.provisioning == "attention")
    service.internet.faults.down = False
    await service.skip(handle, timedelta(hours=1))
    view = await service.settled(handle)
    assert (view.provisioning, view.systems[1].attempts, view.systems[1].last_error) == ("settled", 0, "")
    await service.until(handle, lambda _: service.directory.orders[-1].view.provisioning != "attention")


async def test_a_new_decision_is_attempted_at_once_though_the_old_one_failed(service: Service) -> None:
    handle = await service.start(limits=PATIENT)
    service.telephony.faults.down = True
    await service.command(handle, "suspend")
    await service.until(handle, lambda view: view.provisioning == "attention")
    service.telephony.faults.down = False
    await service.command(handle, "unsuspend")
    view = await service.settled(handle)
    assert set(view.systems[0].actual.values()) == {"on"}


async def test_a_newer_decision_abandons_the_attempt_for_the_older_and_its_late_arrival_is_refused(
    service: Service,
) -> None:
    handle = await service.start()
    hold = service.telephony.faults.hold = asyncio.Event()
    await service.command(handle, "suspend")
    service.telephony.faults.reached.clear()
    await service.telephony.faults.reached.wait()
    service.telephony.faults.hold = None
    await service.command(handle, "unsuspend")
    view = await service.settled(handle)
    assert view.status == "active"
    assert set(service.telephony.lines.values()) == {True}
    orders = len(service.telephony.orders)
    hold.set()  # the attempt to suspend goes on only now
    await service.command(handle, "edit", name="Acme Holdings Ltd")
    await service.settled(handle)
    assert len(service.telephony.orders) == orders
    assert set(service.telephony.lines.values()) == {True}


async def test_a_client_whose_systems_obeyed_later_revisions_decides_above_them(service: Service) -> None:
    handle = await service.start(client_id="reset")
    service.telephony.fence.newest["reset"] = service.internet.fence.newest["reset"] = 700
    await service.command(handle, "suspend")
    view = await service.settled(handle)
    assert view.revision > 700
    assert not any(service.telephony.lines.values())


async def test_a_directory_that_is_away_delays_no_switch_and_hears_everything_afterwards(service: Service) -> None:
    handle = await service.start(limits=PATIENT)
    service.directory.faults.down = True
    await service.command(handle, "suspend", source="billing")
    await service.until(handle, lambda view: view.provisioning == "attention")
    await service.until(handle, lambda view: {on for x in view.systems for on in x.actual.values()} == {"off"})
    await service.command(handle, "suspend", source="security")
    service.directory.faults.down = False
    await service.command(handle, "unsuspend", source="all")
    settled = await service.settled(handle)
    assert service.directory.published[settled.client_id].view.status == "active"
    history = service.directory.texts_of(settled.client_id)
    assert [text for text in history if "billing" in text]
    assert [text for text in history if "security" in text]


async def test_a_publication_that_fails_after_a_newer_decision_does_not_put_that_off(service: Service) -> None:
    handle = await service.start(limits=PATIENT)
    faults = service.directory.faults
    first, second = asyncio.Event(), asyncio.Event()
    faults.hold, faults.down = first, True
    faults.reached.clear()
    await service.command(handle, "suspend")
    await faults.reached.wait()
    await service.command(handle, "unsuspend")
    faults.reached.clear()
    faults.hold = second
    first.set()
    await eventually(faults.reached.is_set)
    faults.down = False
    second.set()
    assert (await service.settled(handle)).status == "active"


async def test_a_decommissioned_client_ends_only_when_it_is_proven_off(service: Service) -> None:
    handle = await service.start(limits=PATIENT)
    service.internet.faults.down = True
    await service.command(handle, "decommission")
    view = await service.until(
        handle, lambda view: view.provisioning == "attention" and view.systems[0].state == "settled"
    )
    assert (view.status, view.systems[0].actual) == ("decommissioned", dict.fromkeys(view.systems[0].desired, "off"))
    service.internet.faults.down = False
    await service.skip(handle, timedelta(hours=1))
    assert (await handle.result()).provisioning == "settled"


async def test_a_conversion_to_virtual_keeps_the_lines_on_and_ends_the_internet(service: Service) -> None:
    handle = await service.start()
    before = len(service.telephony.orders)
    answer = await service.command(handle, "convert", to="virtual")
    assert (answer.office_label, answer.internet) == ("Virtual Client", None)
    view = await service.settled(handle)
    assert len(service.telephony.orders) == before
    assert not service.internet.subjects[view.client_id].on
    back = await service.command(
        handle, "convert", to="residential", offices=["4.1"], internet={"down_mbps": 50, "up_mbps": 5}
    )
    assert {line.office for line in back.lines} == {"4.1"}
    await service.settled(handle)
    assert service.internet.subjects[view.client_id].on


async def test_decisions_that_cancel_each_other_out_before_any_attempt_leave_nothing_to_do(service: Service) -> None:
    handle = await service.start(limits=PATIENT)
    service.telephony.faults.down = service.internet.faults.down = True
    await service.signal(handle, "suspend")
    await service.signal(handle, "unsuspend")
    await service.until(handle, lambda view: view.status == "active" and view.revision >= 4)
    service.telephony.faults.down = service.internet.faults.down = False
    await service.skip(handle, timedelta(hours=1))
    assert (await service.settled(handle)).provisioning == "settled"


async def test_drift_reported_of_a_system_that_has_nothing_to_do_leaves_the_client_settled(service: Service) -> None:
    handle = await service.start(services=service.virtual("+442079460120"))
    await service.signal(handle, "report_drift", {"system": "internet", "reason": "a session was seen"})
    view = await service.settled(handle)
    drift = "Drift of internet access"
    await eventually(lambda: any(drift in text for text in service.directory.texts_of(view.client_id)))
    assert not service.internet.orders


async def test_a_workflow_that_is_reset_decides_above_what_its_systems_have_obeyed(service: Service) -> None:
    handle = await service.start()
    for kind in ("suspend", "unsuspend", "suspend"):
        await service.command(handle, kind)
        await service.settled(handle)
    completed = [
        event.event_id
        async for event in handle.fetch_history_events()
        if event.HasField("workflow_task_completed_event_attributes")
    ]
    described = await service.temporal.get_workflow_handle(handle.id).describe()
    await service.temporal.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=service.temporal.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id, run_id=described.run_id),
            workflow_task_finish_event_id=completed[3],
            reason="a test",
            request_id="reset-1",
        )
    )
    current: Handle = service.temporal.get_workflow_handle_for(ClientLifecycle.run, handle.id)
    view = await service.settled(current)
    assert view.status == "suspended"
    assert not any(service.telephony.lines.values())
    assert service.directory.published[view.client_id].view.status == "suspended"


async def test_a_bug_in_taking_a_report_stops_the_client_visibly_and_is_done_again_by_the_fix(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle = await service.start(limits=PATIENT)
    with monkeypatch.context() as bug:
        bug.setattr(ClientState, "found", lambda *_, **__: 1 / 0)
        await handle.signal("suspend", {})

        async def failed() -> bool:
            events = [event async for event in handle.fetch_history_events()]
            return any("ZeroDivisionError" in str(event) for event in events)

        await eventually(failed)
        assert service.telephony.lines == {"+442079460001": False, "+442079460002": False}
    view = await service.settled(handle)
    assert set(view.systems[0].actual.values()) == {"off"}


def failed_with(cause: FailureError) -> ActivityError:
    failure = ActivityError(
        "failed",
        scheduled_event_id=1,
        started_event_id=2,
        identity="",
        activity_type="",
        activity_id="",
        retry_state=None,
    )
    failure.__cause__ = cause
    return failure


@pytest.mark.parametrize(("newest", "believed"), [(7, 7), (2**53 - 1, 2**53 - 1), (2**53, None), (2**63, None)])
def test_a_revision_that_no_database_could_hold_is_a_failure_like_others(newest: int, believed: int | None) -> None:
    failure = failed_with(ApplicationError("too old", {"newest": newest}, type=STALE_REVISION))
    assert newer_revision(failure) == believed


@pytest.mark.parametrize(
    ("details", "believed"),
    [((), 0), (({"newest": 8},), 8), (({"newest": "8"},), None), (({},), None), (("8",), None), ((None,), None)],
)
def test_a_revision_that_is_not_said_as_agreed_is_a_failure_like_others(
    details: tuple[object, ...], believed: int | None
) -> None:
    failure = failed_with(ApplicationError("too old", *details, type=STALE_REVISION))
    assert newer_revision(failure) == believed


def test_failures_are_told_apart_by_what_was_recorded_of_them() -> None:
    """Never by words of ours or of the SDK's, which may change while the client lives."""
    busy = ApplicationError("busy", type="SystemBusy")
    late, lost = TimedOut("late", type=TimeoutType.START_TO_CLOSE, last_heartbeat_details=[]), CancelledError("words")
    assert [record_of(failed_with(cause)) for cause in (busy, late, lost)] == [
        "SystemBusy: busy",
        "timeout START_TO_CLOSE",
        "CancelledError",
    ]


def test_the_same_failure_in_other_words_is_no_news() -> None:
    state = in_directory(tenant())
    state.failed(TELEPHONY, "did not answer in time", NOW, 0.5, "timeout START_TO_CLOSE")
    revision = state.client.revision
    state.failed(TELEPHONY, "took too long", NOW, 0.5, "timeout START_TO_CLOSE")
    assert state.client.revision == revision
    state.failed(TELEPHONY, "took too long", NOW, 0.5, "SystemBusy: busy")
    assert state.client.revision == revision + 1
