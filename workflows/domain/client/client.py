"""The client: one aggregate that every command, planned change and edit goes through.

Nothing here reads a clock, waits, or talks to a system. ``obey`` either changes the client by the table of PRODUCT.md
section 3 and answers with an Outcome, or raises a Refusal and leaves everything as it was.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from workflows.domain.answers import Outcome
from workflows.domain.client.carrying_out import carry_out
from workflows.domain.client.planning import as_now, check_after_start, check_own, plan_of, same_but_for_id
from workflows.domain.client.record import Record
from workflows.domain.client.refused_plans import with_refused
from workflows.domain.commands import ClientCommand, PlannableCommand, check_texts
from workflows.domain.dates import local_time
from workflows.domain.errors import IllegalTransition, Refusal
from workflows.domain.journal import Entry, Event, entry_for
from workflows.domain.lifecycle import Status
from workflows.domain.schedule import PlannedChange
from workflows.domain.trial import all_or_nothing, copy_of


@dataclass
class Client(Record):
    """One tenant company: every command and planned change goes through here."""

    # -- time ---------------------------------------------------------------------------------------------------

    def begin(self) -> Entry:
        """Plan the activation of a client just created, unless it waits for a person. Returns the first line."""
        self.plan_activation(self.created_at)
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
            entries.append(self.take_effect(change, now, check))
        return entries

    def next_moment(self) -> datetime | None:
        """When the next planned change is due."""
        return self.schedule.next_at

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
                return carry_out(trial, command, now)
        except Refusal as refusal:
            raise refusal.within(self.situation()) from refusal.__cause__

    # -- planning -----------------------------------------------------------------------------------------------

    def _plan(self, command: PlannableCommand, now: datetime) -> Outcome:
        self.options.check(command.kind, planning=True)
        change = plan_of(command, now, self.timezone, change_id=f"{command.kind}-{self.revision + 1}")
        if self.status is Status.NEW:
            check_after_start(command, change.at, self.start_date)
        standing = self.schedule.find(command.kind)
        check_own(standing, command)
        if standing and standing.at == change.at and same_but_for_id(standing.command, command):
            return self.unchanged(f"Already planned: {standing.describe(self.timezone)}", command, now)
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
            trial.take_effect(due, due.at)
        if trial.status is Status.DECOMMISSIONED and trial.decommissioned_at:
            ended = local_time(trial.decommissioned_at, self.timezone)
            raise IllegalTransition(
                f"Cannot plan to {change.kind.spoken} then: the client will have been decommissioned at {ended}",
                "Give an earlier moment, or move or cancel the decommission first",
            )
        carry_out(trial, as_now(change.command), change.at)

    def take_effect(
        self, change: PlannedChange, now: datetime, check: Callable[["Client"], None] = lambda client: None
    ) -> Entry:
        """Carry out a planned change that was taken from the schedule. Returns its line: a refusal is one, too, and an
        open matter from then on."""
        before = self.revision
        try:
            with all_or_nothing(self) as trial:
                entry = carry_out(trial, as_now(change.command), now).entry
                check(trial)
        except Refusal as refusal:
            text = f"Planned {change.kind.spoken} refused when due: {refusal.within(self.situation())}"
            entry = entry_for(change.command, Event.REFUSED, text, now, self.revision)
            self.refused_plans = with_refused(self.refused_plans, change, refusal, now)
        self.revision = max(self.revision, before + 1)  # the plan is gone, whatever came of it
        facts = {**entry.facts, "change_id": change.change_id, "planned": "true"}
        if change.at > (
            change.planned_at or self.created_at
        ):  # a start date that was past when it was given is not late
            facts["planned_for"] = change.at.isoformat()
        return replace(entry, revision=self.revision, facts=facts)
