"""Local days of a site as instants: last days, offsets, and every odd midnight (PRODUCT.md section 4)."""

import copy
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from workflows.domain.dates import (
    FIRST_DAY,
    LAST_DAY,
    at_site,
    check_day,
    end_of,
    first_instant,
    local_day,
    local_time,
    zone,
    zone_names,
)
from workflows.domain.errors import InvalidField

SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
zones = st.sampled_from(sorted(zone_names()))
days = st.dates(date(1990, 1, 1), date(2100, 12, 31))
often = settings(max_examples=1500, derandomize=True, deadline=None, database=None)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("timezone", "last_day", "instant"),
    [
        ("Europe/London", "2026-12-31", "2027-01-01 00:00"),
        ("Europe/London", "2026-07-31", "2026-07-31 23:00"),
        ("Europe/London", "2028-02-28", "2028-02-29 00:00"),
        ("America/New_York", "2026-12-31", "2027-01-01 05:00"),
        ("America/St_Johns", "2026-12-31", "2027-01-01 03:30"),
        ("Pacific/Marquesas", "2026-12-31", "2027-01-01 09:30"),
        ("Pacific/Pago_Pago", "2026-12-31", "2027-01-01 11:00"),
        ("Asia/Kathmandu", "2026-12-31", "2026-12-31 18:15"),
        ("Pacific/Tongatapu", "2026-12-31", "2026-12-31 11:00"),  # UTC+13
        ("Pacific/Kiritimati", "2026-12-31", "2026-12-31 10:00"),  # UTC+14
        ("Pacific/Chatham", "2026-12-31", "2026-12-31 10:15"),  # UTC+13:45
        ("UTC", "2026-12-31", "2027-01-01 00:00"),
    ],
)
def test_a_last_day_is_inclusive_it_ends_with_the_first_instant_of_the_next(
    timezone: str, last_day: str, instant: str
) -> None:
    assert end_of(date.fromisoformat(last_day), timezone) == utc(instant)


@pytest.mark.parametrize(
    ("timezone", "day", "instant", "reads"),
    [
        ("America/Sao_Paulo", "2018-11-04", "2018-11-04 03:00", "2018-11-04 01:00"),
        ("America/Havana", "2024-03-10", "2024-03-10 05:00", "2024-03-10 01:00"),
        ("Africa/Cairo", "2024-04-26", "2024-04-25 22:00", "2024-04-26 01:00"),
        ("Asia/Beirut", "2024-03-31", "2024-03-30 22:00", "2024-03-31 01:00"),
        ("America/Asuncion", "2023-10-01", "2023-10-01 04:00", "2023-10-01 01:00"),
        ("America/Santiago", "2024-09-08", "2024-09-08 04:00", "2024-09-08 01:00"),
    ],
)
def test_a_day_whose_midnight_does_not_exist_begins_when_the_clocks_go_forward(
    timezone: str, day: str, instant: str, reads: str
) -> None:
    begins = first_instant(date.fromisoformat(day), timezone)
    assert begins == utc(instant)
    assert local_time(begins, timezone) == f"{reads} {timezone}"


@pytest.mark.parametrize(
    ("timezone", "day", "instant"),
    [
        ("America/Havana", "2024-11-03", "2024-11-03 04:00"),  # 01:00 goes back to 00:00
        ("America/St_Johns", "2010-11-07", "2010-11-07 02:30"),  # 00:01 goes back to 23:01 of the day before
        ("America/Sao_Paulo", "2018-02-18", "2018-02-18 03:00"),  # 00:00 goes back to 23:00: one midnight, the later
        ("Africa/Cairo", "2024-11-01", "2024-10-31 22:00"),  # the same
        ("Asia/Beirut", "2024-10-27", "2024-10-26 22:00"),
        ("Atlantic/Azores", "2024-10-27", "2024-10-27 00:00"),  # 01:00 goes back to 00:00
    ],
)
def test_a_day_whose_midnight_comes_twice_begins_with_the_first(timezone: str, day: str, instant: str) -> None:
    begins = first_instant(date.fromisoformat(day), timezone)
    assert begins == utc(instant)
    assert local_day(begins - SECOND, timezone) == date.fromisoformat(day) - DAY


def test_a_day_that_a_country_skipped_begins_and_ends_with_the_next_one() -> None:
    """Samoa crossed the date line: 30 December 2011 did not happen there."""
    crossing = utc("2011-12-30 10:00")
    skipped = date(2011, 12, 30)
    assert end_of(skipped - DAY, "Pacific/Apia") == crossing
    assert first_instant(skipped, "Pacific/Apia") == crossing
    assert first_instant(skipped + DAY, "Pacific/Apia") == crossing
    assert local_day(crossing, "Pacific/Apia") == skipped + DAY
    assert local_day(crossing - SECOND, "Pacific/Apia") == skipped - DAY


@often
@given(timezone=zones, day=days)
@example(timezone="Pacific/Apia", day=date(2011, 12, 30))
@example(timezone="Pacific/Kwajalein", day=date(1993, 8, 21))
@example(timezone="Pacific/Kiritimati", day=date(1994, 12, 31))
@example(timezone="America/St_Johns", day=date(2010, 11, 7))
@example(timezone="America/Havana", day=date(2024, 11, 3))
@example(timezone="Africa/Monrovia", day=date(1990, 1, 1))
@example(timezone="Africa/Juba", day=date(2021, 2, 1))
def test_the_first_instant_is_the_earliest_whose_local_date_is_that_day_or_later(timezone: str, day: date) -> None:
    begins = first_instant(day, timezone)
    assert begins.tzinfo is UTC
    assert begins.microsecond == 0
    assert local_day(begins, timezone) >= day
    assert local_day(begins - timedelta(microseconds=1), timezone) < day
    assert local_day(begins - SECOND, timezone) < day
    for hours in range(1, 73):  # nor does the day come earlier still, and then go away again
        assert local_day(begins - timedelta(hours=hours), timezone) < day


@often
@given(timezone=zones, day=days)
@example(timezone="Pacific/Apia", day=date(2011, 12, 29))
def test_a_day_ends_where_the_next_begins_and_days_come_in_order(timezone: str, day: date) -> None:
    begins, ends = first_instant(day, timezone), end_of(day, timezone)
    assert ends == first_instant(day + DAY, timezone)
    assert begins <= ends
    if local_day(begins, timezone) == day:
        assert begins < ends


def test_every_midnight_that_the_clocks_move_over_is_the_first_instant_of_its_day() -> None:
    """Not sampled: every day of 1990 to 2037 in zones that change, or changed, their clocks about midnight."""
    for timezone in ("America/St_Johns", "America/Havana", "Africa/Cairo", "Asia/Gaza", "America/Sao_Paulo"):
        before = first_instant(date(1990, 1, 1), timezone)
        for number in range(1, 48 * 365):
            day = date(1990, 1, 1) + number * DAY
            begins = first_instant(day, timezone)
            assert before < begins
            assert local_day(begins, timezone) == day
            assert local_day(begins - SECOND, timezone) < day
            before = begins


@pytest.mark.parametrize("timezone", ["Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/London", "Asia/Tokyo"])
@pytest.mark.parametrize("day", [FIRST_DAY, LAST_DAY, date(1, 12, 31), date(9998, 12, 31)])
def test_days_near_the_ends_of_the_calendar_can_be_reckoned_with(timezone: str, day: date) -> None:
    check_day(day, "last_day")
    assert first_instant(day, timezone) < end_of(day, timezone)
    assert local_time(end_of(day, timezone), timezone).endswith(timezone)


@pytest.mark.parametrize("day", [date.min, FIRST_DAY - DAY, LAST_DAY + DAY, date.max])
def test_a_day_at_an_end_of_the_calendar_is_refused_by_the_field_it_came_in(day: date) -> None:
    with pytest.raises(InvalidField) as refused:
        check_day(day, "start_date")
    assert refused.value.field == "start_date"


def test_the_last_day_of_all_has_no_next() -> None:
    with pytest.raises(InvalidField) as refused:
        end_of(date.max, "UTC")
    assert refused.value.field == "last_day"


@pytest.mark.parametrize("name", ["", "Europe/Atlantis", "../etc/passwd", "/etc/passwd", "Europe", "GMT+25", "a\0b"])
def test_what_is_no_time_zone_is_refused(name: str) -> None:
    with pytest.raises(InvalidField) as refused:
        zone(name)
    assert refused.value.field == "timezone"
    assert "Europe/London" in refused.value.remedy


def test_the_machines_own_zones_are_not_asked_and_stay_as_they_are_for_others(tmp_path: Path) -> None:
    """The pinned wheel decides: what a machine's update changes would differ from one replay to the next."""
    (tmp_path / "Europe").mkdir()
    (tmp_path / "Europe/London").write_bytes((files("tzdata") / "zoneinfo/Asia/Tokyo").read_bytes())
    program = (
        "import zoneinfo; from datetime import datetime; from workflows.domain.dates import zone\n"
        "for a_zone in zone('Europe/London'), zoneinfo.ZoneInfo('Europe/London'):\n"
        "    print(datetime(2027, 1, 1, tzinfo=a_zone).utcoffset())"
    )
    environment = {**os.environ, "PYTHONTZPATH": str(tmp_path)}
    printed = subprocess.check_output([sys.executable, "-c", program], env=environment, encoding="utf-8")
    assert printed.split() == ["0:00:00", "9:00:00"]


def test_every_zone_of_the_wheel_is_a_zone_that_can_be_copied() -> None:
    for name in zone_names():
        assert copy.deepcopy(zone(name)) is zone(name)
        assert str(zone(name)) == name


def test_an_instant_reads_as_the_sites_clock_shows_it() -> None:
    assert local_time(utc("2027-07-01 11:30"), "Europe/London") == "2027-07-01 12:30 Europe/London"
    assert local_time(utc("2027-07-01 11:30:05"), "UTC") == "2027-07-01 11:30:05 UTC"
    there = at_site(utc("2027-07-01 11:30"), "America/St_Johns")
    assert there.isoformat() == "2027-07-01T09:00:00-02:30"
    assert str(there.tzinfo) == "America/St_Johns"
