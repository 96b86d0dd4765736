"""How the console says things: statuses, moments, ages. The words are PRODUCT.md's."""

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any

from workflows.domain import dates

STATUSES = {"new": "New", "active": "Active", "suspended": "Suspended", "decommissioned": "Inactive"}
STATES = {
    "settled": "Settled",
    "changing": "Changing",
    "attention": "Attention",
    "not_proven": "Not proven",
    "skipped": "Skipped",
    "proven": "Proven",
    "failed": "Failed",
    "working": "Working",
    "failing": "Failing",
    "recovering": "Recovering",
    "unknown": "Unknown",
}
KINDS = {"change_services": "change services", "cancel_scheduled_decommission": "cancel the planned decommission"}
UNSEEN = {"command_id", "next", "seen", "line", "confirmed", "shown", "about", "typing", "more"}
WAS = "was-"  # begins the names of fields that carry what others were when the form was opened
MINUTE, HOUR, DAY = 60, 3600, 86400
MONTH, YEAR = 30 * DAY, 365 * DAY  # as long as an age needs to be
SYSTEMS = {"telephony": "Telephone lines", "internet": "Internet access"}


def status_word(status: str) -> str:
    """A status as operators know it: a decommissioned client is Inactive."""
    return STATUSES.get(status, status)


def state_word(state: str) -> str:
    """Where a system, a line or provisioning stands."""
    return STATES.get(state, state)


def system_word(system: str) -> str:
    """What a system switches, as operators call it."""
    return SYSTEMS.get(system, system)


def kind_word(kind: str) -> str:
    """A command as one says it."""
    return KINDS.get(kind, kind.replace("_", " "))


def field_word(name: str) -> str:
    """A field of a form as one reads it: ``number-2`` is a number; empty for what forms carry unseen."""
    plain = re.sub(r"-\+?\d+$", "", name)
    return "" if plain in UNSEEN or plain.startswith(WAS) else plain.replace("_", " ").replace("-", " ").capitalize()


def day_word(day: date | str | None) -> str:
    """A calendar day: ``31 Mar 2027``; empty for none."""
    if not day:
        return ""
    shown = date.fromisoformat(day) if isinstance(day, str) else day
    return f"{shown.day} {shown:%b %Y}"


def moment_word(at: datetime | str | None, zone: str = "") -> str:
    """A moment at the site: ``31 Mar 2027, 00:00``. Without a zone, in the one that it is written in.

    A time that comes twice there, when clocks go back, says which of both it is: ``7 Nov 2027, 01:30 (EST)``.
    """
    shown = _read(at)
    if shown is None:
        return ""
    local = shown.astimezone(dates.zone(zone)) if zone else shown
    return f"{local.day} {local:%b %Y, %H:%M}" + (f" ({local.tzname()})" if zone and comes_twice(local) else "")


def comes_twice(local: datetime) -> bool:
    """Whether the clocks of its zone show this time twice on that day."""
    return local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()


def exact_word(at: datetime | str | None) -> str:
    """A moment as machines write it (RFC 3339)."""
    shown = _read(at)
    return shown.isoformat() if shown else ""


def age_word(at: datetime | str | None, now: datetime) -> str:
    """How long ago, or until when, roughly: ``3 h 12 min``; from two months on ``7 months``, then ``3 years``."""
    shown = _read(at)
    if shown is None:
        return ""
    seconds = int(abs((now - shown) / timedelta(seconds=1)))
    for size, name, least in ((YEAR, "years", 2), (MONTH, "months", 2)):
        if seconds >= least * size:
            return f"{seconds // size} {name}"
    for size, name, smaller, lesser in ((DAY, "d", HOUR, "h"), (HOUR, "h", MINUTE, "min")):
        if seconds >= size:
            rest = seconds % size // smaller
            return f"{seconds // size} {name}" + (f" {rest} {lesser}" if rest else "")
    return f"{seconds // MINUTE} min" if seconds >= MINUTE else f"{seconds} s"


def _read(at: datetime | str | None) -> datetime | None:
    return datetime.fromisoformat(at) if isinstance(at, str) and at else at if isinstance(at, datetime) else None


FILTERS: dict[str, Callable[..., Any]] = {
    "status": status_word,
    "state": state_word,
    "system": system_word,
    "kind": kind_word,
    "day": day_word,
    "moment": moment_word,
    "exact": exact_word,
    "age": age_word,
}
