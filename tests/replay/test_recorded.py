"""Histories recorded by earlier versions, which clients started then still have."""

from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory

from tests.support.workflows import replay

RECORDED = sorted((Path(__file__).parent / "histories").glob("*.json"))


def test_there_are_recorded_histories() -> None:
    assert len(RECORDED) >= 3


@pytest.mark.parametrize(
    "recorded", [path.read_text(encoding="utf-8") for path in RECORDED], ids=[path.stem for path in RECORDED]
)
async def test_a_recorded_history_replays_with_today_s_code(recorded: str) -> None:
    await replay([WorkflowHistory.from_json("client-recorded", recorded)])
