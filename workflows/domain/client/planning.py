"""When a planned change happens, and what a plan must keep to (PRODUCT.md section 4)."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from workflows.domain.client.rules import check_billing_ref, check_name
from workflows.domain.commands import Activate, Decommission, Plannable, PlannableCommand, PlannedCommand
from workflows.domain.dates import check_day, end_of, first_instant, local_time
from workflows.domain.errors import BeforeStart, IllegalTransition, InvalidField, MomentInThePast, TwoMoments
from workflows.domain.lifecycle import Kind, Status
from workflows.domain.schedule import PlannedChange, Schedule


def moment_of(command: PlannableCommand, now: datetime, timezone: str) -> datetime:
    """The instant at which a planned command happens. Raises InvalidField for one that is past, or cannot be read."""
    if command.last_day is not None and command.at is not None:
        raise TwoMoments("Both last_day and at are given", "Give one of them", field="at")
    if command.last_day is not None:
        check_day(command.last_day, "last_day")
        at = end_of(command.last_day, timezone)
    else:
        assert command.at is not None
        at = command.at
        if at.tzinfo is None:
            raise InvalidField(
                "The instant has no offset", "Write 2027-03-01T09:00:00+00:00, with the offset", field="at"
            )
        check_day(at.date(), "at")
    if at <= now:
        raise MomentInThePast(
            f"{local_time(at, timezone)} is past",
            "Give a later moment, or none to have it done now",
            field=_given(command),
        )
    return at


def check_after_start(command: PlannableCommand, at: datetime, start_date: date, timezone: str) -> None:
    """Raises BeforeStart for a decommission of a New client before the day on which it starts."""
    if isinstance(command, Decommission) and _before(start_date, command, at, timezone):
        raise BeforeStart(
            f"The client starts on {start_date}, after that decommission",
            "Give a later day, or decommission now",
            field=_given(command),
        )


def check_details(changes: Mapping[str, Any], status: Status, schedule: Schedule, timezone: str) -> None:
    """Raises a Refusal when one of the details, by its field, cannot be what it is changed to."""
    for field, value in changes.items():
        match field:
            case "name":
                check_name(value)
            case "billing_ref":
                check_billing_ref(value)
            case "start_date":
                check_day(value, "start_date")
                if status is Status.NEW:
                    _check_before_end(value, schedule, timezone)
            case "activation" if status is not Status.NEW:
                raise IllegalTransition(
                    "Only a New client's activation can be changed", "Leave activation out", field="activation"
                )


def activation_on(start_date: date, timezone: str) -> PlannedChange:
    """The planned activation: on the first instant of the start date at the site."""
    command = Activate(by="connect", source="start date", reason=f"start date {start_date}")
    return PlannedChange("activation", first_instant(start_date, timezone), command)


def as_now(command: PlannedCommand) -> PlannedCommand:
    """The same command, to be carried out now."""
    return replace(command, at=None, last_day=None) if isinstance(command, Plannable) else command


def same_but_for_id(one: PlannedCommand, other: PlannableCommand) -> bool:
    """Whether both do the same, whatever their ``command_id`` and however their moment is said."""
    return isinstance(one, Plannable) and as_now(replace(one, command_id="")) == as_now(replace(other, command_id=""))


def _check_before_end(start_date: date, schedule: Schedule, timezone: str) -> None:
    ending = schedule.find(Kind.DECOMMISSION)
    if ending and isinstance(ending.command, Decommission) and _before(start_date, ending.command, ending.at, timezone):
        raise BeforeStart(
            f"A decommission is planned before {start_date}",
            "Give an earlier start date, or move the decommission first",
            field="start_date",
        )


def _before(start_date: date, command: Plannable, at: datetime, timezone: str) -> bool:
    early = at < first_instant(start_date, timezone)
    return early or (command.last_day is not None and command.last_day < start_date)


def _given(command: Plannable) -> str:
    return "at" if command.last_day is None else "last_day"
