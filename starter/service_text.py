"""Services as people write and read them: settings, ``card=0472, floor:=3, night:=true``, and titles of kinds."""

import json
import re
from collections.abc import Mapping

from workflows.domain.services import Setting

EXAMPLE = "card=0472, floor:=3, night:=true"
BETWEEN = re.compile(r"\s*[,\n]\s*")


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
