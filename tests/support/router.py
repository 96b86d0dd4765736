"""Access gear in miniature: logs in over RADIUS (RFC 2865, PAP and CHAP), accounts for sessions (RFC 2866), and ends
them when it is asked to (RFC 5176). It signs what it says, and hears only what is signed (RFC 3579 section 3.2)."""

import asyncio
import hashlib
import itertools
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from pyrad.client import Client
from pyrad.client_async import ClientAsync
from pyrad.packet import (
    AccessAccept,
    AccessReject,
    CoANAK,
    CoAPacket,
    CoARequest,
    DisconnectNAK,
    DisconnectRequest,
    Packet,
    PacketError,
)

from tests.support.radius import dictionary

TAGGED = {"Tunnel-Type": 64, "Tunnel-Medium-Type": 65, "Tunnel-Private-Group-Id": 81}  # RFC 2868

START, STOP, INTERIM = 1, 2, 3  # Acct-Status-Type
ADMIN_RESET = 6  # Acct-Terminate-Cause
SESSION_NOT_FOUND, NOT_REMOVABLE = 503, 504  # Error-Cause
UNSUPPORTED_ATTRIBUTE, UNSUPPORTED_EXTENSION = 401, 406
IDENTITY = {"User-Name", "Acct-Session-Id", "NAS-IP-Address", "Framed-IP-Address", "Calling-Station-Id"}
"""What identifies a session (RFC 5176 section 3); the rest of a CoA-Request is what is to change."""


@dataclass(frozen=True)
class Login:
    """What came of a login: whether it was accepted, and the attributes of the answer."""

    accepted: bool
    attributes: dict[str, Any]


REJECTED = Login(False, {})


def admitted(down: int, up: int, vlan: int) -> Login:
    """A login as it comes off with these rates in Mbit/s and this VLAN."""
    return Login(
        True,
        {
            "Tunnel-Type:1": 13,  # VLAN (RFC 3580)
            "Tunnel-Medium-Type:1": 6,  # IEEE-802
            "Tunnel-Private-Group-Id:1": str(vlan),
            "WISPr-Bandwidth-Max-Down": down * 1_000_000,
            "WISPr-Bandwidth-Max-Up": up * 1_000_000,
            "Mikrotik-Rate-Limit": f"{up}M/{down}M",
        },
    )


@dataclass(frozen=True)
class Router:
    """A router that only logs in. ``port`` and ``secret`` are the RADIUS server's on loopback; ``address``: its own."""

    port: int
    secret: str
    address: str = ""

    async def log_in(self, username: str, password: str, *, chap: bool = False) -> Login:
        """What the server says to a login with this password."""
        return await asyncio.to_thread(self._log_in, username, password, chap)

    def _log_in(self, username: str, password: str, chap: bool) -> Login:
        client = Client(
            "127.0.0.1",
            authport=self.port,
            secret=self.secret.encode(),
            dict=dictionary(),
            retries=3,
            timeout=2,
            enforce_ma=True,
        )
        if self.address:
            client.bind((self.address, 0))
        request = client.CreateAuthPacket(User_Name=username, NAS_IP_Address="127.0.0.1", message_authenticator=True)
        prove(request, password, chap=chap)
        try:
            return login(client.SendPacket(request))
        finally:
            client._CloseSocket()  # pyrad has no other way to close it


@dataclass
class Nas(asyncio.DatagramProtocol):
    """Access gear with an address of its own on loopback, which holds the sessions of those who log in through it.

    ``server_port`` is the RADIUS server's, ``port`` where it takes Disconnect-Requests. ``sessions`` are the open ones:
    id to account; ``disconnects`` are the ids it was asked to end. Its moods: ``mute`` says nothing, ``refuses`` is an
    Error-Cause that it answers with, ``forgetful`` does not account for the end of a session, ``undead`` acknowledges
    it and lets it live. It ``signs`` what it answers to who signs (RFC 5176 section 2.3). It ``knows`` a session by
    other values than it accounts, and denies it to who names one wrongly, or names no time when it is ``wary``.

    It takes CoA-Requests for the attributes in ``changes``, by their names without a tag; ``plans`` are those that
    sessions were given so. ``changes_requested`` are the ids; ``refuses_change`` is an Error-Cause for these.

    ``meanwhile`` is done between the next request and its answer: what happens in a round, however long it takes.
    """

    server_port: int
    secret: str
    port: int
    address: str = "127.0.0.2"
    mute: bool = False
    refuses: int = 0
    forgetful: bool = False
    undead: bool = False
    signs: bool = True
    wary: bool = False
    knows: dict[str, str] = field(default_factory=dict)
    changes: frozenset[str] = frozenset()
    refuses_change: int = 0
    meanwhile: Callable[[], Awaitable[object]] | None = None
    plans: dict[str, dict[str, Any]] = field(default_factory=dict)
    changes_requested: list[str] = field(default_factory=list)
    sessions: dict[str, str] = field(default_factory=dict)
    disconnects: list[str] = field(default_factory=list)
    _answered: dict[tuple[bytes, tuple[str, int]], bytes] = field(default_factory=dict)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    _numbers: "itertools.count[int]" = field(default_factory=itertools.count)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self.address, self.port))
        ports = {"auth_port": self.server_port, "acct_port": self.server_port + 1}
        self._client = ClientAsync(
            "127.0.0.1", **ports, secret=self.secret.encode(), dict=dictionary(), retries=5, timeout=2, enforce_ma=True
        )
        await self._client.initialize_transports(enable_auth=True, enable_acct=True, local_addr=self.address)
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._transport.close()
        await asyncio.gather(*self._tasks)
        await self._client.deinitialize_transports()

    async def log_in(self, username: str, password: str, session: str = "", **more: Any) -> Login:
        """What the server says to a login; when it is accepted, there is a session then, and it is accounted for, with
        ``more`` attributes (``_`` for ``-``)."""
        request = self._client.CreateAuthPacket(
            User_Name=username, NAS_IP_Address=self.address, message_authenticator=True
        )
        request["User-Password"] = request.PwCrypt(password)
        answer = login(await self._client.SendPacket(request))
        if answer.accepted:
            session = session or f"{self.address}/{next(self._numbers)}"
            self.begin(session, username, answer)
            await self.account(session, username, START, **more)
        return answer

    def begin(self, session: str, username: str, answer: Login) -> None:
        """There is a session, as the server has answered. It is not accounted for yet."""
        self.sessions[session] = username

    async def account(self, session: str, username: str, status: int, **more: Any) -> None:
        """Say how a session is: START, INTERIM or STOP, with ``more`` attributes. The server has it then."""
        values = {"User_Name": username, "Acct_Session_Id": session, "NAS_IP_Address": self.address} | more
        request = self._client.CreateAcctPacket(Acct_Status_Type=status, **values)
        if status == STOP:
            request["Acct-Terminate-Cause"] = ADMIN_RESET
        await self._client.SendPacket(request)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """A request that was not made with our secret is not answered (RFC 5176 section 2.3). One that was answered and
        comes again is answered as before, and nothing is done (RFC 5080 section 2.2.2)."""
        if (again := self._answered.get((data, addr))) is not None:
            if again:
                self._transport.sendto(again, addr)
            return
        with suppress(PacketError):
            request = CoAPacket(packet=data, secret=self.secret.encode(), dict=dictionary())
            ours = request.VerifyCoARequest() and request.verify_message_authenticator()
            if ours and request.code in (DisconnectRequest, CoARequest):
                disconnects = self.disconnects if request.code == DisconnectRequest else self.changes_requested
                disconnects.append(request["Acct-Session-Id"][0])
                if not self.mute:
                    meanwhile, self.meanwhile = self.meanwhile, None
                    self._answered[data, addr] = b""  # it is under way
                    if meanwhile:
                        self._beside(self._obey_after(meanwhile, request, data, addr))
                    else:
                        self._answered[data, addr] = self._obey(request, addr)

    async def _obey_after(
        self, meanwhile: Callable[[], Awaitable[object]], request: CoAPacket, data: bytes, addr: tuple[str, int]
    ) -> None:
        await meanwhile()
        self._answered[data, addr] = self._obey(request, addr)

    def _obey(self, request: CoAPacket, addr: tuple[str, int]) -> bytes:
        """Do what is asked, and answer. Returns the answer."""
        session, ending = request["Acct-Session-Id"][0], request.code == DisconnectRequest
        values = {name: request[name][0] for name in request.keys()}  # noqa: SIM118  # a packet is no mapping
        change = {name: values[name] for name in values if name not in IDENTITY | {"Event-Timestamp", "Proxy-State"}}
        change.pop("Message-Authenticator", None)
        cause = self.refuses or self._denies(session, values)
        if not ending and self.refuses_change:
            cause = self.refuses_change
        elif not ending and not (change and change.keys() <= self.changes):
            cause = UNSUPPORTED_ATTRIBUTE if self.changes else UNSUPPORTED_EXTENSION
        reply = request.CreateReply()
        if cause:
            reply.code, reply["Error-Cause"] = DisconnectNAK if ending else CoANAK, cause
        if self.signs:
            reply.add_message_authenticator()
        answer: bytes = reply.ReplyPacket()
        self._transport.sendto(answer, addr)
        if not cause and not ending:
            self.changed(session, change)
        if not cause and ending:
            self.acknowledged(session)
        return answer

    def changed(self, session: str, change: dict[str, Any]) -> None:
        """It has said that this session has another plan now."""
        self.plans[session] = change

    def acknowledged(self, session: str) -> None:
        """It has said that it ends this session."""
        if not self.undead:
            self.end(session)

    def _denies(self, session: str, values: dict[str, Any]) -> int:
        """The Error-Cause for a session that is not as it is named; 0 if it is."""
        known = {"User-Name": self.sessions.get(session), "NAS-IP-Address": self.address} | self.knows
        wrong = any(values.get(name) != value for name, value in known.items() if name in values or name == "User-Name")
        return SESSION_NOT_FOUND if wrong or (self.wary and "Event-Timestamp" not in values) else 0

    def end(self, session: str) -> None:
        """The session is over, and will be accounted for."""
        username = self.sessions.pop(session)
        if not self.forgetful:
            self._beside(self.account(session, username, STOP))

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def prove(request: Packet, password: str, *, chap: bool) -> None:
    """Put the password into a login, as PAP or CHAP has it."""
    if chap:
        challenge, number = secrets.token_bytes(16), secrets.token_bytes(1)
        request["CHAP-Challenge"] = challenge
        request["CHAP-Password"] = number + _md5(number + password.encode() + challenge)
    else:
        request["User-Password"] = request.PwCrypt(password)


def _md5(octets: bytes) -> bytes:
    """The response to a CHAP challenge (RFC 1994)."""
    return hashlib.md5(octets, usedforsecurity=False).digest()


def login(answer: Packet) -> Login:
    """An answer to a login, in plain words."""
    assert answer.code in (AccessAccept, AccessReject)
    attributes = {_name(answer, name): answer[name][0] for name in answer.keys()}  # noqa: SIM118  # a packet is no mapping
    attributes.pop("Message-Authenticator", None)
    return Login(answer.code == AccessAccept, attributes)


def _name(answer: Packet, name: str) -> str:
    """An attribute as FreeRADIUS writes it: with its tag, which is its first octet."""
    return f"{name}:{answer[TAGGED[name]][0][0]}" if name in TAGGED else name
