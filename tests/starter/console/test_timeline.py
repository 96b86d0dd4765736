"""Claims about the drawing of a client's life: what it tells, and that every moment has its place in it."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from starter.console.plans import FOREVER
from starter.console.rendering import templates
from starter.console.timeline import LONG, Mark, Timeline, timeline_of
from starter.directory.console import StatusChange
from tests.support.builders import LONDON, NOW, RESIDENTIAL, dated, in_directory, starting, tenant
from workflows.domain.client.client import Client
from workflows.domain.commands import (
    ClientCommand,
    Convert,
    Decommission,
    Suspend,
    Unsuspend,
)
from workflows.domain.errors import Refusal
from workflows.domain.lifecycle import Activation, Status
from workflows.domain.services import ClientType
from workflows.wire.views import ClientView

KYIV, TOKYO = "Europe/Kyiv", "Asia/Tokyo"


def drawn(client: Client, *changes: tuple[datetime, str], now: datetime = NOW, **fields: Any) -> Timeline:
    """The drawing of a client, whose status never changed unless said otherwise."""
    view = ClientView.of(in_directory(client, now=now), now).model_copy(update=fields)
    return timeline_of(view, [StatusChange(*it) for it in changes or [(client.created_at, client.status.value)]], now)


def ahead(drawing: Timeline) -> list[str]:
    return [band.status for band in drawing.bands if band.ahead]


def mark(drawing: Timeline, kind: str) -> Mark:
    return next(mark for mark in drawing.marks if mark.kind == kind)


# -- what is to come --------------------------------------------------------------------------------------------------


def test_nothing_is_drawn_after_the_end() -> None:
    client = tenant()
    client.obey(dated(Suspend(last_day=date(2028, 1, 31))), NOW)
    client.obey(dated(Decommission(last_day=date(2027, 6, 30))), NOW)
    drawing = drawn(client)
    assert ahead(drawing) == ["active"]
    assert mark(drawing, "suspend").void
    assert "Suspend planned for 1 Feb 2028, 00:00 Europe/London, which will not come" in drawing.words
    assert not mark(drawing, "decommission").void


def test_a_client_that_another_hold_keeps_suspended_is_drawn_so() -> None:
    client = tenant(Status.SUSPENDED)
    client.obey(Suspend(source="security"), NOW)
    client.obey(dated(Unsuspend(source="billing", last_day=date(2026, 5, 1))), NOW)
    assert ahead(drawn(client)) == ["suspended"]


def test_a_new_client_stays_new_until_it_is_activated() -> None:
    client = tenant(Status.NEW, start_date=date(2027, 3, 28))
    client.obey(dated(Suspend(last_day=date(2026, 11, 30))), NOW)
    assert ahead(drawn(client)) == ["new", "suspended"]


def test_what_began_late_says_for_when_it_was_planned() -> None:
    due, begun = NOW - timedelta(hours=5), NOW - timedelta(hours=2)
    view = ClientView.of(in_directory(tenant(Status.SUSPENDED)), NOW)
    lines = [StatusChange(NOW - timedelta(days=9), "active"), StatusChange(begun, "suspended", due)]
    drawing = timeline_of(view, lines, NOW)
    suspended = next(band for band in drawing.bands if band.begun == begun)
    assert [band.late for band in drawing.bands if band is not suspended] == [""] * (len(drawing.bands) - 1)
    assert suspended.late == "3 h late"
    assert suspended.words.endswith("to today, 3 h late: planned for 2 Mar 2026, 05:00"), suspended.words
    page = templates.get_template("timeline.html").render(timeline=drawing)
    assert page.count('<span class="late">3 h late</span>') == 1


# -- start, end, and what was before ----------------------------------------------------------------------------------


def test_a_contract_older_than_the_record_begins_without_a_status() -> None:
    drawing = drawn(tenant(start_date=date(2020, 1, 1)))
    before, active, *_ = drawing.bands
    assert (before.status, before.words) == ("before", "Contract before Connect from 1 Jan 2020 to 31 Jan 2026")
    assert before.name == "before Connect"
    assert before.begun == mark(drawing, "start").at
    assert (active.status, active.begun) == ("active", NOW - timedelta(days=30))


def test_the_first_and_the_last_day_are_marked_and_a_past_one_stands_out() -> None:
    drawing = drawn(tenant(end_date=date(2026, 2, 20)))
    assert mark(drawing, "end").past
    assert "End date 20 Feb 2026, which is past" in drawing.words
    assert [column.day for column in drawing.columns if column.marks][-1] == "20 Feb 2026", "the last day, inclusive"
    drawing = drawn(tenant(end_date=NOW.date()))
    assert not mark(drawing, "end").past, "the last day is inclusive"
    assert mark(drawing, "end").at > NOW
    assert mark(drawn(tenant(Status.NEW)), "start").at > NOW


def test_a_client_that_waits_for_a_person_shows_its_start_date_all_the_same() -> None:
    drawing = drawn(tenant(Status.NEW, activation=Activation.MANUAL))
    assert ahead(drawing) == ["new"]
    assert "Start date 1 Jun 2026" in drawing.words


def test_days_are_those_of_the_site() -> None:
    created = datetime(2026, 2, 28, 20, tzinfo=UTC)  # the first of March in Tokyo
    client = Client("acme", "Acme", "tower", TOKYO, RESIDENTIAL, starting(date(2026, 3, 1), TOKYO), created)
    drawing = drawn(client, (created, "active"))
    assert drawing.bands[0].words == "Active from 1 Mar 2026 to today"
    assert drawing.columns[0].day == "1 Mar 2026"


# -- legibility -------------------------------------------------------------------------------------------------------


def test_what_is_near_and_what_is_decades_ahead_have_a_column_each_and_what_lasts_long_says_how_long() -> None:
    client = tenant()
    client.obey(Suspend(at=NOW + timedelta(days=4)), NOW)
    client.obey(dated(Decommission(last_day=date(2099, 3, 31))), NOW)
    drawing = drawn(client)
    today = next(place for place, column in enumerate(drawing.columns) if column.today)
    near, far = drawing.columns[today + 1 : today + 3]
    assert ([mark.kind for mark in near.marks], near.lasts) == (["suspend"], "73 years")
    assert ([mark.kind for mark in far.marks], far.lasts) == (["decommission"], "")
    assert drawing.columns[today].size < near.size, "the longer, the wider"


def test_several_gaps_of_decades_say_each_how_long_they_are() -> None:
    client = tenant()
    client.obey(Suspend(at=NOW + timedelta(days=4)), NOW)
    client.obey(dated(Decommission(last_day=date(2099, 3, 31))), NOW)
    drawing = drawn(client, start_date=date(2003, 5, 1), end_date=date(2060, 1, 31))
    assert [column.lasts for column in drawing.columns if column.lasts] == ["23 years", "34 years", "39 years"]


def test_a_life_that_ends_ends_the_drawing() -> None:
    client = tenant()
    client.obey(Decommission(at=NOW + timedelta(days=5)), NOW)
    last = drawn(client).columns[-1]
    assert [mark.kind for mark in last.marks] == ["decommission"]
    assert last.band is None
    gone = drawn(tenant(Status.DECOMMISSIONED), (NOW - timedelta(days=30), "active")).columns[-1]
    assert (gone.today, gone.band) == (True, None)


def test_a_client_that_started_at_once_was_never_seen_as_new() -> None:
    begun = NOW - timedelta(days=30)
    drawing = drawn(tenant(start_date=begun.date()), (begun, "new"), (begun + timedelta(seconds=1), "active"))
    assert [band.status for band in drawing.bands] == ["active", "active"]
    assert drawing.bands[0].words == "Active from 31 Jan 2026 to today"


def test_very_many_statuses_are_all_to_be_seen() -> None:
    begun = NOW - timedelta(days=7000)
    changes = [(begun + timedelta(days=n), "suspended" if n % 2 else "active") for n in range(50)]
    drawing = drawn(tenant(), *changes)
    past = [band for band in drawing.bands if not band.ahead and band.status != "before"]
    assert len(past) == 50
    assert [column.band for column in drawing.columns if column.begins and not column.today][-50:] == past


def test_of_more_statuses_than_can_be_seen_the_last_are_drawn_and_that_is_said() -> None:
    begun = NOW - timedelta(days=7000)
    changes = [(begun + timedelta(days=n), "suspended" if n % 2 else "active") for n in range(500)]
    drawing = drawn(tenant(start_date=date(1990, 1, 1)), *changes)
    assert drawing.words[0] == "Earlier statuses are in the history"
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


@settings(max_examples=300, deadline=None)
@given(drawings())
def test_every_moment_has_a_column_of_its_own_in_order_of_time(drawing: Timeline) -> None:
    moments = [column.at for column in drawing.columns]
    assert moments == sorted(set(moments))
    assert [mark for column in drawing.columns for mark in column.marks] == list(drawing.marks)
    assert all(mark.at == column.at for column in drawing.columns for mark in column.marks)
    assert [column.at for column in drawing.columns if column.today] == [NOW]
    assert all(column.lasts for column, after in pairwise(drawing.columns) if after.at - column.at > LONG)


@settings(max_examples=300, deadline=None)
@given(drawings())
def test_every_status_begins_once_and_fills_the_columns_until_the_next(drawing: Timeline) -> None:
    assert [column.band for column in drawing.columns if column.begins] == list(drawing.bands)
    filled = [column.band for column in drawing.columns if column.band]
    assert [band for place, band in enumerate(filled) if place == 0 or filled[place - 1] != band] == list(drawing.bands)
    for column in drawing.columns:
        assert column.band is None or column.band.begun <= column.at
        assert column.band is None or column.band.ahead == (column.at >= NOW)


@settings(max_examples=200, deadline=None)
@given(drawings())
def test_today_lies_between_what_was_and_what_comes_and_everything_is_told(drawing: Timeline) -> None:
    assert all(band.begun < NOW for band in drawing.bands if not band.ahead)
    assert all(band.begun >= NOW for band in drawing.bands if band.ahead)
    plans = [mark for mark in drawing.marks if mark.kind not in ("start", "end")]
    assert all(mark.at > NOW for mark in plans)
    everything = [*(band.words for band in drawing.bands), *(mark.words for mark in drawing.marks)]
    assert list(drawing.words)[-len(everything) :] == everything


def test_the_ends_of_the_calendar_can_be_drawn() -> None:
    for day in (date.min, date(1, 1, 3), date(9999, 12, 28), date.max):
        assert drawn(tenant(), start_date=day, end_date=day).words
    client = tenant()
    client.obey(dated(Decommission(last_day=date(9999, 12, 26))), NOW)
    assert mark(drawn(client), "decommission").at <= FOREVER
