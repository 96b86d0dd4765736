"""Commands and queries to the workflows of clients.

Temporal's errors are translated here, and only here, into domain refusals and the errors of starter/errors.py.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeAlias, TypeVar
from uuid import uuid4
from weakref import WeakValueDictionary

from pydantic import BaseModel
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import ResourceExhaustedCause as Exhausted
from temporalio.api.enums.v1 import UpdateWorkflowExecutionLifecycleStage as Stage
from temporalio.api.errordetails.v1 import ResourceExhaustedFailure
from temporalio.api.update.v1 import UpdateRef, WaitPolicy
from temporalio.api.workflowservice.v1 import PollWorkflowExecutionUpdateRequest
from temporalio.client import (
    Client,
    RPCTimeoutOrCancelledError,
    WithStartWorkflowOperation,
    WorkflowFailureError,
    WorkflowHandle,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
)
from temporalio.common import Priority, QueryRejectCondition, WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from activities.keys.client_keys import KeyDestroyed, KeysAway
from activities.keys.encryption import Encryption
from activities.watch.diagnosis import diagnosis
from activities.watch.executions import Executions
from activities.watch.matters import Matter
from starter.errors import (
    KeysUnreadable,
    Malfunction,
    NotDecided,
    NotRunning,
    SearchAttributeMissing,
    TemporalAway,
    TemporalBusy,
    TemporalRefused,
    WorkflowStuck,
    id_taken,
    key_reused,
)
from starter.temporal.connection import missing_search_attributes
from workflows.client_lifecycle import UNDECIDED, ClientLifecycle
from workflows.domain.answers import mark_of
from workflows.domain.errors import REFUSALS, ClientIdTaken, Refusal, refusal_of
from workflows.domain.state import ClientState
from workflows.visibility import attributes_at_start
from workflows.wire.messages import AnyMessage
from workflows.wire.previews import PreviewAsked, PreviewView
from workflows.wire.start import TASK_QUEUE, ClientStart, workflow_id
from workflows.wire.update import Message
from workflows.wire.views import ClientView, CommandAnswer

T = TypeVar("T")
Handle: TypeAlias = WorkflowHandle[ClientLifecycle, ClientView]

OPERATOR = Priority(priority_key=2)
REFUSING = (RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.RESOURCE_EXHAUSTED)
LASTING = (Exhausted.RESOURCE_EXHAUSTED_CAUSE_PERSISTENCE_STORAGE_LIMIT,)
"""Limits of Temporal that nobody gets below by waiting."""
NOT_YET = (UNDECIDED, "AcceptedUpdateCompletedWorkflow", "UnprocessedUpdate")
"""Kinds of failures that decide nothing: of ours, and the two that Temporal itself makes, for an update that a renewal
or a worker's death came over."""
CREATED_BY = "created_by"
DIAGNOSIS_TIMEOUT = 2.0  # seconds, on top of what a caller has waited for
LAST_LOOK = 1.0  # seconds to find out whether what was not answered is recorded
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0  # seconds before a request is repeated
IN_FLIGHT = 8  # updates of one client at once; of all processes Temporal takes 10 (history.maxInFlightUpdates)
TRIES = 3  # of what Temporal refuses because the workflow's task failed: some fail by chance, once


class SendUpdate(Protocol):
    """Sends an update to a client's workflow, and returns its answer."""

    def __call__(self, update: str, *, args: tuple[BaseModel, ...], id: str, result_type: type[T]) -> Awaitable[T]:  # noqa: A002  # the SDK's name
        ...


@dataclass
class Request:
    """One request to one client, its idempotency key, and the update that was sent last.

    ``signature`` is that of the client's creation; empty for a command to a client.
    """

    client_id: str
    command_id: str
    signature: str = ""
    update_id: str = ""


class Gateway:
    """Starts the workflows of clients, sends them commands, and queries them.

    ``patience`` limits a command and ``timeout`` a query, in seconds; ``encryption`` is what ``client`` reads and
    writes with. Every method raises TemporalAway when Temporal, or every worker, is away (TemporalBusy when it has
    too much to do, KeysUnreadable when clients' keys are away), and TemporalRefused when it answers and will not.
    """

    def __init__(
        self,
        client: Client,
        ui_url: str = "",
        *,
        patience: float = 10.0,
        timeout: float = 5.0,
        encryption: Encryption | None = None,
    ) -> None:
        self._client, self.encryption = client, encryption
        self._ui = f"{ui_url.rstrip('/')}/namespaces/{client.namespace}/workflows" if ui_url else ""
        self._patience = patience
        self._timeout = timeout
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def ui_link(self, client_id: str) -> str:
        """The address of the client's workflow in the Temporal UI."""
        return f"{self._ui}/{workflow_id(client_id)}" if self._ui else ""

    async def ready(self) -> None:
        """Return when Temporal answers, and every client can be read. Raises SearchAttributeMissing."""
        async with temporal_errors(self._timeout):
            if self.encryption:
                await self.encryption.check()
            await self._client.service_client.check_health()
            await self._check_search_attributes()

    async def have_key(self, client_id: str) -> None:
        """Make the key that a client is encrypted with, before it is created. Raises ClientIdTaken: of an erased one
        there is none any more."""
        if self.encryption and self.encryption.keys:
            try:
                async with temporal_errors(self._timeout):
                    await self.encryption.keys.make(client_id)
            except KeyDestroyed as erased:
                raise id_taken(client_id) from erased

    async def create(self, state: ClientState, digest: str) -> ClientView:
        """Create a client, and return it when the directory has it. ``digest`` is the request's: the same one twice
        creates one client.

        Raises the Refusal of what is taken or not valid, CommandIdReused for another request under the same
        command_id, NotDecided, SearchAttributeMissing.
        """
        request = Request(state.client.client_id, state.created_by, f"{state.created_by}:{digest}")
        handle = self._handle(request.client_id)
        async with self._deciding(request):
            try:
                return await self._update(self._starting(state, request), request, "wait_registered", ClientView)
            except NotRunning:
                return await _ending(handle)

    async def command(self, client_id: str, message: AnyMessage) -> CommandAnswer:
        """Carry out or plan a command. A ``message.command_id`` that was sent before has no further effect.

        Raises the Refusal, NotRunning for a client whose workflow is closed or never was, WorkflowStuck, NotDecided.
        """
        request, send = Request(client_id, message.command_id), self._handle(client_id).execute_update
        async with self._deciding(request):
            return await self._update(send, request, "command", CommandAnswer, message)

    async def client(self, client_id: str) -> ClientView:
        """The client as its workflow knows it. Raises NotRunning, WorkflowStuck."""
        return await self._query(client_id, "client", ClientView)

    async def preview(self, client_id: str, message: AnyMessage) -> PreviewView:
        """What a command would do. Nothing is changed. Raises NotRunning, WorkflowStuck."""
        question = PreviewAsked(command=Message(message), now=datetime.now(UTC))
        return await self._query(client_id, "preview", PreviewView, question)

    async def diagnose(self, client_id: str, incarnation: str) -> Matter | None:
        """Why the workflow of a living client does not run, or cannot; None: nothing is seen to be wrong."""
        async with temporal_errors(min(self._timeout, DIAGNOSIS_TIMEOUT)):
            return await diagnosis(Executions(self._client), client_id, incarnation)

    # -- inside -----------------------------------------------------------------------------------------------------

    async def _query(self, client_id: str, query: str, answer: type[T], *args: BaseModel) -> T:
        """The answer to a query, which is asked again if the workflow's task failed by chance."""
        tries = 0
        async with temporal_errors(self._timeout):
            while True:
                try:
                    answered: T = await self._handle(client_id).query(
                        query, args=args, result_type=answer, reject_condition=QueryRejectCondition.NOT_OPEN
                    )
                    return answered
                except WorkflowQueryRejectedError as closed:
                    raise NotRunning(client_id) from closed
                except WorkflowQueryFailedError as error:
                    raise WorkflowStuck(client_id, f"Its workflow answers: {error}.") from error
                except RPCError as error:
                    tries += 1
                    if error.status is not RPCStatusCode.FAILED_PRECONDITION or tries == TRIES:
                        raise _unless_running(error, client_id) from error
                except KeyDestroyed as erased:
                    raise NotRunning(client_id) from erased
                await asyncio.sleep(FIRST_PAUSE * tries)

    async def _check_search_attributes(self) -> None:
        if commands := await missing_search_attributes(self._client):
            raise SearchAttributeMissing(
                "Temporal does not know all search attributes that a client is listed by, so nobody can be created. "
                f"Add them: {'; '.join(commands)}"
            )

    def _handle(self, client_id: str) -> Handle:
        return self._client.get_workflow_handle_for(ClientLifecycle.run, workflow_id(client_id))

    @asynccontextmanager
    async def _deciding(self, request: Request) -> AsyncIterator[None]:
        """As `temporal_errors`, with NotDecided for what Temporal has recorded, and will do."""
        remedy = f"It may still be done; repeat the request with Idempotency-Key {request.command_id}"
        try:
            async with temporal_errors(self._patience, remedy):
                yield
        except TemporalAway as away:
            if await self._is_recorded(request):
                raise NotDecided(request.client_id, request.command_id) from away
            raise

    async def _is_recorded(self, request: Request) -> bool:
        """Whether Temporal has recorded a request that it has not answered. False also when it does not say."""
        with suppress(RPCError, RuntimeError, TimeoutError, KeysAway):
            async with asyncio.timeout(LAST_LOOK):
                if request.signature:
                    return await _signature_of(self._handle(request.client_id)) == request.signature
                return await self._is_accepted(workflow_id(request.client_id), request.update_id)
        return False

    async def _is_accepted(self, workflow: str, update_id: str) -> bool:
        """Whether a workflow has accepted an update."""
        accepted = Stage.UPDATE_WORKFLOW_EXECUTION_LIFECYCLE_STAGE_ACCEPTED
        reference = UpdateRef(workflow_execution=WorkflowExecution(workflow_id=workflow), update_id=update_id)
        question = PollWorkflowExecutionUpdateRequest(
            namespace=self._client.namespace, update_ref=reference, wait_policy=WaitPolicy(lifecycle_stage=accepted)
        )
        answer = await self._client.workflow_service.poll_workflow_execution_update(
            question, timeout=timedelta(seconds=LAST_LOOK)
        )
        return answer.stage >= accepted

    def _starting(self, state: ClientState, request: Request) -> SendUpdate:
        """Sends an update together with the start of the client's workflow, so that one workflow task does and answers
        both. A workflow that this very request started earlier is only sent the update."""
        handle, started = self._handle(request.client_id), False

        async def send(update: str, **options: Any) -> Any:
            nonlocal started
            if started:
                return await handle.execute_update(update, **options)
            start = WithStartWorkflowOperation(
                ClientLifecycle.run,
                ClientStart(state=state),
                id=workflow_id(request.client_id),
                task_queue=TASK_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                search_attributes=attributes_at_start(state),
                memo={CREATED_BY: request.signature},
                priority=OPERATOR,
            )
            try:
                return await self._client.execute_update_with_start_workflow(
                    update, start_workflow_operation=start, **options
                )
            except (WorkflowAlreadyStartedError, RPCError, RPCTimeoutOrCancelledError) as error:
                with suppress(asyncio.CancelledError, Exception):
                    await start.workflow_handle()  # has the same error, of which asyncio complains if nobody looks
                if isinstance(error, RPCError) and error.status is RPCStatusCode.INVALID_ARGUMENT:
                    await self._check_search_attributes()
                if not isinstance(error, WorkflowAlreadyStartedError):
                    raise
                await _check_signature(handle, request, error)
            finally:
                started = True
            return await handle.execute_update(update, **options)

        return send

    async def _update(self, send: SendUpdate, request: Request, update: str, answer: type[T], *args: BaseModel) -> T:
        """The answer to an update, which is repeated while it is "not yet" or a renewal lost it.

        Those of one client take turns: what Temporal turns away costs it as much as what it takes.
        Each repetition is a new update, because the server repeats an old update's answer. The client itself makes sure
        that a command counts once. The pauses grow: a renewal is brief, or takes its time. Temporal keeps the id of an
        update in the clear, so it has a digest of what the caller named the command.
        """
        pause, tries = FIRST_PAUSE, 0
        turns = self._turns.setdefault(request.client_id, asyncio.Semaphore(IN_FLIGHT))
        while True:
            try:
                async with turns:
                    request.update_id = f"{mark_of(request.command_id)}:{uuid4().hex[:8]}"
                    return await send(update, args=args, id=request.update_id, result_type=answer)
            except WorkflowUpdateFailedError as failed:
                cause = failed.cause
                if not isinstance(cause, ApplicationError) or cause.type not in NOT_YET:
                    raise refusal_from(cause) from failed
            except RPCError as error:
                tries += 1
                if error.status is not RPCStatusCode.FAILED_PRECONDITION or tries == TRIES:
                    raise _unless_running(error, request.client_id) from error
            except KeyDestroyed as erased:
                raise NotRunning(request.client_id) from erased
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)


async def _signature_of(handle: Handle) -> str:
    """The signature of the request that started a client's workflow."""
    return str((await (await handle.describe()).memo()).get(CREATED_BY, ""))


async def _check_signature(handle: Handle, request: Request, taken: WorkflowAlreadyStartedError) -> None:
    """Raises ClientIdTaken or CommandIdReused unless this very request started the workflow."""
    created_by = await _signature_of(handle)
    if created_by == request.signature:
        return
    if created_by.startswith(f"{request.command_id}:"):
        raise key_reused(request.command_id) from taken
    raise ClientIdTaken(
        f"There is, or was, a client {request.client_id}", "Choose another id", field="client_id"
    ) from taken


async def _ending(handle: Handle) -> ClientView:
    """The result of a client's closed workflow: the client as it was then, or the refusal that ended it."""
    try:
        return await handle.result()
    except WorkflowFailureError as failed:
        raise refusal_from(failed.cause) from failed


def refusal_from(cause: BaseException | None) -> Exception:
    """The domain refusal, from the type and facts that crossed the wire."""
    if not isinstance(cause, ApplicationError) or cause.type not in REFUSALS or not cause.details:
        return Malfunction(f"The client's workflow answered: {cause}")
    return refusal_of(cause.type, cause.details[0])


def is_recorded(refusal: Refusal) -> bool:
    """Whether the workflow has put this refusal in the client's history itself."""
    failed = refusal.__cause__
    cause = failed.cause if isinstance(failed, WorkflowUpdateFailedError | WorkflowFailureError) else None
    return isinstance(cause, ApplicationError) and bool(cause.details) and bool(cause.details[0].get("recorded"))


@asynccontextmanager
async def temporal_errors(seconds: float, remedy: str = "Repeat the request") -> AsyncIterator[None]:
    """Turn errors of Temporal, and no answer within so many ``seconds``, into TemporalAway or TemporalRefused.

    ``remedy`` is what to do when there was no answer.
    """
    try:
        async with asyncio.timeout(seconds):
            yield
    except (TimeoutError, RPCTimeoutOrCancelledError) as error:
        raise TemporalAway("no answer in time", f"Is a worker running? {remedy}") from error
    except KeysAway as error:
        raise KeysUnreadable(str(error)) from error
    except RuntimeError as error:
        if not str(error).startswith("Failed client connect"):
            raise
        raise TemporalAway("no connection") from error
    except RPCError as error:
        answer = f"{error.status.name.lower()}: {error.message}"
        if _busy(error):
            raise TemporalBusy(answer) from error
        raise (TemporalRefused(answer) if error.status in REFUSING else TemporalAway(answer)) from error


def _busy(error: RPCError) -> bool:
    """Whether Temporal says that it has too much to do just now, with one workflow or as a whole. What is too large
    for it has the same status, without a cause."""
    if error.status is not RPCStatusCode.RESOURCE_EXHAUSTED:
        return False
    cause = ResourceExhaustedFailure()
    return any(detail.Unpack(cause) and cause.cause not in LASTING for detail in error.grpc_status.details)


def _unless_running(error: RPCError, client_id: str) -> Exception:
    match error.status:
        case RPCStatusCode.NOT_FOUND:
            return NotRunning(client_id)
        case RPCStatusCode.FAILED_PRECONDITION:  # its task fails, or it is paused
            return WorkflowStuck(client_id, f"Temporal answers: {error.message}")
    return error
