"""What a client is: its record, its status, its holds and its planned changes, and what these say of themselves."""

from dataclasses import dataclass, field, replace
from datetime import date, datetime

from workflows.domain.answers import Outcome
from workflows.domain.client.options import Options, ended_at
from workflows.domain.client.planning import activation_on
from workflows.domain.client.refused_plans import RefusedPlan
from workflows.domain.client.rules import check_billing_ref, check_client_id, check_name
from workflows.domain.commands import AnyCommand, ChangeServices
from workflows.domain.dates import ResolvedDay, check_day
from workflows.domain.errors import Situation
from workflows.domain.holds import Hold
from workflows.domain.journal import UNCHANGED, Event, entry_for
from workflows.domain.lifecycle import Activation, Kind, Status
from workflows.domain.schedule import Schedule
from workflows.domain.services import Services
from workflows.domain.systems import System


@dataclass
class Record:
    """One tenant company: its record, its status, its holds and its planned changes.

    ``revision`` grows with every decision; it fences late writes and orders the directory. ``converted_revision`` is
    that of the last conversion. ``secret_version`` is what "rotate credentials" raises (PRODUCT.md section 5).
    ``instances`` name the one that serves each kind: the site's, when the client last took a first service of it.
    ``refused_plans`` wait for a person to acknowledge them.
    ``grammar`` is GRAMMAR of when the client was created or last renewed; it never changes within a run.
    """

    client_id: str
    name: str
    site: str
    timezone: str
    services: Services
    start_date: ResolvedDay
    created_at: datetime
    billing_ref: str = ""
    end_date: date | None = None
    activation: Activation = Activation.AUTOMATIC
    management: bool = False
    status: Status = Status.NEW
    holds: dict[str, Hold] = field(default_factory=dict)
    schedule: Schedule = field(default_factory=Schedule)
    revision: int = 1
    secret_version: int = 1
    converted_revision: int = 0
    first_active_at: datetime | None = None
    decommissioned_at: datetime | None = None
    instances: dict[System, str] = field(default_factory=dict)
    external_ids: dict[str, str] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    refused_plans: list[RefusedPlan] = field(default_factory=list)
    grammar: int = 1

    def __post_init__(self) -> None:
        check_client_id(self.client_id)
        check_name(self.name)
        check_billing_ref(self.billing_ref)
        check_day(self.start_date.day, "start_date")

    def situation(self) -> Situation:
        """The status, the plans and the possible commands of now, which a refusal tells its caller."""
        plans = tuple(change.describe(self.timezone) for change in self.schedule)
        return Situation(self.status, plans, tuple(kind.value for kind in self.options.possible))

    @property
    def options(self) -> Options:
        """What may be asked of the client now."""
        return Options(
            self.status,
            management=self.management,
            held=bool(self.holds),
            planned=frozenset(change.kind for change in self.schedule),
            ended=ended_at(self.decommissioned_at, self.timezone),
            refused=bool(self.refused_plans),
        )

    @property
    def numbers_held(self) -> frozenset[str]:
        """Numbers contracted or about to be: contracted ones end with the client, planned ones with their plan."""
        if self.status is Status.DECOMMISSIONED:
            return frozenset()
        planned = {
            line.number for c in self.schedule if isinstance(c.command, ChangeServices) for line in c.command.add_lines
        }
        return frozenset(self.services.numbers) | planned

    # -- what a decision changes and says ----------------------------------------------------------------------------

    def plan_activation(self, now: datetime) -> None:
        """On the start date, unless a person activates; what is past is due at once."""
        self.schedule.remove(Kind.ACTIVATE)
        if self.activation is Activation.AUTOMATIC:
            self.schedule.put(activation_on(self.start_date, now))

    def settle_status(self, now: datetime, *, started: bool = False) -> None:
        """A started client is Suspended while at least one hold stands, else Active."""
        if self.status is Status.NEW and not started:
            return
        self.status = Status.SUSPENDED if self.holds else Status.ACTIVE
        if self.status is Status.ACTIVE and self.first_active_at is None:
            self.first_active_at = now

    def decided(self, text: str, command: AnyCommand, now: datetime) -> Outcome:
        """A decision was made: the answer and the line that say so."""
        self.revision += 1
        entry = entry_for(command, Event.DECIDED, text, now, self.revision)
        return Outcome(True, text, replace(entry, facts={"status": self.status.value}))

    def unchanged(self, text: str, command: AnyCommand, now: datetime) -> Outcome:
        """All was so already: the answer and the line that say so."""
        return Outcome(False, text, entry_for(command, Event.ASKED, f"{text}; {UNCHANGED}", now, self.revision))
