"""Claims about asking a client again while it cannot answer yet, as during a renewal."""

import asyncio
from contextlib import suppress
from functools import partial
from itertools import pairwise
from typing import Any, cast
from uuid import uuid4

import pytest
from temporalio.api.enums.v1 import UpdateWorkflowExecutionLifecycleStage as Stage
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    PollWorkflowExecutionUpdateResponse,
    PollWorkflowTaskQueueRequest,
    PollWorkflowTaskQueueResponse,
    RespondWorkflowTaskCompletedRequest,
)
from temporalio.client import Client, WorkflowQueryRejectedError, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from starter.errors import Malfunction, NotDecided, NotRunning, TemporalAway, WorkflowStuck
from starter.temporal import gateway
from starter.temporal.gateway import Gateway
from tests.support.builders import tenant
from tests.support.waiting import HANGING, eventually
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
        self.attempts: list[float] = []

    def get_workflow_handle_for(self, *_: Any) -> "NeverReady":
        return self

    async def execute_update(self, *_: Any, **__: Any) -> Any:
        self.attempts.append(asyncio.get_running_loop().time())
        raise WorkflowUpdateFailedError(ApplicationError("not yet", type=UNDECIDED))

    @property
    def workflow_service(self) -> "NeverReady":
        return self

    async def poll_workflow_execution_update(self, *_: Any, **__: Any) -> PollWorkflowExecutionUpdateResponse:
        """As Temporal answers when an update is completed, if only by "not yet"."""
        return PollWorkflowExecutionUpdateResponse(stage=Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_COMPLETED)


async def test_the_pauses_between_two_questions_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "FIRST_PAUSE", 0.05)
    workflow, message = NeverReady(), Suspend(kind="suspend", command_id="c", by="ann")
    patient = Gateway(cast("Client", workflow), patience=HANGING)
    asking = asyncio.create_task(patient.command("acme", message))
    await eventually(lambda: len(workflow.attempts) > 3)
    asking.cancel()
    await asyncio.wait([asking])
    pauses = [after - before for before, after in pairwise(workflow.attempts)]
    assert all(pause > 0.049 * 2**n for n, pause in enumerate(pauses[:3])), pauses
    with pytest.raises(NotDecided):
        await Gateway(cast("Client", workflow), patience=0.1).command("acme", message)


class Queueing(NeverReady):
    """A workflow that answers nobody until it is told to: then all whom it has, in the order in which they came."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[asyncio.Future[str]] = []

    async def execute_update(self, *_: Any, **options: Any) -> str:
        self.waiting.append(asyncio.get_running_loop().create_future())
        return f"{options['args'][0].command_id} {await self.waiting[-1]}"

    def answer(self) -> int:
        """How many there were."""
        had, self.waiting = self.waiting, []
        for one in had:
            one.set_result("done")
        return len(had)


async def test_commands_to_one_client_take_turns_within_what_temporal_takes_and_others_do_not_wait_for_them() -> None:
    workflow = Queueing()
    gateway_to_it = Gateway(cast("Client", workflow), patience=HANGING)

    def sent(client_id: str, count: int) -> list[asyncio.Task[Any]]:
        commands = [Suspend(kind="suspend", command_id=f"{client_id}-{n}", by="ann") for n in range(count)]
        return [asyncio.create_task(gateway_to_it.command(client_id, command)) for command in commands]

    of_one, of_another = sent("acme", 20), sent("bell", 1)
    await eventually(lambda: len(workflow.waiting) == gateway.IN_FLIGHT + 1)
    turns = [workflow.answer()]
    while not all(task.done() for task in of_one):
        await eventually(lambda: bool(workflow.waiting) or all(task.done() for task in of_one))
        turns.append(workflow.answer())
    assert max(turns) <= gateway.IN_FLIGHT + 1
    assert [task.result() for task in (*of_one, *of_another)] == [
        *(f"acme-{n} done" for n in range(20)),
        "bell-0 done",
    ]


class FailingTask(NeverReady):
    """A workflow whose task fails so many times; then it refuses what it is asked, and answers no query any more."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    async def execute_update(self, *_: Any, **__: Any) -> Any:
        self.attempts.append(asyncio.get_running_loop().time())
        if len(self.attempts) <= self.times:
            raise RPCError("unexpected workflow task failure", RPCStatusCode.FAILED_PRECONDITION, b"")
        raise WorkflowUpdateFailedError(ApplicationError("closed", type="ClientClosed"))

    async def query(self, *_: Any, **__: Any) -> None:
        with suppress(WorkflowUpdateFailedError):
            await self.execute_update()
        raise WorkflowQueryRejectedError(None)


@pytest.mark.parametrize(
    ("times", "error", "attempts"),
    [(1, Malfunction, 2), (gateway.TRIES, WorkflowStuck, gateway.TRIES)],
    ids=["by chance", "again and again"],
)
async def test_a_client_stands_still_only_if_its_task_fails_again_and_again(
    monkeypatch: pytest.MonkeyPatch, times: int, error: type[Exception], attempts: int
) -> None:
    """As a renewal and something new meet, Temporal has the workflow think again, and drops what it was asked."""
    monkeypatch.setattr(gateway, "FIRST_PAUSE", 0)
    workflow = FailingTask(times)
    with pytest.raises(error):
        await Gateway(cast("Client", workflow)).command("acme", Suspend(kind="suspend", command_id="c", by="ann"))
    assert len(workflow.attempts) == attempts


@pytest.mark.parametrize(
    ("times", "error", "attempts"),
    [(1, NotRunning, 2), (gateway.TRIES, WorkflowStuck, gateway.TRIES)],
    ids=["by chance", "again and again"],
)
@pytest.mark.parametrize("question", ["client", "preview"])
async def test_who_looks_at_a_client_whose_task_failed_by_chance_hears_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch, question: str, times: int, error: type[Exception], attempts: int
) -> None:
    monkeypatch.setattr(gateway, "FIRST_PAUSE", 0)
    workflow = FailingTask(times)
    client = Gateway(cast("Client", workflow))
    with pytest.raises(error):
        await (
            client.client("acme")
            if question == "client"
            else client.preview("acme", Suspend(kind="suspend", command_id="c", by="ann"))
        )
    assert len(workflow.attempts) == attempts


async def test_what_temporal_has_recorded_is_undecided_while_no_worker_is_there_and_what_it_has_not_is_away(
    temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway, "TASK_QUEUE", "nobody-works-here")
    impatient, client_id = Gateway(temporal, patience=0.5), f"nobody-{uuid4().hex[:8]}"
    state = ClientState(tenant(client_id=client_id), Limits(), created_by=f"key-{client_id}")

    async def recorded(digest: str) -> bool:
        """Not at once, if Temporal is slow."""
        try:
            await impatient.create(state, digest)
        except TemporalAway as away:
            raise AssertionError(away) from away
        return False

    for _ in range(2):
        with pytest.raises(NotDecided, match=client_id):
            await eventually(partial(recorded, "digest"))
    with pytest.raises(CommandIdReused):
        await eventually(partial(recorded, "another digest"))
    with pytest.raises(TemporalAway, match="It may still be done; repeat the request with Idempotency-Key c"):
        await impatient.command(client_id, Suspend(kind="suspend", command_id="c", by="ann"))
    await temporal.get_workflow_handle(workflow_id(client_id)).terminate()


async def test_what_a_worker_took_and_did_not_look_at_is_sent_again(
    temporal: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a worker dies, Temporal can reject an update in its own name (UnprocessedUpdate): nobody has decided it."""
    queue, client_id = f"only-this-test-{uuid4().hex[:8]}", f"asked-{uuid4().hex[:8]}"
    monkeypatch.setattr(gateway, "TASK_QUEUE", queue)
    state = ClientState(tenant(client_id=client_id), Limits(), created_by=f"key-{client_id}")
    creating = asyncio.create_task(Gateway(temporal, patience=HANGING).create(state, "digest"))
    service, namespace = temporal.workflow_service, temporal.namespace

    async def task() -> PollWorkflowTaskQueueResponse:
        poll = PollWorkflowTaskQueueRequest(namespace=namespace, task_queue=TaskQueue(name=queue))
        polled = await service.poll_workflow_task_queue(poll)
        assert polled.task_token, "nothing to do yet"
        return polled

    first = await eventually(task)
    silence = RespondWorkflowTaskCompletedRequest(namespace=namespace, task_token=first.task_token)
    await service.respond_workflow_task_completed(silence)
    second = await eventually(task)
    assert len(first.messages) == len(second.messages) == 1
    assert first.messages[0].protocol_instance_id != second.messages[0].protocol_instance_id
    assert not creating.done()
    creating.cancel()
    await asyncio.wait([creating])
    await temporal.get_workflow_handle(workflow_id(client_id)).terminate()
