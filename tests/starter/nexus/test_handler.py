"""What callers of the Nexus service are told, and who they are."""

import pytest
from nexusrpc import HandlerError, HandlerErrorType, Link, OperationError, OperationErrorState
from nexusrpc.handler import OperationTaskCancellation, StartOperationContext
from temporalio.exceptions import ApplicationError

from starter.errors import (
    DirectoryAway,
    NoSuchClient,
    NotAllowed,
    NotDecided,
    TemporalAway,
    WorkflowMissing,
    WorkflowStuck,
)
from starter.nexus.handler import caller_of, nexus_errors
from workflows.domain.errors import IllegalTransition, TooManyWaiting


class NotCancelled(OperationTaskCancellation):
    def is_cancelled(self) -> bool:
        return False

    def cancellation_reason(self) -> str | None:
        return None

    def wait_until_cancelled_sync(self, timeout: float | None = None) -> bool:
        return False

    async def wait_until_cancelled(self) -> None:
        raise NotImplementedError


def context(*urls: str) -> StartOperationContext:
    """An operation with these links."""
    return StartOperationContext(
        service="ClientLifecycle",
        operation="suspend",
        headers={},
        task_cancellation=NotCancelled(),
        request_id="r1",
        inbound_links=[Link(url=url, type="temporal.api.common.v1.Link.WorkflowEvent") for url in urls],
    )


@pytest.mark.parametrize(
    "error", [TemporalAway(), DirectoryAway(), NotDecided("acme", "k"), TooManyWaiting("Too many wait")]
)
def test_what_passes_is_tried_again_by_temporal(error: Exception) -> None:
    with pytest.raises(HandlerError) as raised, nexus_errors():
        raise error
    assert (raised.value.type, raised.value.retryable, str(raised.value)) == (
        HandlerErrorType.UNAVAILABLE, True, str(error),
    )  # fmt: skip
    assert raised.value.__cause__ is None  # nothing of what is inside reaches the caller's history


@pytest.mark.parametrize(
    "error",
    [IllegalTransition("No", "Wait"), NoSuchClient("acme"), WorkflowMissing("acme", "-"), WorkflowStuck("acme", "-")],
)
def test_what_does_not_pass_ends_the_operation_with_its_type(error: Exception) -> None:
    with pytest.raises(OperationError) as raised, nexus_errors():
        raise error
    cause = raised.value.__cause__
    assert isinstance(cause, ApplicationError)
    assert (raised.value.state, cause.type, cause.non_retryable, cause.message) == (
        OperationErrorState.FAILED, type(error).__name__, True, str(error),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("urls", "namespace", "workflow"),
    [
        (["temporal:///namespaces/billing/workflows/invoice-7/0f/history?eventID=5"], "billing", "/invoice-7"),
        (["temporal:///namespaces/b%20b/workflows/a%2Fb%E2%80%AE/0f/history"], "b b", "/a/b"),
        (["https://elsewhere", f"temporal:///namespaces/b/workflows/{'w' * 300}/0f"], "b", f"/{'w' * 191}…"),
        (["https://elsewhere/workflows/x"], "", ""),
        ([], "", ""),
    ],
)
def test_the_caller_is_the_workflow_that_temporal_names(urls: list[str], namespace: str, workflow: str) -> None:
    whose = f"nexus:{namespace}" if namespace else "nexus"
    assert caller_of(context(*urls)) == (whose, f"{whose}{workflow}")


@pytest.mark.parametrize("other", ["ops/workflows/chief", "billing/workflows/invoice-8", "ops/workflows/invoice-7"])
def test_a_caller_who_is_said_to_be_several_is_nobody(other: str) -> None:
    own, forged = (f"temporal:///namespaces/{name}/0f/history" for name in ("billing/workflows/invoice-7", other))
    for links in ((own, forged), (forged, own)):
        with pytest.raises(NotAllowed, match="several workflows"):
            caller_of(context(*links))
    assert caller_of(context(own, own))[0] == "nexus:billing"
