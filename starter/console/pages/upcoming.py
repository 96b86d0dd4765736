"""The Upcoming page: everything that is planned, as a calendar month and as a list."""

import asyncio
from calendar import Calendar
from collections import defaultdict
from datetime import UTC, date, datetime, time
from typing import Annotated, Any

from fastapi import Request
from fastapi.responses import Response
from pydantic import BeforeValidator, Field, ValidatorFunctionWrapHandler, WrapValidator

from starter.console.calendar_feed import feed_path
from starter.console.forms.action import reschedule
from starter.console.pages.sites import ChosenSite
from starter.console.plans import A_DAY, FOREVER
from starter.console.rendering import page_router, reads_of
from starter.directory.console import MOST_PLANS, Plan
from starter.web import dependencies
from workflows.domain.dates import local_day

PATH = "/upcoming"
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
LISTED = 100  # on one page of the list
WEEKS = 5  # of the calendar that begins today
YEARS = range(2000, 3000)


def _or_none(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    """What an address names that there is not counts as left out."""
    try:
        return handler(value)
    except ValueError:
        return None


Lenient = WrapValidator(_or_none)
Day = Annotated[date | None, Field(ge=date(YEARS[0], 1, 1), le=date(YEARS[-1], 12, 31)), Lenient]
Month = Annotated[Day, BeforeValidator(lambda month: month and f"{month}-01")]
Skip = Annotated[int | None, Field(ge=0, le=999_999), Lenient]

upcoming = page_router()


@upcoming.get(PATH)
async def show_upcoming(
    request: Request, choice: ChosenSite, month: Month = None, day: Day = None, skip: Skip = None
) -> Response:
    """The weeks from today on, or a month, as a calendar; below it all that is ahead, or what there is on one day."""
    caller = dependencies.caller_of(request)
    now, zones = datetime.now(UTC), {site.timezone for site in ([choice.site] if choice.site else choice.sites)}
    today = local_day(now, min(zones) if len(zones) == 1 else "UTC")
    first = month or (day.replace(day=1) if day else None)
    weeks = Calendar().monthdatescalendar(first.year, first.month) if first else _weeks_from(today)
    skipped = 0 if day else skip or 0
    begin, end = _around(day, day) if day else (now, FOREVER)
    reads, where = reads_of(request), choice.site_id or None
    drawing, listed = await asyncio.gather(
        reads.plans(where, *_around(weeks[0][0], weeks[-1][-1])),
        reads.plans(where, begin, end, MOST_PLANS if day else LISTED + 1, skipped),
    )
    by_day: dict[date, list[Plan]] = defaultdict(list)
    for plan in drawing:
        by_day[_day_of(plan)].append(plan)
    if day:
        listed = [plan for plan in listed if _day_of(plan) == day]
    shown_month = first or today.replace(day=1)
    return choice.page(
        request,
        "upcoming.html",
        zones=sorted(zones),
        today=today,
        month=first,
        weekdays=WEEKDAYS,
        weeks=weeks,
        by_day=by_day,
        cut=len(drawing) == MOST_PLANS,
        only=day,
        plans=listed if day else listed[:LISTED],
        later=skipped + LISTED if not day and len(listed) > LISTED else 0,
        skipped=skipped,
        before=_month_of(shown_month - A_DAY) if first else shown_month,
        after=_month_of(shown_month + 31 * A_DAY),
        address=lambda **query: choice.address(PATH, **{"month": f"{first:%Y-%m}" if first else "", **query}),
        reschedule=reschedule,
        home=request.app.state.names.public_url,
        feed_path="" if caller.openid else feed_path(request.app.state.token, choice.site_id, caller.token_id),
        sees_all=caller.sees_all,
        own_token=bool(caller.token_id),
    )


def _around(first: date, last: date) -> tuple[datetime, datetime]:
    """Between which instants these days lie, wherever on earth."""
    begin, end = (datetime.combine(day, time.min, UTC) for day in (first - A_DAY, last + 2 * A_DAY))
    return begin, end


def _weeks_from(today: date) -> list[list[date]]:
    """The weeks of the calendar that begin with this one."""
    monday = today - today.weekday() * A_DAY
    return [[monday + (7 * week + place) * A_DAY for place in range(7)] for week in range(WEEKS)]


def _day_of(plan: Plan) -> date:
    return plan.day or local_day(plan.at, plan.timezone)


def _month_of(day: date) -> date | None:
    return day.replace(day=1) if day.year in YEARS else None
