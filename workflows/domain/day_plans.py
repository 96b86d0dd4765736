"""What waits for a day, and what becomes of it when the zone rules have changed (PRODUCT.md section 4)."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from workflows.domain.client.planning import named_day
from workflows.domain.commands import Edit, Plannable
from workflows.domain.dates import NamedDay, ResolvedDay, local_time
from workflows.domain.journal import Entry, Event
from workflows.domain.lifecycle import Status
from workflows.domain.schedule import PlannedChange
from workflows.domain.state import ClientState
from workflows.domain.trial import all_or_nothing


def days_ahead(state: ClientState) -> list[NamedDay]:
    """Every day whose instant will still decide something: of plans, of the start, of commands that wait."""
    client = state.client
    days = [change.named_day for change in client.schedule]
    days += [named_day(command) for command in state.claims]
    if client.status is Status.NEW:
        days.append(NamedDay(client.start_date.day))
    return list(dict.fromkeys(day for day in days if day is not None))


def take_over_days(state: ClientState, days: Mapping[NamedDay, ResolvedDay], now: datetime) -> None:
    """Take over the days as they were resolved by other zone rules. Each plan that moves is told in the history."""
    with all_or_nothing(state) as trial:
        client = trial.client
        moved = [(change, day) for change in client.schedule if (day := _anew(change, days))]
        if moved:
            client.revision += 1
        for change, day in moved:
            client.schedule.put(replace(change, at=day.instant, day=day))
            if day.instant != change.at:
                trial.journal.write(_entry_of_move(change, day, client.revision, now))
        if client.status is Status.NEW:
            client.start_date = days.get(NamedDay(client.start_date.day), client.start_date)
        for number, command in enumerate(trial.claims):
            if isinstance(command, Edit | Plannable) and (named := named_day(command)):
                trial.claims[number] = replace(command, resolved=days.get(named, command.resolved))


def _anew(change: PlannedChange, days: Mapping[NamedDay, ResolvedDay]) -> ResolvedDay | None:
    """The day of a change, if it is now resolved by other rules."""
    day = days.get(change.named_day) if change.named_day else None
    return day if day != change.day else None


def _entry_of_move(change: PlannedChange, day: ResolvedDay, revision: int, now: datetime) -> Entry:
    at, before = local_time(day.instant, day.zone), local_time(change.at, day.zone)
    facts = {
        "change_id": change.change_id,
        "planned_for": day.instant.isoformat(),
        "planned_before": change.at.isoformat(),
        "zone_rules": day.rules,
    }
    text = f"Planned {change.kind.spoken}: zone rules {day.rules}: now {at}, instead of {before}"
    return Entry(Event.ASKED, now, text, change.kind, "connect", "zone rules", revision=revision, facts=facts)
