"""Local days of a site as instants (PRODUCT.md section 4). The only place that does time-zone arithmetic.

The rules of time zones change, and a replay may run under others than the first run did. So no decision of a client may
depend on what they say: ``resolve`` is for the API, for the activity ``resolve_days`` and for what is never replayed,
and the instant is recorded with the version of the rules. What people read may be told by today's rules.

This module is passed through the workflow sandbox: ``ZoneInfo`` made inside it is restricted (TEMPORAL.md section 15).
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any
from zoneinfo import ZoneInfo

from workflows.domain.errors import InvalidField

# Days that every zone can tell: a day nearer to an end of the calendar has no instant in some of them.
FIRST_DAY, LAST_DAY = date(1, 1, 3), date(9999, 12, 28)


@dataclass(frozen=True)
class NamedDay:
    """A local day that somebody named. Of a ``last`` day the first instant after it counts, else its own first."""

    day: date
    last: bool = False


@dataclass(frozen=True)
class ResolvedDay:
    """A named day as the instant that counts, in which zone, and by which version of the zone rules: ``2026f``."""

    day: date
    zone: str
    instant: datetime
    rules: str


class _WheelZone(ZoneInfo):
    """A zone as the tzdata wheel has it. ``ZoneInfo`` alone cannot be copied when it was read from a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return zone, (self.key,)


def _tzdata() -> Traversable:
    """The zone rules: those of the wheel, which we pin, never the machine's."""
    return files("tzdata")


@cache
def zone_rules() -> str:
    """The version of the zone rules in use: ``2026f``."""
    with _tzdata().joinpath("zoneinfo", "tzdata.zi").open(encoding="utf-8") as file:
        return file.readline().removeprefix("# version").strip()


@cache
def zone_names() -> frozenset[str]:
    """Every IANA time zone there is."""
    return frozenset((_tzdata() / "zones").read_text(encoding="utf-8").split())


def zone(name: str) -> ZoneInfo:
    """The IANA time zone of that name.

    Raises InvalidField when there is none.
    """
    if name not in zone_names():
        raise InvalidField(f"{name!r} is not an IANA time zone", "Give a name such as Europe/London", field="timezone")
    return _read(name)


@cache
def _read(name: str) -> ZoneInfo:
    with _tzdata().joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return _WheelZone.from_file(file, key=name)


def check_day(day: date, field: str) -> None:
    """Raises InvalidField for a day at an end of the calendar, which no clock will ever show."""
    if not FIRST_DAY <= day <= LAST_DAY:
        raise InvalidField(f"{day.isoformat()} is at the end of the calendar", "Give a day that can come", field=field)


def resolve(named: NamedDay, timezone: str) -> ResolvedDay:
    """The instant of a day, by the zone rules in use. Raises InvalidField for a day at an end of the calendar."""
    check_day(named.day, "last_day" if named.last else "start_date")
    instant = end_of(named.day, timezone) if named.last else first_instant(named.day, timezone)
    return ResolvedDay(named.day, timezone, instant, zone_rules())


def fits(resolved: ResolvedDay | None, named: NamedDay, timezone: str) -> bool:
    """Whether this is that day there, as far as can be told without the zone rules: no zone is a day from UTC."""
    if resolved is None or (resolved.day, resolved.zone) != (named.day, timezone):
        return False
    midnight = datetime.combine(named.day, time.min, tzinfo=UTC) + timedelta(days=named.last)
    return abs(resolved.instant - midnight) <= timedelta(days=1)


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
    return at_site(instant, timezone).date()


def local_time(instant: datetime, timezone: str) -> str:
    """An instant as an operator reads it: ``2027-03-01 00:00 Europe/London``.

    It has the same length under all rules: what waits for the directory is limited by its size.
    """
    local = at_site(instant, timezone)
    text = f"{local:%Y-%m-%d %H:%M}{f':{local:%S}' if instant.second else ''}"
    return f"{text} {local.tzinfo!s:<{len(timezone)}}"


def at_site(instant: datetime, timezone: str) -> datetime:
    """The same instant with the site's offset, for RFC 3339; in UTC where the rules in use have no such zone."""
    return instant.astimezone(_clock_of(timezone))


def _clock_of(timezone: str) -> tzinfo:
    """A zone to tell people the time in. Rules of an earlier year may lack it, and that must not stop a client."""
    return zone(timezone) if timezone in zone_names() else UTC
