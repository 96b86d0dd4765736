"""What is true now of each line, account and service of a client, in plain words; and what is to become of it.

What was last proven stays in view beside what is wanted: "on, seen at 10:02; to be off".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from starter.console.labels import subject_state
from starter.directory.console import Seen
from workflows.wire.views import ClientView, SubjectView, SystemView

AS_DECIDED = ("proven", "done_by_hand")
FOLDED_BEYOND = 10  # rows; those that are not as decided come first
WORDS = {
    "telephony": {"on": "rings and can call", "off": "does not ring, cannot call"},
    "internet": {"on": "gets in", "off": "does not get in"},
}
ANY = {"on": "in service", "off": "out of service"}


@dataclass(frozen=True)
class Row:
    """One line, account or service. ``now`` is on, off or unknown, and ``seen_at`` when that was last proven, if ever;
    ``state`` is how it stands, in the words of its system's: what is in trouble does not say that it is changing."""

    subject: SubjectView
    now: str
    words: str
    seen_at: datetime | None
    state: str

    @property
    def as_decided(self) -> bool:
        return self.now == self.subject.desired and not self.doubted

    @property
    def doubted(self) -> bool:
        """Whether it was proven to be as it should, and is not any more: it was seen otherwise, or nobody can see."""
        return self.now == self.subject.desired and self.subject.state not in AS_DECIDED


def rows_of(systems: Sequence[SystemView], seen: Mapping[tuple[str, str], Seen]) -> dict[str, Sequence[Row]]:
    """The rows of each system, what is not as decided first. ``seen`` is what was last proven of each."""
    return {system.system: _rows(system, seen) for system in systems}


def needs_last_seen(client: ClientView) -> bool:
    """Whether something is not proven to be as it should, so that one asks what it was."""
    return any(subject.state not in AS_DECIDED for system in client.systems for subject in system.subjects)


def _rows(system: SystemView, seen: Mapping[tuple[str, str], Seen]) -> Sequence[Row]:
    rows = [_row(system, subject, seen.get((system.system, subject.subject))) for subject in system.subjects]
    return sorted(rows, key=lambda row: row.subject.state in AS_DECIDED)


def _row(system: SystemView, subject: SubjectView, last: Seen | None) -> Row:
    now, seen_at = subject.actual, subject.proven_at
    if subject.state not in AS_DECIDED and last is not None:
        now, seen_at = "on" if last.on else "off", last.at
    state = subject_state(subject)
    if state == "changing" and system.state == "attention":
        state = "attention"
    return Row(subject, now, WORDS.get(system.system, ANY).get(now, ""), seen_at, state)
