"""What the workflow needs from the outside world. activities/ implements it, tests/support/fakes.py fakes it.

Orders are imperatives and state a whole desired state of one client on one system; obeying twice is obeying once.
Answers are nouns. Every order carries the client's revision: a system that has obeyed a later one refuses it with an
ApplicationError of type ``StaleRevision`` whose details are ``{"newest": revision}``, in the same transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from temporalio import activity

from workflows.domain.answers import Answer
from workflows.domain.dates import NamedDay, ResolvedDay
from workflows.domain.journal import Entry
from workflows.domain.provisioning.ledger import Desired
from workflows.domain.provisioning.standing import Proof
from workflows.domain.systems import MAIN, System, SystemInstance
from workflows.wire.views import ClientView

STALE_REVISION = "StaleRevision"


@dataclass(frozen=True)
class Finding:
    """What was read back of one subject: a line's number, an account's name.

    ``seen`` are plain words for operators. Anything but ``proven`` says ``why``: *not proven* when it could not be
    seen, or is not so yet (a router is silent); *failed* when the system refused it.
    """

    subject: str
    in_service: bool
    seen: dict[str, str] = field(default_factory=dict)
    proof: Proof = Proof.PROVEN
    why: str = ""


@dataclass(frozen=True)
class Evidence:
    """What a system was seen to do after a change, on another connection than the one that changed it.

    ``at`` is when it was seen, by the clock that the system's own records go by: what is seen of it later is compared
    with it. One line that fails is a finding; a system that fails is an error.
    ``recorded`` is false when the directory could not take it down; the workflow then publishes it itself.
    """

    system: System
    revision: int
    at: datetime
    method: str
    findings: list[Finding] = field(default_factory=list)
    recorded: bool = True

    @property
    def complete(self) -> bool:
        """Whether everything is proven."""
        return all(finding.proof is Proof.PROVEN for finding in self.findings)


@dataclass(frozen=True)
class Ensure:
    """Have exactly these subjects in service or off, as desired, then prove it.

    One that the system does not know is created when it is to be in service, with a secret derived for
    ``secret_version``. Those in ``release`` are given up once they are proven off: a number is then free for other
    clients. Those in ``protected`` stay in service through a suspension: their evidence says so. ``revived``: so many
    times in a row something of it was found alive again; what seemed enough of a proof then is not.
    """

    system: System
    client_id: str
    revision: int
    subjects: dict[str, Desired]
    instance: str = MAIN
    release: list[str] = field(default_factory=list)
    secret_version: int = 1
    protected: list[str] = field(default_factory=list)
    revived: int = 0

    @property
    def served_by(self) -> SystemInstance:
        return SystemInstance(self.system, self.instance)

    @property
    def summary(self) -> str:
        on = sum(desired.on for desired in self.subjects.values())
        return f"{self.system}: {on} on, {len(self.subjects) - on} off"


@dataclass(frozen=True)
class Watched:
    """What was proven off at ``since`` (as ``Evidence.at``) for a client, and is watched. ``seen`` is what the finding
    said of it then; empty where that is not known."""

    client_id: str
    subject: str
    since: datetime
    seen: Mapping[str, str] = field(default_factory=dict, hash=False)


class Life(StrEnum):
    """What is seen of something that was proven off.

    ``alive``: it is in service, registered, in a call or a session. ``unseen``: nobody can say. ``silent``: nothing
    came of it for so long that nothing will, though it never said goodbye. ``over``: there is nothing left to watch.
    ``otherwise``: it is on, and something of it is not as it was left.
    """

    ALIVE = "alive"
    UNSEEN = "unseen"
    SILENT = "silent"
    OVER = "over"
    OTHERWISE = "otherwise"


@dataclass(frozen=True)
class Sighting:
    """What was seen of one watched subject, or of one that is on and otherwise, and how in plain words."""

    watched: Watched
    life: Life
    how: str = ""


@dataclass(frozen=True)
class Observed:
    """What a look at all watched subjects of an instance came to. What no sighting is of was not alive, and is watched
    further. ``at``: when it was seen, by the clock of ``Evidence.at``; None: by our own, now. ``trouble`` is why not
    everything could be seen."""

    sightings: list[Sighting] = field(default_factory=list)
    at: datetime | None = None
    trouble: str = ""


@dataclass(frozen=True)
class Claim:
    """What must be unique. ``billing_ref`` empty: allot one from the sequence; None: none is claimed.

    ``external_ids`` are as people see them: ``crm:4711``.
    """

    billing_ref: str | None = None
    numbers: list[str] = field(default_factory=list)
    external_ids: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Publish:
    """Show a client as it is at a revision, and decide on one claim, in one transaction.

    ``register`` makes the client known, under the reference it is granted; when its claim is lost, nothing at all is
    written. Otherwise a lost claim leaves the rest of the publication standing. The client then holds ``numbers``, and
    those of a claim it won; every other number of it is free. ``wanted`` gives, per switched system, the revision since
    when it is to do what it is to do: the directory derives "settled" by comparing it with what was proven (its own
    record, or ``proven``, if that is later). ``priority`` is that of the newest decision. ``entries`` are lines of the
    history, numbered from ``first_entry``; each number is taken once. ``answers`` are the verdicts on the commands that
    those lines are of; the first verdict on a command stands, but what was done counts over a refusal.
    """

    client_id: str
    incarnation: str
    revision: int
    view: ClientView
    wanted: dict[System, int]
    numbers: list[str]
    entries: list[Entry] = field(default_factory=list)
    first_entry: int = 1
    proven: dict[System, int] = field(default_factory=dict)
    register: bool = False
    claim: Claim | None = None
    priority: int = 2
    answers: list[Answer] = field(default_factory=list)

    @property
    def summary(self) -> str:
        return f"directory: revision {self.revision}"


@dataclass(frozen=True)
class LostClaim:
    """Why a claim was not granted. ``type`` names one of the domain's refusals."""

    type: str
    field: str
    why: str
    remedy: str


@dataclass(frozen=True)
class Published:
    """What the directory now shows. ``billing_ref`` is the one granted, ``last_entry`` the last line it has,
    ``instances`` those that serve the client's site when a claim is decided: main, where none is named."""

    revision: int
    last_entry: int
    billing_ref: str | None = None
    lost: LostClaim | None = None
    instances: dict[System, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Failed:
    """Why one order of several failed, while the others were carried out."""

    type: str
    message: str


@dataclass(frozen=True)
class Batch:
    """All that a decision asks for, to be done side by side. What takes longer than ``seconds`` has failed."""

    orders: list[Ensure | Publish]
    seconds: float


@dataclass(frozen=True)
class BatchAnswers:
    """An answer for each order of a batch, in their order."""

    answers: list[Evidence | Published | Failed]


class AtOnce(Protocol):
    """What a person waits for: all that a decision asks for, in one activity."""

    @activity.defn(name="at_once")
    async def at_once(self, batch: Batch) -> BatchAnswers:
        """Carry out the orders. None is repeated."""
        raise NotImplementedError


class ServiceSystem(Protocol):
    """A system that switches one kind of service."""

    @activity.defn(name="ensure")
    async def ensure(self, order: Ensure) -> Evidence:
        """Make all subjects be as ordered. What is then true was read back."""
        raise NotImplementedError

    async def observe(self, watched: Sequence[Watched]) -> Observed:
        """Look whether what was proven off, of any client, is alive; nothing is changed. The look is for all of them
        together, every few seconds: a statement, not one for each. Not an activity: the workers' own watch asks. Also
        when nothing is watched, for what is on may be otherwise.

        A system that has no such question watches nothing.
        """
        return Observed([Sighting(it, Life.OVER) for it in watched])


class Directory(Protocol):
    """The read model that lists, searches and keeps the history."""

    @activity.defn(name="publish")
    async def publish(self, order: Publish) -> Published:
        """Show the client, and decide on its claim. An older publication never overwrites a newer one."""
        raise NotImplementedError


@dataclass(frozen=True)
class ResolveDays:
    """Say at which instant each day counts at a site, by the zone rules that the worker has."""

    timezone: str
    days: list[NamedDay]


@dataclass(frozen=True)
class ResolvedDays:
    """The days, in the order in which they were asked for; None for one that the rules cannot tell: they have no such
    zone."""

    days: list[ResolvedDay | None]


class Calendar(Protocol):
    """The zone rules in use. Their answer is recorded: what a client decides by is never computed anew by a replay."""

    @activity.defn(name="resolve_days")
    async def resolve_days(self, order: ResolveDays) -> ResolvedDays:
        """At which instant each day counts at the site, by the zone rules of whoever is asked."""
        raise NotImplementedError
