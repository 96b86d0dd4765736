"""The client: one aggregate that every command, planned change and edit goes through.

Nothing here reads a clock, waits, or talks to a system. ``obey`` either changes the client by the table of PRODUCT.md
section 3 and answers with an Outcome, or raises a Refusal and leaves everything as it was.
"""

import copy
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import assert_never

from workflows.domain.commands import (
    Activate,
    AnyCommand,
    CancelPlanned,
    CancelScheduledDecommission,
    ChangeServices,
    ClientCommand,
    Convert,
    Decommission,
    Edit,
    Plannable,
    PlannableCommand,
    PlannedCommand,
    RotateCredentials,
    Suspend,
    Unsuspend,
    check_texts,
)
from workflows.domain.dates import check_day, end_of, first_instant, local_time
from workflows.domain.errors import (
    BeforeStart,
    IllegalTransition,
    InvalidField,
    ManagementClient,
    MomentInThePast,
    NothingPlanned,
    Refusal,
    Situation,
    TwoMoments,
)
from workflows.domain.holds import EVERY_SOURCE, Hold
from workflows.domain.journal import Entry, Event, entry_for
from workflows.domain.lifecycle import NEVER_FOR_MANAGEMENT, TABLE, Activation, Kind, Status, Verdict, allowed
from workflows.domain.schedule import PlannedChange, Schedule
from workflows.domain.services import ACCOUNT, ClientType, Services
from workflows.domain.text import written

LONGEST_NAME = 200
LONGEST_BILLING_REF = 64
MOST_HOLDS = 100


@dataclass(frozen=True)
class Outcome:
    """What a command did. ``changed`` is false when everything was so already."""

    changed: bool
    message: str
    entry: Entry


@dataclass
class Client:
    """One tenant company: its record, its status, its holds and its planned changes.

    ``revision`` grows with every decision; it fences late writes and orders the directory. ``converted_revision`` is
    that of the last conversion. ``secret_version`` is what "rotate credentials" raises (PRODUCT.md section 5).
    """

    client_id: str
    name: str
    site: str
    timezone: str
    services: Services
    start_date: date
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

    def __post_init__(self) -> None:
        check_client_id(self.client_id)
        check_name(self.name)
        check_billing_ref(self.billing_ref)
        check_day(self.start_date, "start_date")

    # -- time ---------------------------------------------------------------------------------------------------

    def begin(self) -> Entry:
        """Plan the activation of a client just created, unless it waits for a person. Returns the first line."""
        self._plan_activation()
        planned = f", {self.schedule.changes[0].told(self.timezone)}" if self.schedule.changes else ""
        facts = {"status": self.status.value}
        return Entry(Event.DECIDED, self.created_at, f"Created{planned}", "create", revision=self.revision, facts=facts)

    def advance(self, now: datetime) -> list[Entry]:
        """Let time pass: every planned change that is due takes effect, in order.

        One that has become illegal is returned as refused, never dropped silently.
        """
        entries = []
        while change := self.schedule.take_due(now):
            entries.append(self._take_effect(change, now))
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
        trial, statuses = self._ahead(), {}
        while (at := trial.schedule.next_at) and (due := trial.schedule.take_due(at)):
            if trial._take_effect(due, at).event is not Event.REFUSED:
                statuses[due.kind] = trial.status
        return statuses

    # -- commands -----------------------------------------------------------------------------------------------

    def check(self, command: ClientCommand, now: datetime) -> Outcome:
        """What ``obey`` would do, without doing it. Raises the Refusal it would raise."""
        trial = copy.deepcopy(self)
        trial.advance(now)
        return trial.obey(command, now)

    def obey(self, command: ClientCommand, now: datetime) -> Outcome:
        """Carry out a command now, or plan it.

        Raises a Refusal that names the status, what is planned and what is allowed; the client is then unchanged.
        """
        try:
            check_texts(command)
            self._check_table(command)
            if isinstance(command, Suspend | Unsuspend | Decommission | Convert | ChangeServices) and command.planned:
                return self._plan(command, now)
            return self._carry_out(command, now)
        except Refusal as refusal:
            raise refusal.within(self.situation()) from refusal.__cause__

    def situation(self) -> Situation:
        """The facts a refusal carries."""
        plans = tuple(change.told(self.timezone) for change in self.schedule)
        kinds = allowed(
            self.status,
            management=self.management,
            planned=bool(plans),
            decommission_planned=self.schedule.find(Kind.DECOMMISSION) is not None,
            held=bool(self.holds),
        )
        return Situation(self.status, plans, tuple(kind.value for kind in kinds))

    def needs(self, command: AnyCommand) -> "Needs":
        """What the command would take that must be unique in the operator: the directory decides on it first."""
        if isinstance(command, ChangeServices):
            return Needs(numbers=tuple(n.number for n in command.add_lines if n.number not in self.services.numbers))
        if isinstance(command, Edit) and command.billing_ref is not None and command.billing_ref != self.billing_ref:
            return Needs(billing_ref=command.billing_ref)
        return Needs()

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

    def _check_table(self, command: ClientCommand) -> None:
        if self.management and command.kind in NEVER_FOR_MANAGEMENT:
            raise ManagementClient(f"The management client of a site cannot be asked to {command.kind.spoken}")
        ended = self.status is Status.DECOMMISSIONED
        planning = isinstance(command, Plannable) and command.planned  # nothing is planned for a client that has ended
        if TABLE[command.kind][self.status] is not Verdict.REFUSE and not (planning and ended):
            return
        if self.status is Status.SUSPENDED:
            raise IllegalTransition(
                f"A suspended client cannot be asked to {command.kind.spoken}", "Unsuspend it instead"
            )
        at = local_time(self.decommissioned_at, self.timezone) if self.decommissioned_at else "an earlier time"
        raise IllegalTransition(f"Cannot {command.kind.spoken}: the client was already decommissioned at {at}")

    def _carry_out(self, command: ClientCommand, now: datetime) -> Outcome:
        self._check_table(command)
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
        if standing is None and len(self.holds) >= MOST_HOLDS:
            raise InvalidField(
                f"{MOST_HOLDS} holds stand already", "Lift some, or use the source of one of them", field="source"
            )
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
            at = local_time(self.decommissioned_at, self.timezone) if self.decommissioned_at else "an earlier time"
            return self._unchanged(f"Already decommissioned at {at}", command, now)
        cleared = self.schedule.clear()
        self.status, self.decommissioned_at = Status.DECOMMISSIONED, now
        self.holds.clear()
        also = f"; cleared: {', '.join(c.told(self.timezone) for c in cleared)}" if cleared else ""
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
        text = f"Cancelled: {cancelled.told(self.timezone)}"
        if cancelled.kind is Kind.ACTIVATE:
            self.activation = Activation.MANUAL
            text += "; the client now waits until somebody activates it"
        return self._decided(text, command, now)

    def _convert(self, command: Convert, now: datetime) -> Outcome:
        if command.to is self.services.type:
            return self._unchanged(f"Already {command.to}", command, now)
        if command.to is ClientType.VIRTUAL:
            if command.lines or command.offices or command.internet:
                raise InvalidField(
                    "A conversion to virtual takes no lines, offices or internet",
                    "Leave them out: the lines stay, without an office",
                    field="lines" if command.lines else "offices" if command.offices else "internet",
                )
            self.services = self.services.as_virtual()
        else:
            self.services = self.services.as_residential(command.lines, command.offices, command.internet)
        outcome = self._decided(f"Converted to {command.to}", command, now)
        self.converted_revision = self.revision
        return outcome

    def _change_services(self, command: ChangeServices, now: datetime) -> Outcome:
        if not (command.add_lines or command.remove_lines or command.internet != "keep"):
            raise InvalidField(
                "No change of services is given", "Give add_lines, remove_lines or internet", field="add_lines"
            )
        services = self.services.changed(command.add_lines, command.remove_lines, command.internet)
        if services == self.services:
            return self._unchanged("The services are so already", command, now)
        before, self.services = self.services, services
        return self._decided(_difference(before, services), command, now)

    def _edit(self, command: Edit, now: datetime) -> Outcome:
        changes = []
        if command.name is not None and command.name != self.name:
            check_name(command.name)
            changes.append("name")
        if command.billing_ref is not None and command.billing_ref != self.billing_ref:
            check_billing_ref(command.billing_ref)
            changes.append("billing ref")
        start_date = self.start_date if command.start_date is None else command.start_date
        if start_date != self.start_date:
            self._check_start(start_date)
            changes.append("start date")
        end_date = None if command.clear_end_date else command.end_date or self.end_date
        if end_date != self.end_date:
            changes.append("end date")
        activation = self.activation if command.activation is None else command.activation
        if activation is not self.activation:
            self._check_activation()
            changes.append("activation")
        if not changes:
            return self._unchanged("The details are so already", command, now)
        moved = start_date != self.start_date or activation is not self.activation
        self.name = self.name if command.name is None else command.name
        self.billing_ref = self.billing_ref if command.billing_ref is None else command.billing_ref
        self.start_date, self.end_date, self.activation = start_date, end_date, activation
        told = ""
        if moved and self.status is Status.NEW:
            self._plan_activation()
            if "activation" in changes:
                planned = self.schedule.find(Kind.ACTIVATE)
                waits = "the client now waits until somebody activates it"
                told = f"; {planned.told(self.timezone) if planned else waits}"
        return self._decided(f"Edited: {', '.join(changes)}{told}", command, now)

    # -- planning -----------------------------------------------------------------------------------------------

    def _plan(self, command: PlannableCommand, now: datetime) -> Outcome:
        at = self._moment(command, now)
        change = PlannedChange(command.command_id or f"{command.kind}-{self.revision + 1}", at, command)
        standing = self.schedule.find(command.kind)
        if standing and standing.at == at and _same_but_for_id(standing.command, command):
            return self._unchanged(f"Already planned: {standing.told(self.timezone)}", command, now)
        self._check_when_due(change)
        replaced = self.schedule.put(change)
        instead = f", instead of {local_time(replaced.at, self.timezone)}" if replaced else ""
        self.revision += 1
        text = f"Planned: {change.told(self.timezone)}{instead}"
        entry = self._entry(Event.ASKED, text, command, now)
        facts = {"change_id": change.change_id, "planned_for": at.isoformat()}
        return Outcome(True, text, replace(entry, facts=facts))

    def _moment(self, command: PlannableCommand, now: datetime) -> datetime:
        if command.last_day is not None and command.at is not None:
            raise TwoMoments("Both last_day and at are given", "Give one of them", field="at")
        if command.last_day is not None:
            check_day(command.last_day, "last_day")
            at, given = end_of(command.last_day, self.timezone), "last_day"
        else:
            assert command.at is not None
            at, given = command.at, "at"
            if at.tzinfo is None:
                raise InvalidField(
                    "The instant has no offset", "Write 2027-03-01T09:00:00+00:00, with the offset", field="at"
                )
            check_day(at.date(), given)
        if at <= now:
            raise MomentInThePast(
                f"{local_time(at, self.timezone)} is past",
                "Give a later moment, or none to have it done now",
                field=given,
            )
        if isinstance(command, Decommission) and self._before(self.start_date, command, at):
            raise BeforeStart(
                f"The client starts on {self.start_date}, after that decommission",
                "Give a later day, or decommission now",
                field=given,
            )
        return at

    def _before(self, start_date: date, command: Plannable, at: datetime) -> bool:
        """Whether a planned command ends a client that is still New before it would start."""
        early = at < first_instant(start_date, self.timezone)
        return self.status is Status.NEW and (early or (command.last_day is not None and command.last_day < start_date))

    def _check_when_due(self, change: PlannedChange) -> None:
        """Raises a Refusal when what is planned before it would make the change illegal."""
        trial = copy.deepcopy(self)
        trial.schedule.put(change)
        while (due := trial.schedule.take_due(change.at)) and due is not change:
            trial._take_effect(due, due.at)
        if trial.status is Status.DECOMMISSIONED and trial.decommissioned_at:
            ended = local_time(trial.decommissioned_at, self.timezone)
            raise IllegalTransition(
                f"Cannot plan to {change.kind.spoken} then: the client will have been decommissioned at {ended}",
                "Give an earlier moment, or move or cancel the decommission first",
            )
        trial._carry_out(_as_now(change.command), change.at)

    def _take_effect(self, change: PlannedChange, now: datetime) -> Entry:
        before = self.revision
        try:
            entry = self._carry_out(_as_now(change.command), now).entry
        except Refusal as refusal:
            text = f"Planned {change.kind.spoken} refused when due: {refusal.within(self.situation())}"
            entry = self._entry(Event.REFUSED, text, change.command, now)
        self.revision = max(self.revision, before + 1)  # the plan is gone, whatever came of it
        facts = {**entry.facts, "change_id": change.change_id, "planned": "true"}
        return replace(entry, revision=self.revision, facts=facts)

    def _plan_activation(self) -> None:
        """On the first instant of the start date at the site; what is past is due at once."""
        self.schedule.remove(Kind.ACTIVATE)
        if self.activation is Activation.AUTOMATIC:
            at = first_instant(self.start_date, self.timezone)
            command = Activate(by="connect", source="start date", reason=f"start date {self.start_date}")
            self.schedule.put(PlannedChange("activation", at, command))

    def _check_start(self, start_date: date) -> None:
        check_day(start_date, "start_date")
        ending = self.schedule.find(Kind.DECOMMISSION)
        if ending and isinstance(ending.command, Decommission) and self._before(start_date, ending.command, ending.at):
            raise BeforeStart(
                f"A decommission is planned before {start_date}",
                "Give an earlier start date, or move the decommission first",
                field="start_date",
            )

    def _check_activation(self) -> None:
        """Raises IllegalTransition for a client that was activated, or ended: its start is past changing."""
        if self.status is not Status.NEW:
            raise IllegalTransition(
                "Only a New client's activation can be changed", "Leave activation out", field="activation"
            )

    # -- small things -------------------------------------------------------------------------------------------

    def _ahead(self) -> "Client":
        """A copy to let time pass for. Only what changes in place is copied: all else of a client is values."""
        trial = copy.copy(self)
        trial.holds, trial.schedule = dict(self.holds), Schedule(list(self.schedule.changes))
        return trial

    def _settle_status(self, now: datetime, *, started: bool = False) -> None:
        """A started client is Suspended while at least one hold stands, else Active."""
        if self.status is Status.NEW and not started:
            return
        self.status = Status.SUSPENDED if self.holds else Status.ACTIVE
        if self.status is Status.ACTIVE and self.first_active_at is None:
            self.first_active_at = now

    def _decided(self, text: str, command: AnyCommand, now: datetime) -> Outcome:
        self.revision += 1
        entry = self._entry(Event.DECIDED, text, command, now)
        return Outcome(True, text, replace(entry, facts={"status": self.status.value}))

    def _unchanged(self, text: str, command: AnyCommand, now: datetime) -> Outcome:
        return Outcome(False, text, self._entry(Event.ASKED, f"{text}; nothing changed", command, now))

    def _entry(self, event: Event, text: str, command: AnyCommand, now: datetime) -> Entry:
        return entry_for(command, event, text, now, self.revision)


@dataclass(frozen=True)
class Needs:
    """What must be unique: an empty billing_ref asks for a generated one, None for none at all."""

    billing_ref: str | None = None
    numbers: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.billing_ref is not None or bool(self.numbers)

    def met_by(self, billing_ref: str | None, numbers: Collection[str]) -> bool:
        """Whether a claim of these is enough."""
        return self.billing_ref in (None, billing_ref) and set(self.numbers) <= set(numbers)


def check_client_id(client_id: str) -> None:
    """Raises InvalidField for an id that is not made for workflow ids and account names (PRODUCT.md section 2)."""
    if not ACCOUNT.fullmatch(client_id):
        raise InvalidField(
            f"{client_id[:80]!r} is not a client id",
            "Give 2 to 63 small letters, digits and hyphens, not beginning with a hyphen",
            field="client_id",
        )


def check_name(name: str) -> None:
    """Raises InvalidField for a name that is blank, too long, or has control characters."""
    if not written(name, LONGEST_NAME):
        long = f"The name has {len(name)} characters" if len(name) > LONGEST_NAME else ""
        raise InvalidField(
            long or ("The name has control characters" if name.strip() else "The name is blank"),
            f"Give a name of 1 to {LONGEST_NAME} characters, on one line",
            field="name",
        )


def check_billing_ref(billing_ref: str) -> None:
    """Raises InvalidField for one that is too long or only blanks; empty means: generate one."""
    if billing_ref and (billing_ref != billing_ref.strip() or not written(billing_ref, LONGEST_BILLING_REF)):
        raise InvalidField(
            "The billing reference has blanks around it, control characters, or is too long",
            f"Give 1 to {LONGEST_BILLING_REF} characters without blanks around them, or leave it empty",
            field="billing_ref",
        )


def check_source(source: str) -> None:
    """Raises InvalidField for a source that is blank, too long or the word for every one."""
    if not written(source, LONGEST_BILLING_REF) or source == EVERY_SOURCE:
        raise InvalidField(
            f"{source[:80]!r} cannot be the source of a hold",
            f"Give a name of 1 to {LONGEST_BILLING_REF} characters, such as billing; {EVERY_SOURCE!r} only lifts",
            field="source",
        )


def _as_now(command: PlannedCommand) -> PlannedCommand:
    return replace(command, at=None, last_day=None) if isinstance(command, Plannable) else command


def _same_but_for_id(one: PlannedCommand, other: PlannableCommand) -> bool:
    return isinstance(one, Plannable) and _as_now(replace(one, command_id="")) == _as_now(replace(other, command_id=""))


def _difference(before: Services, after: Services) -> str:
    had, has = {line.number: line for line in before.lines}, {line.number: line for line in after.lines}
    parts = [f"added {number}" for number in has if number not in had]
    parts += [f"removed {number}" for number in had if number not in has]
    parts += [f"changed {number}" for number in has if number in had and has[number] != had[number]]
    if before.internet != after.internet:
        now = after.internet
        parts.append(f"internet {now.down_mbps}/{now.up_mbps} Mbit/s" if now else "internet ended")
    return f"Services: {', '.join(parts)}"
