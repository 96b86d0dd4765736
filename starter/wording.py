"""What console and command line say with the same words: settings, titles, rates, planned changes, days, durations."""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from workflows.domain.provisioning.provisioning import Provisioned
from workflows.domain.services import Setting
from workflows.domain.systems import MAIN

EXAMPLE = "card=0472, floor:=3, night:=true"
BETWEEN = re.compile(r"\s*[,\n]\s*")
STAGES = {
    "api": "the API",
    "worker": "the worker",
    "temporal": "Temporal",
    "directory": "the directory",
    "system": "the system",
    "network": "the network",
    "settings": "the canary's setting",
}
LATE = timedelta(minutes=1)  # and more
MOST_NAMED = 10  # of a client's offices or lines in a sentence


class Standing(StrEnum):
    """Where provisioning stands, to filter by. ``settled`` has those done by hand too, as the field says settled."""

    SETTLED = Provisioned.SETTLED
    CHANGING = Provisioned.CHANGING
    ATTENTION = Provisioned.ATTENTION
    SKIPPED = Provisioned.SKIPPED
    DONE_BY_HAND = "done_by_hand"


MINUTE, HOUR, DAY = 60, 3600, 86400
MONTH, YEAR = 30 * DAY, 365 * DAY  # as long as a duration needs to be


def read_settings(text: str) -> dict[str, Setting]:
    """``KEY=TEXT``, or ``KEY:=`` with a number, true, false or null, with commas or line ends between them.

    Raises ValueError, which says what is wrong and what to do.
    """
    return dict(_setting(part) for part in BETWEEN.split(text.strip()) if part)


def settings_text(settings: Mapping[str, Setting]) -> str:
    """The settings as one line that ``read_settings`` reads: ``card=0472, floor:=3``."""
    return ", ".join(
        f"{name}={value}" if isinstance(value, str) else f"{name}:={json.dumps(value)}"
        for name, value in settings.items()
    )


def settings_words(settings: Mapping[str, Setting]) -> str:
    """The settings, to be read: ``card 0472, floor 3``."""
    return ", ".join(f"{name} {value}" for name, value in settings.items() if value is not None)


def rates_word(down: int | str, up: int | str, vlan: int | str | None) -> str:
    """The rates of internet access: ``100/20 Mbit/s, VLAN 110``."""
    return f"{down}/{up} Mbit/s" + (f", VLAN {vlan}" if vlan else "")


def plan_word(kind: str, details: Mapping[str, Any]) -> str:
    """What a planned change does: ``convert to virtual``, ``suspend (billing)``."""
    words = kind.replace("_", " ")
    if "to" in details:
        return f"{words} to {details['to']}"
    return f"{words} ({details['source']})" if details.get("source", "operator") != "operator" else words


def sentences(*texts: str) -> str:
    """The texts as one, each with one full stop at its end."""
    return " ".join(f"{text.rstrip('.')}." for text in texts)


def few(texts: Sequence[str], most: int = MOST_NAMED) -> str:
    """The texts with commas between them; of very many the first ones: ``3.1, 3.2 and 98 more``."""
    more = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {more} more" if more > 0 else "")


def late_for(facts: Mapping[str, str], at: datetime) -> datetime | None:
    """When the plan was due that a line of a history of this moment tells of; None for one that was not late."""
    due = datetime.fromisoformat(facts["planned_for"]) if "planned_for" in facts else None
    return due if due and at - due > LATE else None


def stage_word(stage: str, system: str = "", instance: str = MAIN) -> str:
    """The stage that a canary says fails: ``Temporal``, ``the network (telephony york)``."""
    where = " ".join(part for part in (system, instance) if part and part != MAIN)
    return f"{STAGES.get(stage, stage)}{f' ({where})' if where else ''}"


def system_state(system: Any) -> str:
    """How a system of a client stands: what a person marked as done is not what was seen to be."""
    return "done_by_hand" if system.state == "settled" and system.method == "by hand" else str(system.state)


def subject_state(subject: Any) -> str:
    """How a line, an account or a service stands; a note is the evidence of who marked it done."""
    return "done_by_hand" if subject.state == "proven" and "note" in subject.seen else str(subject.state)


def day_word(day: date | None) -> str:
    """A calendar day: ``31 Mar 2027``; empty for none."""
    return f"{day.day} {day:%b %Y}" if day else ""


def duration_word(seconds: float) -> str:
    """A duration in its largest units: ``3 h 12 min``; from two months on ``7 months``, then ``3 years``."""
    whole = int(seconds)
    if whole >= 2 * MONTH:
        return f"{whole // YEAR} years" if whole >= 2 * YEAR else f"{whole // MONTH} months"
    for size, name, smaller, lesser in ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {name}" + (f" {rest} {lesser}" if rest else "")
    return f"{whole // MINUTE} min" if whole >= MINUTE else f"{whole} s"


def within(title: str) -> str:
    """The title of a kind within a sentence: of ``Doors`` ``doors``; ``Wi-Fi`` and ``CCTV`` stay as they are."""
    return title[:1].lower() + title[1:] if title[1:].islower() else title


def _setting(text: str) -> tuple[str, Setting]:
    name, equals, value = text.partition("=")
    if not (equals and name.strip(": ")):
        raise ValueError(f"{text!r} is no setting: write KEY=TEXT, or KEY:=12, KEY:=true, KEY:=false")
    if not name.endswith(":"):
        return name.strip(), value.strip()
    try:
        read = json.loads(value)
    except ValueError:
        read = []
    if isinstance(read, float | list | dict | str):
        raise ValueError(f"{text!r} is neither a whole number nor true, false or null: a text has = alone")
    return name.removesuffix(":").strip(), read


def client_word(client_id: str) -> str:
    """A client as a sentence names it; one that the caller does not see has no name."""
    return f"client {client_id}" if client_id else "another client"
