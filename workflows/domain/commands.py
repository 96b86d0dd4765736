"""What may be asked of a client. A command is a value: it can be planned, kept and compared."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from dataclasses import field as attribute
from datetime import date, datetime
from typing import Literal, TypeAlias, TypeVar

from workflows.domain.dates import ResolvedDay
from workflows.domain.errors import ChangedMeanwhile, Situation
from workflows.domain.lifecycle import Activation, Kind
from workflows.domain.services import ClientType, Internet, Line, Service
from workflows.domain.systems import INTERNET, TELEPHONY, System
from workflows.domain.text import check_text


@dataclass(frozen=True, kw_only=True)
class Command:
    """Who asks, why, and under which id. The same ``command_id`` twice is one command.

    ``expected_revision``: only while the client has this revision when it is decided; None: whatever it has.
    ``request_id`` names the HTTP request that brought it; by another one it is the same command. ``own_sources``: whose
    holds that are planned it may cancel, or plan another in the place of, and no other plan; None: anybody's. That is
    its caller's, so that whoever has other sources meanwhile repeats the same command.
    """

    command_id: str = ""
    by: str = ""
    source: str = "operator"
    reason: str = ""
    expected_revision: int | None = None
    request_id: str = attribute(default="", compare=False)
    own_sources: tuple[str, ...] | None = attribute(default=None, compare=False)


@dataclass(frozen=True, kw_only=True)
class Plannable(Command):
    """A command with an optional moment: now when neither is given, and never both.

    ``last_day`` is the last day of the present state, inclusive, at the site; ``at`` an exact instant. ``resolved`` is
    the last day as an instant; it is recorded with the command, but the same day by other rules is the same command.
    """

    last_day: date | None = None
    at: datetime | None = None
    resolved: ResolvedDay | None = attribute(default=None, compare=False)

    @property
    def planned(self) -> bool:
        return self.last_day is not None or self.at is not None


@dataclass(frozen=True, kw_only=True)
class Activate(Command):
    """Provide all contracted services, ahead of the start date if need be."""

    kind: Literal[Kind.ACTIVATE] = Kind.ACTIVATE


@dataclass(frozen=True, kw_only=True)
class Suspend(Plannable):
    """Place a hold for ``source``: every service is ceased while one stands."""

    kind: Literal[Kind.SUSPEND] = Kind.SUSPEND


@dataclass(frozen=True, kw_only=True)
class Unsuspend(Plannable):
    """Lift the hold of ``source``, or every one with ``all``. Services come back when the last one goes."""

    kind: Literal[Kind.UNSUSPEND] = Kind.UNSUSPEND


@dataclass(frozen=True, kw_only=True)
class Decommission(Plannable):
    """Close the contract and cease all services, for good."""

    kind: Literal[Kind.DECOMMISSION] = Kind.DECOMMISSION


@dataclass(frozen=True, kw_only=True)
class CancelScheduledDecommission(Command):
    """Remove the planned decommission. The status stays as it is: a suspended client stays suspended."""

    kind: Literal[Kind.CANCEL_SCHEDULED_DECOMMISSION] = Kind.CANCEL_SCHEDULED_DECOMMISSION


@dataclass(frozen=True, kw_only=True)
class CancelPlanned(Command):
    """Remove the planned change that ``change`` names by its kind or its change_id."""

    change: str
    kind: Literal[Kind.CANCEL_PLANNED] = Kind.CANCEL_PLANNED


@dataclass(frozen=True, kw_only=True)
class Contracting(Plannable):
    """A command that can add services. ``instances`` are those that serve the site when it is decided, of the systems
    that switch what it adds; they are recorded with it, but do not make it another command."""

    instances: Mapping[System, str] = attribute(default_factory=dict, compare=False)

    @property
    def systems(self) -> tuple[System, ...]:
        """The systems that switch what it adds."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Convert(Contracting):
    """Become virtual (offices and internet end, numbers stay) or residential (every line gets an office)."""

    to: ClientType
    lines: tuple[Line, ...] = ()
    offices: tuple[str, ...] = ()
    internet: Internet | None = None
    kind: Literal[Kind.CONVERT] = Kind.CONVERT

    @property
    def systems(self) -> tuple[System, ...]:
        return (INTERNET,) if self.internet else ()


@dataclass(frozen=True, kw_only=True)
class ChangeServices(Contracting):
    """Add lines (or move them to another office), remove lines, set or end internet access; the same with services of
    further kinds."""

    add_lines: tuple[Line, ...] = ()
    remove_lines: tuple[str, ...] = ()
    internet: Internet | Literal["keep", "none"] = "keep"
    add_services: tuple[Service, ...] = ()
    remove_services: tuple[str, ...] = ()
    kind: Literal[Kind.CHANGE_SERVICES] = Kind.CHANGE_SERVICES

    @property
    def systems(self) -> tuple[System, ...]:
        ours = {TELEPHONY: bool(self.add_lines), INTERNET: self.internet not in ("keep", "none")}
        further = dict.fromkeys(service.kind for service in self.add_services)
        return (*(system for system, added in ours.items() if added), *further)


@dataclass(frozen=True, kw_only=True)
class Edit(Command):
    """Change details; what is left out stays. An empty ``billing_ref`` asks for a generated one.

    ``activation`` can be changed while a client is New; automatic plans it for the start date anew. ``resolved`` is the
    start date as an instant.

    ``external_ids`` are merged as in RFC 7396: those left out stay, None removes one. ``tags`` is the whole list;
    ``add_tags`` and ``remove_tags`` change it, so that two callers do not undo each other's.
    """

    name: str | None = None
    billing_ref: str | None = None
    start_date: date | None = None
    end_date: date | None = None
    clear_end_date: bool = False
    activation: Activation | None = None
    resolved: ResolvedDay | None = attribute(default=None, compare=False)
    external_ids: Mapping[str, str | None] = attribute(default_factory=dict, hash=False)
    tags: tuple[str, ...] | None = None
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()
    kind: Literal[Kind.EDIT] = Kind.EDIT


@dataclass(frozen=True, kw_only=True)
class RotateCredentials(Command):
    """Give every line and account a new secret. Telephones and the router are then configured anew, with these."""

    kind: Literal[Kind.ROTATE_CREDENTIALS] = Kind.ROTATE_CREDENTIALS


@dataclass(frozen=True, kw_only=True)
class Acknowledge(Command):
    """Say that a person has seen an open matter that the client itself keeps: a plan that was refused when it was due.

    ``matter`` is its name: ``plan:<change_id>``.
    """

    matter: str
    kind: Literal[Kind.ACKNOWLEDGE] = Kind.ACKNOWLEDGE


@dataclass(frozen=True, kw_only=True)
class AboutSystem(Command):
    """About one system that is not as decided."""

    system: System


@dataclass(frozen=True, kw_only=True)
class Retry(AboutSystem):
    """Attempt the system again at once, without the rest of the pause. One that is as decided stays as it is."""

    kind: Literal[Kind.RETRY] = Kind.RETRY


@dataclass(frozen=True, kw_only=True)
class Skip(AboutSystem):
    """Accept that the system is not as decided, until the next decision that concerns it. Nothing counts as proven.

    ``reason`` says why.
    """

    kind: Literal[Kind.SKIP] = Kind.SKIP


@dataclass(frozen=True, kw_only=True)
class MarkDone(AboutSystem):
    """Count the system as done, because somebody has seen to it by hand. The note that says how is the evidence."""

    kind: Literal[Kind.MARK_DONE] = Kind.MARK_DONE


@dataclass(frozen=True, kw_only=True)
class Note(Command):
    """Write down what somebody has to say about the client. It changes nothing else, and is never changed."""

    text: str
    kind: Literal[Kind.NOTE] = Kind.NOTE


ClientCommand: TypeAlias = (
    Activate
    | Suspend
    | Unsuspend
    | Decommission
    | CancelScheduledDecommission
    | CancelPlanned
    | Convert
    | ChangeServices
    | Edit
    | RotateCredentials
    | Acknowledge
)
SystemCommand: TypeAlias = Retry | Skip | MarkDone
AnyCommand: TypeAlias = ClientCommand | SystemCommand | Note
PlannableCommand: TypeAlias = Suspend | Unsuspend | Decommission | Convert | ChangeServices
PlannedCommand: TypeAlias = Activate | PlannableCommand

C = TypeVar("C", bound=Command)


def check_revision(command: AnyCommand, revision: int, situation: Callable[[], Situation]) -> None:
    """Raises ChangedMeanwhile when a command expects another revision of the client than this one."""
    if command.expected_revision not in (None, revision):
        raise ChangedMeanwhile(
            f"The client has revision {revision}, and this is for revision {command.expected_revision}",
            "Look at the client as it is now, and send a new command with its revision",
            field="expected_revision",
            situation=situation(),
        )


def unconditional(command: C) -> C:
    """The same command, to be done whatever revision the client has: one that was decided, or is planned."""
    return command if command.expected_revision is None else replace(command, expected_revision=None)


PROSE = ("reason", "text")  # may have several lines


def check_texts(command: AnyCommand) -> None:
    """Raises InvalidField where a text of a command has a character that nobody would see."""
    for name, text in _texts(command):
        check_text(text, name, lines=name in PROSE)


def _texts(command: AnyCommand) -> Iterator[tuple[str, str]]:
    """Every text of a command that people write, by its field."""
    for name in ("command_id", "by", "source", "reason", "request_id"):
        yield name, getattr(command, name)
    match command:
        case Edit():
            yield from (("name", command.name or ""), ("billing_ref", command.billing_ref or ""))
        case Note():
            yield "text", command.text
        case Acknowledge():
            yield "matter", command.matter
        case Convert():
            yield from (("lines", line.office or "") for line in command.lines)
            yield from (("offices", office) for office in command.offices)
        case ChangeServices():
            yield from (("add_lines", line.office or "") for line in command.add_lines)
            for service in command.add_services:
                texts = (text for pair in service.settings.items() for text in pair if isinstance(text, str))
                yield from (("add_services", text) for text in (service.name, *texts))
