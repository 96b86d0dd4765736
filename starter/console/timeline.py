"""A client's life as a drawing: statuses as bands, what is planned as it is foreseen, start and end, today's line.

Time has no even scale: every moment keeps some room beside the next one, and gaps of years that are far longer than all
the others are drawn short, with a break. Days are those of the client's site.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from starter.console.labels import day_word, kind_word, status_word
from workflows.domain.dates import FIRST_DAY, LAST_DAY, first_instant, local_day
from workflows.wire.views import ClientView

WIDTH, LEFT = 1000.0, 8.0
ROW = 16  # between two rows of labels
REGULAR, BOLD = 8.0, 9.0  # what a letter may take: wide fonts are wider than most
SPACE = 8.0  # between two labels of a row
MOST_BANDS = 60
PAST, PLANNED, TAIL = 6.0, 34.0, 150.0  # the least room after a moment: past, to come, and the last one with its label
FAR, LONG, BROKEN = 8, 730.0, 0.6  # gaps of so many days, so much longer than all others, share so much of the room
MOMENTARY = timedelta(minutes=1)
BEFORE = "before"  # the contract ran, and Connect did not know the client
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86400.0
EARLIEST, LATEST = (datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (FIRST_DAY, LAST_DAY))
STEPS = [(1, "day"), (7, "day"), (1, "month"), (3, "month"), (6, "month")]
STEPS += [(years, "year") for years in (1, 2, 5, 10, 25, 50, 100, 500, 1000)]
DAYS = {"day": 1.0, "month": 30.4, "year": 365.2}


@dataclass(frozen=True)
class Band:
    """A status for a while. ``ahead``: as things are planned. ``label`` is its name, where that has room."""

    status: str
    x: float
    width: float
    told: str
    ahead: bool = False
    label: str = ""

    @property
    def span(self) -> tuple[float, float]:
        """From where to where its label reaches."""
        return self.x + 10, self.x + 10 + BOLD * len(self.label)

    def named(self, taken: Iterable[tuple[float, float]]) -> "Band":
        """The same band with its name, if that has room between what is drawn there already."""
        name = "before Connect" if self.status == BEFORE else status_word(self.status)
        named = replace(self, label=name)
        return named if named.span[1] + 10 <= self.x + self.width and _free(named.span, taken) else self


@dataclass(frozen=True)
class Mark:
    """A moment: a planned change, or the first or last day of the contract. ``row`` keeps labels apart.

    ``void``: it will not come. ``past``: it is over, and should not be.
    """

    x: float
    label: str
    told: str
    kind: str
    row: int = 0
    void: bool = False
    past: bool = False

    @property
    def span(self) -> tuple[float, float]:
        """From where to where its label reaches."""
        return self.x + 6, self.x + 6 + BOLD * len(self.label)


@dataclass(frozen=True)
class Tick:
    """A day, month or year on the axis, or how long a break is. ``anchor`` is where the text's x lies in it."""

    x: float
    label: str
    anchor: str = "start"

    @property
    def span(self) -> tuple[float, float]:
        width = REGULAR * len(self.label)
        return (self.x - width / 2, self.x + width / 2) if self.anchor == "middle" else (self.x, self.x + 4 + width)


@dataclass
class Timeline:
    """All that is drawn, in units of the drawing."""

    bands: list[Band] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    ticks: list[Tick] = field(default_factory=list)
    breaks: list[Tick] = field(default_factory=list)
    now: float = 0.0
    told: list[str] = field(default_factory=list)

    @property
    def top(self) -> int:
        """Where the drawing begins: there is room above for as many rows of labels as there are."""
        return 50 - ROW * max(mark.row for mark in self.marks) if self.marks else 66

    @property
    def anchor(self) -> str:
        """On which side today's label stands, so that no edge cuts it off."""
        return "start" if self.now < LEFT + self._half else "middle"

    @property
    def today(self) -> tuple[float, float]:
        """From where to where today's label reaches."""
        left = self.now if self.anchor == "start" else self.now - self._half
        return left, left + 2 * self._half

    @property
    def _half(self) -> float:
        return BOLD * len("today") / 2


@dataclass(frozen=True)
class Scale:
    """Where each moment lies: evenly between two ``moments`` (seconds), whose ``places`` are given."""

    moments: Sequence[float]
    places: Sequence[float]
    broken: frozenset[int]

    def x(self, at: datetime) -> float:
        return self.place(_seconds(at))

    def place(self, at: float) -> float:
        gap = min(max(bisect_right(self.moments, at) - 1, 0), len(self.moments) - 2)
        begin, end = self.moments[gap], self.moments[gap + 1]
        share = min(max((at - begin) / (end - begin), 0), 1)
        return round(self.places[gap] + share * (self.places[gap + 1] - self.places[gap]), 1)


def timeline_of(client: ClientView, changes: Sequence[tuple[datetime, str]], now: datetime) -> Timeline:
    """The drawing of a client whose status became each of these, in order of time."""
    past = _merged([(at, status) for at, status in changes if at <= now] or [(client.created_at, client.status.value)])
    cut, past = len(past) > MOST_BANDS, past[-MOST_BANDS:]
    first, zone = past[0][0], client.timezone
    start = first if client.start_date == local_day(first, zone) else _bounded(client.start_date, zone)
    end = _bounded(client.end_date + timedelta(1), zone) if client.end_date and client.end_date < LAST_DAY else None
    days = [at for at in (start, end) if at is not None and (at >= first or not cut)]
    plans = [min(plan.at, LATEST) for plan in client.planned]
    over = "decommissioned" in (client.status.value, *_foreseen(client))
    scale = _scale({first, now, *days, *plans, *(at for at, _ in past)}, now, over=over)
    drawing = Timeline(now=scale.x(now))
    if start < first and not cut:
        drawing.bands.append(_band(BEFORE, start, first, scale, zone))
    for (begun, status), (until, _) in pairwise([*past, (now, "")]):
        drawing.bands.append(_band(status, begun, until, scale, zone, until is now))
    drawing.bands += _ahead(client, now, scale)
    drawing.marks = _in_rows([*_days(client, start, end, days, now, scale), *_plans(client, scale)])
    drawing.breaks = _breaks(scale, drawing.today)
    cuts = [(gap.x - 9, gap.x + 9) for gap in drawing.breaks]
    drawing.bands = [band.named(cuts) for band in drawing.bands]
    drawing.ticks = _ticks(scale, zone, local_day(now, zone), [drawing.today, *(gap.span for gap in drawing.breaks)])
    earlier = ["Earlier statuses are in the history"] if cut else []
    by_time = sorted(drawing.marks, key=lambda mark: mark.x)
    drawing.told = [*earlier, *(band.told for band in drawing.bands), *(mark.told for mark in by_time)]
    return drawing


# -- statuses ---------------------------------------------------------------------------------------------------------


def _merged(changes: Sequence[tuple[datetime, str]]) -> list[tuple[datetime, str]]:
    """Each status once for as long as it stood. A client that starts at once was not New for long enough to be seen."""
    merged: list[tuple[datetime, str]] = []
    for at, status in changes:
        if not merged or merged[-1][1] != status:
            merged.append((at, status))
    if len(merged) > 1 and merged[0][1] == "new" and merged[1][0] - merged[0][0] < MOMENTARY:
        merged[:2] = [(merged[0][0], merged[1][1])]
    return merged


def _band(status: str, begun: datetime, until: datetime, scale: Scale, zone: str, today: bool = False) -> Band:
    begin, end = (day_word(local_day(at, zone)) for at in (begun, until))
    name = "Contract before Connect" if status == BEFORE else status_word(status)
    x = scale.x(begun)
    return Band(
        status, x, max(round(scale.x(until) - x, 1), 1.5), f"{name} from {begin} to {'today' if today else end}"
    )


def _ahead(client: ClientView, now: datetime, scale: Scale) -> Iterator[Band]:
    """What comes of the plans, if nothing else is decided."""
    steps = [(now, client.status.value)]
    for plan, after in zip(client.planned, _foreseen(client), strict=True):
        if after is not None and after != steps[-1][1]:
            steps.append((max(min(plan.at, LATEST), now), after))
    for number, (begun, status) in enumerate(steps):
        if status == "decommissioned":
            return
        until = steps[number + 1][0] if number + 1 < len(steps) else None
        if until == begun:
            continue
        begin, x = day_word(local_day(begun, client.timezone)), scale.x(begun)
        right = scale.x(until) if until else WIDTH - LEFT
        end = f"to {day_word(local_day(until, client.timezone))}" if until else "on"
        told = f"{status_word(status)} as planned from {begin} {end}"
        yield Band(status, x, max(round(right - x, 1), 1.5), told, ahead=True)


def _foreseen(client: ClientView) -> list[str | None]:
    """The status after each plan, None for one that will not come: as the client says, or guessed where the client was
    published before it said so."""
    if all("status_after" in plan.model_fields_set for plan in client.planned):
        return [plan.status_after and plan.status_after.value for plan in client.planned]
    status, held = client.status.value, {hold.source for hold in client.holds}
    guessed: list[str | None] = []
    for plan in client.planned:
        source = str(plan.details.get("source", "operator"))
        held |= {source} if plan.kind == "suspend" else set()
        held -= (held if source == "all" else {source}) if plan.kind == "unsuspend" else set()
        ended = status == "decommissioned"
        if plan.kind == "decommission":
            status = "decommissioned"
        elif not ended and (status != "new" or plan.kind == "activate"):
            status = "suspended" if held else "active"
        guessed.append(None if ended else status)
    return guessed


# -- moments ----------------------------------------------------------------------------------------------------------


def _plans(client: ClientView, scale: Scale) -> Iterator[Mark]:
    for plan, after in zip(client.planned, _foreseen(client), strict=True):
        label = kind_word(plan.kind).capitalize()
        told = f"{label} planned for {plan.local_time}" + ("" if after else ", which will not come")
        yield Mark(scale.x(min(plan.at, LATEST)), label, told, plan.kind, void=after is None)


def _days(
    client: ClientView, start: datetime, end: datetime | None, shown: Sequence[datetime], now: datetime, scale: Scale
) -> Iterator[Mark]:
    """The first and the last day of the contract, where they are on the axis."""
    if start in shown:
        yield Mark(scale.x(start), "Start", f"Start date {day_word(client.start_date)}", "start")
    if end is not None and end in shown:
        past = end <= now
        told = f"End date {day_word(client.end_date)}{', which is past' if past else ''}"
        yield Mark(scale.x(end), "End date", told, "end", past=past)


def _in_rows(marks: Iterable[Mark]) -> list[Mark]:
    """Labels stand to the right of their lines, in rows: none touches another one or another one's line.

    Placed from the right, so that a label reaches over what lies beneath it.
    """
    placed: list[Mark] = []
    for mark in sorted(marks, key=lambda mark: -mark.x):
        beneath = [other.row for other in placed if other.x < mark.span[1] + SPACE]
        placed.append(replace(mark, row=max(beneath, default=-1) + 1))
    return placed


# -- the axis ---------------------------------------------------------------------------------------------------------


def _scale(moments: Iterable[datetime], now: datetime, *, over: bool) -> Scale:
    """A place for each moment, and room after the last one: for its label alone if all is ``over`` then."""
    points = sorted({_seconds(at) for at in moments})
    gaps = [end - begin for begin, end in pairwise(points)]
    broken = _too_long(gaps)
    span = sum(gap for place, gap in enumerate(gaps) if place not in broken)
    gaps.append(max(span * 0.06, 14 * DAY))
    points.append(points[-1] + gaps[-1])
    weights = [gap for place, gap in enumerate(gaps[:-1]) if place not in broken]
    weights.append(DAY / 24 if over else gaps[-1])
    least = [PLANNED if begin >= _seconds(now) else PAST for begin in points[:-2]] + [TAIL]
    room = WIDTH - 2 * LEFT - sum(least)
    even, places = iter(weights), [LEFT]
    left = 1 - BROKEN if broken else 1
    for number in range(len(gaps)):
        share = BROKEN / len(broken) if number in broken else left * next(even) / sum(weights)
        places.append(places[-1] + least[number] + share * room)
    return Scale(points, places, broken)


def _too_long(gaps: Sequence[float]) -> frozenset[int]:
    """The gaps that would leave no room for all that are shorter, if there is anything to see in those."""
    known = 0.0
    shortest = float("inf")
    for gap in sorted(gaps):
        if known >= DAY and gap >= LONG * DAY and gap > FAR * known:
            shortest = gap
        known += gap
    return frozenset(number for number, gap in enumerate(gaps) if gap >= shortest)


def _breaks(scale: Scale, today: tuple[float, float]) -> list[Tick]:
    """Where the axis leaves out time, and how much; a length without room is not written."""
    breaks = []
    for gap in sorted(scale.broken):
        begin, end = scale.places[gap], scale.places[gap + 1]
        x = round(end - (end - begin) / 4, 1)  # a band's name is at its beginning
        days = (scale.moments[gap + 1] - scale.moments[gap]) / DAY
        unit = "year" if days > 730 else "month" if days > 60 else "day"
        label = Tick(x, f"{days / DAYS[unit]:.0f} {unit}s", "middle")
        breaks.append(label if _free(label.span, [today]) else Tick(x, "", "middle"))
    return breaks


def _ticks(scale: Scale, zone: str, today: date, taken: list[tuple[float, float]]) -> list[Tick]:
    """Days, months or years, as the scale of each gap has room for them."""
    ticks: list[Tick] = []
    for gap, (begin, end) in enumerate(pairwise(scale.moments)):
        if gap in scale.broken:
            continue
        per_day = (scale.places[gap + 1] - scale.places[gap]) / (end - begin) * DAY
        for day, label in _marked_days(begin, end, per_day, zone, today):
            tick = Tick(scale.x(first_instant(day, zone)), label)
            if tick.span[1] <= WIDTH and _free(tick.span, [*taken, *(other.span for other in ticks)]):
                ticks.append(tick)
    return ticks


def _marked_days(begin: float, end: float, per_day: float, zone: str, today: date) -> Iterator[tuple[date, str]]:
    """The days between two moments that are written on the axis, by a step that leaves room for each."""
    room = REGULAR * len("28 Mar 2027") + 2 * SPACE
    step, unit = next((it for it in STEPS if it[0] * DAYS[it[1]] * per_day >= room), STEPS[-1])
    first, last = (local_day(_instant(at), zone) for at in (begin, end))
    if unit == "day":
        begun = first.toordinal() + (1 if step == 1 else 7 - first.weekday())
        for day in map(date.fromordinal, range(begun, min(last, LAST_DAY).toordinal() + 1, step)):
            yield day, f"{day.day} {day:%b}" if day.year == today.year else day_word(day)
        return
    months = step * (12 if unit == "year" else 1)
    month = ((first.year * 12 + first.month - 1) // months + 1) * months
    while month <= min(last.year * 12 + last.month - 1, LAST_DAY.year * 12 + 11):
        day = date(month // 12, month % 12 + 1, 1)
        yield day, f"{day.year}" if unit == "year" else f"{day:%b} {day.year}"
        month += months


def _free(span: tuple[float, float], taken: Iterable[tuple[float, float]]) -> bool:
    return all(span[1] + SPACE <= left or right + SPACE <= span[0] for left, right in taken)


def _bounded(day: date, zone: str) -> datetime:
    """The first instant of a day at the site, of a day that every zone can tell."""
    return first_instant(min(max(day, FIRST_DAY), LAST_DAY), zone)


def _seconds(at: datetime) -> float:
    return (at - EPOCH) / timedelta(seconds=1)


def _instant(seconds: float) -> datetime:
    """The moment, kept within the calendar: there is room after the last day that can be told."""
    return min(max(EPOCH + timedelta(seconds=min(seconds, _seconds(LATEST))), EARLIEST), LATEST)
