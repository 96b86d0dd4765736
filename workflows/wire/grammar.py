"""One grammar for what people and other services write: texts, dates, instants, booleans, numbers and ids
(PRODUCT.md section 2). Bodies and queries, the console, the command line, signals and updates are read by it alike.

0.1.0 read signals and updates as pydantic does: numbers for dates, ``"no"`` for false. Its histories are replayed, so
that reading stays: with the context ``AS_IN_0_1``, the types of this module are those of pydantic. Which reading counts
for a client is a value in its state (``Client.grammar``). What is taken here is taken for good, and read the same: what
is to be refused from now on needs a higher grammar.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Annotated, Any, TypeAlias, TypeVar

from pydantic import AwareDatetime, BeforeValidator, Field, StringConstraints, ValidationInfo
from pydantic_core import PydanticCustomError

from workflows.domain.text import OF_0_1, composed, has_visible, hidden_in, trimmed

AS_IN_0_1 = {"grammar": OF_0_1}
"""The context of a reading as in 0.1.0."""
YEARS = range(1900, 2200)
CLIENT_ID = r"^[a-z0-9][a-z0-9-]{1,62}$"
KIND = r"^[a-z][a-z0-9_-]{0,30}$"
SERVICE = r"^[a-z][a-z0-9_-]{0,30}:."
PHONE = r"^\+[1-9]\d{6,14}$"
VISIBLE = r"\S"
PRINTABLE = r"^[\x20-\x7e]*$"

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CLOCK = r"([01][0-9]|2[0-3]):[0-5][0-9]"
_INSTANT = re.compile(rf"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T{_CLOCK}:[0-5][0-9](\.[0-9]{{1,6}})?(Z|[+-]{_CLOCK})?")
_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_BETWEEN_DIGITS = re.compile(r"\(0\)|[ ()./-]")

Reader: TypeAlias = Callable[[Any], Any]
D = TypeVar("D", bound=date)


def _by(read: Reader) -> BeforeValidator:
    """Read by this grammar, unless it is to be as in 0.1.0."""

    def validate(value: Any, info: ValidationInfo) -> Any:
        return value if info.context == AS_IN_0_1 else read(value)

    return BeforeValidator(validate)


def _wrong(kind: str, **facts: object) -> PydanticCustomError:
    return PydanticCustomError(kind, "{kind}", {"kind": kind, **facts})


# -- how each is read -------------------------------------------------------------------------------------------------


def read_day(value: Any) -> date:
    """A date is exactly ``YYYY-MM-DD``, of the years 1900 to 2199."""
    return _plausible(_any_day(value))


def read_instant(value: Any) -> datetime:
    """An instant is a text of RFC 3339, with seconds (and at most six digits of their fraction), and offset or ``Z``;
    of the same years.

    Of what that standard leaves open: ``T`` and ``Z`` are capitals, and there is no second 60.
    """
    return _plausible(_any_instant(value))


def _any_day(value: Any) -> date:
    if isinstance(value, str) and _DAY.fullmatch(value):
        try:
            value = date.fromisoformat(value)
        except ValueError:
            raise _wrong("no_such_day") from None
    if not isinstance(value, date) or isinstance(value, datetime):
        raise _wrong("date_as_text")
    return value


def _any_instant(value: Any) -> datetime:
    if isinstance(value, str) and (found := _INSTANT.fullmatch(value)):
        if not found[3]:
            raise _wrong("timezone_aware")
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise _wrong("no_such_day") from None
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise _wrong("instant_as_text")
    return value


def _plausible(day: D) -> D:
    if day.year not in YEARS:
        raise _wrong("date_out_of_range", year=day.year, first=YEARS[0], last=YEARS[-1])
    return day


def read_flag(value: Any) -> bool:
    """A boolean is JSON's true or false."""
    if not isinstance(value, bool):
        raise _wrong("not_true_or_false")
    return value


def read_whole(value: Any) -> int:
    """A whole number is a JSON number without point or exponent."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong("not_whole")
    return value


def read_number(value: Any) -> float:
    """A number is a JSON number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _wrong("not_a_number")
    return value


def whole_of(text: Any) -> Any:
    """A whole number that is written as a text, in a query, a form or an argument: ASCII digits as JSON has them.
    Any other text as it is, which ``read_whole`` then refuses."""
    return int(text) if isinstance(text, str) and _NUMBER.fullmatch(text) else text


def flag_of(text: Any) -> Any:
    """A boolean that is written as a text, in a query: ``true`` or ``false``. Any other text as it is."""
    return {"true": True, "false": False}.get(text, text) if isinstance(text, str) else text


def read_string(value: Any, *, lines: bool = False, needed: bool = False) -> Any:
    """A text is composed (NFC) and trimmed; it has a visible character, and no control, bidirectional or zero-width
    one. What is ``needed`` is not empty; ``lines``: line ends and tabs may be in it, as in a reason."""
    if not isinstance(value, str):
        return value
    text = composed(trimmed(value))
    if hidden := hidden_in(text, lines=lines):
        raise _wrong("hidden_character", hidden=hidden)
    if (text or needed) and not has_visible(text):
        raise _wrong("blank")
    return text


def _line(value: Any) -> Any:
    return read_string(value, needed=True)


def _prose(value: Any) -> Any:
    return read_string(value, lines=True)


def _needed_prose(value: Any) -> Any:
    return read_string(value, lines=True, needed=True)


def _phone(value: Any) -> Any:
    """A telephone number without what people write between its digits."""
    text = _BETWEEN_DIGITS.sub("", trimmed(value)) if isinstance(value, str) else value
    if isinstance(text, str) and not re.fullmatch(r"\+[1-9][0-9]{6,14}", text):
        raise _wrong("not_e164")
    return text


def _setting(value: Any) -> Any:
    if isinstance(value, float):
        raise _wrong("not_whole")
    return read_string(value)


# -- the types of fields ----------------------------------------------------------------------------------------------

Day = Annotated[date, _by(read_day), Field(examples=["2027-02-28"])]
Instant = Annotated[AwareDatetime, _by(read_instant), Field(examples=["2027-03-01T09:00:00+00:00"])]
ResolvedDate = Annotated[date, _by(_any_day)]
ResolvedInstant = Annotated[AwareDatetime, _by(_any_instant)]
"""Of what was resolved already: 31 December 2199 ends in 2200."""
Flag = Annotated[bool, _by(read_flag)]
Whole = Annotated[int, _by(read_whole)]
Number = Annotated[float, _by(read_number)]
QueryFlag = Annotated[bool, BeforeValidator(lambda text: read_flag(flag_of(text)))]
QueryWhole = Annotated[int, BeforeValidator(lambda text: read_whole(whole_of(text)))]
LINE = _by(_line)
OPTIONAL_LINE = _by(read_string)
PROSE = _by(_prose)
NEEDED_PROSE = _by(_needed_prose)
SETTING = _by(_setting)
E164 = Annotated[
    str,
    StringConstraints(pattern=PHONE),
    _by(_phone),
    Field(description="A telephone number in E.164", examples=["+442079460001"]),
]


# -- what is wrong, in words ------------------------------------------------------------------------------------------

_TEXT = "{field} is not a text. Write it in quotes"
_OBJECT = "{field} is not a JSON object. Give one in braces, with its fields by name"
_LIST = "{field} is not a list. Give one in brackets"
_WHOLE = "{field} is not a whole number. Give digits alone, without quotes: 20"
_NUMBER_WANTED = "{field} is not a number. Give one without quotes: 30"
_FLAG = "{field} is neither true nor false. Give one of the two, without quotes"
_DATE = "{field} is not a date. Write it as a text of year, month and day: 2027-02-28"
_MOMENT = (
    "{field} is not an instant. Write date, time with seconds, and offset as a text: 2027-03-01T09:00:00+00:00, "
    "or Z in the place of the offset"
)
_CHOICE = "{field} is not one of {expected}. Give one of these"
SENTENCES: dict[str, str] = {
    "missing": "{field} is missing. Give it",
    "none_required": "{field} is not to be given here. Leave it out",
    "extra_forbidden": "There is no field {field}. Leave it out, or correct its name",
    "blank": "{field} is blank. Give at least one visible character",
    "hidden_character": "{field} contains a character that cannot be seen: {hidden}. Leave it out",
    "string_type": _TEXT,
    "string_sub_type": _TEXT,
    "string_unicode": "{field} is not encoded as UTF-8. Encode it so",
    "string_too_long": "{field} is longer than {max_length} characters. Shorten it",
    "string_too_short": "{field} is too short. Give at least {min_length} character(s)",
    "too_long": "{field} has more than {max_length} entries. Give at most {max_length} in one change",
    "too_short": "{field} has too few entries. Give at least {min_length}",
    "list_type": _LIST,
    "tuple_type": _LIST,
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": "{field} is not a JSON object. Send one, as Content-Type: application/json",
    "dataclass_type": _OBJECT,
    "union_tag_not_found": "kind is missing. Give the kind of the command, such as suspend",
    "union_tag_invalid": "kind is not one of {expected_tags}. Give one of these",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "int_from_float": _WHOLE,
    "not_whole": _WHOLE,
    "float_type": _NUMBER_WANTED,
    "float_parsing": _NUMBER_WANTED,
    "not_a_number": _NUMBER_WANTED,
    "finite_number": _NUMBER_WANTED,
    "greater_than_equal": "{field} is too small. Give {ge} or more",
    "greater_than": "{field} is too small. Give more than {gt}",
    "less_than_equal": "{field} is too large. Give {le} or less",
    "less_than": "{field} is too large. Give less than {lt}",
    "bool_type": _FLAG,
    "bool_parsing": _FLAG,
    "not_true_or_false": _FLAG,
    "date_type": _DATE,
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_from_datetime_inexact": _DATE,
    "date_as_text": _DATE,
    "no_such_day": "{field} is a day that the calendar does not have. Give one that it has",
    "date_out_of_range": "{field} is in the year {year}. Give one from {first} to {last}",
    "datetime_type": _MOMENT,
    "datetime_parsing": _MOMENT,
    "datetime_from_date_parsing": _MOMENT,
    "instant_as_text": _MOMENT,
    "timezone_aware": "{field} has no offset. Write the instant with it: 2027-03-01T09:00:00+00:00",
    "enum": _CHOICE,
    "literal_error": _CHOICE,
    "not_e164": "{field} is not a telephone number. Write it with a plus and the country code: +442079460001",
    "value_error": "{field} {error}",
    "json_invalid": "The body is not JSON: {error}. Correct it",
    "json_type": "The body is not JSON. Correct it",
    "recursion_loop": "{field} contains itself. Leave it out",
}
"""Of each kind of error that a field can have: what is wrong, and what to do. Never pydantic's own words."""
PATTERNS: dict[str, str] = {
    CLIENT_ID: "{field} is not an id. Give 2 to 63 small letters, digits and hyphens, not beginning with a hyphen",
    KIND: "{field} is not a name of Connect's settings. Give small letters, digits, hyphens and underscores, after a "
    "small letter, at most 31",
    SERVICE: "{field} is not a service. Write its kind and its name: doors:main-entrance",
    PHONE: SENTENCES["not_e164"],
    VISIBLE: SENTENCES["blank"],
    PRINTABLE: "{field} has characters that a header cannot have. Give letters, digits and signs of ASCII",
}
"""Of each pattern that a text must have: what is wrong, and what to do."""


def sentence(field: str, error: Mapping[str, Any]) -> str:
    """What is wrong with a field, and the remedy. ``error`` is one of pydantic's; nothing of its prose is used."""
    context = {**error.get("ctx", {}), "field": field}
    if error["type"] == "string_pattern_mismatch":
        words = PATTERNS.get(context["pattern"], "{field} is not written as it must be. Correct it")
    else:
        words = SENTENCES.get(error["type"], "{field} cannot be this. Correct it")
    return words.format(**context)
