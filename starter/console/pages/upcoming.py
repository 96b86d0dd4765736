"""The Upcoming page: everything that is planned, as a calendar month and as a list."""

import asyncio
import re
from calendar import Calendar
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from starter.console.calendar_feed import FOREVER, feed_path
from starter.console.forms.action import reschedule
from starter.console.pages.sites import chosen_before, remembering, site_of
from starter.console.plans import A_DAY, At
from starter.console.rendering import Page, page, reads_of
from starter.contract.answers import Site
from starter.directory.console import MOST_PLANS, Plan
from starter.web.dependencies import Clients
from workflows.domain.dates import at_site, local_day

PATH = "/upcoming"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
FEW = 4  # changes that a day of the calendar names; the rest are in the list
LISTED = 100  # on one page of the list
YEARS = range(2000, 3000)

upcoming = APIRouter(include_in_schema=False, route_class=Page)


@dataclass(frozen=True)
class Entry:
    """A planned change as it is shown, in the time of its site."""

    plan: Plan

    @property
    def day(self) -> date:
        return local_day(self.plan.at, self.plan.timezone)

    @property
    def clock(self) -> str:
        return f"{at_site(self.plan.at, self.plan.timezone):%H:%M}"

    @property
    def last_day(self) -> date | None:
        return At(self.plan, self.plan.timezone).last_day

    @property
    def reschedule(self) -> tuple[str, str]:
        return reschedule(self.plan.client_id, self.plan, self.plan.timezone)


@dataclass(frozen=True)
class Day:
    """A square of the calendar. ``more`` are those that are not named in it."""

    day: date
    inside: bool
    entries: Sequence[Entry]

    @property
    def named(self) -> Sequence[Entry]:
        return self.entries if len(self.entries) <= FEW + 1 else self.entries[:FEW]

    @property
    def more(self) -> int:
        return len(self.entries) - len(self.named)


@upcoming.get(PATH)
async def show_upcoming(request: Request, clients: Clients, month: str = "", day: str = "", skip: str = "") -> Response:
    """A month of the calendar and, below it, all that is ahead, or what is planned for one day."""
    sites = (await clients.directory.sites()).items
    if before := chosen_before(request, sites):
        return before
    site, now = site_of(request, sites), datetime.now(UTC)
    zones = {one.timezone for one in ([site] if site else sites)}
    today = local_day(now, min(zones) if len(zones) == 1 else "UTC")
    only, past = _day(day), _number(skip)
    first = _month(month) or (only or today).replace(day=1)
    weeks = Calendar().monthdatescalendar(first.year, first.month)
    begin, end = _around(only, only) if only else (now, FOREVER)
    reads, where = reads_of(request), site.site_id if site else None
    drawn, ahead = await asyncio.gather(
        reads.plans(where, *_around(weeks[0][0], weeks[-1][-1])),
        reads.plans(where, begin, end, MOST_PLANS if only else LISTED + 1, 0 if only else past),
    )
    listed = [entry for entry in map(Entry, ahead) if only is None or entry.day == only]
    answer = page(
        request,
        "upcoming.html",
        sites=sites,
        site=site,
        zones=sorted(zones),
        today=today,
        month=first,
        weekdays=WEEKDAYS,
        weeks=_squares(weeks, first.month, map(Entry, drawn)),
        cut=len(drawn) == MOST_PLANS,
        only=only,
        entries=listed[:LISTED] if only is None else listed,
        later=past + LISTED if only is None and len(listed) > LISTED else 0,
        skipped=past if only is None else 0,
        before=_neighbour(first - A_DAY),
        after=_neighbour(first + 31 * A_DAY),
        address=lambda **said: address(site, first if first != today.replace(day=1) else None, **said),
        home=request.app.state.names.public_url,
        feed_path=feed_path(request.app.state.token, where or ""),
    )
    return remembering(request, answer, site)


def address(site: Site | None, shown: date | None, /, **said: object) -> str:
    """Where this page shows something else. A site is always said: to say none means the one chosen last."""
    asked = {"site": site.site_id if site else "", "month": f"{shown:%Y-%m}" if shown else "", **said}
    return f"{PATH}?{urlencode({name: value for name, value in asked.items() if value or name == 'site'})}"


def _squares(weeks: list[list[date]], month: int, entries: Iterable[Entry]) -> list[list[Day]]:
    by_day: dict[date, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_day[entry.day].append(entry)
    return [[Day(day, day.month == month, by_day[day]) for day in week] for week in weeks]


def _around(first: date, last: date) -> tuple[datetime, datetime]:
    """Between which instants these days lie, wherever on earth."""
    begin, end = (datetime.combine(day, time.min, UTC) for day in (first - A_DAY, last + 2 * A_DAY))
    return begin, end


def _month(said: str) -> date | None:
    """The first day of the month that an address says; None when it says none that there is."""
    if not re.fullmatch(r"\d{4}-\d{2}", said, re.ASCII):
        return None
    return _day(f"{said}-01")


def _day(said: str) -> date | None:
    try:
        day = date.fromisoformat(said)
    except ValueError:
        return None
    return day if day.year in YEARS else None


def _neighbour(day: date) -> date | None:
    return day.replace(day=1) if day.year in YEARS else None


def _number(said: str) -> int:
    return int(said) if re.fullmatch(r"\d{1,6}", said, re.ASCII) else 0
