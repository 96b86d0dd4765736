"""Idempotency keys (draft-ietf-httpapi-idempotency-key-header-07): whose they are, and what commands have of them.

A key is the caller's own, and of one client where the route names one. Another request under it is refused (422).
"""

import hashlib
from dataclasses import dataclass
from uuid import uuid4

from workflows.domain.errors import InvalidField

HEADER = "Idempotency-Key"
LONGEST = 200
OWNER = "api"
"""The caller with the installation's own token: its keys are the ``command_id`` as they are."""


@dataclass(frozen=True)
class RequestKey:
    """What a caller names a request by, and the ``command_id`` that it is. ``fresh``: it named none, so we did."""

    key: str
    command_id: str
    fresh: bool

    def by_key(self, text: str) -> str:
        """A text about the command with the key in place of the ``command_id``, as the caller knows it."""
        return text.replace(self.command_id, self.key)


def key_of(caller: str, headers: list[str]) -> RequestKey:
    """The key of a request, by its headers of that name. Raises InvalidField for none that counts, or several."""
    if len(headers) > 1 or headers == [""]:
        raise InvalidField(f"{HEADER} is not one key", f"Give it once, with 1 to {LONGEST} characters", field=HEADER)
    key = headers[0] if headers else uuid4().hex
    return RequestKey(key, command_id_of(caller, key), not headers)


def command_id_of(caller: str, key: str) -> str:
    """The ``command_id`` of a caller's key: two callers never have the same."""
    if caller == OWNER:
        return key
    whose = caller.replace("%", "%25").replace(":", "%3A")
    if len(whose) + len(key) < LONGEST:
        return f"{whose}:{key}"
    return f"{whose[:100]}:{hashlib.sha256(f'{whose}:{key}'.encode()).hexdigest()}"
