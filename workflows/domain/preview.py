"""What a command would do: the domain's own dry run, on a copy, naming everything it would touch."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, TypeAlias, get_args

from workflows.domain.answers import Caution
from workflows.domain.commands import AnyCommand, RotateCredentials, unconditional
from workflows.domain.lifecycle import Status
from workflows.domain.provisioning import kinds
from workflows.domain.provisioning.provisioning import kind_of
from workflows.domain.schedule import PlannedChange
from workflows.domain.services import Line
from workflows.domain.state import ClientState
from workflows.domain.trial import copy_of

NEVER = "none"

Thing: TypeAlias = Literal["detail", "hold", "office"] | kinds.Thing
SWITCHED = get_args(kinds.Thing)


@dataclass(frozen=True)
class Effect:
    """One thing that would be otherwise."""

    kind: Thing
    subject: str
    before: str
    after: str


@dataclass(frozen=True)
class Preview:
    """What a command would do, and when: ``at`` is None for now.

    ``goes`` and ``comes`` are planned changes that would no longer, or newly, be planned; ``goes_then`` those that stay
    planned until the command takes effect, which clears them. Whether a number or billing reference is free is not
    looked up: only the directory knows. ``answered``: the same command was given before, and this is what it was
    answered; given again, it does nothing more. ``warnings`` are those of the answer.
    """

    changed: bool
    message: str
    at: datetime | None
    status_before: Status
    status_after: Status
    effects: tuple[Effect, ...] = ()
    goes: tuple[PlannedChange, ...] = ()
    comes: tuple[PlannedChange, ...] = ()
    goes_then: tuple[PlannedChange, ...] = ()
    answered: bool = False
    warnings: tuple[Caution, ...] = ()


def preview(state: ClientState, command: AnyCommand, now: datetime) -> Preview:
    """What obeying the command now would do. Raises the Refusal that obeying it would raise."""
    before = copy_of(state)
    before.advance(now)
    if known := before.answered(command):
        status = before.client.status
        return Preview(known.changed, known.message, None, status, status, answered=True, warnings=known.warnings)
    after = copy_of(before)
    answer = after.obey(command, now)
    old, new = list(before.client.schedule), list(after.client.schedule)
    goes, comes = _without(old, new), _without(new, old)
    goes_then: tuple[PlannedChange, ...] = ()
    planned = unconditional(command)
    at = next((change.at for change in comes if change.command == planned), None)
    if at is not None:  # a plan: compare the moment with and without it, and without the one that it replaces
        before.client.schedule.remove(command.kind)
        before.advance(at)
        after.advance(at)
        later = [change for change in new if change.at > at]
        goes_then = _without(later, list(after.client.schedule))
    return Preview(
        answer.changed,
        answer.message,
        at,
        before.client.status,
        after.client.status,
        _effects(before, after, command) if answer.changed else (),
        goes,
        comes,
        goes_then,
        warnings=answer.warnings,
    )


def _without(some: list[PlannedChange], others: list[PlannedChange]) -> tuple[PlannedChange, ...]:
    return tuple(change for change in some if change not in others)


def _effects(before: ClientState, after: ClientState, command: AnyCommand) -> tuple[Effect, ...]:
    old, new, real = _words_of(before), _words_of(after), _as_they_are(before, after)
    named = [*old, *(key for key in new if key not in old)]
    changing = [key for key in named if key in real or old.get(key, NEVER) != new.get(key, NEVER)]
    effects = [Effect(*key, real.get(key) or old.get(key, NEVER), new.get(key, NEVER)) for key in changing]
    if isinstance(command, RotateCredentials):
        secret = [Effect(*key, "its present secret", "a new secret") for key in new if key[0] in SWITCHED]
        return tuple(secret)
    return tuple(effects)


def _as_they_are(before: ClientState, after: ClientState) -> dict[tuple[Thing, str], str]:
    """What was last proven of everything that a person has left as it is, and that is decided anew."""
    words: dict[tuple[Thing, str], str] = {}
    for system, ledger in before.provisioning.systems.items():
        now, kind = after.provisioning.systems.get(system), kind_of(system)
        if ledger.standing.skipped is None or now is None or now.standing.skipped is not None:
            continue
        for subject, wanted in ledger.wanted.items():
            if ledger.proven.get(subject) != wanted:
                on = ledger.known_on(subject)
                word = "not known" if on is None else kind.word(replace(wanted, on=on))
                words[kind.thing, kind.label(subject)] = f"{word}, skipped"
    return words


def _words_of(state: ClientState) -> dict[tuple[Thing, str], str]:
    """Everything about a client that a command can change, in words, in the order in which people read it."""
    client = state.client
    details = {
        "name": client.name,
        "billing ref": client.billing_ref or "generated",
        "type": str(client.services.type),
        "start date": str(client.start_date.day),
        "end date": str(client.end_date or NEVER),
        "activation": str(client.activation),
        "tags": ", ".join(client.tags) or NEVER,
        "external ids": ", ".join(f"{system}:{value}" for system, value in client.external_ids.items()) or NEVER,
    }
    words: dict[tuple[Thing, str], str] = {("detail", name): value for name, value in details.items()}
    words |= {("hold", source): hold.reason or "stands" for source, hold in sorted(client.holds.items())}
    ended = client.status is Status.DECOMMISSIONED
    words |= {("office", office): "let" for office in client.services.offices if not ended}
    notes = {line.number: _note(line) for line in client.services.lines}
    for system, ledger in state.provisioning.systems.items():
        kind = kind_of(system)
        for subject in dict.fromkeys((*kind.contracted(client), *ledger.wanted)):
            words[kind.thing, kind.label(subject)] = kind.word(ledger.wanted.get(subject)) + notes.get(subject, "")
    return words


def _note(line: Line) -> str:
    where = f", office {line.office}" if line.office else ""
    return (" (protected)" if line.protected else "") + where
