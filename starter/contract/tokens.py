"""API tokens over HTTP: how one is asked for, and how it is shown; and what the text of a token is."""

import hashlib
import secrets
import zlib
from datetime import datetime
from typing import Annotated

from pydantic import Field, model_validator

from starter.contract.answers import Page
from starter.contract.bodies import DayOrInstant, Key
from starter.contract.callers import Role, is_anothers
from workflows.domain.errors import InvalidField
from workflows.domain.holds import EVERY_SOURCE
from workflows.domain.text import folded
from workflows.wire.fields import Word
from workflows.wire.messages import Model, Strict

PREFIX = "connect_"
"""How each begins, by which scanners of published secrets find it."""

ID_LENGTH, SECRET_LENGTH, CHECK_LENGTH = 10, 43, 6  # characters; the secret has 256 bits
RESERVED = ("admin", "all", "api", "me", "nobody", "operator")
"""Names that mean something else, or somebody who comes without an API token."""

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_OF_IDS = "abcdefghijklmnopqrstuvwxyz234567"


def new_token() -> tuple[str, str]:
    """The id of a new token, and its text: ``connect_<id>_<secret><checksum>``."""
    token_id = "".join(secrets.choice(_OF_IDS) for _ in range(ID_LENGTH))
    body = f"{PREFIX}{token_id}_{_base62(secrets.randbits(256), SECRET_LENGTH)}"
    return token_id, body + _checksum(body)


def is_token(text: str) -> bool:
    """Whether a text is one that ``new_token`` could have made: others are not looked up."""
    length = len(PREFIX) + ID_LENGTH + 1 + SECRET_LENGTH + CHECK_LENGTH
    right = len(text) == length and text.isascii() and text.startswith(PREFIX)
    return right and text[-CHECK_LENGTH:] == _checksum(text[:-CHECK_LENGTH])


def digest_of_token(text: str) -> bytes:
    """What is kept of it."""
    return hashlib.sha256(text.encode()).digest()


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, len(_LETTERS))
        digits.append(_LETTERS[digit])
    return "".join(digits)


def _checksum(text: str) -> str:
    return _base62(zlib.crc32(text.encode()), CHECK_LENGTH)


class TokenGiven(Strict):
    """A new API token."""

    name: Word = Field(description="Stands in the history for what is done with it", examples=["billing"])
    role: Role = Field(examples=["service"])
    sites: Annotated[list[Key], Field(min_length=1, max_length=100)] | None = Field(
        None, description="The only sites whose clients it sees; null: all", examples=[["thames-house"]]
    )
    sources: list[Word] = Field(
        default_factory=list,
        max_length=20,
        description="Of a service: whose holds and plans are its own; its name when none is given",
        examples=[["billing"]],
    )
    expires_at: DayOrInstant | None = Field(
        None,
        description="The last day on which it is valid (UTC), or an instant with offset; null: it stays valid",
        examples=["2099-12-31"],
    )

    @model_validator(mode="after")
    def _check(self) -> "TokenGiven":
        """Raises InvalidField for what does not go together."""
        if folded(self.name) in RESERVED or is_anothers(self.name):
            raise InvalidField(f"The name {self.name} means something else", "Give another, such as crm", field="name")
        if self.role is Role.ADMIN and self.sites is not None:
            raise InvalidField("An admin sees all sites", "Leave sites out, or give another role", field="sites")
        if self.sources and self.role is not Role.SERVICE:
            raise InvalidField(
                "Only a service has sources", "Leave them out, or give the role service", field="sources"
            )
        if any(folded(source) == EVERY_SOURCE for source in self.sources):
            raise InvalidField("The source all means every one", "Give the service its own", field="sources")
        return self


class Token(Model):
    """An API token, without its secret, which is shown once and kept nowhere."""

    token_id: str = Field(examples=["k3vbq2m7ae"])
    name: str
    role: Role
    sites: list[str] | None = Field(description="The only sites whose clients it sees; null: all")
    sources: list[str]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute")
    revoked_at: datetime | None


class NewToken(Token):
    """A token that was just created, with its secret."""

    token: str = Field(description="The whole token. It is never shown again")


class TokenPage(Page[Token]): ...
