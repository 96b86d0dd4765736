"""How the console says things: statuses, moments, ages. The words are PRODUCT.md's."""

import re
from collections.abc import Callable
from datetime import date, datetime
from hashlib import sha256
from typing import Any

from starter.telephones import phone_word, phones_in
from starter.wording import day_word as day_word
from starter.wording import duration_word, few, late_for, plan_word, rates_word, settings_words
from starter.wording import subject_state as subject_state
from starter.wording import system_state as system_state
from workflows.domain import dates

LABELS = {
    "decommissioned": "Inactive",  # as operators know such a client
    "start_reached": "Waits to start",
    "unserved": "No worker",
}
WRITTEN = re.compile(r"(?<![\w-])([0-9]{4}-[0-9]{2}-[0-9]{2})(?: ([0-9]{2}:[0-9]{2}(?::[0-9]{2})?))?(?![\w-])")
UNSEEN = {
    "command_id",
    "had",
    "were",
    "next",
    "seen",
    "line",
    "confirmed",
    "shown",
    "about",
    "typing",
    "more",
    "beside",
}
WAS = "was-"  # begins the names of fields that carry what others were when the form was opened


def label(name: str) -> str:
    """A status, a state or a command as operators call it. A system goes by the title of its kind."""
    return LABELS.get(name) or name.replace("_", " ").capitalize()


def provisioning_state(client: Any) -> str:
    """How all systems of a client stand together."""
    word = str(client.provisioning.value)
    by_hand = word == "settled" and any(system_state(system) == "done_by_hand" for system in client.systems)
    return "done_by_hand" if by_hand else word


def field_word(name: str) -> str:
    """A field of a form as one reads it: ``number-2`` is a number; empty for what forms carry unseen."""
    plain = re.sub(r"-\+?\d+$", "", name)
    return "" if plain in UNSEEN or plain.startswith((WAS, "find-", "part-")) else label(plain.replace("-", "_"))


def moment_word(at: datetime | None, zone: str = "") -> str:
    """A moment at the site: ``31 Mar 2027, 00:00``. Without a zone, in the one that it is written in.

    A time that comes twice there, when clocks go back, says which of both it is: ``7 Nov 2027, 01:30 (EST)``.
    """
    if at is None:
        return ""
    local = dates.at_site(at, zone) if zone else at
    return f"{local.day} {local:%b %Y, %H:%M}" + (f" ({local.tzname()})" if zone and comes_twice(local) else "")


def with_dates(text: str) -> str:
    """A sentence of the domain with its dates as everywhere on the pages: of ``2027-03-31 00:00`` ``31 Mar 2027,
    00:00``. Examples of how to write an instant stay."""

    def day_or_digits(found: re.Match[str]) -> str:
        try:
            day = day_word(date.fromisoformat(found[1]))
        except ValueError:  # no date, but digits of somebody's
            return found[0]
        return f"{day}, {found[2]}" if found[2] else day

    return WRITTEN.sub(day_or_digits, text)


def comes_twice(local: datetime) -> bool:
    """Whether the clocks of its zone show this time twice on that day."""
    return local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()


def age_word(at: datetime, now: datetime) -> str:
    """How long ago, or until when."""
    return duration_word(abs((now - at).total_seconds()))


FILTERS: dict[str, Callable[..., Any]] = {
    "mark": lambda value: sha256(repr(value).encode()).hexdigest()[:16],
    "label": label,
    "system_state": system_state,
    "subject_state": subject_state,
    "provisioning_state": provisioning_state,
    "day": day_word,
    "moment": moment_word,
    "dates": with_dates,
    "clock": lambda at, zone: f"{dates.at_site(at, zone):%H:%M}",
    "exact": datetime.isoformat,
    "age": age_word,
    "settings": settings_words,
    "phone": phone_word,
    "phones": phones_in,
    "late_for": lambda line: late_for(line.facts, line.at),
    "few": few,
    "plan": lambda plan: plan_word(plan.kind, plan.details),
    "internet": lambda internet: rates_word(internet.down_mbps, internet.up_mbps, internet.vlan),
}
