"""All that one workflow remembers: one value that survives every renewal."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from workflows.domain.answers import (
    MOST_PAST,
    Answer,
    Caution,
    Outcome,
    answer_of_refusal,
    answered_long_ago,
    fingerprint,
    mark_of,
)
from workflows.domain.client.client import Client
from workflows.domain.client.notes import take_note
from workflows.domain.client.rules import Needs, needs_of
from workflows.domain.commands import (
    AnyCommand,
    ChangeServices,
    Contracting,
    Edit,
    Note,
    SystemCommand,
    check_revision,
    unconditional,
)
from workflows.domain.errors import CommandIdReused, Refusal, TooManyWaiting, refusal_of
from workflows.domain.foresight import Foreseen, foresee
from workflows.domain.journal import Entry, Event, Journal, shortened
from workflows.domain.lifecycle import Status
from workflows.domain.provisioning import system_commands
from workflows.domain.provisioning.provisioning import Provisioned, Provisioning
from workflows.domain.provisioning.standing import Limits
from workflows.domain.provisioning.telephony import numbers_in_use
from workflows.domain.reports import Reports
from workflows.domain.systems import DIRECTORY, MAIN, TELEPHONY, System
from workflows.domain.text import GRAMMAR
from workflows.domain.trial import all_or_nothing, copy_of
from workflows.domain.warnings import new_ones, of_command, of_plans

# Temporal priority keys, lowest first: what an operator asked goes before what a timer did, and both before bulk work.
FORMAT = 2  # of the state: it grows when an older version could not read it without losing something of it
OPERATOR_FIRST, TIMER_NEXT, BULK_LAST = 2, 3, 5
BULK = "bulk"
MAIN_ALONE: Mapping[System, str] = MappingProxyType({})
BYTES_OF_A_LINE = 200
MOST_WARNED = 20  # so many of the newest answers keep their warnings


@dataclass
class ClientState(Reports):
    """A client, where its systems stand, and what still has to be told or decided.

    ``claims`` are commands that wait for the directory to decide on something unique. ``registered`` is false until the
    directory has the client itself. ``incarnation`` tells the directory one workflow from another of the same id.
    ``recent`` are the newest answers, ``past`` the marks of commands answered before those (domain/answers.py).
    ``attributes`` are Temporal's search attributes as they were last set.
    """

    client: Client
    limits: Limits = field(default_factory=Limits)
    provisioning: Provisioning = field(default_factory=Provisioning)
    journal: Journal = field(default_factory=Journal)
    recent: list[Answer] = field(default_factory=list)
    past: list[str] = field(default_factory=list)
    claims: list[AnyCommand] = field(default_factory=list)
    registered: bool = False
    created_by: str = ""
    incarnation: str = ""
    priority: int = OPERATOR_FIRST
    attributes: dict[str, str] = field(default_factory=dict)
    format: int = FORMAT

    @classmethod
    def of_new(
        cls,
        client: Client,
        limits: Limits,
        created_by: str = "",
        by: str = "",
        request: str = "",
        request_id: str = "",
    ) -> "ClientState":
        """A client just asked for: its activation is planned, nothing is switched, the directory does not know it.

        ``created_by`` is the command_id of the request, ``request`` its fingerprint, ``request_id`` its id, ``by``
        whoever sent it.
        """
        client.grammar = GRAMMAR
        state = cls(client, limits, created_by=created_by)
        line = replace(client.begin(), command_id=created_by, by=shortened(by, 200), request_id=request_id)
        state.provisioning.follow(client)
        state.journal.write(line)
        if created_by:
            state.recent = [Answer(created_by, request, True, line.text, line.kind, state.journal.written)]
        return state

    def renew(self) -> None:
        """Pass on to a new run, which goes by the rules of now: never within a run, whose replay has its own."""
        self.format, self.client.grammar = FORMAT, GRAMMAR

    # -- decisions ------------------------------------------------------------------------------------------------

    def advance(self, now: datetime) -> None:
        """Let time pass: every planned change that is due takes effect. What an exception interrupts is not begun."""
        if not self.registered:
            return
        self.end_attention(now)
        due = self.client.next_moment()
        if due is None or due > now:
            self.provisioning.follow(self.client)
            return
        with all_or_nothing(self) as trial:
            for entry in trial.client.advance(now, trial.provisioning.check):
                trial.journal.write(entry)
                trial.priority = TIMER_NEXT
            trial.provisioning.follow(trial.client)

    def check(self, command: AnyCommand, now: datetime) -> None:
        """Raises the Refusal that ``obey`` would raise; a command answered before is never refused."""
        if self.answered(command) is not None or self.claiming(command):
            return
        self.check_room()
        trial = copy_of(self)
        trial.advance(now)
        trial._outcome(command, now)

    def obey(self, command: AnyCommand, now: datetime) -> Answer:
        """Carry out or plan a command whose claims are decided. Whatever it raises, nothing of it is done.

        Raises a Refusal.
        """
        self.advance(now)
        if known := self.answered(command):
            return known
        self.check_room()
        return self._obey(command, command, now)

    def _obey(self, command: AnyCommand, original: AnyCommand, now: datetime) -> Answer:
        """Carry out a command and note its answer, under what was asked."""
        with all_or_nothing(self) as trial:
            return trial._answer(original, trial._outcome(command, now), now, before=self)

    def _outcome(self, command: AnyCommand, now: datetime) -> Outcome:
        check_revision(command, self.client.revision, self.client.situation)
        command = unconditional(command)
        if isinstance(command, SystemCommand):
            return system_commands.carry_out(command, self.client, self.provisioning, now)
        if isinstance(command, Note):
            return take_note(command, self.client, now)
        outcome = self.client.obey(command, now)
        try:
            self.provisioning.check(self.client)
        except Refusal as refusal:
            raise refusal.within(self.client.situation()) from None
        return outcome

    def answered(self, command: AnyCommand) -> Answer | None:
        """What the same command was answered before, if it was: the first verdict stands.

        Raises the Refusal that it met then, or CommandIdReused for another command.
        """
        if not command.command_id:
            return None
        answer = next((a for a in reversed(self.recent) if a.command_id == command.command_id), None)
        waiting = any(c.command_id == command.command_id and c != command for c in self.claims)
        if waiting or (answer is not None and answer.fingerprint != fingerprint(command)):
            raise CommandIdReused(
                f"command_id {command.command_id} was used before, for another command",
                "Use a new one for each command",
                field="command_id",
            ).within(self.client.situation())
        if answer is not None and answer.refusal is not None:
            raise refusal_of(str(answer.refusal["type"]), answer.refusal)
        if answer is None and self.past and mark_of(command.command_id) in self.past:
            return answered_long_ago(command)
        return answer

    def turn_down(self, command: AnyCommand, refusal: Refusal, now: datetime) -> None:
        """Record that a command without a caller to answer was refused. The same command again adds nothing."""
        same = (command.command_id, fingerprint(command))
        if any((known.command_id, known.fingerprint) == same and known.refusal for known in self.recent):
            return
        with all_or_nothing(self) as trial:
            trial.refuse(f"{command.kind}: {refusal}", command.kind, now, by=command.by, command_id=command.command_id)
            if not isinstance(refusal, CommandIdReused | TooManyWaiting) and "\0" not in command.command_id:
                trial._remember(answer_of_refusal(*same, command.kind, refusal, trial.journal.written))

    def refuse(self, refusal: str, kind: str, now: datetime, *, by: str = "", command_id: str = "") -> None:
        """Record that something that came in without a caller to answer was refused. Nothing else changes."""
        kind, by, command_id = (shortened(text, 100) for text in (kind, by, command_id))
        text, revision = shortened(refusal), self.client.revision
        self.journal.write(Entry(Event.REFUSED, now, text, kind, by, command_id=command_id, revision=revision))

    def _answer(self, command: AnyCommand, outcome: Outcome, now: datetime, before: "ClientState") -> Answer:
        self.journal.write(outcome.entry)
        answer = Answer(
            command.command_id,
            fingerprint(command),
            outcome.changed,
            shortened(outcome.message, 300),
            command.kind,
            self.journal.written,
        )
        self.advance(now)  # an edit may have made the activation due
        self._give_priority(command)
        self.provisioning.follow(self.client)
        answer = replace(answer, warnings=tuple(self._warnings(command, before)))
        self._remember(answer)
        return answer

    def _warnings(self, command: AnyCommand, before: "ClientState") -> Iterator[Caution]:
        """What the answer to a command warns of: plans that it stopped, and what it did not do."""
        yield from of_command(command, before.client, self.client)
        if self.client.schedule.changes:
            yield from new_ones(before.plan_warnings, self.plan_warnings)

    @property
    def foreseen(self) -> list[Foreseen]:
        """What becomes of each planned change, if nothing else is decided."""
        return foresee(self.client, self.provisioning)

    @property
    def plan_warnings(self) -> list[Caution]:
        """A warning of each planned change that cannot happen, or will change nothing."""
        return of_plans(self.foreseen, self.client.timezone)

    def _give_priority(self, command: AnyCommand) -> None:
        """What is done from now on is done for this command."""
        if command.source != system_commands.RECOVERY:
            self.priority = BULK_LAST if command.source == BULK else OPERATOR_FIRST

    def _remember(self, answer: Answer) -> None:
        """Keep an answer until newer ones have its place and the directory has it; then keep that there was one."""
        if answer.command_id:
            self.recent.append(answer)
        if len(self.recent) > MOST_WARNED:
            self.recent[-1 - MOST_WARNED] = replace(self.recent[-1 - MOST_WARNED], warnings=())
        while len(self.recent) > self.limits.recent and self.recent[0].entry < self.journal.first:
            self.past = [*self.past, mark_of(self.recent.pop(0).command_id)][-MOST_PAST:]

    def answers_to_publish(self, last: int) -> list[Answer]:
        """The answers whose lines wait for the directory, up to the line of this number."""
        return [answer for answer in self.recent if self.journal.first <= answer.entry <= last]

    # -- claims ---------------------------------------------------------------------------------------------------

    def claiming(self, command: AnyCommand) -> bool:
        """Whether this very command already waits for the directory."""
        return bool(command.command_id) and command in self.claims

    def claim(self, command: AnyCommand) -> None:
        """Let a command wait until the directory has decided on what it needs. Raises TooManyWaiting."""
        if not self.claiming(command):
            self.check_room(claims=len(self.claims) + 1, lines=sum(map(_lines, (*self.claims, command))))
            with all_or_nothing(self) as trial:
                trial.claims.append(command)
                trial._give_priority(command)
                trial.client.revision += 1
                trial.provisioning.follow(trial.client)

    @property
    def needs(self) -> Needs:
        """What the oldest waiting command needs."""
        return self.needs_of(self.claims[0]) if self.claims else Needs()

    def needs_of(self, command: AnyCommand) -> Needs:
        """What a command would take that must be unique."""
        return needs_of(command, self.client.services, self.client.billing_ref, self.client.external_ids)

    @property
    def numbers(self) -> frozenset[str]:
        """Every number that nobody else may have: contracted, planned, or not yet proven off."""
        return self.client.numbers_held | numbers_in_use(self.provisioning.systems[TELEPHONY])

    def register(self, billing_ref: str | None, now: datetime, site: Mapping[System, str] = MAIN_ALONE) -> None:
        """The directory shows the client, under this billing reference, and says which instances serve the site: from
        now on time passes for it."""
        self.registered = True
        contracted = self.client.services.systems
        self.client.instances |= {system: name for system, name in site.items() if system in contracted}
        self.client.billing_ref = billing_ref or self.client.billing_ref
        before = self.priority
        self.advance(now)
        self.priority = before  # an activation that is due at once is what the creation was asked for

    def won(self, billing_ref: str | None, now: datetime, site: Mapping[System, str] = MAIN_ALONE) -> Answer | Refusal:
        """The directory granted the oldest waiting command, and says which instances serve the site: carry it out. It
        may have become illegal meanwhile."""
        command = self.claims.pop(0)
        granted = unconditional(command)  # it had the revision that it expects when it began to wait
        if isinstance(granted, Edit) and billing_ref:
            granted = replace(granted, billing_ref=billing_ref)
        if isinstance(granted, Contracting):
            granted = replace(granted, instances={system: site.get(system, MAIN) for system in granted.systems})
        try:
            self.advance(now)
            return self._obey(granted, command, now)
        except Refusal as refusal:
            self.lost(command, refusal, now)
            return refusal

    def lost(self, command: AnyCommand, refusal: Refusal, now: datetime) -> None:
        """The directory gave what a command needs to somebody else. Whatever was claimed for it goes back."""
        self.claims = [claim for claim in self.claims if claim is not command]
        self.client.revision += 1
        self.turn_down(command, refusal, now)

    # -- where things stand ---------------------------------------------------------------------------------------

    def drifts(self, system: System) -> bool:
        """Whether there is a difference to remove. A client the directory does not know yet is switched nowhere."""
        if system == DIRECTORY:
            unpublished = not self.registered or bool(self.journal.waiting) or bool(self.claims)
            return unpublished or self.provisioning.drifts(system, self.client)
        return self.registered and self.provisioning.drifts(system, self.client)

    def may_attempt(self, system: System, now: datetime) -> bool:
        """Whether there is a difference whose time has come, and that waits for no other system."""
        retry_at = self.provisioning.standing[system].retry_at
        return self.drifts(system) and (retry_at is None or retry_at <= now) and not self.waits(system)

    def waits(self, system: System) -> bool:
        """Whether what is wanted of a system is attempted only after another is proven."""
        return self.provisioning.waits(system, self.client)

    def next_moment(self) -> datetime | None:
        """When time alone makes a difference: the next planned change, or the next attempt."""
        moments = [self.client.next_moment() if self.registered else None, self.provisioning.next_moment(self.client)]
        moments.append(self.provisioning.directory.retry_at if self.drifts(DIRECTORY) else None)
        moments += [x.standing.calm_at(self.limits) for x in self.provisioning.systems.values() if not x.drifts]
        return min((moment for moment in moments if moment is not None), default=None)

    @property
    def settled(self) -> bool:
        """No drift, and the directory shows it."""
        return not any(self.drifts(system) for system in self.provisioning)

    @property
    def provisioned(self) -> Provisioned:
        word = self.provisioning.provisioned(self.client)
        return Provisioned.CHANGING if word.over and not self.settled else word

    @property
    def finished(self) -> bool:
        """Decommissioned and proven off, and everything told. What is skipped is not proven; what was found alive again
        and again has to be quiet for a while."""
        return self.client.status is Status.DECOMMISSIONED and self.provisioned is Provisioned.SETTLED


def _lines(command: AnyCommand) -> int:
    """What a command adds, in lines: a service with settings of 200 bytes is one."""
    if not isinstance(command, ChangeServices):
        return 0
    return len(command.add_lines) + sum(1 + service.size // BYTES_OF_A_LINE for service in command.add_services)
