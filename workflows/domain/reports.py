"""What comes back of a client's systems: what an attempt found, how it failed, and what somebody saw."""

from collections.abc import Mapping
from datetime import datetime

from workflows.domain.client.client import Client
from workflows.domain.errors import InvalidField, TooManyWaiting
from workflows.domain.journal import Entry, Event, Journal, shortened
from workflows.domain.provisioning.ledger import Desired
from workflows.domain.provisioning.provisioning import Provisioning, kind_of
from workflows.domain.provisioning.standing import Found, Limits, in_one_line
from workflows.domain.systems import DIRECTORY, System, heading, spoken
from workflows.domain.text import safe_text
from workflows.domain.trial import all_or_nothing

MOST_CLAIMS = 10
MOST_LINES_CLAIMED = 1000  # by all commands that wait: a state must fit into one payload of Temporal (2 MiB)


class Reports:
    """The part of a client's state (workflows/domain/state.py) that systems report to."""

    client: Client
    limits: Limits
    provisioning: Provisioning
    journal: Journal

    def failed(
        self, system: System, error: str, now: datetime, chance: float, trouble: str = "", *, must_tell: bool = False
    ) -> None:
        """An attempt on a system failed. The first failure, every new one, and one that is to be told because a
        person asked for the attempt, is told to the directory. ``trouble`` is what was recorded of it, by which one is
        told from another; empty: ``error``."""
        standing = self.provisioning.standing[system]
        error, before = shortened(error, 500), (standing.attention, standing.trouble)
        standing.fail(error, now, self.limits, chance, trouble)
        standing.asked = False
        if system != DIRECTORY and (must_tell or (standing.attention, standing.trouble) != before):
            self._write_attempt(system, f"not done: {error}", now)

    def found(
        self, system: System, ordered: Mapping[str, Desired], found: Found, chance: float, *, must_tell: bool = False
    ) -> None:
        """An attempt on a system ended with what it found. Raised attention and new doubts are told, and all doubts
        when that is to be told because a person asked for the attempt."""
        standing = self.provisioning.standing[system]
        before = standing.attention, standing.trouble
        if standing.attention and not found.doubts:
            self.client.revision += 1  # whatever ends attention is news, which is published
        contracted = kind_of(system).contracted(self.client)
        self.provisioning.systems[system].found(ordered, found, contracted, self.limits, chance)
        standing.asked = False
        if found.doubts:
            if must_tell or (standing.attention, standing.trouble) != before:
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
        self._write_attempt(system, f"found alive again: {in_one_line(news)}", now, by)
        ledger.alive_again(news, self.client.revision, now, self.limits, chance)

    def end_attention(self, now: datetime) -> None:
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

    def check_room(self, claims: int = 0, lines: int = 0) -> None:
        """Raises TooManyWaiting while the directory has been away for so long that no more can be remembered for it."""
        if self.journal.full or claims > MOST_CLAIMS or lines > MOST_LINES_CLAIMED:
            raise TooManyWaiting(
                "The directory is away, and too much waits for it already", "Ask again when it is back"
            ).within(self.client.situation())
