"""Record how messages are read, by each grammar that a living client can have: ``python -m tests.replay.readings``
writes readings.json, of 0.1.0, and readings_2.json beside this file.

Run it when a message or a field is **added**. A message that was read before must be read as before, for a replay reads
it again (docs/design.md, "Replay"): from release 0.1.0 on, no line of readings.json may change, and from the next
release on none of readings_2.json.
"""

import base64
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError

from workflows.inbox import TABLE, Malformed, interpret
from workflows.wire.messages import CommandMessage
from workflows.wire.update import Message

FOLDER = Path(__file__).parent
READINGS = {1: FOLDER / "readings.json", 2: FOLDER / "readings_2.json"}
LINE, NUMBER = {"number": "+442079460001", "office": "3.12"}, "+442079460002"
LONG = {"reason": "x" * 500, "by": "y" * 200, "command_id": "z" * 200, "source": "s" * 64}
BORDERLINE: dict[str, list[dict[str, Any]]] = {
    "activate": [
        {},
        LONG,
        {"reason": "a\u200bb"},
        {"reason": "x" * 501},
        {"sauce": "billing"},
        {"expected_revision": 7},
        {"expected_revision": None},
    ],
    "suspend": [
        {"source": " billing "},
        {"source": " "},
        {"source": "all"},
        {"source": "bill\u200bing"},
        {"source": 7},
        {"reason": None},
        {"last_day": "2027-02-28"},
        {"last_day": "2027-02-28T00:00:00Z"},
        {"last_day": "2027-02-28T00:30:00"},
        {"last_day": 1803772800},
        {"last_day": "9999-12-31"},
        {"at": "2027-03-01T09:00:00+01:00"},
        {"at": "2027-03-01T09:00:00"},
        {"at": 1803891600},
        {"at": "2027-03-01 09:00Z"},
        {"last_day": "2027-02-28", "at": "2027-03-01T09:00:00Z"},
        {
            "last_day": "2027-02-28",
            "resolved": {"day": "2027-02-28", "zone": "UTC", "instant": "2027-03-01T00:00:00Z", "rules": "2026f"},
        },
        {"last_day": "2027-02-28", "resolved": {"day": "2027-02-28"}},
        {"kind": "decommission"},
    ],
    "unsuspend": [{"source": "all"}, {"source": ""}],
    "decommission": [{"last_day": "2027-02-28", "reason": "moving\nout"}],
    "cancel_scheduled_decommission": [{}],
    "cancel_planned": [{}, {"change": "suspend"}, {"change": ""}, {"change": "x" * 201}],
    "convert": [
        {"to": "virtual"},
        {"to": "VIRTUAL"},
        {"to": "residential", "lines": [LINE], "offices": ["3.12"], "internet": {"down_mbps": 100, "up_mbps": "20"}},
        {"to": "residential", "lines": [{**LINE, "protected": "no"}, {**LINE, "protected": 1}]},
        {"to": "residential", "offices": [""]},
    ],
    "change_services": [
        {},
        {"add_lines": [{**LINE, "number": "+44 20 7946 0001"}]},
        {"add_lines": [{"number": "+1234567"}, {"number": "+123456789012345"}]},
        {"add_lines": [{"number": "+1234567890123456"}]},
        {"remove_lines": [NUMBER, NUMBER]},
        {"internet": "none"},
        {"internet": None},
        {"internet": {"down_mbps": 0, "up_mbps": 1}},
        {"internet": {"down_mbps": 1, "up_mbps": 1, "vlan": 4094}},
        {"internet": {"down_mbps": 1.0, "up_mbps": 1, "vlan": 4095}},
    ],
    "edit": [
        {},
        {"name": " Acme "},
        {"name": " "},
        {"name": None},
        {"billing_ref": None},
        {"billing_ref": " B-1 "},
        {"end_date": None},
        {"end_date": "2027-02-28"},
        {"start_date": None},
        {"start_date": "0001-01-01"},
        {"activation": "manual"},
        {"activation": "Manual"},
        {"external_ids": {"crm": "4711", "erp": None}, "add_tags": ["vip"], "remove_tags": [" late "]},
        {"tags": []},
        {"tags": None},
        {"external_ids": {"crm": 4711}},
        {"add_tags": "vip"},
    ],
    "rotate_credentials": [{}],
    "acknowledge": [{"matter": "plan:c1"}, {"matter": "plan:c1", "reason": "done by hand"}, {"matter": ""}, {}],
    "retry": [{"system": "telephony"}, {"system": "directory"}, {}],
    "skip": [{"system": "internet", "reason": "later"}, {"system": "internet"}],
    "mark_done": [
        {"system": "internet", "note": "by hand"},
        {"system": "internet", "reason": "by hand"},
        {"system": "internet", "reason": " "},
    ],
    "note": [{"text": "called\ntwice", "by": "Ms Doe"}, {"text": " "}, {"text": "x" * 1001}, {"note": "called"}, {}],
    "report_drift": [
        {"system": "telephony"},
        {"system": "telephony", "reason": "x" * 501},
        {"system": "doors"},
        {"system": "telephony", "alive": {NUMBER: "registered"}, "seen_at": "2027-03-01T09:00:00+01:00"},
        {"system": "telephony", "alive": {"": "registered"}},
        {"system": "telephony", "alive": {NUMBER: "x" * 501}},
        {"system": "telephony", "alive": [NUMBER]},
        {"system": "telephony", "seen_at": "2027-03-01T09:00:00"},
    ],
    "roll": [
        {},
        {"limits": {"attempt": 1, "at_once": 0}},
        {"limits": {"attempt": 1, "second_look": 0}},
        {"limits": {"attempt": "8"}},
        {"limits": {"attempt": 0.5}},
        {"limits": {"recent": 5}},
    ],
}


def reading(name: str, text: str, grammar: int) -> object:
    """What a signal, or the update ``command``, is read as by a grammar; None when it is refused."""
    parsed = TypeAdapter(Any).validate_json(text)
    message: BaseModel | None
    try:
        if name == "command":
            update = Message.model_validate(parsed)
            message = update.root if grammar == 1 else update.read()
        else:
            message = interpret(name, parsed, grammar)
    except (ValidationError, Malformed):
        message = None
    if message is None:
        return None
    fields = asdict(message.command()) if isinstance(message, CommandMessage) else message.model_dump()
    return json.loads(json.dumps({"type": type(message).__name__, **fields}, default=str))


def messages() -> list[tuple[str, str]]:
    """Every message of the recorded histories, and what is at the borders of each field. Each once, in order."""
    found = set(_recorded()) | {(name, json.dumps(body)) for name, bodies in BORDERLINE.items() for body in bodies}
    return sorted(found)


def _recorded() -> Iterator[tuple[str, str]]:
    """The signals, and the updates ``command``, of the recorded histories."""
    for path in sorted((FOLDER / "histories").glob("*.json")):
        for event in json.loads(path.read_text(encoding="utf-8"))["events"]:
            signal = event.get("workflowExecutionSignaledEventAttributes", {})
            update = event.get("workflowExecutionUpdateAcceptedEventAttributes", {}).get("acceptedRequest", {})
            request, name = update.get("input", {}), signal.get("signalName")
            payloads = (signal.get("input") or request.get("args") or {}).get("payloads", [])
            if len(payloads) == 1 and (name in TABLE or request.get("name") == "command"):
                yield name or "command", base64.b64decode(payloads[0]["data"]).decode()


if __name__ == "__main__":
    for grammar, file in READINGS.items():
        recorded = {(name, text): was for name, text, was in json.loads(file.read_text(encoding="utf-8"))}
        read = {it: recorded[it] if it in recorded else reading(*it, grammar) for it in messages()}
        lines = [json.dumps([*it, was], ensure_ascii=True) for it, was in read.items()]
        file.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")
