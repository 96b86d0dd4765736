"""No handler's exception may wedge or kill a client: it becomes a recorded refusal, or a failed update.

Install it on every worker and every replayer. The run loop stays unguarded: a bug there blocks its client, visibly,
until a fix is deployed, and nothing is lost.
"""

from typing import Any, Protocol, runtime_checkable

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError
from temporalio.worker import (
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)


@runtime_checkable
class RecordsRefusals(Protocol):
    """A workflow that can note what it could not do."""

    def record_refusal(self, name: str, error: Exception) -> None: ...


class Guard(Interceptor):
    """Makes an exception of a handler a refusal in the history. Workers and replayers are given one:
    ``interceptors=[Guard()]``."""

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002  # the SDK's name
    ) -> type[WorkflowInboundInterceptor] | None:
        return _Inbound


class _Inbound(WorkflowInboundInterceptor):
    async def handle_signal(self, input: HandleSignalInput) -> None:  # noqa: A002  # the SDK's name
        try:
            await super().handle_signal(input)
        except Exception as error:  # the one place where anything at all is turned into a record
            client = workflow.instance()
            if not isinstance(client, RecordsRefusals):
                raise
            client.record_refusal(input.signal, error)

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:  # noqa: A002  # the SDK's name
        try:
            return await super().handle_update_handler(input)
        except FailureError:
            raise
        except Exception as error:
            raise ApplicationError(
                f"Internal error in {input.update}: {error}", type="InternalError", non_retryable=True
            ) from error
