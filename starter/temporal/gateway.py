"""Commands to clients: the only module that holds a Temporal client for them.

What Temporal answers is turned, once and here, into domain refusals and the errors of starter/errors.py.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias, TypeVar
from uuid import uuid4

from pydantic import BaseModel
from temporalio.client import (
    Client,
    RPCTimeoutOrCancelledError,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateHandle,
    WorkflowUpdateStage,
)
from temporalio.common import Priority, QueryRejectCondition, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from starter.errors import Malfunction, NotDecided, NotRunning, TemporalAway, TemporalRefused
from workflows.client_lifecycle import UNDECIDED, ClientLifecycle
from workflows.domain.errors import REFUSALS, ClientIdTaken, CommandIdReused, Refusal, refusal_of
from workflows.domain.state import ClientState
from workflows.visibility import attributes_at_start
from workflows.wire.messages import AnyMessage, Message
from workflows.wire.previews import PreviewAsked, PreviewView
from workflows.wire.start import TASK_QUEUE, ClientStart, workflow_id
from workflows.wire.views import ClientView, CommandAnswer

T = TypeVar("T")
Handle: TypeAlias = WorkflowHandle[ClientLifecycle, ClientView]

OPERATOR = Priority(priority_key=2)
REFUSING = (RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.RESOURCE_EXHAUSTED)
NOT_YET = (UNDECIDED, "AcceptedUpdateCompletedWorkflow")
CREATED_BY = "created_by"
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0  # seconds before a client is asked again


@dataclass
class Request:
    """One request to one client, its idempotency key, and whether it is known to be in Temporal's hands."""

    client_id: str
    command_id: str
    accepted: bool = False


class Gateway:
    """Starts clients, tells them what to do, asks how they are.

    ``patience`` bounds a command and ``glance`` a look, in seconds. Every method raises TemporalAway when Temporal, or
    every worker, is away, and TemporalRefused when it answers and will not.
    """

    def __init__(self, client: Client, ui_url: str = "", *, patience: float = 10.0, timeout: float = 5.0) -> None:
        self._client = client
        self._ui = f"{ui_url.rstrip('/')}/namespaces/{client.namespace}/workflows" if ui_url else ""
        self._patience = patience
        self._timeout = timeout

    def ui_link(self, client_id: str) -> str:
        """Where operators see the client's workflow in the Temporal UI."""
        return f"{self._ui}/{workflow_id(client_id)}" if self._ui else ""

    async def ready(self) -> None:
        """Return when Temporal answers."""
        async with temporal_errors(self._timeout):
            await self._client.service_client.check_health()

    async def create(self, state: ClientState, request: str) -> ClientView:
        """The client, once the directory has taken it; the same request twice is one client. ``request`` is its digest.

        Raises the Refusal of what is taken or not valid, CommandIdReused for another request under the same
        command_id, NotDecided.
        """
        asked = Request(state.client.client_id, state.created_by)
        async with temporal_errors(self._patience, asked):
            handle = await self._started(state, asked, f"{asked.command_id}:{request}")
            asked.accepted = True
            try:
                return await self._update(
                    handle, asked, f"{asked.command_id}:registered", "wait_registered", ClientView
                )
            except NotRunning:
                return await _ending(handle)

    async def command(self, client_id: str, message: AnyMessage) -> CommandAnswer:
        """Carry out or plan a command; ``message.command_id`` makes it one command however often it is sent.

        Raises the Refusal, NotRunning for a client whose workflow is closed or never was, NotDecided.
        """
        asked = Request(client_id, message.command_id)
        async with temporal_errors(self._patience, asked):
            return await self._update(
                self._handle(client_id), asked, asked.command_id, "command", CommandAnswer, message
            )

    async def client(self, client_id: str) -> ClientView:
        """The client as its workflow knows it. Raises NotRunning."""
        async with self._looking_at(client_id):
            return await self._handle(client_id).query(
                ClientLifecycle.client, reject_condition=QueryRejectCondition.NOT_OPEN
            )

    async def preview(self, client_id: str, message: AnyMessage) -> PreviewView:
        """What a command would do, asked of the client's workflow, which does nothing. Raises NotRunning."""
        asked = PreviewAsked(command=Message(message), now=datetime.now(UTC))
        async with self._looking_at(client_id):
            return await self._handle(client_id).query(
                ClientLifecycle.preview, asked, reject_condition=QueryRejectCondition.NOT_OPEN
            )

    # -- inside -----------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def _looking_at(self, client_id: str) -> AsyncIterator[None]:
        async with temporal_errors(self._timeout):
            try:
                yield
            except WorkflowQueryRejectedError as closed:
                raise NotRunning(client_id) from closed
            except RPCError as error:
                raise _unless_running(error, client_id) from error

    def _handle(self, client_id: str) -> Handle:
        return self._client.get_workflow_handle_for(ClientLifecycle.run, workflow_id(client_id))

    async def _started(self, state: ClientState, asked: Request, signature: str) -> Handle:
        """The client's workflow, started by this very request now or before."""
        try:
            return await self._client.start_workflow(
                ClientLifecycle.run,
                ClientStart(state=state),
                id=workflow_id(asked.client_id),
                task_queue=TASK_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                search_attributes=attributes_at_start(state),
                memo={CREATED_BY: signature},
                priority=OPERATOR,
            )
        except WorkflowAlreadyStartedError as taken:
            handle = self._handle(asked.client_id)
            created_by = str((await (await handle.describe()).memo()).get(CREATED_BY, ""))
            if created_by == signature:
                return handle
            if created_by.startswith(f"{asked.command_id}:"):
                raise CommandIdReused(
                    f"Idempotency-Key {asked.command_id} was used before, for another request",
                    "Use a new one for each client",
                    field="Idempotency-Key",
                ) from taken
            raise ClientIdTaken(
                f"There is, or was, a client {asked.client_id}", "Choose another id", field="client_id"
            ) from taken

    async def _update(
        self, handle: Handle, asked: Request, update_id: str, update: str, answer: type[T], *args: BaseModel
    ) -> T:
        """The answer to an update. Ask again while it is only "not yet", or was lost to a renewal.

        Each time it is another update: the server would answer as before, with the client as it was then. That a
        command is one command, the client sees to itself. The pauses grow: a renewal is brief, or takes its time.
        """
        pause = FIRST_PAUSE
        while True:
            try:
                under_way: WorkflowUpdateHandle[T] = await handle.start_update(
                    update,
                    args=args,
                    id=f"{update_id}:{uuid4().hex[:8]}",
                    wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                    result_type=answer,
                )
                asked.accepted = True
                return await under_way.result()
            except WorkflowUpdateFailedError as failed:
                told = failed.cause
                if not isinstance(told, ApplicationError) or told.type not in NOT_YET:
                    raise refusal_from(told) from failed
            except RPCError as error:
                raise _unless_running(error, asked.client_id) from error
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


async def _ending(handle: Handle) -> ClientView:
    """How a client that is not running anymore ended: as it then was, or with the reason it was turned away."""
    try:
        return await handle.result()
    except WorkflowFailureError as failed:
        raise refusal_from(failed.cause) from failed


def refusal_from(cause: BaseException | None) -> Exception:
    """The domain refusal that crossed the wire as a type and its facts."""
    if not isinstance(cause, ApplicationError) or cause.type not in REFUSALS or not cause.details:
        return Malfunction(f"The client's workflow answered: {cause}")
    return refusal_of(cause.type, cause.details[0])


def is_recorded(refusal: Refusal) -> bool:
    """Whether the workflow has put this refusal in the client's history itself."""
    failed = refusal.__cause__
    told = failed.cause if isinstance(failed, WorkflowUpdateFailedError | WorkflowFailureError) else None
    return isinstance(told, ApplicationError) and bool(told.details) and bool(told.details[0].get("recorded"))


@asynccontextmanager
async def temporal_errors(seconds: float, asked: Request | None = None) -> AsyncIterator[None]:
    """Turn Temporal's absence into TemporalAway, and lateness into NotDecided for what it has accepted."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except (TimeoutError, RPCTimeoutOrCancelledError) as error:
        if asked and asked.accepted:
            raise NotDecided(asked.client_id, asked.command_id) from error
        remedy = "Is a worker running? " + ("It may still be done; " if asked else "") + "repeat the request"
        if asked:
            remedy += f" with Idempotency-Key {asked.command_id}"
        raise TemporalAway("no answer in time", remedy) from error
    except RuntimeError as error:
        if not str(error).startswith("Failed client connect"):
            raise
        raise TemporalAway("no connection") from error
    except RPCError as error:
        answer = f"{error.status.name.lower()}: {error.message}"
        raise (TemporalRefused(answer) if error.status in REFUSING else TemporalAway(answer)) from error
    except WorkflowQueryFailedError as error:
        raise Malfunction(f"The client's workflow answered: {error}") from error


def _unless_running(error: RPCError, client_id: str) -> Exception:
    return NotRunning(client_id) if error.status is RPCStatusCode.NOT_FOUND else error
