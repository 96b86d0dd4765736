"""The client: one aggregate that every command, planned change and edit goes through.

Nothing here reads a clock, waits, or talks to a system. ``obey`` either changes the client by the table of PRODUCT.md
section 3 and answers with an Outcome, or raises a Refusal and leaves everything as it was.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import assert_never

from workflows.domain.answers import Outcome
from workflows.domain.client.options import Options, ended_at
from workflows.domain.client.planning import (
    activation_on,
    as_now,
    check_after_start,
    check_details,
    plan_of,
    same_but_for_id,
    start_of,
)
from workflows.domain.client.rules import (
    check_billing_ref,
    check_change_given,
    check_client_id,
    check_name,
    check_room_for_a_hold,
    check_source,
)
from workflows.domain.commands import (
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
    PlannableCommand,
    RotateCredentials,
    Suspend,
    Unsuspend,
    check_texts,
)
from workflows.domain.dates import ResolvedDay, check_day, local_time
from workflows.domain.errors import IllegalTransition, NothingPlanned, Refusal, Situation
from workflows.domain.holds import EVERY_SOURCE, Hold
from workflows.domain.journal import Entry, Event, entry_for
from workflows.domain.lifecycle import Activation, Kind, Status
from workflows.domain.schedule import PlannedChange, Schedule
from workflows.domain.services import Services, difference
from workflows.domain.systems import System
from workflows.domain.trial import all_or_nothing, copy_of

EDITABLE = ("name", "billing_ref", "start_date", "end_date", "activation")
WAITS_FOR_A_PERSON = "the client now waits until somebody activates it"


@dataclass
class Client:
    """One tenant company: its record, its status, its holds and its planned changes.

    ``revision`` grows with every decision; it fences late writes and orders the directory. ``converted_revision`` is
    that of the last conversion. ``secret_version`` is what "rotate credentials" raises (PRODUCT.md section 5).
    ``instances`` name the one that serves each kind: the site's, when the client last took a first service of it.
    """

    client_id: str
    name: str
    site: str
    timezone: str
    services: Services
    start_date: ResolvedDay
    created_at: datetime
    billing_ref: str = ""
    end_date: date | None = None
    activation: Activation = Activation.AUTOMATIC
    management: bool = False
    status: Status = Status.NEW
    holds: dict[str, Hold] = field(default_factory=dict)
    schedule: Schedule = field(default_factory=Schedule)
    revision: int = 1
    secret_version: int = 1
    converted_revision: int = 0
    first_active_at: datetime | None = None
    decommissioned_at: datetime | None = None
    instances: dict[System, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_client_id(self.client_id)
        check_name(self.name)
        check_billing_ref(self.billing_ref)
        check_day(self.start_date.day, "start_date")

    # -- time ---------------------------------------------------------------------------------------------------

    def begin(self) -> Entry:
        """Plan the activation of a client just created, unless it waits for a person. Returns the first line."""
        self._plan_activation()
        planned = f", {self.schedule.changes[0].describe(self.timezone)}" if self.schedule.changes else ""
        facts = {"status": self.status.value}
        return Entry(Event.DECIDED, self.created_at, f"Created{planned}", "create", revision=self.revision, facts=facts)

    def advance(self, now: datetime, check: Callable[["Client"], None] = lambda client: None) -> list[Entry]:
        """Let time pass: every planned change that is due takes effect, in order.

        One that has become illegal, or after which ``check`` raises a Refusal, is returned as refused, never dropped
        silently.
        """
        entries = []
        while change := self.schedule.take_due(now):
            entries.append(self._take_effect(change, now, check))
        return entries

    def next_moment(self) -> datetime | None:
        """When the next planned change is due."""
        return self.schedule.next_at

    def foreseen(self) -> dict[Kind, Status]:
        """The status after each planned change, if nothing else is decided.

        A change that is missing will not come: it will have been cleared, or is refused when it is due.
        """
        if not self.schedule.changes:
            return {}
        trial, statuses = copy_of(self), {}
        while (at := trial.schedule.next_at) and (due := trial.schedule.take_due(at)):
            if trial._take_effect(due, at).event is not Event.REFUSED:
                statuses[due.kind] = trial.status
        return statuses

    # -- commands -----------------------------------------------------------------------------------------------

    def check(self, command: ClientCommand, now: datetime) -> Outcome:
        """What ``obey`` would do, without doing it. Raises the Refusal it would raise."""
        trial = copy_of(self)
        trial.advance(now)
        return trial.obey(command, now)

    def obey(self, command: ClientCommand, now: datetime) -> Outcome:
        """Carry out a command now, or plan it.

        Raises a Refusal that names the status, what is planned and what is allowed. Whatever is raised, the client is
        then unchanged.
        """
        try:
            check_texts(command)
            with all_or_nothing(self) as trial:
                if isinstance(command, PlannableCommand) and command.planned:
                    return trial._plan(command, now)
                return trial._carry_out(command, now)
        except Refusal as refusal:
            raise refusal.within(self.situation()) from refusal.__cause__

    def situation(self) -> Situation:
        """The facts a refusal carries."""
        plans = tuple(change.describe(self.timezone) for change in self.schedule)
        return Situation(self.status, plans, tuple(kind.value for kind in self.options.possible))

    @property
    def options(self) -> Options:
        """What may be asked of the client now."""
        return Options(
            self.status,
            management=self.management,
            held=bool(self.holds),
            planned=frozenset(change.kind for change in self.schedule),
            ended=ended_at(self.decommissioned_at, self.timezone),
        )

    @property
    def numbers_held(self) -> frozenset[str]:
        """Numbers contracted or about to be: contracted ones end with the client, planned ones with their plan."""
        if self.status is Status.DECOMMISSIONED:
            return frozenset()
        planned = {
            line.number for c in self.schedule if isinstance(c.command, ChangeServices) for line in c.command.add_lines
        }
        return frozenset(self.services.numbers) | planned

    # -- carrying out -------------------------------------------------------------------------------------------

    def _carry_out(self, command: ClientCommand, now: datetime) -> Outcome:
        self.options.check(command.kind)
        match command:
            case Activate():
                return self._activate(command, now)
            case Suspend():
                return self._suspend(command, now)
            case Unsuspend():
                return self._unsuspend(command, now)
            case Decommission():
                return self._decommission(command, now)
            case CancelScheduledDecommission():
                return self._cancel(Kind.DECOMMISSION, command, now)
            case CancelPlanned():
                return self._cancel(command.change, command, now)
            case Convert():
                return self._convert(command, now)
            case ChangeServices():
                return self._change_services(command, now)
            case Edit():
                return self._edit(command, now)
            case RotateCredentials():
                self.secret_version += 1
                return self._decided(f"Credentials rotated, to version {self.secret_version}", command, now)
            case _:
                assert_never(command)

    def _activate(self, command: Activate, now: datetime) -> Outcome:
        if self.status is Status.ACTIVE:
            return self._unchanged("Already active", command, now)
        self.schedule.remove(Kind.ACTIVATE)
        self._settle_status(now, started=True)
        held = f", held by {', '.join(sorted(self.holds))}" if self.holds else ""
        return self._decided(f"Activated: the client is {self.status}{held}", command, now)

    def _suspend(self, command: Suspend, now: datetime) -> Outcome:
        check_source(command.source)
        hold = Hold(command.source, command.reason, command.by, now)
        standing = self.holds.get(hold.source)
        if hold.says_the_same_as(standing):
            return self._unchanged(f"Already held by {hold.source}", command, now)
        if standing is None:
            check_room_for_a_hold(self.holds)
        self.holds[hold.source] = replace(hold, placed_at=standing.placed_at) if standing else hold
        before = self.status
        self._settle_status(now)
        if self.status is not before:
            text = f"Suspended by {hold.source}"
        elif standing:
            text = f"Hold of {hold.source} updated"
        else:
            text = f"Hold of {hold.source} added"
        if self.status is Status.NEW:
            text += ": the client will be suspended once it is activated"
        return self._decided(text, command, now)

    def _unsuspend(self, command: Unsuspend, now: datetime) -> Outcome:
        if command.source != EVERY_SOURCE:
            check_source(command.source)
        lifted = [s for s in self.holds if command.source in (s, EVERY_SOURCE)]
        if not lifted:
            held = f"; held by {', '.join(sorted(self.holds))}" if self.holds else ""
            by = "" if command.source == EVERY_SOURCE else f" by {command.source}"
            return self._unchanged(f"Not held{by}{held}", command, now)
        for source in lifted:
            del self.holds[source]
        before = self.status
        self._settle_status(now)
        text = f"Hold of {', '.join(sorted(lifted))} lifted"
        if self.status is not before:
            text += ": the client is active again"
        elif self.holds:
            text += f"; still held by {', '.join(sorted(self.holds))}"
        return self._decided(text, command, now)

    def _decommission(self, command: Decommission, now: datetime) -> Outcome:
        if self.status is Status.DECOMMISSIONED:
            return self._unchanged(f"Already decommissioned at {self.options.ended}", command, now)
        cleared = self.schedule.clear()
        self.status, self.decommissioned_at = Status.DECOMMISSIONED, now
        self.holds.clear()
        also = f"; cleared: {', '.join(c.describe(self.timezone) for c in cleared)}" if cleared else ""
        return self._decided(f"Decommissioned{also}", command, now)

    def _cancel(self, named: str, command: AnyCommand, now: datetime) -> Outcome:
        cancelled = self.schedule.remove(named)
        if cancelled is None:
            if named in {kind.value for kind in Kind}:
                return self._unchanged(f"No change of the kind {Kind(named).spoken!r} is planned", command, now)
            raise NothingPlanned(
                f"Nothing planned is called {named!r}",
                "Give the kind of the planned change, or its change_id",
                field="change",
            )
        text = f"Cancelled: {cancelled.describe(self.timezone)}"
        if cancelled.kind is Kind.ACTIVATE:
            self.activation = Activation.MANUAL
            text += f"; {WAITS_FOR_A_PERSON}"
        return self._decided(text, command, now)

    def _convert(self, command: Convert, now: datetime) -> Outcome:
        if command.to is self.services.type:
            return self._unchanged(f"Already {command.to}", command, now)
        services = self.services.converted(command.to, command.lines, command.offices, command.internet)
        self.instances, self.services = self._serving(services, command), services
        outcome = self._decided(f"Converted to {command.to}", command, now)
        self.converted_revision = self.revision
        return outcome

    def _change_services(self, command: ChangeServices, now: datetime) -> Outcome:
        check_change_given(command)
        services = self.services.changed(
            command.add_lines, command.remove_lines, command.internet, command.add_services, command.remove_services
        )
        if services == self.services:
            return self._unchanged("The services are so already", command, now)
        self.instances, before, self.services = self._serving(services, command), self.services, services
        return self._decided(difference(before, services), command, now)

    def _serving(self, services: Services, command: Contracting) -> dict[System, str]:
        """The instances after a change to these services: what is taken newly is served by the site's of now."""
        newly = {*services.systems} - {*self.services.systems}
        return self.instances | {system: name for system, name in command.instances.items() if system in newly}

    def _edit(self, command: Edit, now: datetime) -> Outcome:
        start = start_of(command, self.start_date, self.status, self.timezone)
        given = {**{name: getattr(command, name) for name in EDITABLE}, "start_date": start}
        after = {name: getattr(self, name) if value is None else value for name, value in given.items()}
        if command.clear_end_date:
            after["end_date"] = None
        changes = {name: value for name, value in after.items() if value != getattr(self, name)}
        if not changes:
            return self._unchanged("The details are so already", command, now)
        check_details(changes, self.status, self.schedule)
        vars(self).update(changes)
        activation = ""
        if self.status is Status.NEW and changes.keys() & {"start_date", "activation"}:
            self._plan_activation()
            if "activation" in changes:
                planned = self.schedule.find(Kind.ACTIVATE)
                activation = f"; {planned.describe(self.timezone) if planned else WAITS_FOR_A_PERSON}"
        return self._decided(f"Edited: {', '.join(changes).replace('_', ' ')}{activation}", command, now)

    # -- planning -----------------------------------------------------------------------------------------------

    def _plan(self, command: PlannableCommand, now: datetime) -> Outcome:
        self.options.check(command.kind, planning=True)
        change = plan_of(command, now, self.timezone, change_id=f"{command.kind}-{self.revision + 1}")
        if self.status is Status.NEW:
            check_after_start(command, change.at, self.start_date)
        standing = self.schedule.find(command.kind)
        if standing and standing.at == change.at and same_but_for_id(standing.command, command):
            return self._unchanged(f"Already planned: {standing.describe(self.timezone)}", command, now)
        self._check_when_due(change)
        replaced = self.schedule.put(change)
        instead = f", instead of {local_time(replaced.at, self.timezone)}" if replaced else ""
        self.revision += 1
        text = f"Planned: {change.describe(self.timezone)}{instead}"
        entry = entry_for(command, Event.ASKED, text, now, self.revision)
        facts = {"change_id": change.change_id, "planned_for": change.at.isoformat()}
        return Outcome(True, text, replace(entry, facts=facts))

    def _check_when_due(self, change: PlannedChange) -> None:
        """Raises a Refusal when what is planned before it would make the change illegal."""
        trial = copy_of(self)
        trial.schedule.put(change)
        while (due := trial.schedule.take_due(change.at)) and due is not change:
            trial._take_effect(due, due.at)
        if trial.status is Status.DECOMMISSIONED and trial.decommissioned_at:
            ended = local_time(trial.decommissioned_at, self.timezone)
            raise IllegalTransition(
                f"Cannot plan to {change.kind.spoken} then: the client will have been decommissioned at {ended}",
                "Give an earlier moment, or move or cancel the decommission first",
            )
        trial._carry_out(as_now(change.command), change.at)

    def _take_effect(
        self, change: PlannedChange, now: datetime, check: Callable[["Client"], None] = lambda client: None
    ) -> Entry:
        before = self.revision
        try:
            with all_or_nothing(self) as trial:
                entry = trial._carry_out(as_now(change.command), now).entry
                check(trial)
        except Refusal as refusal:
            text = f"Planned {change.kind.spoken} refused when due: {refusal.within(self.situation())}"
            entry = entry_for(change.command, Event.REFUSED, text, now, self.revision)
        self.revision = max(self.revision, before + 1)  # the plan is gone, whatever came of it
        facts = {**entry.facts, "change_id": change.change_id, "planned": "true"}
        return replace(entry, revision=self.revision, facts=facts)

    def _plan_activation(self) -> None:
        """On the start date, unless a person activates; what is past is due at once."""
        self.schedule.remove(Kind.ACTIVATE)
        if self.activation is Activation.AUTOMATIC:
            self.schedule.put(activation_on(self.start_date))

    # -- small things -------------------------------------------------------------------------------------------

    def _settle_status(self, now: datetime, *, started: bool = False) -> None:
        """A started client is Suspended while at least one hold stands, else Active."""
        if self.status is Status.NEW and not started:
            return
        self.status = Status.SUSPENDED if self.holds else Status.ACTIVE
        if self.status is Status.ACTIVE and self.first_active_at is None:
            self.first_active_at = now

    def _decided(self, text: str, command: AnyCommand, now: datetime) -> Outcome:
        self.revision += 1
        entry = entry_for(command, Event.DECIDED, text, now, self.revision)
        return Outcome(True, text, replace(entry, facts={"status": self.status.value}))

    def _unchanged(self, text: str, command: AnyCommand, now: datetime) -> Outcome:
        return Outcome(False, text, entry_for(command, Event.ASKED, f"{text}; nothing changed", now, self.revision))
