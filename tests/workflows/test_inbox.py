"""Signals: whatever comes in, the client still obeys, and what was wrong with it is on record."""

import json
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest
from temporalio.testing import WorkflowEnvironment

from tests.support.workflows import Handle, Service, refusal_of
from workflows.domain.provisioning.provisioning import Provisioning


def raw(data: bytes, encoding: bytes = b"json/plain") -> Payload:
    return Payload(metadata={"encoding": encoding}, data=data)


def js(value: Any) -> Payload:
    return raw(json.dumps(value).encode())


MALFORMED: list[tuple[str, str, list[Payload]]] = [
    ("no argument where one is needed", "convert", []),
    ("two arguments", "suspend", [js({}), js({})]),
    ("a list instead of an object", "suspend", [js([1, 2])]),
    ("null", "convert", [js(None)]),
    ("a number", "unsuspend", [js(7)]),
    ("an unknown field", "suspend", [js({"sauce": "billing"})]),
    ("a wrong type", "suspend", [js({"source": {"a": 1}})]),
    ("an unknown name", "explode", [js({})]),
    ("bad JSON", "suspend", [raw(b'{"source": ')]),
    ("an unknown encoding", "suspend", [raw(b"\x00\xff", b"binary/odd")]),
    ("bytes that are no text", "suspend", [raw(b"\xff\xfe\x00")]),
    ("an instant without offset", "suspend", [js({"at": "2999-01-01T00:00:00"})]),
    ("another command's kind", "suspend", [js({"kind": "decommission"})]),
    ("a source that only lifts", "suspend", [js({"source": "all"})]),
    ("a day that is past", "suspend", [js({"last_day": "2020-01-01"})]),
    ("two moments", "decommission", [js({"last_day": "2999-01-01", "at": "2999-01-01T00:00:00Z"})]),
    ("an office for a virtual client", "convert", [js({"to": "virtual", "offices": ["1"]})]),
    ("a blank name", "edit", [js({"name": "  "})]),
    ("a long name", "edit", [js({"name": "x" * 201})]),
    ("a line without an office", "change_services", [js({"add_lines": [{"number": "+442079460199"}]})]),
    ("a number that is none", "change_services", [js({"add_lines": [{"number": "ring me", "office": "1"}]})]),
]


async def send(service: Service, handle: Handle, name: str, payloads: list[Payload]) -> None:
    await service.temporal.workflow_service.signal_workflow_execution(
        SignalWorkflowExecutionRequest(
            namespace=service.temporal.namespace,
            workflow_execution=WorkflowExecution(workflow_id=handle.id),
            signal_name=name,
            input=Payloads(payloads=payloads),
        )
    )


@pytest.mark.parametrize(("what", "name", "payloads"), MALFORMED, ids=[what for what, _, _ in MALFORMED])
async def test_a_malformed_signal_is_recorded_as_refused_and_the_client_still_obeys(
    service: Service, what: str, name: str, payloads: list[Payload]
) -> None:
    handle = await service.start()
    before = await service.view(handle)
    await send(service, handle, name, payloads)
    await service.settled(handle)
    after = await service.view(handle)
    assert (after.status, after.revision, after.holds) == (before.status, before.revision, before.holds), what
    refused = [text for text in service.directory.texts_of(after.client_id) if text.startswith("refused")]
    assert len(refused) == 1, what
    assert name in refused[0]
    await service.signal(handle, "suspend", {"source": "billing", "reason": "invoice 1042 unpaid", "by": "billing"})
    assert (await service.until(handle, lambda view: view.status == "suspended")).holds[0].source == "billing"
    assert "WORKFLOW_TASK_FAILED" not in await service.events(handle)


async def test_every_kind_of_garbage_together_leaves_a_client_that_keeps_its_dates(service: Service) -> None:
    handle = await service.start()
    for _, name, payloads in MALFORMED * 2:
        await send(service, handle, name, payloads)
    await service.command(handle, "decommission", command_id="end")
    assert (await handle.result()).status == "decommissioned"
    client_id = service.directory.orders[-1].client_id
    refused = [text for text in service.directory.texts_of(client_id) if text.startswith("refused")]
    assert len(refused) == 2 * len(MALFORMED)


async def test_a_signal_without_an_argument_does_where_nothing_is_needed(service: Service) -> None:
    handle = await service.start(starts_in=30)
    await service.signal(handle, "activate")
    await service.until(handle, lambda view: view.status == "active")


async def test_a_signal_sent_twice_with_one_command_id_is_one_command(service: Service) -> None:
    handle = await service.start()
    for _ in range(3):
        await service.signal(handle, "suspend", {"source": "billing", "command_id": "run-7"})
    view = await service.settled(handle)
    lines = [text for text in service.directory.texts_of(view.client_id) if "billing" in text]
    assert lines == ["decided: Suspended by billing"]


async def test_a_workflow_that_somebody_cancels_in_the_ui_goes_on_and_says_so(service: Service) -> None:
    handle = await service.start()
    await handle.cancel()
    await service.command(handle, "suspend")
    view = await service.settled(handle)
    assert view.status == "suspended"
    assert [t for t in service.directory.texts_of(view.client_id) if t.startswith("refused: cancel")]


async def test_a_signal_whose_handling_fails_half_way_is_recorded_and_changes_nothing(
    temporal: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody expected: a replay without it would go another way, so this history is not replayed."""
    service = Service(temporal)

    def fail(*_: object) -> None:
        raise ValueError("nobody expected this")

    async with service.worker():
        handle = await service.start()
        with monkeypatch.context() as patch:
            patch.setattr(Provisioning, "doubt", fail)
            await service.signal(handle, "report_drift", {"system": "telephony"})
            before = await service.settled(handle)
            patch.setattr("workflows.domain.client.carrying_out._suspend", fail)
            refused = await refusal_of(service.command(handle, "suspend"))
            await service.signal(handle, "suspend", {"source": "billing"})
            after = await service.until(handle, lambda _: len(failures(service, handle)) == 2)
        assert "nobody expected this" in refused.message
        assert (after.revision, after.holds, after.status) == (before.revision, [], "active")
        assert (await service.command(handle, "suspend")).status == "suspended"
        assert "WORKFLOW_TASK_FAILED" not in await service.events(handle)
        await handle.terminate("the test is over")


def failures(service: Service, handle: Handle) -> list[str]:
    lines = service.directory.texts_of(handle.id.removeprefix("client-"))
    return [line for line in lines if line.startswith("refused") and "nobody expected this" in line]


async def test_reported_drift_is_removed_and_proven_anew(service: Service) -> None:
    handle = await service.start()
    before = len(service.telephony.orders)
    await service.signal(handle, "report_drift", {"system": "telephony", "reason": "line rang while suspended"})
    await service.until(handle, lambda _: len(service.telephony.orders) == before + 1)
    view = await service.settled(handle)
    assert set(view.systems[0].actual.values()) == {"on"}
    assert [t for t in service.directory.texts_of(view.client_id) if "Drift of telephone lines" in t]
