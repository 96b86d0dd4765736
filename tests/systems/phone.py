"""A telephone in miniature (SIP over UDP, RFC 3261, digest login): registers, calls, answers. No sound.

Not a SIP stack: of its timers there are those with which requests are repeated.
"""

import asyncio
import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from tests.support.waiting import eventually

Headers = dict[str, list[str]]
NO_SUCH_CALL = 481
T1, T2 = 0.5, 4.0  # seconds: a request is repeated after T1, 2 T1, … T2 (section 17.1)
PATIENCE = 64 * T1  # seconds for a final answer (timers B and F)


@dataclass(frozen=True)
class Reply:
    """A final answer: its code, its words ("403 Line Not In Service"), its headers, and the request's number."""

    code: int
    words: str
    headers: Headers
    cseq: int


@dataclass(frozen=True)
class Call:
    """A call that was dialled: what the server said to it, and, once it is taken, what names it within."""

    code: int
    key: str
    tag: str
    target: str = ""
    to: str = ""
    route: tuple[str, ...] = ()


@dataclass
class Phone(asyncio.DatagramProtocol):
    """A telephone of one line. ``proxy`` is the SIP server's host and port.

    ``login`` is what it logs in as, if not its username. It takes every call that it hears, unless ``answers`` is
    false: then it rings until ``take``. ``address`` is its own on loopback. ``rang`` has the callers it heard,
    ``ended`` the Call-IDs of calls that somebody else ended (BYE, or CANCEL while it rang). ``repeated``: how many
    requests it sent again.
    """

    username: str
    password: str
    domain: str
    proxy: tuple[str, int]
    answers: bool = True
    address: str = "127.0.0.1"
    login: str = ""
    rang: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    repeated: int = 0
    _ringing: dict[str, Headers] = field(default_factory=dict)
    _invited: set[tuple[str, str]] = field(default_factory=set)  # Call-ID and CSeq: a repetition is no further call
    _waiting: dict[tuple[str, int, str], "asyncio.Queue[Reply]"] = field(default_factory=dict)
    _key: str = field(default_factory=lambda: secrets.token_hex(8))  # one Call-ID for all registrations, 10.2.4
    _cseq: int = 0

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self.address, 0))
        self.port = self._transport.get_extra_info("sockname")[1]
        self._via = f"{self.address}:{self.port}"
        self.contact = f"<sip:{self.username}@{self._via}>"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()

    # -- what one does with it ------------------------------------------------------------------------------------

    async def register(self) -> int:
        """What the server says to a registration."""
        uri, line = f"sip:{self.domain}", f"<sip:{self.username}@{self.domain}>"
        return (await self._logged_in("REGISTER", uri, line, self._key, secrets.token_hex(4), ["Expires: 300"])).code

    async def call(self, number: str) -> int:
        """What the server says to a call, which is ended at once when it is taken."""
        call = await self.dial(number)
        if call.code == 200:
            await self.hang_up(call)
        return call.code

    async def dial(self, number: str, to: str = "") -> Call:
        """A call, which goes on when it is taken. ``number`` is one, or a whole sip: URI; ``to`` is whom the header To
        names, if not that."""
        uri = number if number.startswith("sip:") else f"sip:{number.removeprefix('+')}@{self.domain}"
        key, tag = secrets.token_hex(8), secrets.token_hex(4)
        reply = await self._logged_in("INVITE", uri, f"<sip:{to}@{self.domain}>" if to else f"<{uri}>", key, tag)
        if reply.code != 200:
            return Call(reply.code, key, tag)
        target, to = reply.headers["contact"][0].strip("<>"), reply.headers["to"][0]
        route = tuple(f"Route: {hop}" for hop in reversed(reply.headers.get("record-route", [])))
        self._send("ACK", target, to, key, tag, reply.cseq, route)
        return Call(reply.code, key, tag, target, to, route)

    async def hold(self, call: Call) -> int:
        """What is said to a change of a call of ours while it goes on (RFC 3261 section 14)."""
        reply = await self._request("INVITE", call.target, call.to, call.key, call.tag, call.route)
        self._send("ACK", call.target, call.to, call.key, call.tag, reply.cseq, call.route)
        return reply.code

    async def hang_up(self, call: Call) -> int:
        """What is said to the end of a call of ours: 200, or 481 when there is none any more."""
        return (await self._request("BYE", call.target, call.to, call.key, call.tag, call.route)).code

    def take(self) -> None:
        """Take the calls that ring."""
        for invite in self._ringing.values():
            self._answer(invite, self.proxy, "200 OK")
        self._ringing.clear()

    # -- what arrives ---------------------------------------------------------------------------------------------

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        start, headers = _parsed(data)
        if start.startswith("SIP/2.0"):
            number, method = headers["cseq"][0].split()
            if queue := self._waiting.get((headers["call-id"][0], int(number), method)):
                queue.put_nowait(Reply(int(start.split()[1]), start[8:], headers, int(number)))
        elif start.startswith("INVITE"):
            if (call := (headers["call-id"][0], headers["cseq"][0])) not in self._invited:
                self._invited.add(call)
                self.rang.append(headers["from"][0].partition("sip:")[2].partition("@")[0])
            self._answer(headers, addr, "180 Ringing")
            if self.answers:
                self._answer(headers, addr, "200 OK")
            else:
                self._ringing[headers["call-id"][0]] = headers
        elif start.startswith(("BYE", "CANCEL")):
            if headers["call-id"][0] not in self.ended:  # else it is a repetition
                self.ended.append(headers["call-id"][0])
            self._answer(headers, addr, "200 OK")
            if start.startswith("CANCEL") and (invite := self._ringing.pop(headers["call-id"][0], None)):
                self._answer(invite, addr, "487 Request Terminated")
        elif not start.startswith("ACK"):
            self._answer(headers, addr, "200 OK")

    def _answer(self, headers: Headers, addr: tuple[str, int], status: str) -> None:
        to = headers["to"][0]
        lines = [
            f"SIP/2.0 {status}",
            *(f"Via: {via}" for via in headers["via"]),
            *(f"Record-Route: {hop}" for hop in headers.get("record-route", [])),
            f"From: {headers['from'][0]}",
            f"To: {to}" if ";tag=" in to else f"To: {to};tag={self._key}",
            f"Call-ID: {headers['call-id'][0]}",
            f"CSeq: {headers['cseq'][0]}",
            f"Contact: {self.contact}",
            "Content-Length: 0",
        ]
        self._transport.sendto(_packed(lines), addr)

    # -- what is sent ---------------------------------------------------------------------------------------------

    async def _logged_in(self, method: str, uri: str, to: str, key: str, tag: str, extra: Sequence[str] = ()) -> Reply:
        reply = await self._request(method, uri, to, key, tag, extra)
        if reply.code in (401, 407):
            reply = await self._request(method, uri, to, key, tag, [*extra, self._login(method, uri, reply.headers)])
        return reply

    async def _request(self, method: str, uri: str, to: str, key: str, tag: str, extra: Sequence[str]) -> Reply:
        """The final answer; the request is repeated while there is none at all. TimeoutError."""
        self._cseq += 1
        cseq, queue = self._cseq, asyncio.Queue[Reply]()
        self._waiting[key, cseq, method] = queue
        try:
            async with asyncio.timeout(PATIENCE):
                reply, pause = None, T1
                while reply is None:
                    self._send(method, uri, to, key, tag, cseq, extra)
                    reply, pause = await _within(queue, pause), min(2 * pause, T2)
                    self.repeated += reply is None
                while reply.code < 200:
                    reply = await queue.get()
        finally:
            del self._waiting[key, cseq, method]
        if method == "INVITE" and reply.code >= 300:
            self._send("ACK", uri, reply.headers["to"][0], key, tag, cseq)
        return reply

    def _send(self, method: str, uri: str, to: str, key: str, tag: str, cseq: int, extra: Sequence[str] = ()) -> None:
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self._via};branch=z9hG4bK{_md5(f'{key}{cseq}{method}')[:16]};rport",
            "Max-Forwards: 70",
            f"From: <sip:{self.username}@{self.domain}>;tag={tag}",
            f"To: {to}",
            f"Call-ID: {key}",
            f"CSeq: {cseq} {method}",
            f"Contact: {self.contact}",
            *extra,
            "Content-Length: 0",
        ]
        self._transport.sendto(_packed(lines), self.proxy)

    def _login(self, method: str, uri: str, headers: Headers) -> str:
        """The answer to a challenge (RFC 2617 section 3.2.2)."""
        www = "www-authenticate" in headers
        text = headers["www-authenticate" if www else "proxy-authenticate"][0]
        challenge = {name: quoted or bare for name, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^,\s]+))', text)}
        login = self.login or self.username
        ours = _md5(f"{login}:{challenge['realm']}:{self.password}")
        nonce, what = challenge["nonce"], _md5(f"{method}:{uri}")
        header = f'username="{login}", realm="{challenge["realm"]}", nonce="{nonce}", uri="{uri}", algorithm=MD5'
        if "qop" in challenge:
            once = secrets.token_hex(4)
            response = _md5(f"{ours}:{nonce}:00000001:{once}:auth:{what}")
            header += f', qop=auth, nc=00000001, cnonce="{once}"'
        else:
            response = _md5(f"{ours}:{nonce}:{what}")
        return f'{"Authorization" if www else "Proxy-Authorization"}: Digest {header}, response="{response}"'


async def wait_ended(call: Call, caller: Phone, callee: Phone, *, ours: bool = True) -> None:
    """Return when a call is over: one of both was told so, and a server with our configuration lets nobody go on.

    Kamailio tells the second telephone only while the first has not answered yet (module dialog, ``send_bye``): on a
    quick network one of them may hear nothing.
    """
    await eventually(lambda: call.key in (*caller.ended, *callee.ended))
    assert not ours or await caller.hold(call) == NO_SUCH_CALL


async def _within(queue: "asyncio.Queue[Reply]", seconds: float) -> Reply | None:
    try:
        return await asyncio.wait_for(queue.get(), seconds)
    except TimeoutError:
        return None


def _packed(lines: Sequence[str]) -> bytes:
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _parsed(data: bytes) -> tuple[str, Headers]:
    start, *lines = data.decode("utf-8", "replace").partition("\r\n\r\n")[0].split("\r\n")
    headers: Headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers.setdefault(name.strip().lower(), []).append(value.strip())
    return start, headers


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def options(uri: str, transport: str, via: str) -> bytes:
    """An OPTIONS request, which needs no login (RFC 3261 section 11)."""
    lines = (
        f"OPTIONS {uri} SIP/2.0",
        f"Via: SIP/2.0/{transport} {via};branch=z9hG4bKx",
        "Max-Forwards: 5",
        "From: <sip:x@127.0.0.1>;tag=1",
        f"To: <{uri}>",
        "Call-ID: x",
        "CSeq: 1 OPTIONS",
        "Content-Length: 0",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
