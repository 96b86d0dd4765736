"""An operator who has clients that stand still go on, by the remedy of docs/operating.md, and counts them."""

import math
import uuid
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType, ResetReapplyType, WorkflowTaskFailedCause
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowHandle
from temporalio.service import RPCError

from activities.background import background
from tests.support.waiting import eventually

STANDS_STILL = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_NON_DETERMINISTIC_ERROR
PAUSE = 1.0  # seconds between two looks


class Revival:
    """Resets every client that a worker cannot replay to its last completed task, messages applied again.

    ``reset`` are the runs that were given up so.
    """

    def __init__(self, temporal: Client) -> None:
        self._temporal = temporal
        self.reset: list[str] = []

    def watching(self) -> AbstractAsyncContextManager[None]:
        """Looks again and again, whatever is away meanwhile."""
        return background(self._go_on)

    async def _go_on(self) -> None:
        await eventually(self._over, within=math.inf, every=PAUSE)

    async def _over(self) -> bool:
        with suppress(RPCError):  # Temporal is away, or the client is gone
            await self.revive()
        return False

    async def revive(self) -> None:
        """One look at every client whose workflow runs."""
        async for found in self._temporal.list_workflows("ExecutionStatus = 'Running'"):
            run = self._temporal.get_workflow_handle(found.id, run_id=found.run_id)
            pending = (await run.describe()).raw_description.pending_workflow_task
            if pending.attempt > 1 and (good := await self._last_good(run)):
                await self._reset(found.id, found.run_id, good)

    async def _last_good(self, run: WorkflowHandle[Any, Any]) -> int:
        """The last completed task of a run that stands still; 0 for one that goes on."""
        good, still = 0, False
        async for event in run.fetch_history_events():
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED:
                good, still = event.event_id, False
            elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED:
                still = event.workflow_task_failed_event_attributes.cause == STANDS_STILL
        return good if still else 0

    async def _reset(self, workflow: str, run: str, event: int) -> None:
        await self._temporal.workflow_service.reset_workflow_execution(
            ResetWorkflowExecutionRequest(
                namespace=self._temporal.namespace,
                workflow_execution=WorkflowExecution(workflow_id=workflow, run_id=run),
                workflow_task_finish_event_id=event,
                reason="stands still",
                request_id=str(uuid.uuid4()),
                reset_reapply_type=ResetReapplyType.RESET_REAPPLY_TYPE_ALL_ELIGIBLE,
            )
        )
        self.reset.append(run)
