"""Telephone numbers, as people write them."""

from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from starter.telephones import e164


def read_number(text: object) -> object:
    """A telephone number as people write it, in E.164. Raises PydanticCustomError when no such number can exist."""
    if not isinstance(text, str):
        return text
    if number := e164(text):
        return number
    raise PydanticCustomError(
        "number_not_valid",
        "{text} is not a telephone number that can exist. Write it with a plus and the country code (E.164): "
        "+442079460001",
        {"text": repr(text[:40])},
    )


Number = Annotated[
    str,
    BeforeValidator(read_number),
    Field(description="A telephone number in E.164; spaces, dashes and parentheses are left out",
          examples=["+442079460001"]),
]  # fmt: skip
