"""The shapes of HTTP requests, and what is checked at this boundary (PRODUCT.md sections 2, 4 and 7.2).

Bodies of commands are those of workflows/wire/messages.py, made stricter where JSON and people are loose: telephone
numbers are read as people write them and must be able to exist, dates are texts of a plausible year, and texts can be
stored.
"""

import re
from datetime import date
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    Field,
    StrictBool,
    StringConstraints,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from starter.contract.numbers import Number
from workflows.domain.client.rules import LONGEST_BILLING_REF
from workflows.domain.dates import zone_names
from workflows.domain.errors import InvalidField
from workflows.domain.lifecycle import Activation, Status
from workflows.domain.provisioning.provisioning import Provisioned
from workflows.domain.services import MOST_SERVICES, ClientType
from workflows.domain.systems import DIRECTORY
from workflows.domain.text import hidden_in
from workflows.wire import messages
from workflows.wire.messages import MOST, KindName, Model, Name, Office, Strict

CLIENT_ID = r"^[a-z0-9][a-z0-9-]{1,62}$"
YEARS = range(1900, 2200)
NO_PLACES = {"Factory", "localtime", "posixrules"}  # what else lies among the zones: of the machine, or of nowhere
DATES = {"start_date", "end_date", "last_day", "at"}
NEVER_NULL = ("name", "start_date", "activation")
PROSE = {"reason", "note"}  # may have several lines
WRITTEN_DATE = re.compile(r"^\d{4}-\d\d-\d\d")


def storable(text: str) -> str:
    """Text that a database and a page can hold. Raises PydanticCustomError for other."""
    if "\0" in text:
        raise PydanticCustomError("text_not_storable", "The text contains a NUL character. Leave it out")
    return text


def seen(text: str, *, lines: bool = False) -> str:
    """Text in which nothing is hidden (workflows/domain/text.py). Raises PydanticCustomError for other."""
    if hidden := hidden_in(text, lines=lines):
        raise PydanticCustomError(
            "hidden_character", "The text contains a character that cannot be seen: {hidden}. Leave it out",
            {"hidden": hidden},
        )  # fmt: skip
    return text


def known_zone(name: str) -> str:
    """A time zone of the IANA list. Raises InvalidField for other, be it one that this machine has a file for."""
    if name not in zone_names() - NO_PLACES:
        raise InvalidField(f"{name!r} is not an IANA time zone", "Give a name such as Europe/London", field="timezone")
    return name


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
    bool, Field(description="Answer what the command would do, before and after (`PreviewView`), and do nothing")
]

M = TypeVar("M", bound=BaseModel)


class Clean(Model):
    """What comes in: nothing is hidden in a text, and every date is a text of a plausible year."""

    @field_validator("*", mode="before")
    @classmethod
    def _readable(cls, value: Any, info: ValidationInfo) -> Any:
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str):
                seen(text, lines=info.field_name in PROSE)
        if info.field_name in DATES and isinstance(value, str | int | float) and not WRITTEN_DATE.match(str(value)):
            raise PydanticCustomError(
                "date_as_text", "Write the date as a text: 2027-02-28, an instant 2027-03-01T09:00:00+00:00"
            )
        return value

    @field_validator("*", mode="after")
    @classmethod
    def _plausible(cls, value: Any) -> Any:
        if isinstance(value, date) and value.year not in YEARS:
            raise PydanticCustomError(
                "date_out_of_range",
                "The year {year} is not plausible. Give one from {first} to {last}",
                {"year": value.year, "first": YEARS[0], "last": YEARS[-1]},
            )
        return value


# -- what comes in ----------------------------------------------------------------------------------------------------


class LineGiven(Clean, messages.LineGiven, strict=True):
    number: Number


class InternetGiven(Clean, messages.InternetGiven, strict=True): ...


Setting = StrictBool | Annotated[int, Field(strict=True, ge=-(2**53), le=2**53)] | Annotated[str, AfterValidator(seen)]


class ServiceGiven(Clean, messages.ServiceGiven, strict=True):
    settings: dict[Annotated[str, AfterValidator(seen)], Setting | None] = Field(
        default_factory=dict,
        examples=[{"card": "0472"}],
        description="For its system: texts, whole numbers, true, false",
    )


class CommandBody(Clean, messages.Body):
    """A command that happens now."""


class CancelQuery(CommandBody):
    """The query of a request that cancels a planned change."""

    dry_run: DryRun = False


class PlannableBody(Clean, messages.PlannableBody):
    """A command that happens now, or at a given moment: one of ``last_day`` and ``at``."""


class ConvertBody(Clean, messages.ConvertBody):
    """Become residential, with an office for each line, or virtual."""

    lines: list[LineGiven] = Field(  # type: ignore[assignment]  # a list of a stricter kind
        default_factory=list, max_length=MOST, description="Which line goes to which office"
    )
    internet: InternetGiven | None = None


class ServicesBody(Clean, messages.ServicesBody):
    """A change of the contracted services. ``internet`` left out keeps it, ``"none"`` ends it. A service that is added
    again takes the new settings."""

    add_lines: list[LineGiven] = Field(default_factory=list, max_length=MOST)  # type: ignore[assignment]  # a list of a stricter kind
    remove_lines: list[Number] = Field(default_factory=list, max_length=MOST)
    internet: InternetGiven | Literal["none"] | None = None
    add_services: list[ServiceGiven] = Field(default_factory=list, max_length=MOST_SERVICES)  # type: ignore[assignment]  # as above


class SkipBody(Clean, messages.SkipBody):
    """Accept that a system is not as decided, until the next decision that concerns it."""


class MarkDoneBody(Clean, messages.MarkDoneBody):
    """Count a system as done by hand. ``reason`` may stand for ``note``."""

    @model_validator(mode="before")
    @classmethod
    def _stated_once(cls, value: Any) -> Any:
        if isinstance(value, dict) and {"note", "reason"} <= value.keys():
            raise PydanticCustomError("said_twice", "Both note and reason are given. Leave one of them out")
        return value


class EditBody(Clean, messages.EditBody, json_schema_extra=never_null):
    """Details. What is left out stays; ``billing_ref`` empty or null asks for a generated one."""

    @field_validator(*NEVER_NULL, mode="before")
    @classmethod
    def _kept(cls, value: Any) -> Any:
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


class SiteGiven(Clean, Strict):
    """A building."""

    site_id: Key = Field(examples=["thames-house"])
    name: Name = Field(examples=["Thames House"])
    timezone: Annotated[str, AfterValidator(known_zone)] = Field(description="IANA", examples=["Europe/London"])
    systems: SystemsOfSite = Field(default_factory=dict)


class SiteEdit(Clean, Strict):
    """What is to be otherwise of a building. What is left out stays; so do the kinds that ``systems`` leaves out."""

    name: Name | None = Field(None, examples=["Thames House"])
    systems: SystemsOfSite = Field(default_factory=dict)


class ClientGiven(Clean, Strict):
    """A new client (PRODUCT.md section 2)."""

    client_id: Key | None = Field(None, description="Generated from the name when left out", examples=["acme"])
    name: Name = Field(examples=["Acme Ltd"])
    type: ClientType
    site: Annotated[str, StringConstraints(max_length=63)] = Field(examples=["thames-house"])
    billing_ref: Annotated[str, StringConstraints(max_length=LONGEST_BILLING_REF, strip_whitespace=True)] | None = (
        Field(None, description="Unique in the operator; generated when left out")
    )
    start_date: date | None = Field(
        None, description="The contract's first day at the site; today when left out", examples=["2027-01-01"]
    )
    end_date: date | None = Field(None, description="When the client is due to move out. Never acts on services")
    activation: Activation = Activation.AUTOMATIC
    management: StrictBool = Field(False, description="The operator's own client of the site")
    offices: list[Office] = Field(default_factory=list, max_length=MOST, description="Offices without a telephone line")
    lines: list[LineGiven] = Field(default_factory=list, max_length=MOST)
    internet: InternetGiven | None = None
    services: list[ServiceGiven] = Field(
        default_factory=list, max_length=MOST_SERVICES, description="Of the further kinds that Connect's settings name"
    )


SiteOfList = Annotated[Text | None, Field(max_length=63)]
Limit = Annotated[int, Field(ge=1, le=500)]
Cursor = Annotated[str | None, Field(max_length=2000, description="`next` of the page before")]


class ClientFilter(Strict):
    """Which clients a list shows, and which page of it."""

    status: Status | None = None
    type: ClientType | None = None
    provisioning: Provisioned | None = None
    site: SiteOfList = None
    q: Text | None = Field(
        None, max_length=200, description="In name, billing ref, id, numbers and offices: every word"
    )
    inactive: bool = Field(False, description="Show decommissioned clients too")
    open: bool = Field(False, description="Only those with an open matter: see GET /matters")
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
    limit: Limit = 50
    cursor: Cursor = None


def switched(system: str) -> str:
    """Raises ValueError for the directory, which is no system that is switched."""
    if system == DIRECTORY:
        raise ValueError("must be a system that is switched, such as telephony: the directory is not")
    return system


class AttentionFilter(Strict):
    """Whom a list of those who wait for a person shows, and which page of it."""

    site: SiteOfList = None
    system: Annotated[KindName, AfterValidator(switched)] | None = Field(
        None, description="A system, or `workflow`: clients whose workflow cannot run"
    )
    skipped: bool = Field(False, description="Show also what a person has accepted as it is")
    limit: Limit = 50
    cursor: Cursor = None


class HistoryFilter(Strict):
    """Which page of a history."""

    limit: Limit = 100
    cursor: Cursor = None
