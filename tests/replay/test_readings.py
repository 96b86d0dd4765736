"""Messages are read as they were when they were recorded: a replay reads them again (docs/design.md, "Replay")."""

import json

import pytest

from tests.replay.readings import BORDERLINE, READINGS, reading
from workflows.inbox import TABLE

RECORDED: list[tuple[str, str, object]] = [tuple(line) for line in json.loads(READINGS.read_text(encoding="utf-8"))]
OTHERWISE = (
    "This message is read otherwise than it was. A replay of an old history would then go another way: keep the old "
    "reading and refuse where messages are made, or decide under workflow.patched (docs/design.md, Replay)"
)


@pytest.mark.parametrize("name", sorted({name for name, _, _ in RECORDED}))
def test_a_message_is_read_as_it_always_was(name: str) -> None:
    recorded = [(text, was) for other, text, was in RECORDED if other == name]
    assert recorded
    for text, was in recorded:
        assert _without_additions(reading(name, text), was) == was, f"{OTHERWISE}: {name} {text}"


def _without_additions(now: object, was: object) -> object:
    """What is read now, without the fields that there were not: fields may be added."""
    if isinstance(now, dict) and isinstance(was, dict):
        return {field: _without_additions(value, was[field]) for field, value in now.items() if field in was}
    if isinstance(now, list) and isinstance(was, list) and len(now) == len(was):
        return [_without_additions(*both) for both in zip(now, was, strict=True)]
    return now


def test_every_kind_of_message_is_recorded_both_taken_and_refused() -> None:
    names = {name for name, _, _ in RECORDED}
    assert names == {*TABLE, "command"}
    assert BORDERLINE.keys() == TABLE.keys()
    assert {name for name, _, was in RECORDED if was is not None} == names
