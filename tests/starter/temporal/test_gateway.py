"""Claims about asking a client again while it cannot answer yet, as during a renewal."""

import asyncio
from typing import Any, cast

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from starter.errors import NotDecided
from starter.temporal import gateway
from starter.temporal.gateway import Gateway
from workflows.client_lifecycle import UNDECIDED
from workflows.wire.messages import Suspend


class NeverReady:
    """Temporal's client, and a workflow that takes every update and never decides."""

    namespace = "default"

    def __init__(self) -> None:
        self.asked: list[float] = []

    def get_workflow_handle_for(self, *_: Any) -> "NeverReady":
        return self

    async def start_update(self, *_: Any, **__: Any) -> "NeverReady":
        self.asked.append(asyncio.get_running_loop().time())
        return self

    async def result(self) -> None:
        raise WorkflowUpdateFailedError(ApplicationError("not yet", type=UNDECIDED))


async def test_the_pauses_between_two_questions_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "FIRST_PAUSE", 0.05)
    workflow = NeverReady()
    impatient = Gateway(cast("Client", workflow), patience=0.5)
    with pytest.raises(NotDecided):
        await impatient.command("acme", Suspend(kind="suspend", command_id="c", by="ann"))
    assert 1 < len(workflow.asked) <= 4, "at 0, 0.05, 0.15 and 0.35 seconds"
