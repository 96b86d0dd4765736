"""Telephone numbers, as people write them."""

import re
from typing import Annotated

import phonenumbers
from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

WRITTEN_NUMBER = re.compile(r"^\+[0-9 ()./-]{6,40}$")


def read_number(text: object) -> object:
    """A telephone number as people write it, in E.164. Raises PydanticCustomError when no such number can exist."""
    if not isinstance(text, str):
        return text
    try:
        if not WRITTEN_NUMBER.match(text.strip()):
            raise ValueError
        number = phonenumbers.parse(text, None)
        if not phonenumbers.is_valid_number(number):
            raise ValueError
    except (ValueError, phonenumbers.NumberParseException) as wrong:
        raise PydanticCustomError(
            "number_not_valid",
            "{text} is not a telephone number that can exist. Write it with a plus and the country code (E.164): "
            "+442079460001",
            {"text": repr(text[:40])},
        ) from wrong
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


Number = Annotated[
    str,
    BeforeValidator(read_number),
    Field(description="A telephone number in E.164; spaces, dashes and parentheses are left out",
          examples=["+442079460001"]),
]  # fmt: skip
