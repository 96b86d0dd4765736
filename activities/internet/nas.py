"""The access gear: routers, switches and Wi-Fi controllers, which hold sessions and end or change them on request.

A Disconnect-Request (RFC 5176) ends one session, a CoA-Request changes one that lives. An Access-Reject only prevents
the next one. What their answers mean is the table in answers.py.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pyrad.packet import (
    CoAACK,
    CoANAK,
    CoAPacket,
    CoARequest,
    DisconnectACK,
    DisconnectNAK,
    DisconnectRequest,
    Packet,
)

from activities.internet.answers import ERROR_CAUSE, FOREIGN, SESSION_NOT_FOUND, SILENCE, Answer, meaning_of
from activities.internet.radius import Unsigned, dictionary, exchange
from activities.internet.sessions import Session
from activities.settings import Settings
from workflows.domain.provisioning.standing import Proof
from workflows.wire.grammar import sentence

PORT = 3799
"""Where access gear listens (RFC 5176 section 2.1), UDP."""

AT_ONCE = 100
"""Requests in flight at once: each takes a socket."""

OF_ONE_NAS = 10
"""Requests in flight to one NAS. If it answers none of these, it will answer no other."""

NAMES = {DisconnectRequest: "Disconnect-Request", CoARequest: "CoA-Request"}
ACKS = {DisconnectRequest: DisconnectACK, CoARequest: CoAACK}
NAKS = {DisconnectRequest: DisconnectNAK, CoARequest: CoANAK}

Network = IPv4Network | IPv6Network
Changeable = Literal[
    "Tunnel-Type",
    "Tunnel-Medium-Type",
    "Tunnel-Private-Group-Id",
    "WISPr-Bandwidth-Max-Down",
    "WISPr-Bandwidth-Max-Up",
    "Mikrotik-Rate-Limit",
]


class Nas(BaseModel):
    """How to reach one piece of access gear, or all in one network: the secret we share and a UDP port.

    ``message_authenticator``: its answers count only with one (where it sends one that is wrong, they never do).
    ``event_timestamp``: requests say when they were made; a NAS whose clock is wrong takes no such request (RFC 5176
    section 6.3). ``coa``: the reply attributes that it changes on a living session; none: it takes no CoA-Request.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    secret: SecretStr = Field(min_length=1)
    port: int = Field(PORT, ge=1, le=65535)
    message_authenticator: bool = False
    event_timestamp: bool = True
    coa: frozenset[Changeable] = frozenset()


@dataclass(frozen=True)
class Outcome:
    """The result of a request about a session: ``how`` it is settled, or ``why`` it may not be."""

    session: Session
    proof: Proof
    how: str = ""
    why: str = ""

    @property
    def gone(self) -> bool:
        return self.proof is Proof.PROVEN

    def alive_afterwards(self) -> "Outcome":
        """The same, of a session that accounting has heard of after its NAS said that it is gone."""
        answer = "acknowledged the Disconnect-Request" if self.how == "by ACK" else "did not know it"
        why = f"NAS {self.session.nas} {answer}, but the session was seen alive afterwards"
        return replace(self, proof=Proof.NOT_PROVEN, why=why)


class NasRound:
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

    def __bool__(self) -> bool:
        return bool(self._nases)

    @property
    def changes(self) -> frozenset[str]:
        """The reply attributes that some gear changes on a living session."""
        return frozenset().union(*(nas.coa for _, nas in self._nases))

    def takes(self, session: Session) -> frozenset[str]:
        """The reply attributes that the NAS of this session changes on it while it lives."""
        known = self._nas_of(session)
        return known.coa if known else frozenset()

    async def disconnect(
        self, sessions: Collection[Session], until: float, at: float, doubted: Collection[str] = ()
    ) -> dict[str, Outcome]:
        """End these sessions, side by side. Returns the outcome of each by its key. ``at``: when they were read, by the
        clock of accounting.

        No answer is waited for after ``until``, by the loop's clock. A NAS that is silent to the first few requests
        gets no more. Of sessions that were alive after their end was acknowledged, an ACK is ``doubted`` (by key): only
        the answer that it does not know the session counts.
        """

        async def one(session: Session, nas: Nas, nas_round: NasRound) -> Outcome:
            answer = await self._request_round(session, nas, nas_round, DisconnectRequest, {})
            return _outcome_of(session, answer, at, doubted=session.key in doubted)

        return await self._each(sessions, until, one)

    async def change(
        self, sessions: Mapping[str, tuple[Session, Mapping[str, str]]], until: float
    ) -> dict[str, Outcome]:
        """Have these sessions go on with other replies, side by side. Returns the outcome of each by its key: proven
        where its NAS acknowledged it."""

        async def one(session: Session, nas: Nas, nas_round: NasRound) -> Outcome:
            answer = await self._request_round(session, nas, nas_round, CoARequest, sessions[session.key][1])
            if answer.packet is not None and answer.packet.code == CoAACK:
                return Outcome(session, Proof.PROVEN, "changed on the living session")
            return Outcome(session, Proof.FAILED, why=answer.describe(CoARequest))

        return await self._each([session for session, _ in sessions.values()], until, one)

    async def _each(
        self, sessions: Collection[Session], until: float, one: Callable[[Session, Nas, NasRound], Awaitable[Outcome]]
    ) -> dict[str, Outcome]:
        gate = asyncio.Semaphore(AT_ONCE)
        rounds = {session.nas: NasRound() for session in sessions}

        async def gated(session: Session) -> Outcome:
            known = self._nas_of(session)
            if known is None:
                return _open(session, f"no secret is known for NAS {session.nas}. Add it to CONNECT_NAS")
            try:
                async with asyncio.timeout_at(until), rounds[session.nas].gate, gate:
                    return await one(session, known, rounds[session.nas])
            except TimeoutError:
                return _open(session, f"NAS {session.nas} had not answered when the time for all of them was up")

        outcomes = await asyncio.gather(*map(gated, sessions))
        return {outcome.session.key: outcome for outcome in outcomes}

    def _nas_of(self, session: Session) -> Nas | None:
        address = ip_address(session.nas)
        return next((nas for network, nas in self._nases if address in network), None)

    async def _request_round(
        self, session: Session, nas: Nas, nas_round: NasRound, code: int, changes: Mapping[str, str]
    ) -> "Reply":
        """The last answer to a request about a session, which is named by less where the NAS may have minded."""
        reply = Reply(session.nas)
        for identity in session.identities():
            reply = await self._send(_request(code, identity, changes, nas), session, nas, nas_round)
            if not (reply.answer and reply.answer.again):
                break
        return reply

    async def _send(self, request: Packet, session: Session, nas: Nas, nas_round: NasRound) -> "Reply":
        if nas_round.silent:
            return Reply(session.nas, answer=SILENCE)
        answered = nas_round.answers
        try:
            packet = await exchange(request, session.nas, nas.port, self.seconds, signed=nas.message_authenticator)
        except Unsigned:
            nas_round.answers += 1
            return Reply(session.nas, unsigned=True)
        except TimeoutError:
            nas_round.silent |= nas_round.answers == answered
            return Reply(session.nas, answer=SILENCE)
        nas_round.answers += 1
        return Reply(session.nas, packet, _answer(request.code, packet))


@dataclass(frozen=True)
class Reply:
    """What a NAS said to a request: its packet, and what this means unless it acknowledges."""

    nas: str
    packet: Packet | None = None
    answer: Answer | None = None
    unsigned: bool = False

    @property
    def cause(self) -> int | None:
        return _cause(self.packet) if self.packet is not None else None

    def describe(self, code: int) -> str:
        """What the NAS answered to a request of this code, in words for operators, with a remedy if there is one."""
        if self.unsigned:
            return f"NAS {self.nas} answered the {NAMES[code]} without Message-Authenticator"
        if self.answer is None or self.answer is SILENCE:
            return f"NAS {self.nas} did not answer the {NAMES[code]}"
        if self.answer is FOREIGN:
            return f"NAS {self.nas} gave {FOREIGN.name} to the {NAMES[code]}. {FOREIGN.remedy}"
        named = "without an Error-Cause" if self.cause is None else f"Error-Cause {self.cause}, {self.answer.name}"
        return f"NAS {self.nas} refused the {NAMES[code]}: {named}" + (self.answer.remedy and f". {self.answer.remedy}")


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
            wrong = ". ".join(sentence(".".join(map(str, e["loc"])) or "it", e) for e in error.errors())
            raise ValueError(f"{name}: {key}: {wrong}") from error
        except ValueError as error:
            raise ValueError(f"{name}: {key!r} is no address or network: {error}") from error
    return nases


def counts_text(outcomes: Iterable[Outcome]) -> str:
    """The number of sessions that are settled, and how, for the evidence."""
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


def _request(code: int, identity: Mapping[str, str], changes: Mapping[str, str], nas: Nas) -> Packet:
    secret = nas.secret.get_secret_value().encode()
    request = CoAPacket(code=code, secret=secret, dict=dictionary(), message_authenticator=True)
    for name, value in identity.items():
        text = name in ("User-Name", "Acct-Session-Id", "Calling-Station-Id", "Acct-Multi-Session-Id", "NAS-Identifier")
        request[name] = value.encode("utf-8", "surrogateescape") if text else value
    for name, value in changes.items():
        request.AddAttribute(name, int(value) if name.startswith("WISPr") else value)
    if nas.event_timestamp:
        request["Event-Timestamp"] = int(time.time())
    return request


def _open(session: Session, why: str) -> Outcome:
    return Outcome(session, Proof.NOT_PROVEN, why=why)


def _answer(code: int, packet: Packet) -> Answer | None:
    """What a packet means; None: it acknowledges."""
    if packet.code == ACKS[code]:
        return None
    return meaning_of(_cause(packet)) if packet.code == NAKS[code] else FOREIGN


def _cause(packet: Packet) -> int | None:
    octets: bytes = packet.get(ERROR_CAUSE, [b""])[0]
    return int.from_bytes(octets, "big") if len(octets) == 4 else None


def _outcome_of(session: Session, reply: Reply, at: float, *, doubted: bool) -> Outcome:
    nas = session.nas
    if reply.packet is not None and reply.answer is None:
        outcome = Outcome(session, Proof.PROVEN, "by ACK")
        return outcome.alive_afterwards() if doubted else outcome
    if reply.cause == SESSION_NOT_FOUND and reply.answer is not FOREIGN:
        if session.stale(at):
            return Outcome(session, Proof.PROVEN, "not found")
        ago = max(0, round(at - session.last_seen(at)))
        return _open(
            session,
            f"NAS {nas} does not find it (Error-Cause 503), and accounting heard of it {ago} s ago: gone when "
            f"{session.interim:g} s, its Interim interval, have passed without",
        )
    proof = Proof.NOT_PROVEN if reply.answer is None else reply.answer.proof
    return Outcome(session, proof, why=reply.describe(DisconnectRequest))
