"""Answers the Nexus service ClientLifecycle: each operation is a request to the same service as one over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import unquote, urlsplit

from nexusrpc import HandlerError, HandlerErrorType, OperationError, OperationErrorState
from nexusrpc.handler import StartOperationContext, service_handler, sync_operation
from temporalio.exceptions import ApplicationError

from starter.clients import ClientService
from starter.contract.callers import Role
from starter.errors import CannotRun, NoSuchClient, NotAllowed, StarterError
from starter.nexus.callers import NexusCallers
from starter.nexus.contract import CancelInput, ClientInput, ClientLifecycleService, CommandInput
from starter.permitted import CallerService
from starter.request_ids import REQUEST_ID
from starter.web.admission import Admission, AdmissionLimits, Place
from starter.web.keys import command_id_of
from workflows.domain.errors import Refusal, TooManyWaiting
from workflows.domain.text import safe_text
from workflows.wire.messages import AnyMessage, CancelPlanned, Decommission, Suspend, Unsuspend
from workflows.wire.views import ClientView, CommandAnswer

PATIENCE = 6.0
"""Seconds for a command. With a last look at what became of it, it ends before Temporal's time for a request, 10 s."""

AT_ONCE = 100
"""Operations that a worker has at once. Each role may have its share of them, as of the API's requests."""

BUSY = "There are too many operations now. Nothing was done. Temporal sends it again."
LONGEST_NAME = 200


@service_handler(service=ClientLifecycleService)
class ClientLifecycleHandler:
    """Sends what callers ask to the clients. An operation that Temporal sends again is done once.

    Every operation raises OperationError, whose cause has the type and the facts, for what is refused or needs a
    person, and HandlerError, after which Temporal sends it again, while something is away or not decided, or there are
    too many for another one of the caller's role.
    """

    def __init__(
        self, clients: ClientService, callers: NexusCallers | None = None, admission: Admission | None = None
    ) -> None:
        self._clients, self._callers = clients, callers or NexusCallers()
        self._admission = admission or Admission(AdmissionLimits(working=AT_ONCE, per_second=0))

    @sync_operation
    async def suspend(self, context: StartOperationContext, request: CommandInput) -> CommandAnswer:
        return await self._command(Suspend, context, request)

    @sync_operation
    async def unsuspend(self, context: StartOperationContext, request: CommandInput) -> CommandAnswer:
        return await self._command(Unsuspend, context, request)

    @sync_operation
    async def decommission(self, context: StartOperationContext, request: CommandInput) -> CommandAnswer:
        return await self._command(Decommission, context, request)

    @sync_operation
    async def cancel(self, context: StartOperationContext, request: CancelInput) -> CommandAnswer:
        return await self._command(CancelPlanned, context, request)

    @sync_operation
    async def view(self, context: StartOperationContext, request: ClientInput) -> ClientView:
        with nexus_errors(), self._admitted(caller_of(context)[0]) as clients:
            return await clients.client(request.client_id)

    async def _command(
        self, kind: type[AnyMessage], context: StartOperationContext, request: CommandInput | CancelInput
    ) -> CommandAnswer:
        with nexus_errors():
            namespace, workflow = caller_of(context)
        command_id = command_id_of(namespace, request.command_id or context.request_id)
        REQUEST_ID.set(context.request_id)
        fields = {name: getattr(request, name) for name in request.model_fields_set - {"client_id"}}
        message = kind(**fields | {"command_id": command_id, "by": workflow})
        with nexus_errors(), self._admitted(namespace) as clients:
            return await clients.command(request.client_id, message)

    @contextmanager
    def _admitted(self, namespace: str) -> Iterator[ClientService]:
        """The service as far as this caller may use it, while there is room for its role. Raises NotAllowed,
        HandlerError."""
        caller = self._callers.caller(namespace.partition(":")[2], namespace)
        if self._admission.retry_after(caller):
            raise HandlerError(BUSY, type=HandlerErrorType.RESOURCE_EXHAUSTED)
        with Place(self._admission, caller.role).working():
            yield self._clients if caller.role is Role.ADMIN else CallerService(self._clients, caller)


def caller_of(context: StartOperationContext) -> tuple[str, str]:
    """The namespace that calls, whose the ``command_id`` is, and the workflow, which stands in the history:
    ``nexus:NAMESPACE`` and ``nexus:NAMESPACE/WORKFLOW``. Temporal, which makes the link, says so; that a workflow sets
    none in its place is Temporal's to refuse (``nexusoperations.disallowedHeaders``): here both look the same.

    Raises NotAllowed where links name several workflows."""
    named = set[tuple[str, str]]()
    for link in context.inbound_links:
        match urlsplit(link.url).path.split("/"):
            case ["", "namespaces", namespace, "workflows", workflow, *_]:
                named.add((unquote(namespace), unquote(workflow)))
    if len(named) > 1:
        raise NotAllowed(
            "Nothing was done: several workflows are said to call this operation. Call it without a header nexus-link."
        )
    for namespace, workflow in named:
        names = (f"nexus:{namespace}", f"nexus:{namespace}/{workflow}")
        return safe_text(names[0], LONGEST_NAME), safe_text(names[1], LONGEST_NAME)
    return "nexus", "nexus"


@contextmanager
def nexus_errors() -> Iterator[None]:
    """Turn refusals and our errors into those of Nexus.

    What is about one client ends its operation, but for what is over in a moment: a client that needs a person would
    otherwise be asked again and again, until Temporal holds back all operations of the endpoint.
    """
    try:
        yield
    except TooManyWaiting as busy:
        raise HandlerError(str(busy), type=HandlerErrorType.UNAVAILABLE) from None
    except (Refusal, NoSuchClient, NotAllowed, CannotRun) as final:
        facts = [final.facts] if isinstance(final, Refusal) else []
        why = ApplicationError(str(final), *facts, type=type(final).__name__, non_retryable=True)
        raise OperationError(str(final), state=OperationErrorState.FAILED) from why
    except StarterError as trouble:
        raise HandlerError(str(trouble), type=HandlerErrorType.UNAVAILABLE) from None
