"""Histories recorded by earlier versions, which clients started then still have.

Each is replayed under what another machine may have otherwise in another year: the rules of time zones, and the search
attributes that Temporal knows. The commands must be those of the first run, and so must all that systems are ordered.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import (
    Interceptor,
    StartActivityInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from tests.support import zone_rules
from tests.support.workflows import LONDON, replay
from tests.support.zone_rules import AT_UTC, CASABLANCA, HOUR_AHEAD
from workflows.ports import Batch, Publish

RECORDED = sorted((Path(__file__).parent / "histories").glob("*.json"))
HISTORIES = pytest.mark.parametrize(
    "recorded", [path.read_text(encoding="utf-8") for path in RECORDED], ids=[path.stem for path in RECORDED]
)
OTHER_RULES: dict[str, Mapping[str, str | None]] = {
    "2025b": {**HOUR_AHEAD},
    "2026f": {**AT_UTC},
    "1999a": {LONDON: "Pacific/Apia", CASABLANCA: "America/St_Johns"},
    "1990a": {LONDON: None, CASABLANCA: None},  # rules of a year in which there was no such zone
}


class Orders(Interceptor):
    """Notes what a replayed workflow orders. Sentences may differ, and so may the offset in which times are told."""

    def __init__(self) -> None:
        self.noted: list[str] = []

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002  # the SDK's name
    ) -> type[WorkflowInboundInterceptor]:
        noted = self.noted

        class Outbound(WorkflowOutboundInterceptor):
            def start_activity(self, input: StartActivityInput) -> Any:  # noqa: A002  # the SDK's name
                order = input.args[0]
                orders = order.orders if isinstance(order, Batch) else [order]
                noted.extend(f"{input.activity} {input.activity_id} {_facts(order)}" for order in orders)
                return super().start_activity(input)

        class Inbound(WorkflowInboundInterceptor):
            def init(self, outbound: WorkflowOutboundInterceptor) -> None:
                super().init(Outbound(outbound))

        return Inbound


def _facts(order: Any) -> str:
    facts = asdict(order)
    if isinstance(order, Publish):
        planned = [(plan.kind, plan.at.timestamp(), plan.day, plan.zone_rules) for plan in order.view.planned]
        facts |= {"view": (order.view.status, order.view.revision, planned)}
        facts["entries"] = [{**entry, "text": ""} for entry in facts["entries"]]
        facts["answers"] = [{**answer, "message": "", "refusal": None, "warnings": None} for answer in facts["answers"]]
    return json.dumps(facts, default=str, sort_keys=True)


@pytest.fixture(scope="module")
def tzdata(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tzdata")
    return {version: zone_rules.rules(folder / version, version, zones) for version, zones in OTHER_RULES.items()}


async def orders(history: WorkflowHistory) -> list[str]:
    interceptor = Orders()
    await replay([history], interceptor)
    return interceptor.noted


def test_there_are_recorded_histories() -> None:
    assert len(RECORDED) >= 3


@HISTORIES
async def test_a_recorded_history_replays_with_today_s_code(recorded: str) -> None:
    """In the sandbox, which finds what is not the same each time."""
    history = WorkflowHistory.from_json("client-recorded", recorded)
    await replay([history], runner=SandboxedWorkflowRunner())


@HISTORIES
async def test_a_recorded_history_orders_the_same_under_zone_rules_of_other_years(
    recorded: str, tzdata: dict[str, Path]
) -> None:
    history = WorkflowHistory.from_json("client-recorded", recorded)
    ordered = await orders(history)
    assert ordered
    for folder in tzdata.values():
        with zone_rules.in_use(folder):
            assert await orders(history) == ordered


def _searched(history: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The places where a server tells a client's search attributes."""
    for event in history["events"]:
        yield from (attributes for attributes in event.values() if isinstance(attributes, dict))


@HISTORIES
async def test_a_recorded_history_replays_when_search_attributes_were_removed_and_added_again(recorded: str) -> None:
    """The server then tells an old client's attributes without their types, or not at all."""
    untyped, without = json.loads(recorded), json.loads(recorded)
    for attributes in _searched(untyped):
        for payload in attributes.get("searchAttributes", {}).get("indexedFields", {}).values():
            payload["metadata"].pop("type", None)
    removed = sum(attributes.pop("searchAttributes", None) is not None for attributes in _searched(without))
    assert removed, "the first event tells them"
    for history in (untyped, without):
        await replay([WorkflowHistory.from_json("client-recorded", json.dumps(history))])
