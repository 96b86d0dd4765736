"""All that one workflow remembers: one value that survives every renewal."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType

from workflows.domain.answers import MOST_PAST, Answer, Outcome, answered_long_ago, fingerprint, mark_of, refused
from workflows.domain.client.client import Client
from workflows.domain.client.rules import Needs, needs_of
from workflows.domain.commands import AnyCommand, ChangeServices, Contracting, Edit, SystemCommand
from workflows.domain.errors import CommandIdReused, InvalidField, Refusal, TooManyWaiting, refusal_of
from workflows.domain.journal import Entry, Event, Journal, shortened
from workflows.domain.lifecycle import Status
from workflows.domain.provisioning import system_commands
from workflows.domain.provisioning.ledger import Desired
from workflows.domain.provisioning.provisioning import Provisioned, Provisioning, kind_of
from workflows.domain.provisioning.standing import Found, Limits, told_in_one_line
from workflows.domain.provisioning.telephony import numbers_in_use
from workflows.domain.systems import DIRECTORY, MAIN, TELEPHONY, System, heading, spoken
from workflows.domain.text import safe_text
from workflows.domain.trial import all_or_nothing, copy_of

# Temporal priority keys, lowest first: what an operator asked goes before what a timer did, and both before bulk work.
FORMAT = 1  # of the state: it grows when an older version could not read it without losing something of it
OPERATOR_FIRST, TIMER_NEXT, BULK_LAST = 2, 3, 5
BULK = "bulk"
RECOVERY = "recovery"  # a system is back: what waited for it keeps the priority of the decision it waits with
MOST_CLAIMS = 10
MAIN_ALONE: Mapping[System, str] = MappingProxyType({})
BYTES_OF_A_LINE = 200
MOST_LINES_CLAIMED = 1000  # by all commands that wait: a state must fit into one payload of Temporal (2 MiB)


@dataclass
class ClientState:
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
        cls, client: Client, limits: Limits, created_by: str = "", by: str = "", request: str = ""
    ) -> "ClientState":
        """A client just asked for: its activation is planned, nothing is switched, the directory does not know it.

        ``created_by`` is the command_id of the request, ``request`` its fingerprint, ``by`` whoever sent it.
        """
        state = cls(client, limits, created_by=created_by)
        line = replace(client.begin(), command_id=created_by, by=shortened(by, 200))
        state.provisioning.follow(client)
        state.journal.write(line)
        if created_by:
            state.recent = [Answer(created_by, request, True, line.text, line.kind, state.journal.written)]
        return state

    # -- decisions ------------------------------------------------------------------------------------------------

    def advance(self, now: datetime) -> None:
        """Let time pass: every planned change that is due takes effect. What an exception interrupts is not begun."""
        if not self.registered:
            return
        self._end_attention(now)
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

    def _obey(self, command: AnyCommand, asked: AnyCommand, now: datetime) -> Answer:
        """Carry out a command and note its answer, under what was asked."""
        with all_or_nothing(self) as trial:
            return trial._answer(asked, trial._outcome(command, now), now)

    def _outcome(self, command: AnyCommand, now: datetime) -> Outcome:
        if isinstance(command, SystemCommand):
            return system_commands.carry_out(command, self.client, self.provisioning, now)
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
                trial._remember(refused(*same, command.kind, refusal, trial.journal.written))

    def refuse(self, refusal: str, kind: str, now: datetime, *, by: str = "", command_id: str = "") -> None:
        """Record that something that came in without a caller to answer was refused. Nothing else changes."""
        kind, by, command_id = (shortened(text, 100) for text in (kind, by, command_id))
        text, revision = shortened(refusal), self.client.revision
        self.journal.write(Entry(Event.REFUSED, now, text, kind, by, command_id=command_id, revision=revision))

    def _answer(self, command: AnyCommand, outcome: Outcome, now: datetime) -> Answer:
        self.journal.write(outcome.entry)
        answer = Answer(
            command.command_id,
            fingerprint(command),
            outcome.changed,
            shortened(outcome.message, 300),
            command.kind,
            self.journal.written,
        )
        self._remember(answer)
        self.advance(now)  # an edit may have made the activation due
        self._give_priority(command)
        self.provisioning.follow(self.client)
        return answer

    def _give_priority(self, command: AnyCommand) -> None:
        """What is done from now on is done for this command."""
        if command.source != RECOVERY:
            self.priority = BULK_LAST if command.source == BULK else OPERATOR_FIRST

    def _remember(self, answer: Answer) -> None:
        """Keep an answer until newer ones have its place and the directory has it; then keep that there was one."""
        if answer.command_id:
            self.recent.append(answer)
        while len(self.recent) > self.limits.recent and self.recent[0].entry < self.journal.first:
            self.past = [*self.past, mark_of(self.recent.pop(0).command_id)][-MOST_PAST:]

    def answers_to_publish(self, last: int) -> list[Answer]:
        """The answers whose lines wait for the directory, up to the line of this number."""
        return [answer for answer in self.recent if self.journal.first <= answer.entry <= last]

    def check_room(self, claims: int = 0, lines: int = 0) -> None:
        """Raises TooManyWaiting while the directory has been away for so long that no more can be remembered for it."""
        if self.journal.full or claims > MOST_CLAIMS or lines > MOST_LINES_CLAIMED:
            raise TooManyWaiting(
                "The directory is away, and too much waits for it already", "Ask again when it is back"
            ).within(self.client.situation())

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
        return needs_of(command, self.client.services, self.client.billing_ref)

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
        asked = self.priority
        self.advance(now)
        self.priority = asked  # an activation that is due at once is what the creation was asked for

    def won(self, billing_ref: str | None, now: datetime, site: Mapping[System, str] = MAIN_ALONE) -> Answer | Refusal:
        """The directory granted the oldest waiting command, and says which instances serve the site: carry it out. It
        may have become illegal meanwhile."""
        command = granted = self.claims.pop(0)
        if isinstance(command, Edit) and billing_ref:
            granted = replace(command, billing_ref=billing_ref)
        if isinstance(command, Contracting):
            granted = replace(command, instances={system: site.get(system, MAIN) for system in command.systems})
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

    # -- reports --------------------------------------------------------------------------------------------------

    def failed(self, system: System, error: str, now: datetime, chance: float, trouble: str = "") -> None:
        """An attempt on a system failed. The first failure, and every new one, is told to the directory. ``trouble`` is
        what was recorded of it, by which one is told from another; empty: ``error``."""
        standing = self.provisioning.standing[system]
        error, before = shortened(error, 500), (standing.attention, standing.trouble)
        standing.fail(error, now, self.limits, chance, trouble)
        if system != DIRECTORY and (standing.attention, standing.trouble) != before:
            self._write_attempt(system, f"not done: {error}", now)

    def found(self, system: System, ordered: Mapping[str, Desired], found: Found, chance: float) -> None:
        """An attempt on a system ended with what it found. Raised attention and new doubts are told."""
        standing = self.provisioning.standing[system]
        before = standing.attention, standing.trouble
        if standing.attention and not found.doubts:
            self.client.revision += 1  # whatever ends attention is news, which is published
        contracted = kind_of(system).contracted(self.client)
        self.provisioning.systems[system].found(ordered, found, contracted, self.limits, chance)
        if found.doubts:
            if (standing.attention, standing.trouble) != before:
                self._write_attempt(system, standing.last_error, found.at)
        elif not found.recorded:
            self._write_proof(system, f"{heading(system)} proven", found)

    def found_alive(
        self, system: System, alive: Mapping[str, str], seen_at: datetime | None, now: datetime, by: str, chance: float
    ) -> None:
        """Somebody saw these in service or in use, with how: what was proven off before is drift, and is ended again.

        What is to be on, is being switched, or was proven off since is as it should be, and nothing is said of it.
        """
        ledger = self.provisioning.systems.get(system)
        news = {name: shortened(how, 300) for name, how in alive.items() if ledger and ledger.known_off(name, seen_at)}
        if not ledger or not news:
            return
        self.check_room()
        self._write_attempt(system, f"found alive again: {told_in_one_line(news)}", now, by)
        ledger.alive_again(news, self.client.revision, now, self.limits, chance)

    def _end_attention(self, now: datetime) -> None:
        """What was found alive again and again is quiet: nobody need look any more."""
        for ledger in self.provisioning.systems.values():
            calm_at = ledger.standing.calm_at(self.limits)
            if calm_at and calm_at <= now and not ledger.drifts:
                ledger.standing.calm()
                self.client.revision += 1

    def _write_attempt(self, system: System, text: str, now: datetime, by: str = "connect") -> None:
        self.client.revision += 1
        self.journal.write(
            Entry(Event.ATTEMPTED, now, f"{heading(system)} {text}", system, by, revision=self.client.revision)
        )

    def _write_proof(self, system: System, text: str, found: Found) -> None:
        facts = dict(found.facts)
        self.journal.write(
            Entry(Event.PROVEN, found.at, text, system, "connect", revision=self.client.revision, facts=facts)
        )

    def overtaken(self, system: System, newest: int, now: datetime) -> None:
        """A system has obeyed a later revision than ours (a workflow was reset, say): decide anew above it."""
        self.client.revision = max(self.client.revision, newest) + 1
        text = f"The system of {spoken(system)} has obeyed revision {newest}: decided anew above it"
        self.provisioning.standing[system].overtake(self.client.revision, text, now, self.limits)
        self.journal.write(Entry(Event.DECIDED, now, text, system, "connect", revision=self.client.revision))

    def doubted(self, system: System, why: str, now: datetime, by: str) -> None:
        """Somebody found a system not as it was left: it is brought back to what is wanted, and proven anew.

        Raises TooManyWaiting, or InvalidField for a system that the client does not have.
        """
        if system not in self.provisioning:
            raise InvalidField(
                f"The client has no system {safe_text(system, 80)!r}",
                f"Give one of: {', '.join(self.provisioning)}",
                field="system",
            ).within(self.client.situation())
        self.check_room()
        text = shortened(f"Drift of {spoken(system)} reported{f': {why}' if why else ''}")
        with all_or_nothing(self) as trial:
            trial.client.revision += 1
            trial.provisioning.doubt(system, trial.client.revision)
            trial.journal.write(
                Entry(
                    Event.ASKED, now, text, "report_drift", by, revision=trial.client.revision, facts={"system": system}
                )
            )


def _lines(command: AnyCommand) -> int:
    """What a command adds, in lines: a service with settings of 200 bytes is one."""
    if not isinstance(command, ChangeServices):
        return 0
    return len(command.add_lines) + sum(1 + service.size // BYTES_OF_A_LINE for service in command.add_services)
