"""What Temporal knows of the workflows of clients: lists of all of them, and single ones where something looks wrong.

The raw service is used, because the SDK's client cannot read a list with a paused workflow in it.
"""

import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import PendingWorkflowTaskState, WorkflowExecutionStatus
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    CountWorkflowExecutionsRequest,
    DescribeWorkflowExecutionRequest,
    ListWorkflowExecutionsRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from workflows.visibility import NEXT_CHANGE_AT

OURS = "WorkflowType = 'ClientLifecycle'"
RUNNING = f"{OURS} AND ExecutionStatus = 'Running'"
ENDED_BADLY = f"{OURS} AND ExecutionStatus IN ('Terminated', 'Failed', 'TimedOut', 'Canceled')"
FAILING = f"{RUNNING} AND TemporalReportedProblems IS NOT NULL"
"""The server says so after system.numConsecutiveWorkflowTaskProblemsToTriggerSearchAttribute failures. By default these
are 5 and take a minute; with 2, as `connect up` and docker-compose.yml set it, ten seconds."""

_PAGE = 1000  # of a list, the most that Temporal gives
_IDS = 100  # in one query
_TIMEOUT = timedelta(seconds=10)


@dataclass(frozen=True)
class Run:
    """One run of a workflow, with the problems that the server reports of its tasks."""

    workflow_id: str
    run_id: str
    status: str
    started_at: datetime
    closed_at: datetime | None = None
    problems: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        return self.status in ("running", "paused")


@dataclass(frozen=True)
class Task:
    """A workflow task that is not completed yet. ``begun``: a worker has it, or has failed at it."""

    attempt: int
    begun: bool
    since: datetime


@dataclass(frozen=True)
class Described:
    """A run, the first run of its chain, and what it waits for. ``next_change_at`` is what the client last published
    of it in Temporal, not in the directory."""

    run: Run
    first_run_id: str
    next_change_at: datetime | None
    task: Task | None
    activities: int


class Executions:
    """The workflows of clients. Every method raises RPCError when Temporal does not answer."""

    def __init__(self, client: Client) -> None:
        self._service, self._namespace = client.workflow_service, client.namespace

    async def count(self, query: str) -> int:
        request = CountWorkflowExecutionsRequest(namespace=self._namespace, query=query)
        return (await self._service.count_workflow_executions(request, timeout=_TIMEOUT)).count

    async def matching(self, query: str) -> AsyncIterator[Run]:
        """All that a query finds, the newest first."""
        request = ListWorkflowExecutionsRequest(namespace=self._namespace, query=query, page_size=_PAGE)
        while True:
            page = await self._service.list_workflow_executions(request, timeout=_TIMEOUT)
            for info in page.executions:
                yield _run(info)
            if not page.next_page_token:
                return
            request.next_page_token = page.next_page_token

    async def runs_of(self, workflow_ids: Iterable[str]) -> dict[str, list[Run]]:
        """The runs of these workflows that Temporal still knows, the newest first."""
        ids, found = list(workflow_ids), defaultdict(list)
        for start in range(0, len(ids), _IDS):
            names = ", ".join(f"'{name}'" for name in ids[start : start + _IDS])
            async for run in self.matching(f"WorkflowId IN ({names})"):
                found[run.workflow_id].append(run)
        return {name: sorted(runs, key=lambda run: run.started_at, reverse=True) for name, runs in found.items()}

    async def describe(self, workflow_id: str, run_id: str = "") -> Described | None:
        """One run, or the newest of a workflow; None: there is none."""
        execution = WorkflowExecution(workflow_id=workflow_id, run_id=run_id)
        request = DescribeWorkflowExecutionRequest(namespace=self._namespace, execution=execution)
        try:
            answer = await self._service.describe_workflow_execution(request, timeout=_TIMEOUT)
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise
        info, pending = answer.workflow_execution_info, answer.pending_workflow_task
        task = None
        if answer.HasField("pending_workflow_task"):
            begun = pending.state == PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_STARTED
            task = Task(pending.attempt, begun or pending.attempt > 1, _at(pending.original_scheduled_time))
        change = info.search_attributes.indexed_fields.get(NEXT_CHANGE_AT.name)
        next_change_at = datetime.fromisoformat(json.loads(change.data)) if change else None
        return Described(_run(info), info.first_run_id, next_change_at, task, len(answer.pending_activities))

    async def own(self, runs: Sequence[Run], incarnation: str) -> Run | None:
        """The newest of these runs that belongs to the chain which began with run ``incarnation``."""
        for run in runs:
            described = await self.describe(run.workflow_id, run.run_id)
            if described and described.first_run_id == incarnation:
                return run
        return None


def _run(info: WorkflowExecutionInfo) -> Run:
    status = WorkflowExecutionStatus.Name(info.status).removeprefix("WORKFLOW_EXECUTION_STATUS_")
    problems = info.search_attributes.indexed_fields.get("TemporalReportedProblems")
    return Run(
        info.execution.workflow_id,
        info.execution.run_id,
        status.lower().replace("_", " "),
        _at(info.start_time),
        _at(info.close_time) if info.HasField("close_time") else None,
        tuple(text.rpartition("=")[2] for text in json.loads(problems.data)) if problems else (),
    )


def _at(moment: Timestamp) -> datetime:
    return moment.ToDatetime(tzinfo=UTC)
