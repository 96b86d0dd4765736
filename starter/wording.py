"""What console and command line say with the same words: settings, titles, rates, planned changes, durations."""

import json
import re
from collections.abc import Mapping
from typing import Any

from workflows.domain.services import Setting

EXAMPLE = "card=0472, floor:=3, night:=true"
BETWEEN = re.compile(r"\s*[,\n]\s*")
MINUTE, HOUR, DAY = 60, 3600, 86400
MONTH, YEAR = 30 * DAY, 365 * DAY  # as long as a duration needs to be


def read_settings(text: str) -> dict[str, Setting]:
    """``KEY=TEXT``, or ``KEY:=`` with a number, true, false or null, with commas or line ends between them.

    Raises ValueError, which says what is wrong and what to do.
    """
    return dict(_setting(part) for part in BETWEEN.split(text.strip()) if part)


def settings_text(settings: Mapping[str, Setting]) -> str:
    """The settings, as ``read_settings`` reads them."""
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
