"""The wire contract of ClientLifecycle (PRODUCT.md sections 7.2 and 7.3): start, commands, answers, views.

Changes are additive. Commands are checked here for shape and turned into domain commands; what they mean is the
domain's.
"""

from dataclasses import replace
from datetime import date, datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AliasChoices,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    SerializerFunctionWrapHandler,
    StringConstraints,
    model_serializer,
)

from workflows.domain import commands
from workflows.domain.client import LONGEST_NAME, Activation
from workflows.domain.dates import at_site, local_day, local_time
from workflows.domain.lifecycle import Kind, Status
from workflows.domain.provisioning import Provisioned
from workflows.domain.services import ClientType, Internet, Line
from workflows.domain.standing import Doubt, Limits, Proof, Standing
from workflows.domain.state import Answer, ClientState
from workflows.domain.systems import SWITCHED, System

ID_PREFIX = "client-"
TASK_QUEUE = "provisioning"
MOST = 500  # lines or offices in one message

E164 = Annotated[
    str,
    StringConstraints(pattern=r"^\+[1-9]\d{6,14}$"),
    Field(description="A telephone number in E.164", examples=["+442079460001"]),
]
Office = Annotated[str, StringConstraints(min_length=1, max_length=64), Field(examples=["3.12"])]
ShortText = Annotated[str, StringConstraints(max_length=500)]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=500, pattern=r"\S")]
Seconds = Annotated[float, Field(ge=1, le=86400, allow_inf_nan=False)]
Word = Annotated[str, StringConstraints(min_length=1, max_length=64, strip_whitespace=True)]
CommandId = Annotated[str, StringConstraints(max_length=200)]


def workflow_id(client_id: str) -> str:
    """The id of a client's workflow."""
    return f"{ID_PREFIX}{client_id}"


def client_id_of(workflow_id: str) -> str:
    """The client whose workflow this is."""
    return workflow_id.removeprefix(ID_PREFIX)


# -- services -----------------------------------------------------------------------------------------------------


class Strict(BaseModel):
    """Unknown fields are refused: a misspelt one would otherwise be silently ignored."""

    model_config = ConfigDict(extra="forbid")


class LineGiven(Strict):
    """One telephone line. A residential client's is in an office, a virtual client's in none."""

    number: E164
    office: Office | None = None
    protected: bool = Field(False, description="Stays in service through a suspension: lift, alarm, door entry")

    def line(self) -> Line:
        return Line(self.number, self.office, self.protected)


class InternetGiven(Strict):
    """Internet access of a residential client."""

    down_mbps: int = Field(ge=1, le=1_000_000, examples=[100])
    up_mbps: int = Field(ge=1, le=1_000_000, examples=[20])
    vlan: int | None = Field(None, ge=1, le=4094, examples=[110])

    def internet(self) -> Internet:
        return Internet(self.down_mbps, self.up_mbps, self.vlan)


# -- commands: the body of a request, and with who and which id the whole message -----------------------------------


class Body(Strict):
    """What every command may say."""

    reason: ShortText = Field("", examples=["invoice 1042 unpaid"])
    source: Word = Field("operator", description="Who stands behind it: operator, billing, security, …")


class PlannableBody(Body):
    """A command that may be planned: at most one of ``last_day`` and ``at``."""

    last_day: date | None = Field(
        None, description="The last day of the present state, inclusive, at the site", examples=["2027-02-28"]
    )
    at: AwareDatetime | None = Field(
        None, description="An exact instant, with offset", examples=["2027-03-01T09:00:00+00:00"]
    )


class ConvertBody(PlannableBody):
    """Become residential or virtual."""

    to: ClientType
    lines: list[LineGiven] = Field(default_factory=list, max_length=MOST, description="Which line goes to which office")
    offices: list[Office] = Field(default_factory=list, max_length=MOST, description="Offices without a telephone line")
    internet: InternetGiven | None = None


class ServicesBody(PlannableBody):
    """A change of the contracted services. ``internet`` left out keeps it, ``"none"`` ends it."""

    add_lines: list[LineGiven] = Field(default_factory=list, max_length=MOST)
    remove_lines: list[E164] = Field(default_factory=list, max_length=MOST)
    internet: InternetGiven | Literal["none"] | None = None


class EditBody(Body):
    """Details. What is left out stays; ``billing_ref`` empty or null asks for a generated one."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME, pattern=r"\S")] | None = None
    billing_ref: Annotated[str, StringConstraints(max_length=64, strip_whitespace=True)] | None = None
    start_date: date | None = None
    end_date: date | None = Field(None, description="Null removes it. It never acts on services")

    @model_serializer(mode="wrap")
    def _as_given(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Only what was given crosses the wire: a null that nobody wrote would clear a field."""
        return {name: value for name, value in plain(self).items() if name == "kind" or name in self.model_fields_set}


class SkipBody(Body):
    """Accept that a system is not as decided, until the next decision that concerns it."""

    reason: Reason = Field(description="Why", examples=["the line card is being replaced on Monday"])


class MarkDoneBody(Body):
    """Count a system as done by hand."""

    reason: Reason = Field(
        validation_alias=AliasChoices("note", "reason"),
        description="How it was done: stands as evidence",
        examples=["switched off at the exchange, ticket 4711"],
    )


class Envelope(Strict):
    """Who asks, and under which id: the same ``command_id`` twice is one command."""

    command_id: CommandId = ""
    by: Annotated[str, StringConstraints(max_length=200)] = ""

    def _who(self) -> dict[str, Any]:
        return {"command_id": self.command_id, "by": self.by}


class Activate(Body, Envelope):
    kind: Literal[Kind.ACTIVATE] = Kind.ACTIVATE

    def command(self) -> commands.Activate:
        return commands.Activate(reason=self.reason, source=self.source, **self._who())


class Suspend(PlannableBody, Envelope):
    kind: Literal[Kind.SUSPEND] = Kind.SUSPEND

    def command(self) -> commands.Suspend:
        return commands.Suspend(**_planned(self), **self._who())


class Unsuspend(PlannableBody, Envelope):
    kind: Literal[Kind.UNSUSPEND] = Kind.UNSUSPEND

    def command(self) -> commands.Unsuspend:
        return commands.Unsuspend(**_planned(self), **self._who())


class Decommission(PlannableBody, Envelope):
    kind: Literal[Kind.DECOMMISSION] = Kind.DECOMMISSION

    def command(self) -> commands.Decommission:
        return commands.Decommission(**_planned(self), **self._who())


class CancelScheduledDecommission(Body, Envelope):
    kind: Literal[Kind.CANCEL_SCHEDULED_DECOMMISSION] = Kind.CANCEL_SCHEDULED_DECOMMISSION

    def command(self) -> commands.CancelScheduledDecommission:
        return commands.CancelScheduledDecommission(reason=self.reason, source=self.source, **self._who())


class CancelPlanned(Body, Envelope):
    """``change`` is the kind or the change_id of the planned change."""

    change: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    kind: Literal[Kind.CANCEL_PLANNED] = Kind.CANCEL_PLANNED

    def command(self) -> commands.CancelPlanned:
        return commands.CancelPlanned(change=self.change, reason=self.reason, source=self.source, **self._who())


class Convert(ConvertBody, Envelope):
    kind: Literal[Kind.CONVERT] = Kind.CONVERT

    def command(self) -> commands.Convert:
        return commands.Convert(
            to=self.to,
            lines=tuple(line.line() for line in self.lines),
            offices=tuple(self.offices),
            internet=self.internet.internet() if self.internet else None,
            **_planned(self),
            **self._who(),
        )


class ChangeServices(ServicesBody, Envelope):
    kind: Literal[Kind.CHANGE_SERVICES] = Kind.CHANGE_SERVICES

    def command(self) -> commands.ChangeServices:
        return commands.ChangeServices(
            add_lines=tuple(line.line() for line in self.add_lines),
            remove_lines=tuple(self.remove_lines),
            internet=self.internet.internet() if isinstance(self.internet, InternetGiven) else self.internet or "keep",
            **_planned(self),
            **self._who(),
        )


class Edit(EditBody, Envelope):
    kind: Literal[Kind.EDIT] = Kind.EDIT

    def command(self) -> commands.Edit:
        given = self.model_fields_set
        return commands.Edit(
            name=self.name,
            billing_ref=(self.billing_ref or "") if "billing_ref" in given else None,
            start_date=self.start_date,
            end_date=self.end_date,
            clear_end_date="end_date" in given and self.end_date is None,
            reason=self.reason,
            source=self.source,
            **self._who(),
        )


class RotateCredentials(Body, Envelope):
    kind: Literal[Kind.ROTATE_CREDENTIALS] = Kind.ROTATE_CREDENTIALS

    def command(self) -> commands.RotateCredentials:
        return commands.RotateCredentials(reason=self.reason, source=self.source, **self._who())


class AboutSystem(Envelope):
    """Which system a way out is about."""

    system: Literal[System.TELEPHONY, System.INTERNET]


class Retry(Body, AboutSystem):
    kind: Literal[Kind.RETRY] = Kind.RETRY

    def command(self) -> commands.Retry:
        return commands.Retry(system=self.system, reason=self.reason, source=self.source, **self._who())


class Skip(SkipBody, AboutSystem):
    kind: Literal[Kind.SKIP] = Kind.SKIP

    def command(self) -> commands.Skip:
        return commands.Skip(system=self.system, reason=self.reason, source=self.source, **self._who())


class MarkDone(MarkDoneBody, AboutSystem):
    kind: Literal[Kind.MARK_DONE] = Kind.MARK_DONE

    def command(self) -> commands.MarkDone:
        return commands.MarkDone(system=self.system, reason=self.reason, source=self.source, **self._who())


AnyMessage: TypeAlias = (
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
    | Retry
    | Skip
    | MarkDone
)


class Message(RootModel[Annotated[AnyMessage, Field(discriminator="kind")]]):
    """Any command; its ``kind`` says which, and is never left out."""

    def command(self) -> commands.AnyCommand:
        return self.root.command()


BY_NAME: dict[str, type[AnyMessage]] = {
    Kind.ACTIVATE: Activate,
    Kind.SUSPEND: Suspend,
    Kind.UNSUSPEND: Unsuspend,
    Kind.DECOMMISSION: Decommission,
    Kind.CANCEL_SCHEDULED_DECOMMISSION: CancelScheduledDecommission,
    Kind.CANCEL_PLANNED: CancelPlanned,
    Kind.CONVERT: Convert,
    Kind.CHANGE_SERVICES: ChangeServices,
    Kind.EDIT: Edit,
    Kind.ROTATE_CREDENTIALS: RotateCredentials,
    Kind.RETRY: Retry,
    Kind.SKIP: Skip,
    Kind.MARK_DONE: MarkDone,
}


def _planned(body: PlannableBody) -> dict[str, Any]:
    return {"reason": body.reason, "source": body.source, "last_day": body.last_day, "at": body.at}


# -- other messages -------------------------------------------------------------------------------------------------


class ClientStart(BaseModel):
    """What a run begins with: a new client's state, or the state the run before it passed on.

    A model, not a dataclass: pydantic compiles its schema once, and not anew for each client a worker takes up.
    """

    state: ClientState


class DriftReport(Envelope):
    """Somebody found a system not as it was left."""

    system: Literal["telephony", "internet"]
    reason: ShortText = ""
    source: Word = "monitoring"


class LimitsGiven(Strict):
    """Time limits in seconds; what is left out stays as it is. Bounded: no limit may keep a client from working."""

    attempt: Seconds | None = None
    first_pause: Seconds | None = None
    longest_pause: Seconds | None = None
    second_look: Annotated[float, Field(ge=0, le=7 * 86400, allow_inf_nan=False)] | None = None

    def over(self, present: Limits) -> Limits:
        """The present limits with these in their place."""
        return replace(present, **self.model_dump(exclude_none=True))


class Roll(Envelope):
    """Ask for renewal, so that an idle client takes new code after a deploy, and new ``limits``, if they are given."""

    reason: ShortText = ""
    source: Word = "operator"
    limits: LimitsGiven | None = None


class WaitSettled(Strict):
    """Wait until nothing at or before ``revision`` is left to do, for at most ``patience`` seconds."""

    revision: int = 0
    patience: float = Field(30.0, gt=0, le=60)


# -- views ----------------------------------------------------------------------------------------------------------


class LineView(BaseModel):
    number: str
    office: str | None
    protected: bool


class InternetView(BaseModel):
    account: str
    down_mbps: int
    up_mbps: int
    vlan: int | None


class HoldView(BaseModel):
    source: str
    reason: str
    by: str
    placed_at: datetime


class PlannedView(BaseModel):
    change_id: str
    kind: str
    at: datetime
    local_time: str
    by: str
    reason: str


class SkippedView(BaseModel):
    reason: str
    by: str
    at: datetime


class SubjectView(BaseModel):
    """One line or account: on, off or unknown, whether that is proven and since when, or why not.

    ``seen`` is what the last change read back of it (the evidence), as the directory has it.
    """

    subject: str
    desired: str
    actual: str
    state: Literal["proven", "changing", "not_proven", "failed", "skipped"]
    proven_at: datetime | None
    protected: bool
    why: str
    seen: dict[str, str] = Field(default_factory=dict)


class SystemView(BaseModel):
    """One provisioning system. ``desired`` and ``actual`` map numbers or accounts to on, off or unknown.

    ``state``: settled; changing; not_proven: changed, but what is true could not be seen yet; attention: a person is
    needed; skipped: a person has accepted that it is not as decided. ``by`` marked it as done by hand.
    """

    system: str
    desired: dict[str, str]
    actual: dict[str, str]
    proven_at: datetime | None
    attempts: int
    last_error: str
    next_attempt_at: datetime | None
    state: Literal["settled", "changing", "not_proven", "attention", "skipped"] = "settled"
    attention_since: datetime | None = None
    method: str = ""
    by: str = ""
    skipped: SkippedView | None = None
    second_look_at: datetime | None = None
    subjects: list[SubjectView] = Field(default_factory=list)


class ClientView(BaseModel):
    """A client as every interface shows it (PRODUCT.md section 7.2). Times carry the site's offset."""

    client_id: str
    name: str
    type: ClientType
    site: str
    timezone: str
    status: Status
    provisioning: Provisioned
    billing_ref: str
    start_date: date
    end_date: date | None
    end_date_passed: bool
    activation: Activation
    management: bool
    offices: list[str]
    office_label: str
    lines: list[LineView]
    internet: InternetView | None
    holds: list[HoldView]
    planned: list[PlannedView]
    systems: list[SystemView]
    revision: int
    created_at: datetime
    decommissioned_at: datetime | None
    temporal_ui_url: str = ""
    secret_version: int = 1

    @classmethod
    def of(cls, state: ClientState, now: datetime) -> "ClientView":
        client, zone = state.client, state.client.timezone
        internet = client.services.internet
        return cls(
            client_id=client.client_id,
            name=client.name,
            type=client.services.type,
            site=client.site,
            timezone=zone,
            status=client.status,
            provisioning=state.provisioned,
            billing_ref=client.billing_ref,
            start_date=client.start_date,
            end_date=client.end_date,
            end_date_passed=end_date_passed(client.end_date, now, zone),
            activation=client.activation,
            management=client.management,
            offices=list(client.services.offices),
            office_label=client.services.office_label,
            lines=[LineView(number=x.number, office=x.office, protected=x.protected) for x in client.services.lines],
            internet=internet
            and InternetView(
                account=client.client_id, down_mbps=internet.down_mbps, up_mbps=internet.up_mbps, vlan=internet.vlan
            ),
            holds=[
                HoldView(source=h.source, reason=h.reason, by=h.by, placed_at=at_site(h.placed_at, zone))
                for h in sorted(client.holds.values(), key=lambda h: (h.placed_at, h.source))
            ],
            planned=[
                PlannedView(
                    change_id=c.change_id,
                    kind=c.kind,
                    at=at_site(c.at, zone),
                    local_time=local_time(c.at, zone),
                    by=c.command.by,
                    reason=c.command.reason,
                )
                for c in client.schedule
            ],
            systems=[_system(state, system) for system in SWITCHED],
            revision=client.revision,
            created_at=at_site(client.created_at, zone),
            decommissioned_at=client.decommissioned_at and at_site(client.decommissioned_at, zone),
            secret_version=client.secret_version,
        )


class CommandAnswer(ClientView):
    """The client after a command, and whether the command changed anything."""

    changed: bool
    message: str

    @classmethod
    def to(cls, answer: Answer, view: ClientView) -> "CommandAnswer":
        return cls(**dict(view), changed=answer.changed, message=answer.message)


def end_date_passed(end_date: date | None, now: datetime, timezone: str) -> bool:
    """Whether the day the client was due to move out is over at the site."""
    return end_date is not None and end_date < local_day(now, timezone)


def _system(state: ClientState, system: System) -> SystemView:
    provisioning, zone = state.provisioning, state.client.timezone
    if system is System.TELEPHONY:
        desired = {n: _word(on) for n, on in provisioning.lines_wanted.items()}
        actual = {n: _word(provisioning.lines.get(n)) for n in desired}
    else:
        desired = {a: _word(access.on) for a, access in provisioning.access_wanted.items()}
        proven = {a: access.on for a, access in provisioning.access.items()}
        actual = {a: _word(proven.get(a)) for a in desired}
    standing = provisioning.standing[system]
    skipped = standing.skipped
    view = SystemView(
        system=system,
        desired=desired,
        actual=actual,
        proven_at=standing.proven_at and at_site(standing.proven_at, zone),
        attempts=standing.attempts,
        last_error=standing.last_error,
        next_attempt_at=standing.retry_at and at_site(standing.retry_at, zone),
        attention_since=standing.attention_since and at_site(standing.attention_since, zone),
        method=standing.method,
        by=standing.by,
        skipped=skipped and SkippedView(reason=skipped.reason, by=skipped.by, at=at_site(skipped.at, zone)),
        second_look_at=standing.look_at and at_site(standing.look_at, zone),
    )
    protected = {line.number for line in state.client.services.lines if line.protected}
    subjects = [_subject(view, standing, name, name in protected, zone) for name in desired]
    differs = provisioning.differs(system, state.client)
    return view.model_copy(update={"subjects": subjects, "state": _state(standing, differs=differs)})


def _state(
    standing: Standing, *, differs: bool
) -> Literal["settled", "changing", "not_proven", "attention", "skipped"]:
    if standing.attention:
        return "attention"
    if not differs:
        return "settled"
    if standing.skipped:
        return "skipped"
    return "not_proven" if standing.doubts else "changing"


def _subject(view: SystemView, standing: Standing, name: str, protected: bool, zone: str) -> SubjectView:
    desired, actual, doubt = view.desired[name], view.actual[name], standing.doubts.get(name)
    proven_at = standing.proofs.get(name)
    return SubjectView(
        subject=name,
        desired=desired,
        actual=actual,
        state=_word_of(actual != "unknown", doubt, skipped=standing.skipped is not None),
        proven_at=proven_at and at_site(proven_at, zone),
        protected=protected,
        why=doubt.why if doubt else "",
    )


def _word_of(
    proven: bool, doubt: Doubt | None, *, skipped: bool
) -> Literal["proven", "changing", "not_proven", "failed", "skipped"]:
    if proven:
        return "proven"
    if skipped:
        return "skipped"
    if doubt is None:
        return "changing"
    return "failed" if doubt.proof is Proof.FAILED else "not_proven"


def _word(on: bool | None) -> str:
    return "unknown" if on is None else "on" if on else "off"
