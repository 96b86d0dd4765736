"""Claims about asking a client again while it cannot answer yet, as during a renewal."""

import asyncio
from typing import Any, cast
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import UpdateWorkflowExecutionLifecycleStage as Stage
from temporalio.api.workflowservice.v1 import PollWorkflowExecutionUpdateResponse
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from starter.errors import NotDecided, TemporalAway
from starter.temporal import gateway
from starter.temporal.gateway import Gateway
from tests.support.builders import tenant
from workflows.client_lifecycle import UNDECIDED
from workflows.domain.errors import CommandIdReused
from workflows.domain.provisioning.standing import Limits
from workflows.domain.state import ClientState
from workflows.wire.messages import Suspend
from workflows.wire.start import workflow_id


class NeverReady:
    """Temporal's client, and a workflow that takes every update and never decides."""

    namespace = "default"

    def __init__(self) -> None:
        self.asked: list[float] = []

    def get_workflow_handle_for(self, *_: Any) -> "NeverReady":
        return self

    async def execute_update(self, *_: Any, **__: Any) -> None:
        self.asked.append(asyncio.get_running_loop().time())
        raise WorkflowUpdateFailedError(ApplicationError("not yet", type=UNDECIDED))

    @property
    def workflow_service(self) -> "NeverReady":
        return self

    async def poll_workflow_execution_update(self, *_: Any, **__: Any) -> PollWorkflowExecutionUpdateResponse:
        """As Temporal answers when an update is completed, if only by "not yet"."""
        return PollWorkflowExecutionUpdateResponse(stage=Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED)


async def test_the_pauses_between_two_questions_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "FIRST_PAUSE", 0.05)
    workflow = NeverReady()
    impatient = Gateway(cast("Client", workflow), patience=0.5)
    with pytest.raises(NotDecided):
        await impatient.command("acme", Suspend(kind="suspend", command_id="c", by="ann"))
    assert 1 < len(workflow.asked) <= 4, "at 0, 0.05, 0.15 and 0.35 seconds"


async def test_what_temporal_has_recorded_is_undecided_while_no_worker_is_there_and_what_it_has_not_is_away(
    temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "TASK_QUEUE", "nobody-works-here")
    impatient, client_id = Gateway(temporal, patience=0.5), f"nobody-{uuid4().hex[:8]}"
    state = ClientState(tenant(client_id=client_id), Limits(), created_by=f"key-{client_id}")
    with pytest.raises(NotDecided, match=client_id):
        await impatient.create(state, "digest")
    with pytest.raises(NotDecided, match=client_id):
        await impatient.create(state, "digest")
    with pytest.raises(CommandIdReused):
        await impatient.create(state, "another digest")
    with pytest.raises(TemporalAway, match="It may still be done; repeat the request with Idempotency-Key c"):
        await impatient.command(client_id, Suspend(kind="suspend", command_id="c", by="ann"))
    await temporal.get_workflow_handle(workflow_id(client_id)).terminate()
