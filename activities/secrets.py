"""Secrets of lines and accounts: derived, never stored in a workflow (PRODUCT.md section 5).

HMAC-SHA-256 of a master key over system, client, account and version. The client is part of it, so that a number that
is let again gets another secret; the version is what "rotate credentials" raises.
"""

import base64
import hashlib
import hmac

LENGTH = 32
"""Characters of a secret, five bits each: 160 bits, in letters and digits that can be typed into a telephone."""


def sip_password(master_key: bytes, client_id: str, number: str, version: int) -> str:
    """What a telephone logs in with on this line."""
    return _derived(master_key, "sip", client_id, number, version)


def radius_password(master_key: bytes, client_id: str, account: str, version: int) -> str:
    """What a router logs in with on this account."""
    return _derived(master_key, "radius", client_id, account, version)


def service_password(master_key: bytes, system: str, client_id: str, name: str, version: int) -> str:
    """What a service of a further kind is used with, where its system asks for a secret."""
    return _derived(master_key, f"service:{system}", client_id, name, version)


def sip_username(number: str) -> str:
    """The user part of a line's address-of-record: its E.164 number without the plus."""
    return number.removeprefix("+")


def ha1(username: str, realm: str, password: str) -> str:
    """What a SIP registrar keeps instead of the password: H(A1) of RFC 2617 section 3.2.2.2."""
    return hashlib.md5(f"{username}:{realm}:{password}".encode(), usedforsecurity=False).hexdigest()


def _derived(master_key: bytes, system: str, client_id: str, account: str, version: int) -> str:
    about = "\0".join(("connect", system, client_id, account, str(version)))
    digest = hmac.digest(master_key, about.encode(), "sha256")
    return base64.b32encode(digest).decode().lower()[:LENGTH]
