"""A client's life as a drawing: statuses as bands, planned changes ahead, today's line."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise

from starter.console.words import day_word, kind_word, status_word
from workflows.views import ClientView, PlannedView

WIDTH, LEFT = 1000.0, 8.0
SHORTEST = timedelta(days=14)  # what a drawing shows at least
FEWEST_PIXELS = 78.0  # between two labels
LABEL = 24.0  # half of what today's label takes
MOST_BANDS = 60
At = Callable[[datetime], float]
AFTER = {"activate": "active", "suspend": "suspended", "unsuspend": "active", "decommission": "decommissioned"}


@dataclass(frozen=True)
class Band:
    """A status for a while. ``ahead``: as things are planned."""

    status: str
    x: float
    width: float
    told: str
    ahead: bool = False

    @property
    def label(self) -> str:
        """Its name, where that has room."""
        name = status_word(self.status)
        return name if self.width > 8.5 * len(name) + 10 else ""


@dataclass(frozen=True)
class Mark:
    """A moment: a planned change, or the end of the contract. ``row`` keeps labels apart."""

    x: float
    label: str
    told: str
    kind: str
    row: int = 0

    @property
    def anchor(self) -> str:
        """On which side its label stands."""
        return "end" if self.x > WIDTH - 120 else "start"


@dataclass
class Timeline:
    """All that is drawn, in units of the drawing."""

    bands: list[Band] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    ticks: list[tuple[float, str]] = field(default_factory=list)
    now: float = 0.0

    @property
    def top(self) -> int:
        """Where the drawing begins: there is room above for as many rows of labels as there are."""
        return 50 - 16 * max(mark.row for mark in self.marks) if self.marks else 64

    @property
    def anchor(self) -> str:
        """On which side today's label stands, so that no edge cuts it off."""
        return "start" if self.now < LABEL else "end" if self.now > WIDTH - LABEL else "middle"


def timeline_of(client: ClientView, changes: Sequence[tuple[datetime, str]], now: datetime) -> Timeline:
    """The drawing of a client whose status became each of these, in order of time."""
    past = _merged([(at, status) for at, status in changes if at <= now] or [(client.created_at, client.status.value)])
    ended = client.decommissioned_at
    planned = list(client.planned)
    last = max([now, *(plan.at for plan in planned)])
    first = past[0][0]
    span = max(last - first, SHORTEST) * 1.06
    if last == now and ended is None:
        span = max(last - first, SHORTEST) * 1.15  # some future is always to be seen

    def x(at: datetime) -> float:
        return round(LEFT + (at - first) / span * (WIDTH - 2 * LEFT), 1)

    drawing = Timeline(now=x(now))
    for (begun, status), (until, _) in pairwise([*past, (now, "")]):
        drawing.bands.append(_band(status, begun, until, x))
    drawing.bands += _ahead(client, planned, now, first + span, x)
    drawing.marks = _marks(planned, x)
    drawing.ticks = _ticks(first, first + span, x)
    return drawing


def _merged(changes: Sequence[tuple[datetime, str]]) -> list[tuple[datetime, str]]:
    """Each status once for as long as it stood."""
    merged: list[tuple[datetime, str]] = []
    for at, status in changes:
        if not merged or merged[-1][1] != status:
            merged.append((at, status))
    return merged[-MOST_BANDS:]


def _band(status: str, begun: datetime, until: datetime, x: At, *, ahead: bool = False) -> Band:
    words = "as planned " if ahead else ""
    told = f"{status_word(status)} {words}from {day_word(begun.date())} to {day_word(until.date())}"
    return Band(status, x(begun), max(round(x(until) - x(begun), 1), 1.5), told, ahead)


def _ahead(client: ClientView, planned: list[PlannedView], now: datetime, end: datetime, x: At) -> list[Band]:
    """What comes of the plans, if nothing else happens."""
    bands, status, since = [], client.status.value, now
    for plan in planned:
        after = "suspended" if plan.kind == "activate" and client.holds else AFTER.get(plan.kind, status)
        if after != status:
            bands.append(_band(status, since, plan.at, x, ahead=True))
            status, since = after, plan.at
    if status != "decommissioned":
        bands.append(_band(status, since, end, x, ahead=True))
    return bands


def _marks(planned: list[PlannedView], x: At) -> list[Mark]:
    marks: list[Mark] = []
    for plan in planned:
        at = x(plan.at)
        taken = {mark.row for mark in marks if abs(mark.x - at) < FEWEST_PIXELS * 1.8}
        row = next(row for row in range(len(marks) + 1) if row not in taken)
        label = kind_word(plan.kind).capitalize()
        marks.append(Mark(at, label, f"{label} planned for {plan.local_time}", plan.kind, min(row, 3)))
    return marks


def _ticks(first: datetime, end: datetime, x: At) -> list[tuple[float, str]]:
    """Days, months or years, as many as have room."""
    days = (end - first) / timedelta(days=1)
    ticks: list[tuple[float, str]] = []
    at = first.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    while at < end:
        begins_month, begins_year = at.day == 1, at.day == 1 and at.month == 1
        wanted = True if days <= 40 else begins_month if days <= 1100 else begins_year
        if wanted and (not ticks or x(at) - ticks[-1][0] >= FEWEST_PIXELS) and x(at) < WIDTH - 40:
            shown = f"{at.day} {at:%b}" if days <= 40 else f"{at:%b %Y}" if days <= 1100 else f"{at:%Y}"
            ticks.append((x(at), shown))
        at += timedelta(days=1)
    return ticks
