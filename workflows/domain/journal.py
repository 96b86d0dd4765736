"""What happened, in words and facts: the lines of a client's history (PRODUCT.md section 7.2)."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from workflows.domain.commands import AnyCommand
from workflows.domain.text import visible

LONGEST_TEXT = 1000
MANY, MOST_BYTES = 300, 400_000  # of waiting lines: what a client carries is far below Temporal's 2 MiB for one payload
FEW = 20  # waiting lines, whose sentences are kept as they are
UNTOLD = "untold"
UNCHANGED = "nothing changed"


class Event(StrEnum):
    """What kind of line this is."""

    ASKED = "asked"  # accepted; it changed nothing yet (a plan) or nothing at all
    REFUSED = "refused"
    DECIDED = "decided"
    ATTEMPTED = "attempted"
    PROVEN = "proven"
    NOTED = "noted"  # what somebody had to say about the client


@dataclass(frozen=True)
class Entry:
    """One line. ``text`` is a sentence; ``facts`` are plain values for machines."""

    event: Event
    at: datetime
    text: str
    kind: str = ""
    by: str = ""
    source: str = ""
    reason: str = ""
    command_id: str = ""
    revision: int = 0
    facts: dict[str, str] = field(default_factory=dict)
    request_id: str = ""


def entry_for(command: AnyCommand, event: Event, text: str, at: datetime, revision: int) -> Entry:
    """The line about a command: who asked for it, under which id, and why."""
    return Entry(
        event,
        at,
        text,
        kind=command.kind,
        by=command.by,
        source=command.source,
        reason=command.reason,
        command_id=command.command_id,
        revision=revision,
        request_id=command.request_id,
    )


@dataclass
class Journal:
    """Lines not yet shown in the directory, numbered for ever in the order in which they were written.

    The directory takes each number once, so publishing again after a lost answer adds nothing.
    """

    written: int = 0
    waiting: list[Entry] = field(default_factory=list)

    def write(self, entry: Entry) -> None:
        """Note a line. Nobody can fill a client's memory with them: while more than a few wait, no sentence takes more
        bytes than are counted for it, and while very many wait, refusals are only counted."""
        if entry.event is Event.REFUSED and self.full:
            if self.waiting[-1].kind == UNTOLD:
                entry = _entry_of_count(entry, int(self.waiting.pop().facts["count"]) + 1)
                self.written -= 1
            else:
                entry = _entry_of_count(entry, 1)
        text = shortened(entry.text)
        if entry.event is not Event.NOTED and len(self.waiting) >= FEW:
            text = _within_bytes(text)
        self.waiting.append(replace(entry, text=text, reason=shortened(entry.reason)))
        self.written += 1

    @property
    def full(self) -> bool:
        """Whether so much waits that nothing more should be accepted until the directory has taken some of it."""
        return len(self.waiting) >= MANY or sum(map(_bytes, self.waiting)) >= MOST_BYTES

    @property
    def first(self) -> int:
        """The number of the first waiting line, from 1."""
        return self.written - len(self.waiting) + 1

    def published(self, last: int) -> None:
        """The directory has every line up to this number."""
        del self.waiting[: max(0, last - self.first + 1)]


def _bytes(entry: Entry) -> int:
    """What a line takes, nearly. Its sentence counts the same however it is worded: no replay depends on our words, nor
    on ``planned_for``, which 0.1.0 did not say of a plan that was due. A note is what somebody else wrote."""
    facts = [fact for name, fact in entry.facts.items() if not (name == "planned_for" and "planned" in entry.facts)]
    texts = (entry.reason, entry.by, entry.source, entry.command_id, entry.request_id, *facts)
    sentence = len(entry.text.encode("utf-8", "replace")) if entry.event is Event.NOTED else LONGEST_TEXT
    return sentence + sum(len(text.encode("utf-8", "replace")) for text in texts)


def _within_bytes(text: str, most: int = LONGEST_TEXT) -> str:
    """The text, cut to so many bytes in UTF-8."""
    encoded = text.encode("utf-8", "replace")
    return text if len(encoded) <= most else f"{encoded[: most - 3].decode('utf-8', 'ignore')}…"


def _entry_of_count(entry: Entry, count: int) -> Entry:
    return Entry(
        Event.REFUSED,
        entry.at,
        f"{count} more refused while the directory was away",
        kind=UNTOLD,
        revision=entry.revision,
        facts={"count": str(count)},
    )


def shortened(text: str, longest: int = LONGEST_TEXT) -> str:
    """Text from outside, cut to a length that a history can carry, with a mark for every character nobody would see."""
    return visible(text if len(text) <= longest else text[: longest - 1] + "…")
