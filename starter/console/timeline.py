"""A client's life from left to right: what its status was, is and will be, and what happens when.

Every moment has a column of its own, as wide as its words need and wider the longer it is until the next one: columns
follow each other in time, not to scale. Days are those of the client's site.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise, zip_longest

from starter.console.labels import day_word, kind_word, moment_word, status_word
from workflows.domain.dates import FIRST_DAY, LAST_DAY, first_instant, local_day
from workflows.wire.views import ClientView

MOST_BANDS = 60
MOMENTARY = timedelta(minutes=1)
LONG = timedelta(days=730)  # what lasts longer says how long
SIZES = 10
BEFORE, OVER = "before", ""  # the contract ran, and Connect did not know the client; the client is decommissioned
LATEST = datetime(LAST_DAY.year, LAST_DAY.month, LAST_DAY.day, tzinfo=UTC)


@dataclass(frozen=True)
class Band:
    """A status for a while; ``ahead``: as things are planned."""

    status: str
    begun: datetime
    told: str
    ahead: bool = False

    @property
    def name(self) -> str:
        return "before Connect" if self.status == BEFORE else status_word(self.status)


@dataclass(frozen=True)
class Mark:
    """What happens at a moment: a planned change, or the first day or the end of the contract.

    ``void``: it will not come. ``past``: it is over, and should not be.
    """

    at: datetime
    label: str
    told: str
    kind: str
    void: bool = False
    past: bool = False


@dataclass(frozen=True)
class Column:
    """A moment, and the time until the next one, which ``band`` fills if there is one."""

    at: datetime
    day: str
    band: Band | None
    marks: Sequence[Mark]
    today: bool
    size: int
    lasts: str

    @property
    def begins(self) -> bool:
        """Whether the status begins here."""
        return self.band is not None and self.band.begun == self.at


@dataclass(frozen=True)
class Timeline:
    """All that is drawn, and the same in words."""

    columns: Sequence[Column]
    bands: Sequence[Band]
    marks: Sequence[Mark]
    told: Sequence[str]


def timeline_of(client: ClientView, changes: Sequence[tuple[datetime, str]], now: datetime) -> Timeline:
    """The drawing of a client whose status became each of these, in order of time."""
    zone = client.timezone
    past = _merged([(at, status) for at, status in changes if at <= now] or [(client.created_at, client.status.value)])
    cut, past = len(past) > MOST_BANDS, past[-MOST_BANDS:]
    first = past[0][0]
    start = first if client.start_date == local_day(first, zone) else _first_instant(client.start_date, zone)
    if start < first and not cut:
        past.insert(0, (start, BEFORE))
    bands = [*_past(past, now, zone), *_ahead(client, now)]
    marks = [mark for mark in _marks(client, start, now) if mark.at >= first or not cut]
    moments = sorted({now, *(band.begun for band in bands), *(mark.at for mark in marks)})
    by_moment = {at: [mark for mark in marks if mark.at == at] for at in moments}
    columns = [
        Column(at, _day(at, by_moment[at], client), _band_at(bands, at), by_moment[at], at == now, *_lasts(until - at))
        for at, until in pairwise([*moments, moments[-1]])
    ]
    bands = [band for band in bands if band.status != OVER]
    told = [*(band.told for band in bands), *(mark.told for mark in marks)]
    return Timeline(columns, bands, marks, ["Earlier statuses are in the history", *told] if cut else told)


def _merged(changes: Sequence[tuple[datetime, str]]) -> list[tuple[datetime, str]]:
    """Each status once for as long as it stood. A client that starts at once was not New for long enough to be seen."""
    merged: list[tuple[datetime, str]] = []
    for at, status in dict(changes).items():
        if not merged or merged[-1][1] != status:
            merged.append((at, status))
    if len(merged) > 1 and merged[0][1] == "new" and merged[1][0] - merged[0][0] < MOMENTARY:
        merged[:2] = [(merged[0][0], merged[1][1])]
    return merged


def _past(steps: Sequence[tuple[datetime, str]], now: datetime, zone: str) -> Iterator[Band]:
    for (begun, status), (until, _) in pairwise([*steps, (now, "")]):
        name = "Contract before Connect" if status == BEFORE else status_word(status)
        end = "today" if until is now else day_word(local_day(until, zone))
        yield Band(status, begun, f"{name} from {day_word(local_day(begun, zone))} to {end}")


def _ahead(client: ClientView, now: datetime) -> Iterator[Band]:
    """What comes of the plans, if nothing else is decided."""
    steps = {now: client.status.value}
    for plan in client.planned:
        if plan.status_after is not None and plan.status_after != [*steps.values()][-1]:
            steps[max(min(plan.at, LATEST), now)] = plan.status_after.value
    for (begun, status), until in zip_longest(steps.items(), [*steps][1:]):
        if status == "decommissioned":
            yield Band(OVER, begun, "", ahead=True)
            return
        end = f"to {day_word(local_day(until, client.timezone))}" if until else "on"
        told = f"{status_word(status)} as planned from {day_word(local_day(begun, client.timezone))} {end}"
        yield Band(status, begun, told, ahead=True)


def _day(at: datetime, marks: Sequence[Mark], client: ClientView) -> str:
    """The day of a moment; of the end of a contract its last day, which the moment follows."""
    ends = client.end_date if [mark.kind for mark in marks] == ["end"] else None
    return day_word(ends or local_day(at, client.timezone))


def _lasts(gap: timedelta) -> tuple[int, str]:
    """How wide a time is drawn, and in words how long it is, if it is long."""
    return min((gap.days + 1).bit_length(), SIZES) - 1, f"{gap.days / 365.2:.0f} years" if gap > LONG else ""


def _band_at(bands: Sequence[Band], at: datetime) -> Band | None:
    band = next((band for band in reversed(bands) if band.begun <= at), None)
    return None if band is None or band.status == OVER else band


def _marks(client: ClientView, start: datetime, now: datetime) -> list[Mark]:
    """The plans, and the first and the last day of the contract, in order of time."""
    zone = client.timezone
    marks = [Mark(start, "Start", f"Start date {day_word(client.start_date)}", "start")]
    if client.end_date and client.end_date < LAST_DAY:
        end = _first_instant(client.end_date + timedelta(1), zone)
        past = ", which is past" if end <= now else ""
        marks.append(Mark(end, "End date", f"End date {day_word(client.end_date)}{past}", "end", past=bool(past)))
    for plan in client.planned:
        at, label, void = min(plan.at, LATEST), kind_word(plan.kind).capitalize(), plan.status_after is None
        told = f"{label} planned for {moment_word(at, zone)} {zone}{', which will not come' if void else ''}"
        marks.append(Mark(at, label, told, plan.kind, void))
    return sorted(marks, key=lambda mark: mark.at)


def _first_instant(day: date, zone: str) -> datetime:
    """The first instant of a day at the site, of a day that every zone can tell."""
    return first_instant(min(max(day, FIRST_DAY), LAST_DAY), zone)
