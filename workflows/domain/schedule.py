"""Planned changes: at most one per kind, in the order in which they happen."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from workflows.domain.commands import PlannedCommand
from workflows.domain.dates import NamedDay, ResolvedDay, local_time
from workflows.domain.lifecycle import Kind

# What is due at the same instant happens in this order: a day that starts and ends a client ends with it gone.
_ORDER = (Kind.ACTIVATE, Kind.CONVERT, Kind.CHANGE_SERVICES, Kind.SUSPEND, Kind.UNSUSPEND, Kind.DECOMMISSION)


@dataclass(frozen=True)
class PlannedChange:
    """A command with a moment in the future. ``day``: the one that was named and resolved to it, if one was.
    ``planned_at``: when it was planned; an activation may be planned for a start date that was past then.
    """

    change_id: str
    at: datetime
    command: PlannedCommand
    day: ResolvedDay | None = None
    planned_at: datetime | None = field(default=None, compare=False)

    @property
    def kind(self) -> Kind:
        return self.command.kind

    @property
    def named_day(self) -> NamedDay | None:
        """The day as it was named: of an activation the start date, of all else the last day of what was before."""
        return NamedDay(self.day.day, last=self.kind is not Kind.ACTIVATE) if self.day else None

    def describe(self, timezone: str) -> str:
        """As a sentence: ``decommission at 2027-03-01 00:00 Europe/London``."""
        return f"{self.kind.spoken} at {local_time(self.at, timezone)}"


@dataclass
class Schedule:
    """The planned changes of a client in the order in which they happen, at most one of each kind."""

    changes: list[PlannedChange] = field(default_factory=list)

    def __iter__(self) -> Iterator[PlannedChange]:
        return iter(self.changes)

    def put(self, change: PlannedChange) -> PlannedChange | None:
        """Plan a change. Returns the one of the same kind that it replaces, if any."""
        replaced = self.remove(change.kind)
        self.changes = sorted([*self.changes, change], key=lambda c: (c.at, _ORDER.index(c.kind)))
        return replaced

    def find(self, named: str) -> PlannedChange | None:
        """By kind, or by change_id; the name of a kind is never taken for an id, which callers choose."""
        if named in list(Kind):
            return next((c for c in self.changes if c.kind.value == named), None)
        return next((c for c in self.changes if c.change_id == named), None)

    def remove(self, named: str) -> PlannedChange | None:
        """Take a planned change out. Returns it, or None when there was none."""
        if found := self.find(named):
            self.changes = [c for c in self.changes if c is not found]
        return found

    def clear(self) -> list[PlannedChange]:
        """Take every planned change out. Returns them."""
        cleared, self.changes = self.changes, []
        return cleared

    def take_due(self, now: datetime) -> PlannedChange | None:
        """Take out the next change whose moment has come."""
        if self.changes and self.changes[0].at <= now:
            return self.changes.pop(0)
        return None

    @property
    def next_at(self) -> datetime | None:
        return self.changes[0].at if self.changes else None
