"""How the console says things: statuses, moments, ages. The words are PRODUCT.md's."""

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any

from starter.wording import duration_word, plan_word, rates_word, settings_words
from workflows.domain import dates

LABELS = {
    "decommissioned": "Inactive",  # as operators know such a client
}
UNSEEN = {"command_id", "had", "were", "next", "seen", "line", "confirmed", "shown", "about", "typing", "more"}
WAS = "was-"  # begins the names of fields that carry what others were when the form was opened


def label(name: str) -> str:
    """A status, a state or a command as operators call it. A system goes by the title of its kind."""
    return LABELS.get(name) or name.replace("_", " ").capitalize()


def system_state(system: Any) -> str:
    """How a system of a client stands: what a person marked as done is not what was seen to be."""
    return "done_by_hand" if system.state == "settled" and system.method == "by hand" else str(system.state)


def subject_state(subject: Any) -> str:
    """How a line, an account or a service stands; a note is the evidence of who marked it done."""
    return "done_by_hand" if subject.state == "proven" and "note" in subject.seen else str(subject.state)


def provisioning_state(client: Any) -> str:
    """How all systems of a client stand together."""
    word = str(client.provisioning.value)
    by_hand = word == "settled" and any(system_state(system) == "done_by_hand" for system in client.systems)
    return "done_by_hand" if by_hand else word


def field_word(name: str) -> str:
    """A field of a form as one reads it: ``number-2`` is a number; empty for what forms carry unseen."""
    plain = re.sub(r"-\+?\d+$", "", name)
    return "" if plain in UNSEEN or plain.startswith(WAS) else label(plain.replace("-", "_"))


def day_word(day: date | None) -> str:
    """A calendar day: ``31 Mar 2027``; empty for none."""
    return f"{day.day} {day:%b %Y}" if day else ""


def moment_word(at: datetime | None, zone: str = "") -> str:
    """A moment at the site: ``31 Mar 2027, 00:00``. Without a zone, in the one that it is written in.

    A time that comes twice there, when clocks go back, says which of both it is: ``7 Nov 2027, 01:30 (EST)``.
    """
    if at is None:
        return ""
    local = dates.at_site(at, zone) if zone else at
    return f"{local.day} {local:%b %Y, %H:%M}" + (f" ({local.tzname()})" if zone and comes_twice(local) else "")


def comes_twice(local: datetime) -> bool:
    """Whether the clocks of its zone show this time twice on that day."""
    return local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()


def age_word(at: datetime, now: datetime) -> str:
    """How long ago, or until when."""
    return duration_word(abs((now - at).total_seconds()))


FILTERS: dict[str, Callable[..., Any]] = {
    "label": label,
    "system_state": system_state,
    "subject_state": subject_state,
    "provisioning_state": provisioning_state,
    "day": day_word,
    "moment": moment_word,
    "clock": lambda at, zone: f"{dates.at_site(at, zone):%H:%M}",
    "exact": datetime.isoformat,
    "age": age_word,
    "settings": settings_words,
    "plan": lambda plan: plan_word(plan.kind, plan.details),
    "internet": lambda internet: rates_word(internet.down_mbps, internet.up_mbps, internet.vlan),
}
