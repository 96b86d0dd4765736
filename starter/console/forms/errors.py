"""What is wrong with a form, and what there is to know about its fields while one types.

The rules are those of the contract and of the domain, which have the last word when a form is sent; the words are for
people.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from starter.console.errors import SEND_AGAIN
from starter.console.labels import with_dates
from starter.errors import Away, NotDecided, StarterError
from starter.web.problems import OWN_WORDS, code_of
from starter.wording import EXAMPLE
from workflows.domain.client.rules import LONGEST_BILLING_REF, LONGEST_NAME
from workflows.domain.errors import CommandIdReused, InvalidField, Refusal
from workflows.domain.services import HIGHEST_RATE, LONGEST_OFFICE
from workflows.wire.grammar import YEARS

DAY = f"Give a day of the years {YEARS[0]} to {YEARS[-1]}, written 2027-02-28"
ID = "Give 2 to 63 small letters, digits and hyphens, not beginning with a hyphen"
RATE = f"Give whole Mbit/s, 1 to {HIGHEST_RATE}"
RULES = {
    "name": f"Give 1 to {LONGEST_NAME} characters, on one line",
    "type": "Choose residential or virtual",
    "site": "Choose one of the list",
    "site_id": ID,
    "timezone": "Give a name of the list, such as Europe/London",
    "client_id": f"{ID}, or leave it empty",
    "billing_ref": f"Give at most {LONGEST_BILLING_REF} characters, or leave it empty to have one generated",
    "start_date": DAY,
    "end_date": f"{DAY}, or leave it empty",
    "activation": "Choose automatic or manual",
    "number": "Write it with a plus and the country code: +442079460001",
    "office": f"Give a room label of 1 to {LONGEST_OFFICE} characters",
    "rooms": f"Give room labels of 1 to {LONGEST_OFFICE} characters",
    "down": RATE,
    "up": RATE,
    "vlan": "Give a whole number from 1 to 4094, or leave it empty",
    "source": "Give 1 to 64 characters: operator, billing, security, …",
    "last_day": DAY,
    "at": "Write it as 2027-03-31T18:00",
    "reason": "Give 1 to 500 characters",
    "note": "Give 1 to 500 characters",
    "kind": "Choose one of the list",
    "service": f"Give 1 to {LONGEST_OFFICE} characters",
    "external_ids": "Write the system, a colon and the id: crm:4711",
    "text": "Give 1 to 1000 characters",
    "country": "Choose one of the list",
    "role": "Choose one of the list",
    "sites": "Choose existing sites",
    "sources": "Give 1 to 64 characters each, with commas between: billing, security",
    "expires_at": f"{DAY}, or leave it empty",
    "settings": f"Write them as {EXAMPLE}",
    "url": "Give one with https: https://billing.example.net/connect",
    "description": "Give at most 200 characters, on one line",
    "kinds": "Choose of the list",
    "clients": "Give ids, with commas between: acme, bolt",
    "after": "Give the number of an event, as the deliveries show it; 0 is before the first",
}
"""What to give in each field. Fields of a row go by the name before their place: ``number-2``."""
NAMES = {
    "timezone": "The time zone",
    "rooms": "An office",
    "down": "The download rate",
    "up": "The upload rate",
    "vlan": "The VLAN",
    "at": "The day and time",
    "text": "The note",
    "settings": "One of the settings",
    "sites": "A site",
    "sources": "A source",
    "expires_at": "The last day",
    "url": "The address",
    "kinds": "A kind of events",
    "clients": "A client",
    "after": "The number",
}
"""The fields that are not called as they are named."""
LISTS = {"lines": "lines", "add_lines": "lines", "remove_lines": "lines to remove", "rooms": "offices"}
BY_MODEL = {
    "down_mbps": "down",
    "up_mbps": "up",
    "offices": "rooms",
    "internet": "down",
    "add_tags": "tags",
    "remove_tags": "tags",
}
"""The field beside which something is said about a field of the contract, where it goes by another name."""
HIDDEN, TOO_MANY = "hidden_character", "too_long"
SENT_BEFORE = (
    "This form was sent before, with other content, and that was done. Look first whether it is enough; "
    "send this again to have it done too."
)

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Hint:
    """Something to know about a field. ``tone``: right, caution, or none."""

    text: str
    tone: str = ""


@dataclass
class FormErrors:
    """What was found of a form, by field. ``wrong`` keeps it from being sent; ``problem`` is about all of it, under
    its ``heading``. ``order`` is that of the fields in the page.

    ``typing`` names the field that is being typed in: nothing about its shape is held against it. Unless the form was
    ``sent``, nothing is called missing; ``unfinished`` says what is still missing.
    """

    order: tuple[str, ...] = ()
    typing: str = ""
    sent: bool = True
    wrong: dict[str, str] = field(default_factory=dict)
    hints: dict[str, Hint] = field(default_factory=dict)
    problem: str = ""
    heading: str = ""
    unfinished: str = ""

    def refuse(self, name: str, text: str, *, finished: bool = False) -> None:
        """The first thing that is wrong with a field stands. ``finished``: it is wrong however it goes on."""
        text = f"{text.rstrip('.')}."
        if not finished and name and name == self.typing:
            self.unfinished = self.unfinished or text
        elif name:
            self.wrong.setdefault(name, text)
        else:
            self.problem = self.problem or text

    def miss(self, name: str, text: str) -> None:
        """A field is empty that must not be: it is wrong once the form was sent."""
        if self.sent:
            self.refuse(name, text)
        else:
            self.unfinished = self.unfinished or f"{text}."

    def hint(self, name: str, text: str, tone: str = "") -> None:
        self.hints[name] = Hint(text, tone)

    def meet(self, name: str, check: Callable[[str], None], value: str) -> None:
        """Hold a value against a rule of the domain."""
        try:
            check(value)
        except InvalidField as invalid:
            self.refuse(name, str(invalid))

    def read(self, model: type[Model], values: Mapping[str, Any], place: str = "") -> Model | None:
        """What a model makes of these values; None, with each wrong field named, when it does not take them."""
        try:
            return model.model_validate(values)
        except ValidationError as invalid:
            for error in invalid.errors():
                name = str(error["loc"][0]) if error["loc"] else ""
                name = BY_MODEL.get(name, name)
                if error["type"] == TOO_MANY:
                    self.problem = f"{sentence(name, error)}."
                    continue
                lacking = error["type"] == "missing" or error["input"] in (None, "")
                (self.miss if lacking else self.refuse)(f"{name}{place}" if name else "", sentence(name, error))
            return None
        except InvalidField as invalid:  # a rule of the domain that a model asks for
            self.refuse(invalid.field or "", str(invalid))
            return None

    def add_refusal(self, refusal: Refusal, name: str) -> int:
        """The client refused what the form says, because of the field ``name``. Returns the refusal's HTTP code."""
        if isinstance(refusal, CommandIdReused):
            self.problem = SENT_BEFORE
        elif name in self.wrong:
            pass  # said already, in a form's own words
        elif name in self.order:
            text = ". ".join(filter(None, (refusal.why.rstrip("."), refusal.remedy)))
            self.refuse(name, with_dates(text), finished=True)
        else:
            self.problem = with_dates(str(refusal))
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
        return bool(self.wrong or self.problem or self.unfinished)

    @property
    def first(self) -> str:
        """The first wrong field, in the order of the page."""
        return next(iter(self.in_order), "")

    @property
    def in_order(self) -> dict[str, str]:
        """What is wrong with each field, by its name, in the order of the page; fields it does not have come last."""
        places = {name: place for place, name in enumerate(self.order)}
        return dict(sorted(self.wrong.items(), key=lambda item: places.get(item[0], len(places))))


def sentence(name: str, error: Mapping[str, Any]) -> str:
    """What is wrong with a field, its rule and the remedy, as one says it to a person."""
    plain = re.sub(r"-\+?\d+$", "", name)
    label, remedy = NAMES.get(plain, f"The {plain.replace('_', ' ')}"), RULES.get(plain, "Correct it")
    value = error["input"]
    if error["type"] in OWN_WORDS:
        return str(error["msg"])
    if error["type"] == HIDDEN:
        return f"{label} contains a character that cannot be seen: {error['ctx']['hidden']}. Leave it out"
    if error["type"] == TOO_MANY:
        most = error["ctx"]["max_length"]
        return f"There are more than {most} {LISTS.get(name, 'entries')}. Give at most {most} in one change"
    if error["type"] == "missing" or value in (None, ""):
        return f"{label} is missing. {remedy}"
    if error["type"] == "string_too_long":
        return f"{label} is too long. {remedy}"
    quoted = str(value)
    return f"{label} cannot be “{quoted[:40]}{'…' if len(quoted) > 40 else ''}”. {remedy}"
