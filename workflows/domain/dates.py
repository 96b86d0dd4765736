"""Local days of a site as instants (PRODUCT.md section 4). The only place that does time-zone arithmetic.

This module is passed through the workflow sandbox: ``ZoneInfo`` made inside it is restricted (TEMPORAL.md section 15).
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

from workflows.domain.errors import InvalidField

# Days that every zone can tell: a day nearer to an end of the calendar has no instant in some of them.
FIRST_DAY, LAST_DAY = date(1, 1, 3), date(9999, 12, 28)


class _WheelZone(ZoneInfo):
    """A zone as the tzdata wheel has it. ``ZoneInfo`` alone cannot be copied when it was read from a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return zone, (self.key,)


@cache
def zone_names() -> frozenset[str]:
    """Every IANA time zone there is.

    A replay must see the zones that the first run saw: the wheel decides, which we pin, never the machine.
    """
    return frozenset((files("tzdata") / "zones").read_text(encoding="utf-8").split())


def zone(name: str) -> ZoneInfo:
    """The IANA time zone of that name.

    Raises InvalidField when there is none.
    """
    if name not in zone_names():
        raise InvalidField(f"{name!r} is not an IANA time zone", "Give a name such as Europe/London", field="timezone")
    return _read(name)


@cache
def _read(name: str) -> ZoneInfo:
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return _WheelZone.from_file(file, key=name)


def check_day(day: date, field: str) -> None:
    """Raises InvalidField for a day at an end of the calendar, which no clock will ever show."""
    if not FIRST_DAY <= day <= LAST_DAY:
        raise InvalidField(f"{day.isoformat()} is at the end of the calendar", "Give a day that can come", field=field)


def first_instant(day: date, timezone: str) -> datetime:
    """The first instant of a local day, in UTC.

    A midnight that happens twice (clocks go back) counts the first time; one that never happens (clocks go forward)
    gives the instant the clocks change, the first that exists on or after it.
    """
    local = zone(timezone)
    midnight = datetime.combine(day, time.min, tzinfo=local)
    instant = midnight.astimezone(UTC)
    if instant.astimezone(local).replace(tzinfo=None) == midnight.replace(tzinfo=None):
        return instant
    before, after = sorted((instant, midnight.replace(fold=1).astimezone(UTC)))
    offset = before.astimezone(local).utcoffset()
    while after - before > timedelta(seconds=1):  # the change lies in between: halve until it is found
        middle = before + (after - before) // 2
        if middle.astimezone(local).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)


def end_of(last_day: date, timezone: str) -> datetime:
    """The instant after a last day of service, inclusive: the first of the next day.

    Raises InvalidField for the last day there is.
    """
    try:
        return first_instant(last_day + timedelta(days=1), timezone)
    except OverflowError as never:
        raise InvalidField(f"{last_day} has no next day", "Give an earlier day", field="last_day") from never


def local_day(instant: datetime, timezone: str) -> date:
    """The calendar day it is at the site at that instant."""
    return instant.astimezone(zone(timezone)).date()


def local_time(instant: datetime, timezone: str) -> str:
    """An instant as an operator reads it: ``2027-03-01 00:00 Europe/London``."""
    local = instant.astimezone(zone(timezone))
    return f"{local:%Y-%m-%d %H:%M}{f':{local:%S}' if local.second else ''} {timezone}"


def at_site(instant: datetime, timezone: str) -> datetime:
    """The same instant with the site's offset, for RFC 3339."""
    return instant.astimezone(zone(timezone))
