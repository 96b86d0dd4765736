"""Notes of people about a client: lines of its history, and nothing that it remembers (PRODUCT.md section 2)."""

from datetime import datetime

from workflows.domain.answers import Outcome
from workflows.domain.client.record import Record
from workflows.domain.commands import Note, check_texts
from workflows.domain.errors import InvalidField
from workflows.domain.journal import LONGEST_TEXT, Entry, Event, entry_for
from workflows.domain.text import composed, has_visible, trimmed

NOTED = "Noted"


def take_note(command: Note, client: Record, now: datetime) -> Outcome:
    """Write it down. Raises InvalidField for a note that is blank, or too long for one line of a history."""
    try:
        entry = note_entry(command, now, client.revision + 1)
    except InvalidField as invalid:
        raise invalid.within(client.situation()) from None
    client.revision += 1  # it is news, which is published, and a caller who waits finds it there
    return Outcome(True, NOTED, entry)


def note_entry(command: Note, now: datetime, revision: int) -> Entry:
    """The line that a note is. Raises InvalidField as above."""
    check_texts(command)
    text = trimmed(composed(command.text))
    if not has_visible(text):
        raise InvalidField("The note is blank", f"Give 1 to {LONGEST_TEXT} characters", field="text")
    if len(text) > LONGEST_TEXT:
        raise InvalidField(f"The note has {len(text)} characters", f"Give at most {LONGEST_TEXT}", field="text")
    return entry_for(command, Event.NOTED, text, now, revision)
