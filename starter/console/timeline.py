"""A client's life from left to right: what its status was, is and will be, and what happens when.

Every moment has a column of its own, as wide as its words need and wider the longer it is until the next one: columns
follow each other in time, not to scale. Days are those of the client's site.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby, pairwise, zip_longest
from operator import itemgetter

from starter.console.labels import age_word, day_word, label, moment_word
from starter.console.plans import A_DAY, FOREVER
from starter.directory.console import StatusChange
from workflows.domain.dates import FIRST_DAY, LAST_DAY, first_instant, local_day
from workflows.wire.views import ClientView

MOST_BANDS = 60
MOMENTARY = timedelta(minutes=1)
LONG = timedelta(days=730)  # what lasts longer says how long
SIZES = 10
BEFORE = "before"  # the contract ran, and Connect did not know the client


@dataclass(frozen=True)
class Band:
    """A status for a while, the last one without an end. ``ahead``: as things are planned. ``late``: how much later it
    began than it was planned to, in words."""

    status: str
    name: str
    begun: datetime
    words: str
    ahead: bool
    late: str = ""


@dataclass(frozen=True)
class Mark:
    """What happens at a moment: a planned change, or the first day or the end of the contract.

    ``void``: it will not come. ``past``: it is over, and should not be.
    """

    at: datetime
    label: str
    words: str
    kind: str
    void: bool = False
    past: bool = False


@dataclass(frozen=True)
class Column:
    """A moment, and the time until the next one, which ``band`` fills if there is one; ``begins``: from here on.
    ``lasts``: how long that is, in words, if it is long."""

    at: datetime
    day: str
    band: Band | None
    begins: bool
    marks: Sequence[Mark]
    today: bool
    size: int
    lasts: str


@dataclass(frozen=True)
class Timeline:
    """All that is drawn, and the same in words."""

    columns: Sequence[Column]
    bands: Sequence[Band]
    marks: Sequence[Mark]
    words: Sequence[str]


def timeline_of(client: ClientView, changes: Sequence[StatusChange], now: datetime) -> Timeline:
    """The drawing of a client whose status became each of these, in order of time."""
    zone = client.timezone
    past = _merge([(it.at, it.status) for it in changes if it.at <= now] or [(client.created_at, client.status)])
    cut, past = len(past) > MOST_BANDS, past[-MOST_BANDS:]
    first = past[0][0]
    start = first if client.start_date == local_day(first, zone) else _first_instant(client.start_date, zone)
    steps = dict(past if cut or start >= first else [(start, BEFORE), *past]) | {now: str(client.status)}
    for plan in client.planned:
        if plan.status_after is not None and plan.status_after != [*steps.values()][-1]:
            steps[max(min(plan.at, FOREVER), now)] = plan.status_after.value
    begun = _bands(steps, {it.at: it.due for it in changes if it.due}, now, zone)
    marks = [mark for mark in _marks(client, start, now) if mark.at >= first or not cut]
    columns, band = list[Column](), None
    moments = sorted({now, *begun, *(mark.at for mark in marks)})
    for at, until in pairwise([*moments, moments[-1]]):
        here, gap, band = [mark for mark in marks if mark.at == at], until - at, begun.get(at, band)
        ends = client.end_date if [mark.kind for mark in here] == ["end"] else None  # the moment after its last day
        day, begins = day_word(ends or local_day(at, zone)), band is not None and at in begun
        size, lasts = min((gap.days + 1).bit_length(), SIZES) - 1, f"{gap.days / 365.2:.0f} years" if gap > LONG else ""
        columns.append(Column(at, day, band, begins, here, at == now, size, lasts))
    bands = [band for band in begun.values() if band]
    words = [*(band.words for band in bands), *(mark.words for mark in marks)]
    return Timeline(columns, bands, marks, ["Earlier statuses are in the history", *words] if cut else words)


def _merge(changes: Sequence[tuple[datetime, str]]) -> list[tuple[datetime, str]]:
    """Each status once for as long as it stood. A client that starts at once was not New for long enough to be seen."""
    steps = [next(same) for _, same in groupby(dict(changes).items(), itemgetter(1))]
    if len(steps) > 1 and steps[0][1] == "new" and steps[1][0] - steps[0][0] < MOMENTARY:
        steps[:2] = [(steps[0][0], steps[1][1])]
    return steps


def _bands(
    steps: dict[datetime, str], due: dict[datetime, datetime], now: datetime, zone: str
) -> dict[datetime, Band | None]:
    """The status that begins at each of these moments; none once the client is, or will be, decommissioned. ``due`` is
    for when one was planned that was late."""
    bands = dict[datetime, Band | None]()
    for (begun, status), until in zip_longest(steps.items(), [*steps][1:]):
        ahead, name = begun >= now, "before Connect" if status == BEFORE else label(status)
        if ahead and status == "decommissioned":
            bands[begun] = None
            break
        end = "on" if until is None else "to today" if until == now else f"to {day_word(local_day(until, zone))}"
        what = f"{'Contract ' if status == BEFORE else ''}{name}{' as planned' if ahead else ''}"
        words, late = f"{what} from {day_word(local_day(begun, zone))} {end}", ""
        if begun in due:
            late = f"{age_word(due[begun], begun)} late"
            words += f", {late}: planned for {moment_word(due[begun], zone)}"
        bands[begun] = Band(status, name, begun, words, ahead, late)
    return bands


def _marks(client: ClientView, start: datetime, now: datetime) -> list[Mark]:
    """The plans, and the first and the last day of the contract, in order of time."""
    zone = client.timezone
    marks = [Mark(start, "Start", f"Start date {day_word(client.start_date)}", "start")]
    if client.end_date and client.end_date < LAST_DAY:
        end = _first_instant(client.end_date + A_DAY, zone)
        past = ", which is past" if end <= now else ""
        marks.append(Mark(end, "End date", f"End date {day_word(client.end_date)}{past}", "end", past=bool(past)))
    for plan in client.planned:
        at, name, void = min(plan.at, FOREVER), label(plan.kind), plan.status_after is None
        words = f"{name} planned for {moment_word(at, zone)} {zone}{', which will not come' if void else ''}"
        marks.append(Mark(at, name, words, plan.kind, void))
    return sorted(marks, key=lambda mark: mark.at)


def _first_instant(day: date, zone: str) -> datetime:
    """The first instant of a day at the site, of a day that exists in every zone."""
    return first_instant(min(max(day, FIRST_DAY), LAST_DAY), zone)
