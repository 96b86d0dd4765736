"""The access gear: the routers, switches and Wi-Fi controllers that hold sessions open, and end them when asked.

A Disconnect-Request (RFC 5176) ends one session. Access-Rejects do not: they only keep the next one from beginning.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pyrad.packet import CoAPacket, DisconnectACK, DisconnectRequest, Packet

from activities.radius import dictionary, exchange
from activities.settings import Settings
from workflows.domain.standing import Proof

PORT = 3799
"""Where access gear listens (RFC 5176 section 2.1), UDP."""

AT_ONCE = 100
"""Sessions that are asked about side by side: each takes a socket."""

ERROR_CAUSE = 101  # the attribute, and what it says of a session that is not there (any more)
SESSION_NOT_FOUND = 503
ERROR_CAUSES = {  # RFC 5176 section 3.5
    401: "Unsupported Attribute",
    402: "Missing Attribute",
    403: "NAS Identification Mismatch",
    404: "Invalid Request",
    405: "Unsupported Service",
    406: "Unsupported Extension",
    407: "Invalid Attribute Value",
    501: "Administratively Prohibited",
    502: "Request Not Routable",
    503: "Session Context Not Found",
    504: "Session Context Not Removable",
    505: "Other Proxy Processing Error",
    506: "Resources Unavailable",
    507: "Request Initiated",
    508: "Multiple Session Selection Unsupported",
}

Network = IPv4Network | IPv6Network


class Nas(BaseModel):
    """How to reach one piece of access gear, or all in one network: the secret we share, and a UDP port."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    secret: SecretStr = Field(min_length=1)
    port: int = Field(PORT, ge=1, le=65535)


@dataclass(frozen=True)
class Session:
    """An open row of ``radacct``. ``key`` is unique, ``session`` what the NAS calls it; times are Unix times."""

    key: str
    session: str
    account: str
    nas: str
    started: float | None
    updated: float | None

    def alive_after(self, moment: float) -> bool:
        return any(at is not None and at > moment for at in (self.started, self.updated))

    def __str__(self) -> str:
        return f"session {self.session} on NAS {self.nas}"


@dataclass(frozen=True)
class Outcome:
    """What came of asking for the end of a session: it is proven gone, and ``how``; or ``why`` it may still be open."""

    session: Session
    proof: Proof
    how: str = ""
    why: str = ""

    @property
    def gone(self) -> bool:
        return self.proof is Proof.PROVEN


class AccessGear:
    """All access gear that we share a secret with. ``seconds``: how long each is given to answer a request."""

    def __init__(self, gear: Mapping[Network, Nas], seconds: float) -> None:
        # the narrowest network that an address is in says how to reach it
        self._gear = sorted(gear.items(), key=lambda item: item[0].prefixlen, reverse=True)
        self._seconds = seconds

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As CONNECT_NAS or CONNECT_NAS_FILE says. Raises ValueError, with what is wrong there."""
        name, text = "CONNECT_NAS", settings.nas.get_secret_value()
        if not text and settings.nas_file:
            name, text = "CONNECT_NAS_FILE", settings.nas_file.read_text()
        return cls(read_gear(text, name), settings.disconnect_seconds)

    async def disconnect(self, sessions: Collection[Session]) -> dict[str, Outcome]:
        """Have these sessions ended, side by side. What came of each, by its key."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def one(session: Session) -> Outcome:
            async with gate:
                return await self._disconnect(session)

        outcomes = await asyncio.gather(*map(one, sessions))
        return {outcome.session.key: outcome for outcome in outcomes}

    async def _disconnect(self, session: Session) -> Outcome:
        nas = self._nas(session.nas)
        if nas is None:
            why = f"{session} may still be open: no secret is known for that NAS. Add it to CONNECT_NAS"
            return Outcome(session, Proof.NOT_PROVEN, why=why)
        try:
            request = _request(session, nas.secret.get_secret_value().encode())
            answer = await exchange(request, session.nas, nas.port, self._seconds)
        except TimeoutError:
            why = (
                f"NAS {session.nas} did not answer the Disconnect-Request; session {session.session} may still be open"
            )
            return Outcome(session, Proof.NOT_PROVEN, why=why)
        return _judged(session, answer)

    def _nas(self, address: str) -> Nas | None:
        return next((nas for network, nas in self._gear if ip_address(address) in network), None)


def read_gear(text: str, name: str = "CONNECT_NAS") -> dict[Network, Nas]:
    """Access gear by address or network, from JSON. Raises ValueError naming the setting and the key, and no secret."""
    try:
        given = json.loads(text or "{}")
    except ValueError as error:
        raise ValueError(f"{name} is not JSON: {error}") from error
    if not isinstance(given, dict):
        raise ValueError(f'{name} must be an object like {{"10.0.0.1": {{"secret": "…", "port": {PORT}}}}}')
    return dict(_read_nas(key, value, name) for key, value in given.items())


def disconnected(outcomes: Iterable[Outcome]) -> str:
    """How many sessions were ended, and how, for the evidence."""
    counts = Counter(outcome.how for outcome in outcomes if outcome.gone)
    return ", ".join(f"{count} {how}" for how, count in sorted(counts.items())) or "0"


def _read_nas(key: str, value: Any, name: str) -> tuple[Network, Nas]:
    try:
        network = ip_network(key)
    except ValueError as error:
        raise ValueError(f"{name}: {key!r} is no address or network: {error}") from error
    try:
        return network, Nas.model_validate(value)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))} {e['msg']}".strip() for e in error.errors())
        raise ValueError(f"{name}: {key}: {wrong}") from error


def _request(session: Session, secret: bytes) -> Packet:
    """Whose session it is, its id and its NAS, and no more: everything that is named must match (RFC 5176 section 3),
    so what had changed since its start would make the NAS deny a session that lives."""
    request = CoAPacket(code=DisconnectRequest, secret=secret, dict=dictionary(), message_authenticator=True)
    request["User-Name"] = session.account
    request["Acct-Session-Id"] = _as_sent(session.session)
    version = ip_address(session.nas).version
    request["NAS-IP-Address" if version == 4 else "NAS-IPv6-Address"] = session.nas
    return request


def _as_sent(text: str) -> bytes:
    """A text as the NAS wrote it: rlm_sql stores octets other than its ``safe_characters`` as =XX."""
    return re.sub(rb"=([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), text.encode())


def _judged(session: Session, answer: Packet) -> Outcome:
    if answer.code == DisconnectACK:
        return Outcome(session, Proof.PROVEN, "by ACK")
    cause = int.from_bytes(answer.get(ERROR_CAUSE, [b""])[0], "big")
    if cause == SESSION_NOT_FOUND:
        return Outcome(session, Proof.PROVEN, "not found")
    told = f"Error-Cause {cause}, {ERROR_CAUSES.get(cause, 'not of RFC 5176')}" if cause else "without an Error-Cause"
    return Outcome(session, Proof.FAILED, why=f"NAS {session.nas} refused to end session {session.session}: {told}")
