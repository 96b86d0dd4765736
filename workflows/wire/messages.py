"""The wire contract of ClientLifecycle (PRODUCT.md sections 7.2 and 7.3): start, commands, signals.

Changes are additive. Commands are checked here for shape and turned into domain commands; what they mean is the
domain's. How dates, texts, numbers and booleans are written is the grammar's (workflows/wire/grammar.py).
"""

from dataclasses import replace
from typing import Annotated, Any, Literal, Self, TypeAlias, get_args

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from workflows.domain import commands
from workflows.domain.dates import ResolvedDay
from workflows.domain.lifecycle import Activation, Kind
from workflows.domain.provisioning.standing import Limits
from workflows.domain.services import MOST_SERVICES, ClientType, Internet, Line, Service
from workflows.wire.fields import (
    MOST,
    BillingRef,
    CommandId,
    ForeignText,
    KindName,
    Label,
    MatterName,
    Name,
    NoteText,
    Office,
    PlanName,
    Reason,
    Seconds,
    ServiceName,
    SettingName,
    SettingValue,
    ShortText,
    SubjectName,
    Tags,
    Word,
    ZoneName,
)
from workflows.wire.grammar import E164, Day, Flag, Instant, Number, ResolvedDate, ResolvedInstant, Whole

# -- services -----------------------------------------------------------------------------------------------------


class Model(BaseModel):
    """What every model of ours is: its errors quote no values, for they end up in logs and histories."""

    model_config = ConfigDict(hide_input_in_errors=True)


class Strict(Model):
    """Unknown fields are refused: a misspelt one would otherwise be silently ignored."""

    model_config = ConfigDict(extra="forbid")


class LineGiven(Strict):
    """One telephone line. A residential client's is in an office, a virtual client's in none."""

    number: E164
    office: Office | None = None
    protected: Flag = Field(False, description="Stays in service through a suspension: lift, alarm, door entry")

    def line(self) -> Line:
        return Line(self.number, self.office, self.protected)


class InternetGiven(Strict):
    """Internet access of a residential client."""

    down_mbps: Whole = Field(ge=1, le=1_000_000, examples=[100])
    up_mbps: Whole = Field(ge=1, le=1_000_000, examples=[20])
    vlan: Whole | None = Field(None, ge=1, le=4094, examples=[110])

    def internet(self) -> Internet:
        return Internet(self.down_mbps, self.up_mbps, self.vlan)


class ServiceGiven(Strict):
    """A service of a further kind: one that Connect's settings name. The settings of the service go to its system."""

    kind: KindName
    name: Office = Field(examples=["main-entrance"])
    settings: dict[SettingName, SettingValue] = Field(default_factory=dict, examples=[{"card": "0472"}])


class ServiceOfKind(ServiceGiven):
    """A service, with what Connect's settings say of its kind."""

    in_building: Flag = False

    def service(self) -> Service:
        return Service(self.kind, self.name, self.settings, self.in_building)


# -- commands: the body of a request, and with who and which id the whole message -----------------------------------


class Body(Strict):
    """The fields that every command may have."""

    reason: ShortText = Field("", examples=["invoice 1042 unpaid"])
    source: Word = Field("operator", description="Who asks for it: operator, billing, security, …")


class PlannableBody(Body):
    """A command that may be planned: at most one of ``last_day`` and ``at``."""

    last_day: Day | None = Field(None, description="The last day of the present state, inclusive, at the site")
    at: Instant | None = Field(None, description="An exact instant, with seconds and offset (RFC 3339)")


class ConvertBody(PlannableBody):
    """Become residential or virtual."""

    to: ClientType
    lines: list[LineGiven] = Field(default_factory=list, max_length=MOST, description="Which line goes to which office")
    offices: list[Office] = Field(default_factory=list, max_length=MOST, description="Offices without a telephone line")
    internet: InternetGiven | None = None


class ServicesBody(PlannableBody):
    """A change of the contracted services. ``internet`` left out keeps it, ``"none"`` ends it. A service that is added
    again takes the new settings."""

    add_lines: list[LineGiven] = Field(default_factory=list, max_length=MOST)
    remove_lines: list[E164] = Field(default_factory=list, max_length=MOST)
    internet: InternetGiven | Literal["none"] | None = None
    add_services: list[ServiceGiven] = Field(default_factory=list, max_length=MOST_SERVICES)
    remove_services: list[ServiceName] = Field(default_factory=list, max_length=MOST_SERVICES)


class EditBody(Body):
    """Details. What is left out stays; ``billing_ref`` empty or null asks for a generated one."""

    name: Name | None = Field(None, examples=["Acme Ltd"])
    billing_ref: BillingRef | None = None
    start_date: Day | None = None
    end_date: Day | None = Field(None, description="Null removes it. It never acts on services")
    activation: Activation | None = Field(
        None,
        description="Of a New client: automatic plans it for the start date anew, manual leaves it to a person",
        examples=["automatic"],
    )
    external_ids: dict[Label, Label | None] = Field(
        default_factory=dict,
        description="What other systems call the client: those left out stay, null removes one (RFC 7396)",
        examples=[{"crm": "4711"}],
        max_length=MOST,
    )
    tags: Tags = Field(default_factory=list, description="The whole list", examples=[["vip"]])
    add_tags: Tags = Field(default_factory=list, description="Further ones; others stay", examples=[["vip"]])
    remove_tags: Tags = Field(default_factory=list, description="Of those it has", examples=[["late"]])

    @model_serializer(mode="wrap")
    def _as_given(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Only what was given crosses the wire: a null that nobody wrote would clear a field."""
        return {name: value for name, value in plain(self).items() if name == "kind" or name in self.model_fields_set}


class NoteBody(Body):
    """What somebody has to say about the client."""

    text: NoteText = Field(examples=["Ms Doe asked to be called before noon"])


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
    by: CommandId = ""


class CommandMessage(Envelope):
    """A whole command. ``expected_revision``: only while the client has this one; ``request_id``: of the HTTP request
    that brought it; ``own_sources``: of a caller that cancels and replaces only plans of these. No signal has these."""

    kind: Kind
    expected_revision: Whole | None = Field(None, ge=0, exclude_if=lambda it: it is None)
    request_id: CommandId = Field("", exclude_if=lambda it: not it)
    own_sources: list[ForeignText] | None = Field(None, max_length=MOST, exclude_if=lambda it: it is None)

    def command(self) -> commands.AnyCommand:
        """The domain's command of this kind, which has the same fields."""
        return COMMANDS[self.kind](**self._fields())

    def _fields(self) -> dict[str, Any]:
        return {name: _value(value) for name, value in self if name != "kind"}


class DayResolved(Strict):
    """The day of a command as the instant that counts, in which zone, and by which version of the zone rules."""

    day: ResolvedDate
    zone: ZoneName
    instant: ResolvedInstant
    rules: ZoneName


class DatedMessage(CommandMessage):
    """A command that may name a day. Without ``resolved``, the client's workflow resolves the day before it decides."""

    resolved: DayResolved | None = None

    def dated(self, day: ResolvedDay) -> Self:
        """The same command, with its day resolved."""
        return self.model_copy(update={"resolved": DayResolved(**vars(day))})


class Activate(Body, CommandMessage):
    kind: Literal[Kind.ACTIVATE] = Kind.ACTIVATE


class Suspend(PlannableBody, DatedMessage):
    kind: Literal[Kind.SUSPEND] = Kind.SUSPEND


class Unsuspend(PlannableBody, DatedMessage):
    kind: Literal[Kind.UNSUSPEND] = Kind.UNSUSPEND


class Decommission(PlannableBody, DatedMessage):
    kind: Literal[Kind.DECOMMISSION] = Kind.DECOMMISSION


class CancelScheduledDecommission(Body, CommandMessage):
    kind: Literal[Kind.CANCEL_SCHEDULED_DECOMMISSION] = Kind.CANCEL_SCHEDULED_DECOMMISSION


class CancelPlanned(Body, CommandMessage):
    """``change`` is the kind or the change_id of the planned change."""

    change: PlanName
    kind: Literal[Kind.CANCEL_PLANNED] = Kind.CANCEL_PLANNED


class ContractingMessage(DatedMessage):
    """A command that can add services. ``instances``: those that serve the client's site now, of the kinds that are
    added. Of a kind that is left out, and that the client does not have, the directory says it."""

    instances: dict[KindName, KindName] = Field(default_factory=dict)


class Convert(ConvertBody, ContractingMessage):
    kind: Literal[Kind.CONVERT] = Kind.CONVERT


class ChangeServices(ServicesBody, ContractingMessage):
    add_services: list[ServiceOfKind] = Field(default_factory=list, max_length=MOST_SERVICES)  # type: ignore[assignment]  # a list of a stricter kind
    kind: Literal[Kind.CHANGE_SERVICES] = Kind.CHANGE_SERVICES

    def _fields(self) -> dict[str, Any]:
        fields = super()._fields()
        return {**fields, "internet": fields["internet"] or "keep"}


class Edit(EditBody, DatedMessage):
    kind: Literal[Kind.EDIT] = Kind.EDIT

    def _fields(self) -> dict[str, Any]:
        """A null clears the end date and asks for a generated billing reference; what is left out stays."""
        present = self.model_fields_set
        return {
            **super()._fields(),
            "billing_ref": (self.billing_ref or "") if "billing_ref" in present else None,
            "clear_end_date": "end_date" in present and self.end_date is None,
            "tags": tuple(self.tags) if "tags" in present else None,
        }


class Note(NoteBody, CommandMessage):
    kind: Literal[Kind.NOTE] = Kind.NOTE


class RotateCredentials(Body, CommandMessage):
    kind: Literal[Kind.ROTATE_CREDENTIALS] = Kind.ROTATE_CREDENTIALS


class Acknowledge(Body, CommandMessage):
    """``matter`` is the name of an open matter that the client itself keeps: ``plan:<change_id>``."""

    matter: MatterName
    kind: Literal[Kind.ACKNOWLEDGE] = Kind.ACKNOWLEDGE


class AboutSystem(CommandMessage):
    """Which system a command is about."""

    system: KindName


class Retry(Body, AboutSystem):
    kind: Literal[Kind.RETRY] = Kind.RETRY


class Skip(SkipBody, AboutSystem):
    kind: Literal[Kind.SKIP] = Kind.SKIP


class MarkDone(MarkDoneBody, AboutSystem):
    kind: Literal[Kind.MARK_DONE] = Kind.MARK_DONE


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
    | Acknowledge
    | Retry
    | Skip
    | MarkDone
    | Note
)


BY_NAME: dict[str, type[AnyMessage]] = {model.model_fields["kind"].default: model for model in get_args(AnyMessage)}
COMMANDS: dict[Kind, type[commands.AnyCommand]] = {command.kind: command for command in get_args(commands.AnyCommand)}


def _value(value: object) -> object:
    """The value of a field, as the domain has it."""
    match value:
        case LineGiven():
            return value.line()
        case InternetGiven():
            return value.internet()
        case ServiceOfKind():
            return value.service()
        case DayResolved():
            return ResolvedDay(**dict(value))
        case list():
            return tuple(_value(one) for one in value)
    return value


# -- other messages -------------------------------------------------------------------------------------------------


class DriftReport(Body, Envelope):
    """Somebody found a system not as it was left."""

    system: KindName
    reason: ForeignText = ""
    source: Word = "monitoring"
    alive: dict[SubjectName, ForeignText] = Field(
        default_factory=dict,
        max_length=MOST,
        description="What is in service or in use though it was proven off, with how it shows. Empty: all is doubted",
    )
    seen_at: Instant | None = Field(None, description="When that was seen; what was proven off since stands")


class LimitsGiven(Strict):
    """Time limits in seconds; what is left out stays as it is. Bounded: no limit may keep a client from working."""

    attempt: Seconds | None = None
    first_pause: Seconds | None = None
    longest_pause: Seconds | None = None
    at_once: Annotated[Number, Field(ge=0, le=3, allow_inf_nan=False)] | None = None

    def over(self, present: Limits) -> Limits:
        """The present limits with these in their place."""
        return replace(present, **self.model_dump(exclude_none=True))


class Roll(Body, Envelope):
    """Ask for renewal, so that an idle client takes new code after a deploy, and new ``limits``, if they are given."""

    limits: LimitsGiven | None = None


class WaitSettled(Strict):
    """Wait until nothing at or before ``revision`` is left to do, for at most ``patience`` seconds."""

    revision: int = 0
    patience: float = Field(30.0, gt=0, le=60)
