"""Messages are read as they were when they were recorded: a replay reads them again (docs/design.md, "Replay")."""

import json

import pytest

from tests.replay.readings import BORDERLINE, FOLDER, READINGS, reading
from workflows.domain.text import GRAMMAR, OF_0_1
from workflows.inbox import ADDED, LABELS, TABLE, Malformed, interpret

RECORDED: dict[int, list[tuple[str, str, object]]] = {
    grammar: [tuple(line) for line in json.loads(file.read_text(encoding="utf-8"))]
    for grammar, file in READINGS.items()
}
OTHERWISE = (
    "This message is read otherwise than it was. A replay of an old history would then go another way: keep the old "
    "reading and refuse where messages are made, or decide under workflow.patched (docs/design.md, Replay)"
)


@pytest.mark.parametrize("grammar", READINGS)
@pytest.mark.parametrize("name", sorted({name for name, _, _ in RECORDED[1]}))
def test_a_message_is_read_as_it_always_was(name: str, grammar: int) -> None:
    recorded = [(text, was) for other, text, was in RECORDED[grammar] if other == name]
    assert recorded
    for text, was in recorded:
        assert _without_additions(reading(name, text, grammar), was) == was, f"{OTHERWISE}: {name} {text}"


def _without_additions(now: object, was: object) -> object:
    """What is read now, without the fields that there were not: fields may be added."""
    if isinstance(now, dict) and isinstance(was, dict):
        return {field: _without_additions(value, was[field]) for field, value in now.items() if field in was}
    if isinstance(now, list) and isinstance(was, list) and len(now) == len(was):
        return [_without_additions(*both) for both in zip(now, was, strict=True)]
    return now


def test_every_kind_of_message_is_recorded_both_taken_and_refused() -> None:
    for recorded in RECORDED.values():
        names = {name for name, _, _ in recorded}
        assert names == {*TABLE, "command"}
        assert {name for name, _, was in recorded if was is not None} == names
    assert BORDERLINE.keys() == TABLE.keys()


def test_what_0_1_0_took_and_is_refused_now_is_refused_by_a_rule_that_its_clients_do_not_have() -> None:
    now = {(name, text): read for name, text, read in RECORDED[2]}
    refused = [text for name, text, was in RECORDED[1] if was is not None and now.get((name, text)) is None]
    for loose in ('T00:00:00Z"}', "1803772800", '"protected": "no"', "\\u200b", '"up_mbps": "20"', '"at": 18'):
        assert any(loose in text for text in refused), loose


REFUSED_STILL: dict[str, object] = {"expected_revision": 1, "request_id": "r-1", "own_sources": ["billing"]}
"""Fields that no signal has: workflows/inbox.py refuses them, as 0.1.0 did."""


@pytest.mark.parametrize("field", sorted(REFUSED_STILL))
@pytest.mark.parametrize("grammar", [OF_0_1, GRAMMAR])
def test_a_field_that_only_updates_have_is_refused_in_a_signal_as_by_0_1_0(field: str, grammar: int) -> None:
    with pytest.raises(Malformed, match=field):
        interpret("suspend", {field: REFUSED_STILL[field]}, grammar)


def test_a_signal_or_a_field_of_one_that_0_1_0_did_not_know_is_taken_under_a_rule() -> None:
    """0.1.0 refused it, and its history says so: a replay that took it would be about another client."""
    known = json.loads((FOLDER / "signals_0_1_0.json").read_text(encoding="utf-8"))
    assert TABLE.keys() - known.keys() == ADDED, "name the new signal in ADDED of workflows/inbox.py"
    for name, fields in known.items():
        schema = TABLE[name].model_json_schema()
        inner = {f"{part}.{it}" for part, of in schema.get("$defs", {}).items() for it in of.get("properties", {})}
        new = {*schema["properties"], *inner} - {*fields} - {*REFUSED_STILL}
        assert new == (LABELS if name == "edit" else set()), "refuse the new field in workflows/inbox.py, as LABELS are"
