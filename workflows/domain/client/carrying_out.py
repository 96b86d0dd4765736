"""Carry out a command on a client, by the table of PRODUCT.md section 3."""

from dataclasses import replace
from datetime import datetime
from typing import assert_never

from workflows.domain.answers import Outcome
from workflows.domain.client.labels import change_text, labels_after
from workflows.domain.client.planning import check_details, check_own, start_of
from workflows.domain.client.record import Record
from workflows.domain.client.refused_plans import without
from workflows.domain.client.rules import check_change_given, check_room_for_a_hold, check_source
from workflows.domain.commands import (
    Acknowledge,
    Activate,
    AnyCommand,
    CancelPlanned,
    CancelScheduledDecommission,
    ChangeServices,
    ClientCommand,
    Contracting,
    Convert,
    Decommission,
    Edit,
    RotateCredentials,
    Suspend,
    Unsuspend,
)
from workflows.domain.errors import NothingPlanned
from workflows.domain.holds import Hold, means_every, same_source, standing_for
from workflows.domain.lifecycle import Activation, Kind, Status
from workflows.domain.services import Services, difference
from workflows.domain.systems import System

EDITABLE = ("name", "billing_ref", "start_date", "end_date", "activation")
WAITS_FOR_A_PERSON = "the client now waits until somebody activates it"


def carry_out(client: Record, command: ClientCommand, now: datetime) -> Outcome:
    """Do what a command asks for, now. Raises a Refusal, and leaves the client half changed then: give it a copy."""
    client.options.check(command.kind)
    match command:
        case Activate():
            return _activate(client, command, now)
        case Suspend():
            return _suspend(client, command, now)
        case Unsuspend():
            return _unsuspend(client, command, now)
        case Decommission():
            return _decommission(client, command, now)
        case CancelScheduledDecommission():
            return _cancel(client, Kind.DECOMMISSION, command, now)
        case CancelPlanned():
            return _cancel(client, command.change, command, now)
        case Convert():
            return _convert(client, command, now)
        case ChangeServices():
            return _change_services(client, command, now)
        case Edit():
            return _edit(client, command, now)
        case RotateCredentials():
            client.secret_version += 1
            return client.decided(f"Credentials rotated, to version {client.secret_version}", command, now)
        case Acknowledge():
            client.refused_plans = without(client.refused_plans, command.matter)
            return client.decided(f"Acknowledged: {command.matter}", command, now)
        case _:
            assert_never(command)


def _activate(client: Record, command: Activate, now: datetime) -> Outcome:
    if client.status is Status.ACTIVE:
        return client.unchanged("Already active", command, now)
    client.schedule.remove(Kind.ACTIVATE)
    client.settle_status(now, started=True)
    held = f", held by {', '.join(sorted(client.holds))}" if client.holds else ""
    return client.decided(f"Activated: the client is {client.status}{held}", command, now)


def _suspend(client: Record, command: Suspend, now: datetime) -> Outcome:
    check_source(command.source, client.grammar)
    standing = standing_for(command.source, client.holds, client.grammar)
    hold = Hold(standing.source if standing else command.source, command.reason, command.by, now)
    if hold.says_the_same_as(standing):
        return client.unchanged(f"Already held by {hold.source}", command, now)
    if standing is None:
        check_room_for_a_hold(client.holds)
    client.holds[hold.source] = replace(hold, placed_at=standing.placed_at) if standing else hold
    before = client.status
    client.settle_status(now)
    if client.status is not before:
        text = f"Suspended by {hold.source}"
    elif standing:
        text = f"Hold of {hold.source} updated"
    else:
        text = f"Hold of {hold.source} added"
    if client.status is Status.NEW:
        text += ": the client will be suspended once it is activated"
    return client.decided(text, command, now)


def _unsuspend(client: Record, command: Unsuspend, now: datetime) -> Outcome:
    every = means_every(command.source, client.grammar)
    if not every:
        check_source(command.source, client.grammar)
    lifted = list(client.holds) if every else same_source(command.source, client.holds, client.grammar)
    if not lifted:
        held = f"; held by {', '.join(sorted(client.holds))}" if client.holds else ""
        by = "" if every else f" by {command.source}"
        return client.unchanged(f"Not held{by}{held}", command, now)
    for source in lifted:
        del client.holds[source]
    before = client.status
    client.settle_status(now)
    text = f"Hold of {', '.join(sorted(lifted))} lifted"
    if client.status is not before:
        text += ": the client is active again"
    elif client.holds:
        text += f"; still held by {', '.join(sorted(client.holds))}"
    return client.decided(text, command, now)


def _decommission(client: Record, command: Decommission, now: datetime) -> Outcome:
    if client.status is Status.DECOMMISSIONED:
        return client.unchanged(f"Already decommissioned at {client.options.ended}", command, now)
    cleared = client.schedule.clear()
    client.status, client.decommissioned_at = Status.DECOMMISSIONED, now
    client.holds.clear()
    client.refused_plans = []  # they were about what the client was to be
    also = f"; cleared: {', '.join(c.describe(client.timezone) for c in cleared)}" if cleared else ""
    return client.decided(f"Decommissioned{also}", command, now)


def _cancel(client: Record, named: str, command: AnyCommand, now: datetime) -> Outcome:
    check_own(client.schedule.find(named), command)
    cancelled = client.schedule.remove(named)
    if cancelled is None:
        if named in {kind.value for kind in Kind}:
            return client.unchanged(f"No change of the kind {Kind(named).spoken!r} is planned", command, now)
        raise NothingPlanned(
            f"Nothing planned is called {named!r}",
            "Give the kind of the planned change, or its change_id",
            field="change",
        )
    text = f"Cancelled: {cancelled.describe(client.timezone)}"
    if cancelled.kind is Kind.ACTIVATE:
        client.activation = Activation.MANUAL
        text += f"; {WAITS_FOR_A_PERSON}"
    return client.decided(text, command, now)


def _convert(client: Record, command: Convert, now: datetime) -> Outcome:
    if command.to is client.services.type:
        return client.unchanged(f"Already {command.to}", command, now)
    services = client.services.converted(command.to, command.lines, command.offices, command.internet)
    client.instances, client.services = _serving(client, services, command), services
    outcome = client.decided(f"Converted to {command.to}", command, now)
    client.converted_revision = client.revision
    return outcome


def _change_services(client: Record, command: ChangeServices, now: datetime) -> Outcome:
    check_change_given(command)
    services = client.services.changed(
        command.add_lines, command.remove_lines, command.internet, command.add_services, command.remove_services
    )
    if services == client.services:
        return client.unchanged("The services are so already", command, now)
    client.instances, before, client.services = _serving(client, services, command), client.services, services
    return client.decided(difference(before, services), command, now)


def _serving(client: Record, services: Services, command: Contracting) -> dict[System, str]:
    """The instances after a change to these services: what is taken newly is served by the site's of now."""
    newly = {*services.systems} - {*client.services.systems}
    return client.instances | {system: name for system, name in command.instances.items() if system in newly}


def _edit(client: Record, command: Edit, now: datetime) -> Outcome:
    start = start_of(command, client.start_date, client.status, client.timezone)
    details = {**{name: getattr(command, name) for name in EDITABLE}, "start_date": start}
    details |= labels_after(command, client.tags, client.external_ids)
    after = {name: getattr(client, name) if value is None else value for name, value in details.items()}
    if command.clear_end_date:
        after["end_date"] = None
    changes = {name: value for name, value in after.items() if value != getattr(client, name)}
    if not changes:
        return client.unchanged("The details are so already", command, now)
    check_details(changes, client.status, client.schedule)
    edited = ", ".join(change_text(name, getattr(client, name), value) for name, value in changes.items())
    vars(client).update(changes)
    activation = ""
    if client.status is Status.NEW and changes.keys() & {"start_date", "activation"}:
        client.plan_activation(now)
        if "activation" in changes:
            planned = client.schedule.find(Kind.ACTIVATE)
            activation = f"; {planned.describe(client.timezone) if planned else WAITS_FOR_A_PERSON}"
    return client.decided(f"Edited: {edited}{activation}", command, now)
