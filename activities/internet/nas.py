"""The access gear: routers, switches and Wi-Fi controllers, which hold sessions and end them on request.

A Disconnect-Request (RFC 5176) ends one session. An Access-Reject only prevents the next one.
"""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pyrad.packet import CoAPacket, DisconnectACK, DisconnectRequest, Packet

from activities.internet.radius import Unsigned, dictionary, exchange
from activities.settings import Settings
from workflows.domain.provisioning.standing import Proof

PORT = 3799
"""Where access gear listens (RFC 5176 section 2.1), UDP."""

AT_ONCE = 100
"""Requests in flight at once: each takes a socket."""

OF_ONE_NAS = 10
"""Requests in flight to one NAS. If it answers none of these, it will answer no other."""

ERROR_CAUSE = 101  # the attribute, and its value for a session that does not exist (any more)
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
    """How to reach one piece of access gear, or all in one network: the secret we share, a UDP port, and whether its
    answers count only with a Message-Authenticator (where it sends one that is wrong, they never do)."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    secret: SecretStr = Field(min_length=1)
    port: int = Field(PORT, ge=1, le=65535)
    message_authenticator: bool = False


@dataclass(frozen=True)
class Session:
    """An open row of ``radacct``. ``key`` is unique, ``session`` is the NAS's id; times are Unix times."""

    key: str
    session: str
    account: str
    nas: str
    started: float | None
    updated: float | None

    def __str__(self) -> str:
        return f"session {self.session} on NAS {self.nas}"


@dataclass(frozen=True)
class Outcome:
    """The result of a request to end a session: ``how`` its NAS disowned it, or ``why`` it may still be open."""

    session: Session
    proof: Proof
    how: str = ""
    why: str = ""

    @property
    def gone(self) -> bool:
        return self.proof is Proof.PROVEN


class DisconnectRound:
    """One NAS in one round of requests. ``gate`` limits those in flight. ``silent``: it answered no request within the
    time of one."""

    def __init__(self) -> None:
        self.gate, self.answers, self.silent = asyncio.Semaphore(OF_ONE_NAS), 0, False


class NasFleet:
    """All access gear that we share a secret with. ``seconds``: the time for an answer."""

    def __init__(self, nases: Mapping[Network, Nas], seconds: float) -> None:
        # the narrowest network of an address counts
        self._nases = sorted(nases.items(), key=lambda item: item[0].prefixlen, reverse=True)
        self.seconds = seconds

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The gear of CONNECT_NAS or CONNECT_NAS_FILE. Raises ValueError, with what is wrong there."""
        name, text = "CONNECT_NAS", settings.nas.get_secret_value()
        if not text and settings.nas_file:
            name, text = "CONNECT_NAS_FILE", settings.nas_file.read_text(encoding="utf-8")
        return cls(read_nases(text, name), settings.disconnect_seconds)

    async def disconnect(
        self, sessions: Collection[Session], until: float, *, believed: bool = True
    ) -> dict[str, Outcome]:
        """End these sessions, side by side. Returns the outcome of each by its key.

        No answer is waited for after ``until``, by the loop's clock. A NAS that is silent to the first few requests
        gets no more. If sessions of a NAS were alive after it acknowledged their end, it is not ``believed``: then only
        its answer that it does not know the session counts.
        """
        gate = asyncio.Semaphore(AT_ONCE)
        rounds = {session.nas: DisconnectRound() for session in sessions}

        async def one(session: Session) -> Outcome:
            try:
                async with asyncio.timeout_at(until), rounds[session.nas].gate, gate:
                    return await self._disconnect(session, rounds[session.nas], believed)
            except TimeoutError:
                return _open(session, f"NAS {session.nas} had not answered when the time for all of them was up")

        outcomes = await asyncio.gather(*map(one, sessions))
        return {outcome.session.key: outcome for outcome in outcomes}

    async def _disconnect(self, session: Session, nas: DisconnectRound, believed: bool) -> Outcome:
        known = next((it for network, it in self._nases if ip_address(session.nas) in network), None)
        if known is None:
            return _open(session, f"no secret is known for NAS {session.nas}. Add it to CONNECT_NAS")
        silence = f"NAS {session.nas} did not answer the Disconnect-Request"
        if nas.silent:
            return _open(session, silence)
        answered, secret = nas.answers, known.secret.get_secret_value().encode()
        try:
            request, signed = _request(session, secret), known.message_authenticator
            answer = await exchange(request, session.nas, known.port, self.seconds, signed=signed)
        except Unsigned:
            nas.answers += 1
            return _open(session, f"NAS {session.nas} answered the Disconnect-Request without Message-Authenticator")
        except TimeoutError:
            nas.silent |= nas.answers == answered
            return _open(session, silence)
        nas.answers += 1
        return _judged(session, answer, believed)


def read_nases(text: str, name: str = "CONNECT_NAS") -> dict[Network, Nas]:
    """Access gear by address or network, from JSON. Raises ValueError naming the setting and the key, and no secret."""
    try:
        document = json.loads(text or "{}")
    except ValueError as error:
        raise ValueError(f"{name} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ValueError(f'{name} must be an object like {{"10.0.0.1": {{"secret": "…", "port": {PORT}}}}}')
    nases = {}
    for key, value in document.items():
        try:
            nases[ip_network(key)] = Nas.model_validate(value)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))} {e['msg']}".strip() for e in error.errors())
            raise ValueError(f"{name}: {key}: {wrong}") from error
        except ValueError as error:
            raise ValueError(f"{name}: {key!r} is no address or network: {error}") from error
    return nases


def disowned(outcomes: Iterable[Outcome]) -> str:
    """The number of sessions that their NAS disowned, and how, for the evidence."""
    counts = Counter(outcome.how for outcome in outcomes if outcome.how)
    return ", ".join(f"{count} {how}" for how, count in sorted(counts.items())) or "0"


def left_open(outcomes: Iterable[Outcome]) -> list[str]:
    """The reasons why sessions may still be open, each with its count."""
    sessions: dict[str, list[Session]] = {}
    for outcome in outcomes:
        sessions.setdefault(outcome.why, []).append(outcome.session)
    return [
        f"{why}; {f'session {them[0].session}' if len(them) == 1 else f'{len(them)} sessions'} may still be open"
        for why, them in sessions.items()
    ]


def _request(session: Session, secret: bytes) -> Packet:
    """The request names the account, the session and its NAS, and no more. Everything named must match (RFC 5176
    section 3), so an attribute that had changed since would make the NAS deny a living session."""
    request = CoAPacket(code=DisconnectRequest, secret=secret, dict=dictionary(), message_authenticator=True)
    request["User-Name"] = session.account
    request["Acct-Session-Id"] = _as_sent(session.session)
    version = ip_address(session.nas).version
    request["NAS-IP-Address" if version == 4 else "NAS-IPv6-Address"] = session.nas
    return request


def _as_sent(text: str) -> bytes:
    """A text as the NAS wrote it: rlm_sql stores octets other than its ``safe_characters`` as =XX."""
    return re.sub(rb"=([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), text.encode())


def _open(session: Session, why: str) -> Outcome:
    return Outcome(session, Proof.NOT_PROVEN, why=why)


def _judged(session: Session, answer: Packet, believed: bool) -> Outcome:
    if answer.code == DisconnectACK:
        why = f"NAS {session.nas} acknowledged the Disconnect-Request, but the session was seen alive afterwards"
        return Outcome(session, Proof.PROVEN, "by ACK") if believed else replace(_open(session, why), how="by ACK")
    cause = int.from_bytes(answer.get(ERROR_CAUSE, [b""])[0], "big")
    if cause == SESSION_NOT_FOUND:
        return Outcome(session, Proof.PROVEN, "not found")
    named = f"Error-Cause {cause}, {ERROR_CAUSES.get(cause, 'not of RFC 5176')}" if cause else "without an Error-Cause"
    return Outcome(session, Proof.FAILED, why=f"NAS {session.nas} refused the Disconnect-Request: {named}")
