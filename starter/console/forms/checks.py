"""What is said beside the fields of a form: what is wrong with it, what is free, what will happen.

The rules are those of schemas.py and of the domain, which have the last word when a form is sent; the words are for
whom is typing.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, TypeVar
from uuid import uuid4

from pydantic import BaseModel, ValidationError

from starter.console.labels import moment_word
from starter.console.rendering import Form
from starter.contract.bodies import YEARS, InternetGiven, LineGiven
from starter.directory.console import ConsoleReads
from starter.errors import Away, NotDecided, StarterError
from starter.web.problems import code_of
from workflows.domain.client.rules import LONGEST_BILLING_REF, LONGEST_NAME
from workflows.domain.dates import first_instant, local_day
from workflows.domain.errors import CommandIdReused, InvalidField, Refusal
from workflows.domain.lifecycle import Activation
from workflows.domain.services import HIGHEST_RATE, LONGEST_OFFICE, ClientType, check_office

TYPING = "typing"  # the field that is being typed in: what is not finished is not called wrong yet
MORE = "more"
MOST_ROWS = 500
ROWS = 3  # empty ones that a form begins with, and that "More lines" adds
DAY = f"Give a day of the years {YEARS[0]} to {YEARS[-1]}, written 2027-02-28"
RULES = {
    "name": ("The name", f"Give 1 to {LONGEST_NAME} characters, on one line"),
    "type": ("The type", "Choose residential or virtual"),
    "site": ("The site", "Choose one of the list"),
    "site_id": ("The site id", "Give 2 to 63 small letters, digits and hyphens, not beginning with a hyphen"),
    "timezone": ("The time zone", "Give a name of the list, such as Europe/London"),
    "client_id": (
        "The client id",
        "Give 2 to 63 small letters, digits and hyphens, not beginning with a hyphen, or leave it empty",
    ),
    "billing_ref": (
        "The billing ref",
        f"Give at most {LONGEST_BILLING_REF} characters, or leave it empty to have one generated",
    ),
    "start_date": ("The start date", DAY),
    "end_date": ("The end date", f"{DAY}, or leave it empty"),
    "activation": ("The activation", "Choose automatic or manual"),
    "number": ("The number", "Write it with a plus and the country code: +442079460001"),
    "office": ("The office", f"Give a room label of 1 to {LONGEST_OFFICE} characters"),
    "rooms": ("An office", f"Give room labels of 1 to {LONGEST_OFFICE} characters"),
    "down": ("The download rate", f"Give whole Mbit/s, 1 to {HIGHEST_RATE}"),
    "up": ("The upload rate", f"Give whole Mbit/s, 1 to {HIGHEST_RATE}"),
    "vlan": ("The VLAN", "Give a whole number from 1 to 4094, or leave it empty"),
    "place": ("The office", f"Give a room label of 1 to {LONGEST_OFFICE} characters"),
    "offices": ("An office", f"Give room labels of 1 to {LONGEST_OFFICE} characters"),
    "source": ("The source", "Give 1 to 64 characters: operator, billing, security, …"),
    "last_day": ("The last day", DAY),
    "at": ("The moment", "Give a day and time, written 2027-03-31T18:00"),
    "reason": ("The reason", "Give at most 500 characters"),
    "note": ("The note", "Give 1 to 500 characters"),
}
"""What each field is called, and what to give. Fields of a row go by the name before their place: ``number-2``."""
CALLED_MANY = {"lines": "lines", "add_lines": "lines", "remove_lines": "lines to remove", "rooms": "offices"}
BY_MODEL = {"down_mbps": "down", "up_mbps": "up", "offices": "rooms"}
OWN_WORDS = {"number_not_valid", "text_not_storable", "never_null"}
HIDDEN, TOO_MANY = "hidden_character", "too_long"
SENT_BEFORE = (
    "This form was sent before, with other content, and that was done. Look first whether it is enough; "
    "send this again to have it done too."
)
SEND_AGAIN = "What you typed is kept here: send it again shortly, as it is. However often, it is done once."

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Hint:
    """Something to know about a field. ``tone``: right, caution, or none."""

    text: str
    tone: str = ""


@dataclass
class FormErrors:
    """What was found of a form, by field. ``wrong`` keeps it from being sent; ``problem`` is about all of it, under
    its ``heading``.

    ``typing`` names the field that is not finished: nothing about its shape is held against it. Unless it was ``sent``,
    nothing is called missing yet.
    """

    order: tuple[str, ...] = ()
    typing: str = ""
    sent: bool = True
    wrong: dict[str, str] = field(default_factory=dict)
    told: dict[str, Hint] = field(default_factory=dict)
    problem: str = ""
    heading: str = ""
    unfinished: bool = False

    def refuse(self, name: str, text: str, *, finished: bool = False) -> None:
        """The first thing that is wrong with a field stands. ``finished``: it is wrong however it goes on."""
        if not finished and name == self.typing:
            self.unfinished = True
            return
        self.wrong.setdefault(name, f"{text.rstrip('.')}.")

    def miss(self, name: str, text: str) -> None:
        """A field is empty that must not be: nobody is told before the form is sent."""
        if self.sent:
            self.refuse(name, text)
        else:
            self.unfinished = True

    def tell(self, name: str, text: str, tone: str = "") -> None:
        self.told[name] = Hint(text, tone)

    def meet(self, name: str, check: Callable[[str], None], value: str) -> None:
        """Hold a value against a rule of the domain."""
        try:
            check(value)
        except InvalidField as invalid:
            self.refuse(name, str(invalid))

    def read(self, model: type[Model], said: Mapping[str, Any], place: str = "") -> Model | None:
        """What a model makes of what was said; None, and each wrong field told, when it does not take it."""
        try:
            return model.model_validate(said)
        except ValidationError as invalid:
            for error in invalid.errors():
                name = str(error["loc"][0])
                name = BY_MODEL.get(name, name)
                if error["type"] == TOO_MANY:
                    self.problem = f"{sentence(name, error)}."
                    continue
                lacking = error["type"] == "missing" or error["input"] in (None, "")
                (self.miss if lacking else self.refuse)(f"{name}{place}", sentence(name, error))
            return None
        except InvalidField as invalid:  # a rule of the domain that a model asks for
            self.refuse(invalid.field or "", str(invalid))
            return None

    def turned_away(self, refusal: Refusal, rows: Iterable["LineRow"] = ()) -> int:
        """A refusal, told at the field it is about. Returns its HTTP code."""
        at = self._place_of(refusal, rows)
        if isinstance(refusal, CommandIdReused):
            self.problem = SENT_BEFORE
        elif at in self.wrong:
            pass  # said already, in a form's own words
        elif at in self.order:
            self.refuse(at, ". ".join(filter(None, (refusal.why.rstrip("."), refusal.remedy))), finished=True)
        else:
            self.problem = str(refusal)
        return code_of(type(refusal))

    def undone(self, error: StarterError) -> int:
        """Say what kept the form from being carried out, and return its HTTP code. Sent again, it is done once."""
        self.problem = str(error)
        if isinstance(error, Away):
            self.heading, self.problem = "This may not be done yet.", f"{error.part} does not answer. {SEND_AGAIN}"
        elif isinstance(error, NotDecided):
            self.heading, self.problem = "Accepted, but not decided yet.", SEND_AGAIN
        return code_of(type(error))

    @property
    def stopped(self) -> bool:
        """Whether the form cannot be sent as it is."""
        return bool(self.wrong or self.problem) or self.unfinished

    @property
    def first(self) -> str:
        """The first wrong field, in the order of the page."""
        return next(iter(self.in_order), "")

    @property
    def in_order(self) -> dict[str, str]:
        """What is wrong, in the order of the page."""
        places = {name: place for place, name in enumerate(self.order)}
        return dict(sorted(self.wrong.items(), key=lambda item: places.get(item[0], len(places))))

    def _place_of(self, refusal: Refusal, rows: Iterable["LineRow"]) -> str:
        name = BY_MODEL.get(refusal.field or "", refusal.field or "")
        if name in ("lines", "add_lines", "remove_lines", "numbers", "number", "office"):
            about = next((row for row in rows if row.number and row.dialled in refusal.why), None)
            return about.told_at if about else next((at for at in self.order if at.startswith("number-")), "")
        return "down" if name == "internet" else name


@dataclass(frozen=True)
class LineRow:
    """One row of a form's telephone lines; ``place`` stands in the names of its fields.

    ``was`` is the line as the form was opened, for one that the client has: only what differs from it is changed.
    """

    place: int
    number: str = ""
    office: str = ""
    protected: bool = False
    was: tuple[str, bool] | None = None
    removed: bool = False

    @property
    def blank(self) -> bool:
        return not (self.number or self.office or self.protected)

    @property
    def dialled(self) -> str:
        """The number, without what people write between its digits."""
        return re.sub(r"[^+0-9]", "", self.number)

    @property
    def told_at(self) -> str:
        """The field beside which something about the whole row is said."""
        return f"number-{self.place}" if self.was is None else f"office-{self.place}"

    @property
    def changed(self) -> bool:
        """Whether the client's line is to be another; a new line always is one."""
        return self.was != (self.office, self.protected)

    @property
    def carried(self) -> str:
        """What the form carries of a line that the client has."""
        office, protected = self.was or ("", False)
        return remembered(self.number, office, protected=protected)

    @property
    def fields(self) -> tuple[str, str]:
        return (f"number-{self.place}", f"office-{self.place}")


def rows_of(form: Form, *, more: int = 0) -> list[LineRow]:
    """The rows of lines that a form has, and as many empty ones."""
    named = (re.fullmatch(r"(?:number|line)-(\d{1,4})", name) for name in form.fields)
    places = sorted({int(found[1]) for found in named if found})
    rows = [_row(form, place) for place in places]
    after = places[-1] + 1 if places else 0
    room = max(0, min(more, MOST_ROWS - sum(row.was is None for row in rows)))
    return [*rows, *(LineRow(place) for place in range(after, after + room))]


def remembered(number: str, office: str, *, protected: bool) -> str:
    """A client's line as the form carries it, to know later what it was."""
    return f"{number} {'protected' if protected else 'plain'} {office}".strip()


def _row(form: Form, place: int) -> LineRow:
    office, protected = form.text(f"office-{place}"), bool(form.text(f"protected-{place}"))
    if not (line := form.text(f"line-{place}")):
        return LineRow(place, form.text(f"number-{place}"), office, protected)
    number, _, rest = line.partition(" ")
    kept, _, where = rest.partition(" ")
    was = (where, kept == "protected")
    return LineRow(place, number, office, protected, was, bool(form.text(f"remove-{place}")))


def lines_of(rows: Iterable[LineRow], kind: ClientType, checks: FormErrors) -> dict[str, LineGiven]:
    """The new and changed lines that the rows say, by the field that each is told at; what is wrong is told."""
    lines: dict[str, LineGiven] = {}
    seen: set[str] = set()
    for row in rows:
        if row.blank or row.removed:
            continue
        if row.was is not None and not row.changed:
            seen.add(row.number)
            continue
        number, office = row.fields
        if not row.number:
            checks.miss(number, "The number is missing. Give it, or empty the row")
        elif kind is ClientType.RESIDENTIAL and not row.office:
            checks.miss(office, "The office is missing. Each line is in one")
        if kind is ClientType.VIRTUAL and row.office:
            checks.refuse(office, "A virtual client has no office. Leave it out")
        if not row.number:
            continue
        said = {"number": row.number, "office": row.office or None, "protected": row.protected}
        line = checks.read(LineGiven, said, f"-{row.place}")
        if line is None:
            continue
        if line.number in seen:
            checks.refuse(row.told_at, f"{line.number} is given twice. Give each number once", finished=True)
        seen.add(line.number)
        if row.office:
            checks.meet(office, check_office, row.office)
        lines[row.told_at] = line
    return lines


def internet_of(form: Form, checks: FormErrors) -> InternetGiven | None:
    """The internet access that a form says; None when it says none, or none that can be, which is told."""
    down, up, vlan = (form.text(name) for name in ("down", "up", "vlan"))
    if not (down or up or vlan):
        return None
    said = {"down_mbps": down, "up_mbps": up, "vlan": vlan}
    return checks.read(InternetGiven, {name: _whole(value) for name, value in said.items() if value})


async def check_numbers(lines: Mapping[str, LineGiven], reads: ConsoleReads, checks: FormErrors, own: str = "") -> None:
    """Say of each new number whether it is free."""
    new = {at: line.number for at, line in lines.items() if at.startswith("number-") and at not in checks.wrong}
    taken = await reads.numbers_taken(list(new.values())) if new else {}
    for at, number in new.items():
        holder = taken.get(number)
        if holder is None:
            checks.tell(at, f"{number} is free.", "right")
        elif holder != own:
            checks.refuse(at, f"{number} is taken by client {holder}. Give another", finished=True)


async def check_billing_ref(ref: str, reads: ConsoleReads, checks: FormErrors, own: str = "") -> None:
    """Say whether a billing reference is free."""
    if not ref or "billing_ref" in checks.wrong:
        return
    holder = await reads.billing_ref_taken(ref)
    if holder not in (None, own):
        text = f"{ref} is taken by client {holder}. Give another, or leave it empty to have one generated"
        checks.refuse("billing_ref", text, finished=True)
    elif holder is None and not checks.unfinished:
        checks.tell("billing_ref", f"{ref} is free.", "right")


def start_told(start: date | None, activation: str, zone: str, now: datetime) -> str:
    """When a client that is New activates, with the exact instant and its zone."""
    if activation == Activation.MANUAL:
        return "The client then stays New until somebody activates it."
    today = local_day(now, zone)
    at = first_instant(start or today, zone)
    if at <= now:
        return f"Activates at once: the start date is {'today' if (start or today) == today else 'past'}."
    return f"Activates on {moment_word(at, zone)} {zone}."


def check_days(start: date | None, end: date | None, zone: str, now: datetime, checks: FormErrors) -> None:
    """Say what is odd about dates that are allowed."""
    today = local_day(now, zone)
    if end is not None and end < (start or today):
        checks.tell("end_date", "It lies before the start date. It is kept so; is that meant?", "caution")
    elif end is not None and end < today:
        checks.tell("end_date", "It is past, and will be shown in red.", "caution")


def command_id_of(form: Form) -> str:
    """The id that the form carries, so that sending it twice does it once."""
    given = form.text("command_id")
    return given if re.fullmatch(r"[A-Za-z0-9-]{8,64}", given) else new_command_id()


def new_command_id() -> str:
    return uuid4().hex


def _whole(text: str) -> int | str:
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else text


def field_of(place: str) -> str:
    """The field of a row, without its place: ``number`` of ``number-2``."""
    return re.sub(r"-\+?\d+$", "", place)


def sentence(name: str, error: Mapping[str, Any]) -> str:
    """What is wrong with a field, its rule and the remedy, as one says it to a person."""
    called, remedy = RULES.get(name, (f"The field {name}", "Correct it"))
    given = error["input"]
    if error["type"] in OWN_WORDS:
        return str(error["msg"])
    if error["type"] == HIDDEN:
        return f"{called} contains a character that cannot be seen: {error['ctx']['hidden']}. Leave it out"
    if error["type"] == TOO_MANY:
        most = error["ctx"]["max_length"]
        return f"There are more than {most} {CALLED_MANY.get(name, 'entries')}. Give at most {most} in one change"
    if error["type"] == "missing" or given in (None, ""):
        return f"{called} is missing. {remedy}"
    if error["type"] == "string_too_long":
        return f"{called} is too long. {remedy}"
    shown = str(given)
    return f"{called} cannot be “{shown[:40]}{'…' if len(shown) > 40 else ''}”. {remedy}"
