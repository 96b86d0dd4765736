"""When a planned change happens, and what a plan must keep to (PRODUCT.md section 4)."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from workflows.domain.client.rules import check_billing_ref, check_name
from workflows.domain.commands import (
    Activate,
    AnyCommand,
    Decommission,
    Edit,
    Plannable,
    PlannableCommand,
    PlannedCommand,
    Suspend,
    Unsuspend,
)
from workflows.domain.dates import FIRST_DAY, LAST_DAY, NamedDay, ResolvedDay, check_day, fits, local_time
from workflows.domain.errors import (
    BeforeStart,
    IllegalTransition,
    InvalidField,
    MomentInThePast,
    PlanOfAnother,
    TwoMoments,
)
from workflows.domain.lifecycle import Kind, Status
from workflows.domain.schedule import PlannedChange, Schedule
from workflows.domain.text import folded


def named_day(command: AnyCommand) -> NamedDay | None:
    """The day whose instant decides what a command does, if it names one that can come."""
    named = None
    if isinstance(command, Edit) and command.start_date is not None:
        named = NamedDay(command.start_date)
    elif isinstance(command, Plannable) and command.last_day is not None:
        named = NamedDay(command.last_day, last=True)
    return named if named and FIRST_DAY <= named.day <= LAST_DAY else None


def unresolved_day(command: AnyCommand, timezone: str) -> NamedDay | None:
    """The day of a command that has to become an instant before the command can be decided."""
    named = named_day(command)
    resolved = command.resolved if isinstance(command, Edit | Plannable) else None
    return named if named and not fits(resolved, named, timezone) else None


def resolved_day(command: Edit | Plannable, timezone: str) -> ResolvedDay:
    """The day of a command, as it was resolved before. Raises InvalidField for one that was not, or never comes."""
    field, day = ("start_date", command.start_date) if isinstance(command, Edit) else ("last_day", command.last_day)
    assert day is not None
    check_day(day, field)
    named = NamedDay(day, last=isinstance(command, Plannable))
    if command.resolved is None or not fits(command.resolved, named, timezone):
        raise InvalidField(
            f"{day} could not be resolved to an instant: the zone rules in use have no {timezone}",
            "Update the workers, and repeat it",
            field=field,
        )
    return command.resolved


def start_of(command: Edit, start: ResolvedDay, status: Status, timezone: str) -> ResolvedDay:
    """The start date after an edit: the same, unless the day is another, or the instant that a New client waits for."""
    if command.start_date is None:
        return start
    resolved = resolved_day(command, timezone)
    moved = resolved.day != start.day or (status is Status.NEW and resolved.instant != start.instant)
    return resolved if moved else start


def plan_of(command: PlannableCommand, now: datetime, timezone: str, *, change_id: str) -> PlannedChange:
    """The change that a command plans, under its ``command_id``, or this id when it has none.

    Raises InvalidField for a moment that is past, or cannot be read.
    """
    if command.last_day is not None and command.at is not None:
        raise TwoMoments("Both last_day and at are given", "Give one of them", field="at")
    day = resolved_day(command, timezone) if command.last_day is not None else None
    at = day.instant if day else _exact(command.at)
    if at <= now:
        raise MomentInThePast(
            f"{local_time(at, timezone)} is past",
            "Give a later moment, or none to have it done now",
            field=_moment_field(command),
        )
    kept = replace(command, resolved=None, own_sources=None)
    return PlannedChange(command.command_id or change_id, at, kept, day, now)


def _exact(at: datetime | None) -> datetime:
    """An instant that was given as such. Raises InvalidField."""
    assert at is not None
    if at.tzinfo is None:
        raise InvalidField("The instant has no offset", "Write 2027-03-01T09:00:00+00:00, with the offset", field="at")
    check_day(at.date(), "at")
    return at


def check_own(standing: PlannedChange | None, command: AnyCommand) -> None:
    """Raises PlanOfAnother when a command would cancel or replace this plan, and may do so to plans of its caller's
    sources alone. Plans that suspend or unsuspend have a source; all others are nobody's own."""
    if standing is None or command.own_sources is None:
        return
    planned, own = standing.command, {folded(source) for source in command.own_sources}
    if not isinstance(planned, Suspend | Unsuspend) or folded(planned.source) not in own:
        raise PlanOfAnother(
            f"What is planned, to {standing.kind.spoken}, is of another source",
            "Cancel or replace what is planned of your own",
        )


def check_after_start(command: PlannableCommand, at: datetime, start: ResolvedDay) -> None:
    """Raises BeforeStart for a decommission of a New client before the day on which it starts."""
    if isinstance(command, Decommission) and _before(start, command, at):
        raise BeforeStart(
            f"The client starts on {start.day}, after that decommission",
            "Give a later day, or decommission now",
            field=_moment_field(command),
        )


def check_details(changes: Mapping[str, Any], status: Status, schedule: Schedule) -> None:
    """Raises a Refusal when one of the details, by its field, cannot be what it is changed to."""
    for field, value in changes.items():
        match field:
            case "name":
                check_name(value)
            case "billing_ref":
                check_billing_ref(value)
            case "start_date" if status is Status.NEW:
                _check_before_end(value, schedule)
            case "activation" if status is not Status.NEW:
                raise IllegalTransition(
                    "Only a New client's activation can be changed", "Leave activation out", field="activation"
                )


def activation_on(start: ResolvedDay, now: datetime) -> PlannedChange:
    """The planned activation, as it is planned now: on the first instant of the start date at the site."""
    command = Activate(by="connect", source="start date", reason=f"start date {start.day}")
    return PlannedChange("activation", start.instant, command, start, now)


def as_now(command: PlannedCommand) -> PlannedCommand:
    """The same command, to be carried out now."""
    return replace(command, at=None, last_day=None, resolved=None) if isinstance(command, Plannable) else command


def same_but_for_id(one: PlannedCommand, other: PlannableCommand) -> bool:
    """Whether both do the same, whatever their ``command_id`` and however their moment is said."""
    return isinstance(one, Plannable) and as_now(replace(one, command_id="")) == as_now(replace(other, command_id=""))


def _check_before_end(start: ResolvedDay, schedule: Schedule) -> None:
    ending = schedule.find(Kind.DECOMMISSION)
    if ending and isinstance(ending.command, Decommission) and _before(start, ending.command, ending.at):
        raise BeforeStart(
            f"A decommission is planned before {start.day}",
            "Give an earlier start date, or move the decommission first",
            field="start_date",
        )


def _before(start: ResolvedDay, command: Plannable, at: datetime) -> bool:
    return at < start.instant or (command.last_day is not None and command.last_day < start.day)


def _moment_field(command: Plannable) -> str:
    return "at" if command.last_day is None else "last_day"
