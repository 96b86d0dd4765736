"""The shapes of HTTP requests, and what is checked at this boundary (PRODUCT.md sections 2, 4 and 7.2).

Bodies of commands are those of workflows/wire/messages.py, but for telephone numbers, which are read as people write
them and must be able to exist. Dates, texts, numbers and booleans are read by workflows/wire/grammar.py.
"""

from datetime import date
from typing import Annotated, Any, Literal, TypeVar

import phonenumbers
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    Field,
    StringConstraints,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from starter.contract.numbers import Number
from starter.wording import Standing
from workflows.domain.dates import zone_names
from workflows.domain.errors import InvalidField
from workflows.domain.lifecycle import Activation, Status
from workflows.domain.services import LARGEST_SETTING, MOST_SERVICES, ClientType
from workflows.domain.systems import DIRECTORY
from workflows.wire import messages
from workflows.wire.fields import MOST, BillingRef, KindName, Label, Name, Office, SettingName, Tags
from workflows.wire.grammar import (
    CLIENT_ID,
    LINE,
    OPTIONAL_LINE,
    SETTING,
    Day,
    Flag,
    QueryFlag,
    QueryWhole,
    read_day,
    read_instant,
)
from workflows.wire.messages import InternetGiven, Strict

NO_PLACES = {"Factory", "localtime", "posixrules"}  # what else lies among the zones: of the machine, or of nowhere
NEVER_NULL = ("name", "start_date", "activation")


def storable(text: str) -> str:
    """Text that a database and a page can hold. Raises PydanticCustomError for other."""
    if "\0" in text:
        raise PydanticCustomError("text_not_storable", "The text contains a NUL character. Leave it out")
    return text


def known_zone(name: str) -> str:
    """A time zone of the IANA list. Raises InvalidField for other, be it one that this machine has a file for."""
    if name not in zone_names() - NO_PLACES:
        raise InvalidField(f"{name!r} is not an IANA time zone", "Give a name such as Europe/London", field="timezone")
    return name


def known_country(code: str) -> str:
    """A country (ISO 3166, two letters) with a numbering plan, in capitals. Raises InvalidField for other."""
    if (country := code.upper()) not in phonenumbers.SUPPORTED_REGIONS:
        why = f"{code!r} is not a country that has telephone numbers"
        raise InvalidField(why, "Give its two letters of ISO 3166, such as GB", field="country")
    return country


def never_null(schema: dict[str, Any]) -> None:
    """Have these fields of an edit described as ones that may be left out, and are not null when they are given."""
    for name in NEVER_NULL:
        field = schema["properties"][name]
        field.pop("default")
        field.update(next(kind for kind in field.pop("anyOf") if kind.get("type") != "null"))


Key = Annotated[
    str,
    StringConstraints(pattern=CLIENT_ID),
    Field(description="Lower-case letters, digits and hyphens, 2 to 63 of them"),
]
Text = Annotated[str, AfterValidator(storable)]
DryRun = Annotated[
    QueryFlag, Field(description="Answer what the command would do, before and after (`PreviewView`), and do nothing")
]

M = TypeVar("M", bound=BaseModel)


# -- what comes in ----------------------------------------------------------------------------------------------------


class LineGiven(messages.LineGiven):
    number: Number


Setting = Annotated[bool | Annotated[int, Field(ge=-LARGEST_SETTING, le=LARGEST_SETTING)] | str | None, SETTING]


class ServiceGiven(messages.ServiceGiven):
    settings: dict[SettingName, Setting] = Field(
        default_factory=dict,
        examples=[{"card": "0472"}],
        description="For its system: texts, whole numbers, true, false",
    )


class CommandBody(messages.Body):
    """A command that happens now."""


class CancelQuery(CommandBody):
    """The query of a request that cancels a planned change."""

    dry_run: DryRun = False


class PlannableBody(messages.PlannableBody):
    """A command that happens now, or at a given moment: one of ``last_day`` and ``at``."""


class ConvertBody(messages.ConvertBody):
    """Become residential, with an office for each line, or virtual."""

    lines: list[LineGiven] = Field(  # type: ignore[assignment]  # a list of a stricter kind
        default_factory=list, max_length=MOST, description="Which line goes to which office"
    )


class ServicesBody(messages.ServicesBody):
    """A change of the contracted services. ``internet`` left out keeps it, ``"none"`` ends it. A service that is added
    again takes the new settings."""

    add_lines: list[LineGiven] = Field(default_factory=list, max_length=MOST)  # type: ignore[assignment]  # a list of a stricter kind
    remove_lines: list[Number] = Field(default_factory=list, max_length=MOST)
    add_services: list[ServiceGiven] = Field(default_factory=list, max_length=MOST_SERVICES)  # type: ignore[assignment]  # as above


class NoteBody(messages.NoteBody):
    """What somebody has to say about the client. It stands in the history for good."""


class SkipBody(messages.SkipBody):
    """Accept that a system is not as decided, until the next decision that concerns it."""


class MarkDoneBody(messages.MarkDoneBody):
    """Count a system as done by hand. ``reason`` may stand for ``note``."""

    @model_validator(mode="before")
    @classmethod
    def _stated_once(cls, value: Any) -> Any:
        if isinstance(value, dict) and {"note", "reason"} <= value.keys():
            raise PydanticCustomError("said_twice", "Both note and reason are given. Leave one of them out")
        return value


DayOrInstant = Annotated[
    date | AwareDatetime,
    BeforeValidator(
        lambda value: read_day(value) if isinstance(value, str) and len(value) <= 10 else read_instant(value)
    ),
]


class AcknowledgeBody(CommandBody):
    """Hide a matter until it is another one."""


class AssignBody(CommandBody):
    """Assign a matter to somebody."""

    assigned_to: Annotated[str, StringConstraints(max_length=100, strip_whitespace=True), OPTIONAL_LINE] | None = Field(
        None, description="A name; `me`: yours; `nobody`, null or blank: nobody's", examples=["Ann"]
    )


class SnoozeBody(CommandBody):
    """Snooze a matter until its text changes, and not longer than until a day or a moment."""

    snoozed_until: DayOrInstant | None = Field(
        None, description="A day at the site, or an instant with offset; null: no end", examples=["2027-01-04"]
    )
    end: Flag = Field(False, description="End the snooze")


class EditBody(messages.EditBody, json_schema_extra=never_null):
    """Details. What is left out stays; ``billing_ref`` empty or null asks for a generated one."""

    @field_validator(*NEVER_NULL, mode="before")
    @classmethod
    def _never_null(cls, value: Any) -> Any:
        if value is None:
            raise PydanticCustomError("never_null", "Every client has one. Leave it out to keep it, or give another")
        return value


def message_of(kind: type[M], body: BaseModel, *, by: str, command_id: str, **more: object) -> M:
    """The message of a body, which was checked and is not checked again. ``more`` are the fields in its address."""
    fields = more | {name: getattr(body, name) for name in body.model_fields_set} | {"by": by, "command_id": command_id}
    return kind.model_construct(set(fields), **fields)


SystemsOfSite = Annotated[
    dict[KindName, KindName],
    Field(
        description="The instance that serves the site, of each kind; main where none is named",
        examples=[{"telephony": "london"}],
        max_length=100,
    ),
]


Country = Annotated[
    Annotated[str, StringConstraints(max_length=2), LINE] | None,
    AfterValidator(lambda code: None if code is None else known_country(code)),
    Field(
        description="ISO 3166, two letters: of numbers that people type without a plus. Null: they have none",
        examples=["GB"],
    ),
]


class SiteGiven(Strict):
    """A building."""

    site_id: Key = Field(examples=["thames-house"])
    name: Name = Field(examples=["Thames House"])
    timezone: Annotated[str, AfterValidator(known_zone)] = Field(description="IANA", examples=["Europe/London"])
    country: Country = None
    systems: SystemsOfSite = Field(default_factory=dict)


class SiteEdit(Strict):
    """What is to be otherwise of a building. What is left out stays; so do the kinds that ``systems`` leaves out."""

    name: Name | None = Field(None, examples=["Thames House"])
    timezone: Annotated[str, AfterValidator(known_zone)] | None = Field(
        None, description="IANA. Not while a living client is there", examples=["Europe/London"]
    )
    country: Country = None
    retired: Flag | None = Field(
        None, description="True: it takes no new client, and is hidden from choices. Not while a living client is there"
    )
    systems: SystemsOfSite = Field(default_factory=dict)


class ClientGiven(Strict):
    """A new client (PRODUCT.md section 2)."""

    client_id: Key | None = Field(
        None, description="Made by Connect when left out: it says nothing of the client", examples=["acme"]
    )
    name: Name = Field(examples=["Acme Ltd"])
    type: ClientType
    site: Annotated[str, StringConstraints(max_length=63), LINE] = Field(examples=["thames-house"])
    billing_ref: BillingRef | None = Field(None, description="Unique in the operator; generated when left out")
    start_date: Day | None = Field(None, description="The contract's first day at the site; today when left out")
    end_date: Day | None = Field(None, description="When the client is due to move out. Never acts on services")
    activation: Activation = Activation.AUTOMATIC
    management: Flag = Field(False, description="The operator's own client of the site")
    offices: list[Office] = Field(default_factory=list, max_length=MOST, description="Offices without a telephone line")
    lines: list[LineGiven] = Field(default_factory=list, max_length=MOST)
    internet: InternetGiven | None = None
    services: list[ServiceGiven] = Field(
        default_factory=list, max_length=MOST_SERVICES, description="Of the further kinds that Connect's settings name"
    )
    external_ids: dict[Label, Label] = Field(
        default_factory=dict, description="What other systems call it; unique per system", examples=[{"crm": "4711"}]
    )
    tags: Tags = Field(default_factory=list, description="To filter by", examples=[["vip"]])


SiteOfList = Annotated[Text | None, Field(max_length=63)]
Limit = Annotated[QueryWhole, Field(ge=1, le=500)]
Cursor = Annotated[str | None, Field(max_length=2000, description="`next` of the page before")]


class ClientFilter(Strict):
    """Which clients a list shows, and which page of it."""

    status: Status | None = None
    type: ClientType | None = None
    provisioning: Standing | None = Field(
        None, description="Where it stands; `done_by_hand`: those settled of which a person says so, and nobody saw it"
    )
    site: SiteOfList = None
    q: Text | None = Field(
        None, max_length=200, description="In name, billing ref, id, numbers and offices: every word"
    )
    inactive: QueryFlag = Field(False, description="Show decommissioned clients too")
    open: QueryFlag = Field(False, description="Only those with an open matter, as GET /matters lists them")
    tag: Text | None = Field(None, max_length=200, description="Only those with this tag", examples=["vip"])
    external_id: Text | None = Field(
        None, max_length=200, description="Only the one that a system calls so", examples=["crm:4711"]
    )
    sort: Literal[
        "name", "-name", "billing_ref", "-billing_ref", "status", "-status", "start_date", "-start_date",
        "end_date", "-end_date", "next_change", "-next_change",
    ] = Field("name", description="A minus sorts downwards; the management client is always first")  # fmt: skip
    limit: Limit = 50
    cursor: Cursor = None


class MatterFilter(Strict):
    """Which open matters a list shows, and which page of it."""

    site: SiteOfList = None
    kind: Text | None = Field(None, max_length=63, examples=["workflow_ended"])
    assigned_to: Text | None = Field(None, max_length=100, description="A name; `me`; `nobody`: assigned to nobody")
    snoozed: QueryFlag = Field(False, description="Include what was snoozed")
    limit: Limit = 50
    cursor: Cursor = None


def check_switched(system: str) -> str:
    """Raises ValueError for the directory, which is no system that is switched."""
    if system == DIRECTORY:
        raise ValueError("must be a system that is switched, such as telephony: the directory is not")
    return system


class AttentionFilter(Strict):
    """Whom a list of those who wait for a person shows, and which page of it."""

    site: SiteOfList = None
    system: Annotated[KindName, AfterValidator(check_switched)] | None = Field(
        None, description="A system, or `workflow`: clients whose workflow cannot run"
    )
    skipped: QueryFlag = Field(False, description="Include what was skipped")
    limit: Limit = 50
    cursor: Cursor = None


class HistoryFilter(Strict):
    """Which page of a history."""

    limit: Limit = 100
    cursor: Cursor = None
