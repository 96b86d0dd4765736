"""Claims about the drawing of a client's life: what it tells, and that nothing in it lies over something else."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from itertools import combinations, pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from starter.console.timeline import WIDTH, Band, Mark, Timeline, timeline_of
from tests.support.builders import LONDON, NOW, RESIDENTIAL, in_directory, tenant
from workflows.domain.client.client import Client
from workflows.domain.commands import (
    ClientCommand,
    Convert,
    Decommission,
    Suspend,
    Unsuspend,
)
from workflows.domain.dates import first_instant
from workflows.domain.errors import Refusal
from workflows.domain.lifecycle import Activation, Status
from workflows.domain.services import ClientType
from workflows.wire.views import ClientView

KYIV, TOKYO = "Europe/Kyiv", "Asia/Tokyo"


def drawn(client: Client, *changes: tuple[datetime, str], now: datetime = NOW, **shown: Any) -> Timeline:
    """The drawing of a client, whose status never changed unless said otherwise."""
    view = ClientView.of(in_directory(client, now=now), now).model_copy(update=shown)
    return timeline_of(view, changes or [(client.created_at, client.status.value)], now)


def ahead(drawing: Timeline) -> list[str]:
    return [band.status for band in drawing.bands if band.ahead]


def mark(drawing: Timeline, kind: str) -> Mark:
    return next(mark for mark in drawing.marks if mark.kind == kind)


# -- what is to come --------------------------------------------------------------------------------------------------


def test_nothing_is_drawn_after_the_end() -> None:
    client = tenant()
    client.obey(Suspend(last_day=date(2028, 1, 31)), NOW)
    client.obey(Decommission(last_day=date(2027, 6, 30)), NOW)
    drawing = drawn(client)
    assert ahead(drawing) == ["active"]
    assert mark(drawing, "suspend").void
    assert "Suspend planned for 2028-02-01 00:00 Europe/London, which will not come" in drawing.told
    assert not mark(drawing, "decommission").void


def test_a_client_that_another_hold_keeps_suspended_is_drawn_so() -> None:
    client = tenant(Status.SUSPENDED)
    client.obey(Suspend(source="security"), NOW)
    client.obey(Unsuspend(source="billing", last_day=date(2026, 5, 1)), NOW)
    assert ahead(drawn(client)) == ["suspended"]


def test_a_new_client_stays_new_until_it_is_activated() -> None:
    client = tenant(Status.NEW, start_date=date(2027, 3, 28))
    client.obey(Suspend(last_day=date(2026, 11, 30)), NOW)
    assert ahead(drawn(client)) == ["new", "suspended"]


def test_plans_published_before_they_said_what_becomes_of_them_are_guessed() -> None:
    client = tenant(Status.SUSPENDED)
    client.obey(Suspend(source="security"), NOW)
    client.obey(Unsuspend(source="billing", at=NOW + timedelta(days=20)), NOW)
    client.obey(Convert(to=ClientType.VIRTUAL, at=NOW + timedelta(days=400)), NOW)
    client.obey(Decommission(at=NOW + timedelta(days=300)), NOW)
    view = ClientView.of(in_directory(client), NOW)
    published = view.model_dump(mode="json")
    for plan in published["planned"]:
        del plan["status_after"]
    old = ClientView.model_validate(published)
    changes = [(client.created_at, "suspended")]
    assert timeline_of(old, changes, NOW).told == timeline_of(view, changes, NOW).told


def test_a_guess_draws_nothing_after_the_end_either() -> None:
    client = tenant(Status.NEW)
    client.obey(Suspend(last_day=date(2028, 1, 31)), NOW)
    client.obey(Decommission(last_day=date(2027, 6, 30)), NOW)
    published = ClientView.of(in_directory(client), NOW).model_dump(mode="json")
    for plan in published["planned"]:
        del plan["status_after"]
    drawing = timeline_of(ClientView.model_validate(published), [(client.created_at, "new")], NOW)
    assert ahead(drawing) == ["new", "active"]
    assert mark(drawing, "suspend").void


# -- start, end, and what was before ----------------------------------------------------------------------------------


def test_a_contract_older_than_the_record_begins_without_a_status() -> None:
    drawing = drawn(tenant(start_date=date(2020, 1, 1)))
    before, active, *_ = drawing.bands
    assert (before.status, before.told) == ("before", "Contract before Connect from 1 Jan 2020 to 31 Jan 2026")
    assert before.label == "before Connect"
    assert before.x == mark(drawing, "start").x
    assert round(before.x + before.width, 1) == active.x


def test_the_first_and_the_last_day_are_marked_and_a_past_one_stands_out() -> None:
    drawing = drawn(tenant(end_date=date(2026, 2, 20)))
    assert mark(drawing, "end").past
    assert "End date 20 Feb 2026, which is past" in drawing.told
    drawing = drawn(tenant(end_date=NOW.date()))
    assert not mark(drawing, "end").past, "the last day is inclusive"
    assert mark(drawing, "end").x > drawing.now
    assert mark(drawn(tenant(Status.NEW)), "start").x > drawing.now


def test_a_client_that_waits_for_a_person_shows_its_start_date_all_the_same() -> None:
    drawing = drawn(tenant(Status.NEW, activation=Activation.MANUAL))
    assert ahead(drawing) == ["new"]
    assert "Start date 1 Jun 2026" in drawing.told


def test_days_are_those_of_the_site() -> None:
    created = datetime(2026, 2, 28, 20, tzinfo=UTC)  # the first of March in Tokyo
    client = Client("acme", "Acme", "tower", TOKYO, RESIDENTIAL, date(2026, 3, 1), created)
    drawing = drawn(client, (created, "active"))
    assert drawing.bands[0].told == "Active from 1 Mar 2026 to today"
    tick = next(tick for tick in drawing.ticks if tick.label == "9 Mar")
    assert tick.x == _place(client, first_instant(date(2026, 3, 9), TOKYO))


def _place(client: Client, at: datetime) -> float:
    """Where the drawing of the client has a plan of that moment."""
    view = ClientView.of(in_directory(client), NOW)
    plain = timeline_of(view, [(client.created_at, "active")], NOW)
    begin, end = plain.now, WIDTH - 8
    return round(begin + (at - NOW) / timedelta(days=14) * (end - begin), 1)


# -- legibility -------------------------------------------------------------------------------------------------------


def test_what_is_near_stays_apart_from_today_when_something_else_is_decades_ahead() -> None:
    client = tenant()
    client.obey(Suspend(at=NOW + timedelta(days=4)), NOW)
    client.obey(Decommission(last_day=date(2099, 3, 31)), NOW)
    drawing = drawn(client)
    assert mark(drawing, "suspend").x - drawing.now >= 30
    assert [gap.label for gap in drawing.breaks] == ["73 years"]
    assert mark(drawing, "suspend").x < drawing.breaks[0].x < mark(drawing, "decommission").x


def test_several_gaps_of_decades_leave_room_for_what_is_near() -> None:
    client = tenant()
    client.obey(Suspend(at=NOW + timedelta(days=4)), NOW)
    client.obey(Decommission(last_day=date(2099, 3, 31)), NOW)
    drawing = drawn(client, start_date=date(2003, 5, 1), end_date=date(2060, 1, 31))
    assert len(drawing.breaks) == 3
    assert mark(drawing, "suspend").x - drawing.now >= 60


def test_a_life_that_ends_takes_the_whole_axis() -> None:
    client = tenant()
    client.obey(Decommission(at=NOW + timedelta(days=5)), NOW)
    assert mark(drawn(client), "decommission").x > 800
    assert drawn(tenant(Status.DECOMMISSIONED), (NOW - timedelta(days=30), "active")).now > 800


def test_a_client_that_started_at_once_was_never_seen_as_new() -> None:
    begun = NOW - timedelta(days=30)
    drawing = drawn(tenant(start_date=begun.date()), (begun, "new"), (begun + timedelta(seconds=1), "active"))
    assert [band.status for band in drawing.bands] == ["active", "active"]
    assert drawing.bands[0].told == "Active from 31 Jan 2026 to today"


def test_very_many_statuses_are_all_to_be_seen() -> None:
    begun = NOW - timedelta(days=7000)
    changes = [(begun + timedelta(days=n), "suspended" if n % 2 else "active") for n in range(50)]
    drawing = drawn(tenant(), *changes)
    past = [band for band in drawing.bands if not band.ahead and band.status != "before"]
    assert len(past) == 50
    assert all(band.width >= 5 for band in past)


def test_of_more_statuses_than_can_be_seen_the_last_are_drawn_and_that_is_said() -> None:
    begun = NOW - timedelta(days=7000)
    changes = [(begun + timedelta(days=n), "suspended" if n % 2 else "active") for n in range(500)]
    drawing = drawn(tenant(start_date=date(1990, 1, 1)), *changes)
    assert drawing.told[0] == "Earlier statuses are in the history"
    assert [band.status for band in drawing.bands if band.status == "before"] == []


MOMENTS = st.one_of(
    st.integers(1, 14 * 86400),
    st.integers(86400, 900 * 86400),
    st.integers(300 * 86400, 170 * 365 * 86400),
)
DAYS = st.one_of(
    st.none(), st.dates(date(1900, 1, 1), date(2199, 12, 31)), st.dates(date(2025, 12, 1), date(2026, 6, 1))
)
KINDS = [
    lambda at: Suspend(source="billing", at=at),
    lambda at: Unsuspend(source="all", at=at),
    lambda at: Convert(to=ClientType.VIRTUAL, at=at),
    lambda at: Decommission(at=at),
]


@st.composite
def drawings(draw: st.DrawFn) -> Timeline:
    """The drawing of a client with any plans, dates and past."""
    zone = draw(st.sampled_from([LONDON, TOKYO, KYIV]))
    status = draw(st.sampled_from([Status.NEW, Status.ACTIVE, Status.SUSPENDED]))
    start = draw(DAYS) or date(2026, 1, 15)
    waits = Activation.MANUAL if status is Status.NEW else Activation.AUTOMATIC
    client = tenant(status, timezone=zone, start_date=date(2026, 1, 15), activation=waits)
    for kind in draw(st.lists(st.sampled_from(KINDS), unique=True)):
        plan: ClientCommand = kind(NOW + timedelta(seconds=draw(MOMENTS)))
        try:
            client.obey(plan, NOW)
        except Refusal:
            continue
    ages = sorted(draw(st.lists(MOMENTS, max_size=80)), reverse=True)
    words = ["new", "active", *["suspended", "active"] * 40]
    changes = [(NOW - timedelta(seconds=age), word) for age, word in zip(ages, words, strict=False)]
    return drawn(client, *changes, start_date=start, end_date=draw(DAYS))


def apart(spans: Iterable[tuple[float, float]]) -> bool:
    return all(left[1] <= right[0] for left, right in pairwise(sorted(spans)))


def named(bands: Iterable[Band]) -> list[Band]:
    return [band for band in bands if band.label]


@settings(max_examples=300, deadline=None)
@given(drawings())
def test_nothing_lies_over_anything_else(drawing: Timeline) -> None:
    axis = [drawing.today, *(tick.span for tick in drawing.ticks)]
    assert apart([*axis, *(gap.span for gap in drawing.breaks if gap.label)]), "the row of today"
    for row in {mark.row for mark in drawing.marks}:
        assert apart(mark.span for mark in drawing.marks if mark.row == row), f"row {row}"
    for one, other in combinations(drawing.marks, 2):
        for label, line in ((one, other), (other, one)):
            crossed = label.span[0] <= line.x <= label.span[1] and line.row >= label.row
            assert not crossed, f"the line of {line.label} crosses {label.label}"
    for band in named(drawing.bands):
        assert band.x <= band.span[0] <= band.span[1] <= band.x + band.width
        assert not any(band.span[0] <= gap.x + 9 and gap.x - 9 <= band.span[1] for gap in drawing.breaks)
    ordered = sorted(drawing.bands, key=lambda band: (band.x, band.width))
    assert all(one.x + one.width <= other.x + 1.6 for one, other in pairwise(ordered)), "bands follow each other"


@settings(max_examples=300, deadline=None)
@given(drawings())
def test_nothing_is_cut_off(drawing: Timeline) -> None:
    spans = [drawing.today, *(it.span for it in [*drawing.ticks, *drawing.breaks])]
    spans += [mark.span for mark in drawing.marks]
    spans += [(band.x, band.x + band.width) for band in drawing.bands]
    assert all(left >= 0 and right <= WIDTH for left, right in spans), spans
    assert all(56 - 16 * mark.row > drawing.top for mark in drawing.marks)


@settings(max_examples=200, deadline=None)
@given(drawings())
def test_time_goes_from_left_to_right_and_today_lies_between_what_was_and_what_comes(drawing: Timeline) -> None:
    assert all(band.x + band.width <= drawing.now + 1.6 for band in drawing.bands if not band.ahead)
    assert all(band.x >= drawing.now for band in drawing.bands if band.ahead)
    plans = [mark for mark in drawing.marks if mark.kind not in ("start", "end")]
    assert all(mark.x > drawing.now for mark in plans)
    assert [tick.x for tick in drawing.ticks] == sorted(tick.x for tick in drawing.ticks)
    told = len(drawing.told)
    assert told in {len(drawing.bands) + len(drawing.marks), len(drawing.bands) + len(drawing.marks) + 1}


def test_the_ends_of_the_calendar_can_be_drawn() -> None:
    for day in (date.min, date(1, 1, 3), date(9999, 12, 28), date.max):
        assert drawn(tenant(), start_date=day, end_date=day).told
    client = tenant()
    client.obey(Decommission(last_day=date(9999, 12, 26)), NOW)
    assert mark(drawn(client), "decommission").x < WIDTH
