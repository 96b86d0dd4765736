"""One durable workflow per client: messages change what is wanted, timers what is due, activities report what is."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from workflows.arrivals import Arrivals, dated_now
    from workflows.attempts import Attempts, Order, Report, failure_text, newer_revision, record_of
    from workflows.domain.answers import Answer
    from workflows.domain.commands import AnyCommand
    from workflows.domain.errors import REFUSALS, Refusal, Taken
    from workflows.domain.journal import shortened
    from workflows.domain.preview import preview
    from workflows.domain.provisioning.standing import Doubt, Found, Proof, Standing
    from workflows.domain.state import FORMAT
    from workflows.domain.systems import DIRECTORY, System
    from workflows.domain.text import GRAMMAR
    from workflows.inbox import command_of, read
    from workflows.ports import Claim, Ensure, Evidence, LostClaim, Publish, Published
    from workflows.visibility import attributes_at_start, next_moment_text, show
    from workflows.waiting import Alarm, Beside, wait_until
    from workflows.wire.messages import DriftReport, Roll, WaitSettled
    from workflows.wire.previews import PreviewAsked, PreviewView
    from workflows.wire.start import ClientStart
    from workflows.wire.update import Message
    from workflows.wire.views import ClientView, CommandAnswer

UNDECIDED = "Undecided"
RETRY_TOLD = "retry-told"
GRACE = timedelta(seconds=5)
UNMENTIONED = "the evidence does not mention it"  # never to be reworded: findings are compared with those of before
MOST_CALLERS = 5
"""So many callers of one client are answered only when its attempts at once are over: Temporal holds ten at most."""


class Waiter:
    """A caller waiting for the directory's decision on one command."""

    def __init__(self, command: AnyCommand) -> None:
        self.command = command
        self.outcome: Answer | Refusal | None = None


@workflow.defn(name="ClientLifecycle")
class ClientLifecycle:
    """Keep one client's services as its operator decided, from New to Decommissioned and proven off."""

    @workflow.init
    def __init__(self, start: ClientStart) -> None:
        self._state = start.state
        self._state.incarnation = self._state.incarnation or workflow.info().first_execution_run_id
        self._beside = Beside()
        self._attempts = Attempts(self._state, self._beside, self._on_report)
        self._alarm = Alarm()
        self._waiters: list[Waiter] = []
        self._rejected: Refusal | None = None
        self._renew_by: datetime | None = None
        self._rolling = self._cancelled = False
        self._changes = self._seen = self._callers = 0
        renewed = workflow.info().continued_run_id is not None
        self._arrivals = Arrivals(self._state, self._beside, self._look_again, renewed=renewed)

    # -- the loop: each pass decides from the whole state, never from the message that woke it ----------------------

    @workflow.run
    async def run(self, start: ClientStart) -> ClientView:
        if start.state.format > FORMAT:
            raise RuntimeError(f"Its state has format {start.state.format}: start workers of the newer version")
        while not self._may_leave():
            self._arrivals.begin()
            if not self._arrivals.renewing:
                self._act()
            await self._rest()
        show(self._state)
        if self._rejected:
            raise as_failure(self._rejected)
        if not self._state.finished:
            attributes = attributes_at_start(self._state)  # also those that somebody removed from Temporal meanwhile
            self._state.renew()
            workflow.continue_as_new(
                ClientStart(state=self._state),
                memo=workflow.memo(),
                search_attributes=attributes,
                initial_versioning_behavior=workflow.ContinueAsNewVersioningBehavior.AUTO_UPGRADE,
            )
        return self.client()

    def _act(self) -> None:
        """Let time pass, attempt what there is to do, and set the clocks for the next moment that matters."""
        self._state.advance(workflow.now())
        self._attempts.abandon_outdated()
        if self._must_renew():
            self._give_way()
        elif not self._rejected:
            self._attempts.begin()
        show(self._state)
        summary = "renewal" if self._renew_by else next_moment_text(self._state)
        self._alarm.set(self._renew_by or self._state.next_moment(), summary)

    async def _rest(self) -> None:
        """Sleep until anything changes, or until the next moment that matters."""
        self._seen = self._changes
        try:
            await workflow.wait_condition(self._has_to_look)
        except asyncio.CancelledError:
            if self._cancelled or workflow.cancellation_reason() is None:
                raise  # the worker makes room for another client; a run is asked to cancel once at most
            self._cancelled = True
            self.record_refusal("cancel", Refusal("A client's workflow is not cancelled", "Decommission the client"))
        self._beside.check()

    def _has_to_look(self) -> bool:
        return self._changes != self._seen or self._may_leave() or self._alarm.rung or self._beside.broken

    def _may_leave(self) -> bool:
        over = self._state.finished or self._rejected is not None or self._must_renew()
        return over and not self._attempts and not self._arrivals.renewing and workflow.all_handlers_finished()

    def _give_way(self) -> None:
        """Let attempts under way end before a renewal, but not for long: the next run attempts again."""
        self._renew_by = self._renew_by or workflow.now() + GRACE
        if workflow.now() >= self._renew_by:
            self._attempts.abandon()

    def _must_renew(self) -> bool:
        info = workflow.info()
        longest = self._state.limits.renew_after
        return (
            self._rolling
            or info.is_continue_as_new_suggested()
            or info.is_target_worker_deployment_version_changed()
            or (longest > 0 and info.get_current_history_length() >= longest)
        )

    # -- commands ---------------------------------------------------------------------------------------------------

    @workflow.update(description="Carry out or plan one command; refused ones change nothing")
    async def command(self, message: Message) -> CommandAnswer:
        try:
            command = self._with_id(message, self._state.client.grammar)
            async with self._arrivals.turn(command) as dated:
                answer = self._take(dated)
            answer = answer or await self._wait_decision(dated)
        except Refusal as refusal:
            raise as_failure(refusal) from refusal
        await self._wait_attempts_at_once()
        return CommandAnswer.to(answer, self.client())

    @command.validator
    def check_command(self, message: Message) -> None:
        try:
            command = self._with_id(message, GRAMMAR)  # no replay checks it again
            if self._state.client.grammar < GRAMMAR:
                command = self._with_id(message, self._state.client.grammar)  # as it will be carried out
            self._state.check(dated_now(command, self._state.client.timezone), workflow.now())
        except Refusal as refusal:
            raise as_failure(refusal) from refusal

    @workflow.signal(dynamic=True, description="Any command without an answer; what cannot be done is recorded")
    async def inbox(self, name: str, args: Sequence[RawValue]) -> None:
        try:
            match read(name, args, self._state.client.grammar):
                case Roll() as roll:
                    self._rolling = True
                    if roll.limits:
                        self._state.limits = roll.limits.over(self._state.limits)
                case DriftReport() as drift:
                    self._take_report(drift)
                case message:
                    async with self._arrivals.turn(message.command()) as command:
                        self._take_signalled(command)
        except Refusal as refusal:
            self.record_refusal(name, refusal)
        self._changes += 1

    def _take_report(self, drift: DriftReport) -> None:
        now, by = workflow.now(), drift.by or drift.source
        if drift.alive:
            chance = workflow.random().random()
            self._state.found_alive(drift.system, drift.alive, drift.seen_at, now, by, chance)
        else:
            self._state.doubted(drift.system, drift.reason, now, by)

    def record_refusal(self, name: str, error: Exception) -> None:
        """Note what came in and could not be done; nothing else changes."""
        text = str(error) if isinstance(error, Refusal) else f"{type(error).__name__}: {error}"
        self._state.refuse(f"{name[:100]}: {text}", name, workflow.now())
        self._changes += 1

    async def _wait_attempts_at_once(self) -> None:
        """Let a caller hear what came of the attempts that are made at once, unless so many wait already."""
        if self._callers < MOST_CALLERS:
            self._callers += 1
            await wait_until(lambda: self._is_idle() or self._must_renew(), deadline=None)
            self._callers -= 1

    def _is_idle(self) -> bool:
        """Whether the loop has seen everything, and nothing is attempted that a caller waits for."""
        return self._seen == self._changes and not self._attempts.at_once

    def _look_again(self) -> None:
        """Have the loop look again."""
        self._changes += 1

    def _take(self, command: AnyCommand) -> Answer | None:
        """Obey at once, or let the command wait for the directory and answer None."""
        now = workflow.now()
        self._changes += 1
        self._state.advance(now)
        if self._state.answered(command) is None and self._state.needs_of(command):
            self._state.check(command, now)
            self._state.claim(command)
            return None
        return self._state.obey(command, now)

    def _take_signalled(self, command: AnyCommand) -> None:
        """Obey, or record the refusal: nobody waits for the answer."""
        try:
            self._take(command)
        except Refusal as refusal:
            self._state.turn_down(command, refusal, workflow.now())

    async def _wait_decision(self, command: AnyCommand) -> Answer:
        """Wait for the directory's decision, but neither through its failure nor through a renewal."""
        waiter, failures = Waiter(command), self._directory.attempts
        self._waiters.append(waiter)
        await wait_until(
            lambda: bool(waiter.outcome or self._rejected) or self._directory.attempts > failures or self._must_renew(),
            deadline=None,
        )
        self._waiters.remove(waiter)
        outcome = waiter.outcome or self._rejected
        if outcome is None:
            raise undecided()
        if isinstance(outcome, Refusal):
            raise as_failure(outcome, recorded=True)
        return outcome

    @property
    def _directory(self) -> Standing:
        """Where the directory stands, in the state as it is now."""
        return self._state.provisioning.directory

    def _with_id(self, message: Message, grammar: int) -> AnyCommand:
        """The command, under the update's id when it has none of its own. Raises InvalidField."""
        command, update = command_of(message, grammar), workflow.current_update_info()
        return command if command.command_id or update is None else replace(command, command_id=update.id)

    # -- waiting and looking ----------------------------------------------------------------------------------------

    @workflow.update(description="Answer once the directory knows the client, or why it does not take it")
    async def wait_registered(self) -> ClientView:
        await wait_until(
            lambda: self._state.registered or self._rejected is not None or self._must_renew(), deadline=None
        )
        if self._rejected:
            raise as_failure(self._rejected)
        if not self._state.registered:
            raise undecided()
        await self._wait_attempts_at_once()
        return self.client()

    @wait_registered.validator
    def check_wait_registered(self) -> None:
        """Always allowed."""

    @workflow.update(description="Answer once everything up to a revision is done, or early: ask again")
    async def wait_settled(self, wanted: WaitSettled) -> ClientView:
        await wait_until(
            lambda: self._is_settled(wanted.revision) or self._must_renew(),
            workflow.now() + timedelta(seconds=wanted.patience),
        )
        return self.client()

    def _is_settled(self, revision: int) -> bool:
        """Whether nothing is left to decide or to do, up to a revision at least."""
        return not self._arrivals and self._state.client.revision >= revision and self._state.settled

    @wait_settled.validator
    def check_wait_settled(self, wanted: WaitSettled) -> None:
        """Always allowed."""

    @workflow.query(description="The client as it is now")
    def client(self) -> ClientView:
        return ClientView.of(self._state, workflow.now()).with_actions()

    @workflow.query(description="What a command would do, without doing it")
    def preview(self, question: PreviewAsked) -> PreviewView:
        now = max(question.now, workflow.now())  # a query's clock stands where the client last did something
        try:
            command = dated_now(command_of(question.command, GRAMMAR), self._state.client.timezone)
            foreseen = preview(self._state, command, now)
        except Refusal as refusal:
            return PreviewView.refused(refusal)
        return PreviewView.of(foreseen, self._state.client.timezone)

    # -- reports ----------------------------------------------------------------------------------------------------

    def _on_report(self, system: System, order: Order, outcome: Report | ActivityError) -> None:
        """An attempt ended: what is proven is known, what failed is tried again later."""
        self._changes += 1
        match outcome, order:
            case ActivityError(), _:
                self._on_failure(system, outcome, order, workflow.now())
            case Published(), Publish():
                self._on_published(order, outcome)
            case Evidence(), Ensure():
                found = _findings_of(outcome, order)
                must_tell = bool(found.doubts) and self._tells_of(system)
                self._state.found(system, order.subjects, found, _chance(outcome), must_tell=must_tell)

    def _on_failure(self, system: System, failure: ActivityError, order: Order, now: datetime) -> None:
        if (newest := newer_revision(failure)) is not None:
            self._state.overtaken(system, newest, now)
        elif system == DIRECTORY and order.revision < self._directory.wanted_since:
            return  # what was decided since is published at once, not after the pause of an older publication
        else:
            chance, text = workflow.random().random(), failure_text(failure, order)
            self._state.failed(system, text, now, chance, record_of(failure), must_tell=self._tells_of(system))

    def _tells_of(self, system: System) -> bool:
        """Whether what comes of this attempt is told in any case: a person asked for it. Runs that met such a failure
        before there was the rule go on without it."""
        return self._state.provisioning.standing[system].asked and workflow.patched(RETRY_TOLD)

    def _on_published(self, order: Publish, published: Published) -> None:
        """The directory shows the client, and has decided on what it was asked for."""
        state, now = self._state, workflow.now()
        if order.register and published.lost:
            self._rejected = as_refusal(published.lost)
            return
        state.provisioning.published = max(published.revision, state.provisioning.published)
        self._directory.succeed(published.revision, now)
        state.journal.published(published.last_entry)
        if order.register:
            state.register(published.billing_ref, now, published.instances)
        elif order.claim:
            self._decide(order.claim, published)

    def _decide(self, claim: Claim, published: Published) -> None:
        """Carry out or refuse the command that waited, and tell its callers."""
        state, now = self._state, workflow.now()
        if not published.lost and not state.needs.met_by(claim.billing_ref, claim.numbers, claim.external_ids):
            return  # something it had when the claim was made is gone: ask for that too
        command = state.claims[0]
        outcome: Answer | Refusal
        if published.lost:
            outcome = as_refusal(published.lost).within(state.client.situation())
            state.lost(command, outcome, now)
        else:
            outcome = state.won(published.billing_ref, now, published.instances)
        for waiter in self._waiters:
            if waiter.command == command:
                waiter.outcome = outcome


def _findings_of(evidence: Evidence, order: Ensure) -> Found:
    """What an attempt found, in the words of the domain. What the evidence does not mention is not proven."""
    unseen = dict.fromkeys(order.subjects, Doubt(Proof.NOT_PROVEN, UNMENTIONED))
    found = {f.subject: Doubt(f.proof, shortened(f.why, 300)) for f in evidence.findings}
    doubts = {name: doubt for name, doubt in {**unseen, **found}.items() if doubt.proof is not Proof.PROVEN}
    facts = {finding.subject: "on" if finding.in_service else "off" for finding in evidence.findings}
    at = evidence.at if evidence.at.tzinfo else evidence.at.replace(tzinfo=UTC)  # never the worker's own zone
    return Found(order.revision, workflow.now(), evidence.method, doubts, facts, evidence.recorded, at)


def _chance(evidence: Evidence) -> float:
    """For the jitter of a pause, where there will be one."""
    return 0.0 if evidence.complete else workflow.random().random()


def as_refusal(lost: LostClaim) -> Refusal:
    """The domain error that a lost claim stands for."""
    return REFUSALS.get(lost.type, Taken)(lost.why, lost.remedy, lost.field)


def undecided() -> ApplicationError:
    """What a caller hears whose command was accepted, but could not be decided while it waited."""
    return ApplicationError(
        "Accepted, but the directory has not decided yet; ask again with the same command_id", type=UNDECIDED
    )


def as_failure(refusal: Refusal, *, recorded: bool = False) -> ApplicationError:
    """A refusal as it crosses the wire: its class is the type, its facts are the details.

    ``recorded`` says that it stands in the client's history already.
    """
    facts = {**refusal.facts, "recorded": recorded}
    return ApplicationError(str(refusal), facts, type=type(refusal).__name__, non_retryable=True)
