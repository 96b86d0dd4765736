"""What a person may do about a system that is not as decided: retry, skip, mark done by hand (PRODUCT.md section 5)."""

from dataclasses import replace
from datetime import datetime

from workflows.domain.answers import Outcome
from workflows.domain.client.client import Client
from workflows.domain.commands import MarkDone, Retry, Skip, SystemCommand, check_texts
from workflows.domain.errors import InvalidField
from workflows.domain.journal import Entry, Event, entry_for
from workflows.domain.provisioning.provisioning import Provisioning, kind_of
from workflows.domain.provisioning.standing import Skipped
from workflows.domain.systems import heading, spoken
from workflows.domain.text import safe_text

LONGEST_REASON = 500
RECOVERY = "recovery"  # a system is back: what waited for it keeps the priority of the decision it waits with


def carry_out(command: SystemCommand, client: Client, provisioning: Provisioning, now: datetime) -> Outcome:
    """Carry it out. Raises InvalidField for a system that is not switched, or a reason that is not given."""
    try:
        _check(command, provisioning)
    except InvalidField as invalid:
        raise invalid.within(client.situation()) from None
    standing = provisioning.standing[command.system]
    if not provisioning.differs(command.system, client) and not standing.attention:
        text = f"With {spoken(command.system)}, all is as decided"
        return Outcome(False, text, _entry(command, Event.ASKED, f"{text}; nothing changed", now, client.revision))
    client.revision += 1
    text = _carry_out(command, client, provisioning, now)
    return Outcome(True, text, _entry(command, Event.DECIDED, text, now, client.revision))


def _entry(command: SystemCommand, event: Event, text: str, now: datetime, revision: int) -> Entry:
    return replace(entry_for(command, event, text, now, revision), facts={"system": command.system})


def _carry_out(command: SystemCommand, client: Client, provisioning: Provisioning, now: datetime) -> str:
    standing = provisioning.standing[command.system]
    match command:
        case Retry():
            if not provisioning.differs(command.system, client):
                provisioning.doubt(command.system, client.revision)
            standing.expect(client.revision)
            standing.asked = command.source != RECOVERY
            return f"Trying {spoken(command.system)} again"
        case Skip():
            differs = provisioning.differs(command.system, client)
            standing.expect(client.revision)
            standing.accept(Skipped(command.reason, command.by, now) if differs else None)
            return f"{heading(command.system)} left as is, until the next decision that concerns this system"
        case MarkDone():
            ledger, contracted = provisioning.systems[command.system], kind_of(command.system).contracted(client)
            ledger.by_hand(client.revision, now, command.by, command.reason, contracted)
            return f"{heading(command.system)} marked as done by hand"


def _check(command: SystemCommand, provisioning: Provisioning) -> None:
    if command.system not in provisioning.systems:
        raise InvalidField(
            f"The system {safe_text(command.system, 80)!r} is not switched for this client",
            f"Give one of: {', '.join(provisioning.systems)}",
            field="system",
        )
    check_texts(command)
    field = "note" if isinstance(command, MarkDone) else "reason"
    if not isinstance(command, Retry) and not command.reason.strip():
        missing = "How it was done by hand is not said" if field == "note" else "No reason is given"
        raise InvalidField(missing, f"Give a {field}: it stands in the client's history", field=field)
    if len(command.reason) > LONGEST_REASON:
        raise InvalidField(
            f"The {field} has {len(command.reason)} characters", f"Give at most {LONGEST_REASON}", field=field
        )
