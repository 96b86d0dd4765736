"""What commands were answered: the same ``command_id`` is one command, however often and whenever it comes again.

The client itself remembers its newest answers and, of many older ones, that there was one. The directory keeps every
answer, as a row per client and ``command_id``, for as long as the client's history (ARCHITECTURE.md section 2).
"""

import base64
import hashlib
import json
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass, replace
from typing import Any

from workflows.domain.commands import AnyCommand
from workflows.domain.errors import Refusal
from workflows.domain.journal import Entry, shortened

MOST_PAST = 5000
"""So many older commands are still known to have been answered: 60 kB of a client's memory at most."""

CREATE = "create"
"""The kind of the command that makes a client."""

LONG_AGO = (
    "This command_id was used long ago, and nothing was done for it now: what it was answered then is in the history"
)


@dataclass(frozen=True)
class Outcome:
    """What a command did. ``changed`` is false when everything was so already."""

    changed: bool
    message: str
    entry: Entry


@dataclass(frozen=True)
class Caution:
    """One warning: a code for machines, a sentence for people, and the planned change that it is about, if one is."""

    code: str
    text: str
    change_id: str = ""


@dataclass(frozen=True)
class Answer:
    """The verdict on a command. ``entry`` is the number of its line in the history, which is published with it.

    ``refusal`` are the typed facts of a command that was refused, ``message`` then is its sentence. ``warnings`` are
    what an operator should know of what was done.
    """

    command_id: str
    fingerprint: str
    changed: bool
    message: str
    kind: str = ""
    entry: int = 0
    refusal: dict[str, object] | None = None
    warnings: tuple[Caution, ...] = ()


def answer_of_refusal(command_id: str, digest: str, kind: str, refusal: Refusal, entry: int = 0) -> Answer:
    """The verdict on a command that was refused; ``digest`` is its fingerprint. Texts are cut, and can be stored."""
    cut = replace(refusal, why=shortened(refusal.why), remedy=shortened(refusal.remedy))
    return Answer(command_id, digest, False, shortened(str(cut)), kind, entry, cut.typed_facts)


def answered_long_ago(command: AnyCommand) -> Answer:
    """What is answered when only that there was an answer is remembered."""
    return Answer(command.command_id, fingerprint(command), False, LONG_AGO, command.kind)


def mark_of(command_id: str) -> str:
    """Eleven characters that stand for a ``command_id`` of any length."""
    return base64.urlsafe_b64encode(hashlib.sha256(command_id.encode()).digest()[:8]).decode().rstrip("=")


def fingerprint(command: AnyCommand) -> str:
    """A short digest of everything a command says, the same whatever library its times came through, by whatever zone
    rules its day was resolved, and whichever instances serve the site. It is the same in every version, too: a field
    that a later one adds is not said in older commands."""
    text = json.dumps([command.kind, _content(command)], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _content(value: object) -> object:
    """Without the fields that have their default, and without those that Connect fills in, which do not compare."""
    if is_dataclass(value):
        content = {field: getattr(value, field.name) for field in fields(value) if field.compare}
        return {field.name: _content(part) for field, part in content.items() if part != _default(field)}
    return [_content(part) for part in value] if isinstance(value, tuple) else value


def _default(field: Field[Any]) -> object:
    return field.default if field.default_factory is MISSING else field.default_factory()
