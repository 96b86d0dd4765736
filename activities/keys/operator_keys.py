"""The operator's keys, under which the clients' own keys are kept."""

import hashlib
import re
import secrets
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

LENGTH = 32
"""Bytes of a key: AES-256."""

NONCE = 12
"""Bytes of a nonce of AES-GCM (NIST SP 800-38D section 8.2.2), random for each use."""


REMEDY = f"Make one: openssl rand -hex {LENGTH}"


class KeyMissing(Exception):
    """None of the operator's keys opens a client's key. The message names the key that does."""


class OperatorKeys:
    """One key or several: the first is used from now on, the others only open what they were used for.

    A key's id is computed from the key, so that a wrong key is never taken for the right one.
    """

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._keys = {key_id(key): AESGCM(key) for key in keys}
        self.first = key_id(keys[0])

    @classmethod
    def parse(cls, text: str) -> "OperatorKeys":
        """The keys of a setting or a file: 64 hexadecimal digits each, one a line or with commas between. What follows
        a # is a remark. Raises ValueError, which shows no key."""
        lines = [line.partition("#")[0].strip() for line in text.replace(",", "\n").splitlines()]
        keys = [_key(number, line) for number, line in enumerate(filter(None, lines), 1)]
        if not keys:
            raise ValueError(f"CONNECT_ENCRYPTION_KEYS or its file has no key. {REMEDY}")
        return cls(keys)

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def wrap(self, client_id: str, data_key: bytes) -> tuple[str, bytes]:
        """A client's key, to be kept: the id of the operator's key, and the client's under it."""
        nonce = secrets.token_bytes(NONCE)
        return self.first, nonce + self._keys[self.first].encrypt(nonce, data_key, _about(client_id))

    def unwrap(self, client_id: str, key: str, wrapped: bytes) -> bytes:
        """A client's key as it was. Raises KeyMissing."""
        if key not in self._keys:
            raise KeyMissing(f"the operator's key {key} is missing")
        try:
            return self._keys[key].decrypt(wrapped[:NONCE], wrapped[NONCE:], _about(client_id))
        except InvalidTag as error:
            raise KeyMissing(f"the key of {client_id} is damaged: operator's key {key} does not open it") from error


def key_id(key: bytes) -> str:
    """The id of an operator's key: 16 digits that say nothing of the key."""
    return hashlib.sha256(b"connect operator key\0" + key).hexdigest()[:16]


def _key(number: int, line: str) -> bytes:
    if not re.fullmatch(rf"[0-9A-Fa-f]{{{2 * LENGTH}}}", line):
        raise ValueError(
            f"Key {number} of CONNECT_ENCRYPTION_KEYS or its file is not {2 * LENGTH} hexadecimal digits. {REMEDY}"
        )
    return bytes.fromhex(line)


def _about(client_id: str) -> bytes:
    return f"connect client key\0{client_id}".encode()
