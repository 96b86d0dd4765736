"""A REGISTER of our own, without Contact: how the server would answer a line's telephone. It changes nothing.

It asks for the line's bindings (RFC 3261 section 10.2.3) over UDP, with the line's password (MD5 digest: RFC 2617,
kept by RFC 7616).
"""

import asyncio
import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, cast

from activities.settings import PROBES

AT_ONCE = 20
"""Lines that are probed at the same time."""

DEFAULT_PORT = 5060
_T1 = 0.5  # seconds until a request is sent again, doubling (RFC 3261 section 17.1.2.2)
_CHALLENGED = (401, 407)
_MD5 = ("", "MD5")

Answer = tuple[int, list[str]]
"""A status code, and the challenges that came with it."""


@dataclass(frozen=True)
class Probe:
    """Probes lines at a SIP server. ``seconds`` limits each line; silence is None, not an error.

    All lines together have ``PROBES`` times that, so that a silent server does not take for ever.
    """

    host: str
    port: int
    domain: str
    seconds: float

    @classmethod
    def of(cls, server: str, domain: str, seconds: float) -> Self:
        """``server`` is host:port. Raises ValueError."""
        found = re.fullmatch(r"(\[[0-9a-fA-F:]+\]|[^:\s]+)(?::(\d{1,5}))?", server)
        if not found:
            raise ValueError(f"CONNECT_SIP_SERVER: {server!r} is no host:port")
        return cls(found[1].strip("[]"), int(found[2] or DEFAULT_PORT), domain, seconds)

    async def answers(self, passwords: Mapping[str, str], until: float) -> Mapping[str, int | None]:
        """The final status code of each line's REGISTER, by username as the passwords. None for one without an answer.

        ``until`` is by the loop's clock.
        """
        if not passwords:
            return {}
        loop = asyncio.get_running_loop()
        try:
            transport, telephone = await loop.create_datagram_endpoint(_Telephone, remote_addr=(self.host, self.port))
        except OSError:  # no such host, no way to it
            return dict.fromkeys(passwords)
        turns, end = asyncio.Semaphore(AT_ONCE), min(until, loop.time() + PROBES * self.seconds)

        async def one(username: str, password: str) -> int | None:
            try:
                async with asyncio.timeout_at(end), turns, asyncio.timeout(self.seconds):
                    return await self._registered(telephone, username, password)
            except TimeoutError:
                return None

        try:
            codes = await asyncio.gather(*(one(*login) for login in passwords.items()))
        finally:
            transport.close()
        return dict(zip(passwords, codes, strict=True))

    async def _registered(self, telephone: "_Telephone", username: str, password: str) -> int:
        uri, key, tag = f"sip:{self.domain}", secrets.token_hex(12), secrets.token_hex(4)
        line = f"<sip:{username}@{self.domain}>"
        headers = [f"From: {line};tag={tag}", f"To: {line}", f"Call-ID: {key}"]
        code, challenges = await telephone.register(uri, key, 1, headers)
        answers = [
            _authorization(username, password, uri, code, challenge) for challenge in challenges if code in _CHALLENGED
        ]
        for answer in filter(None, answers):
            return (await telephone.register(uri, key, 2, [*headers, answer]))[0]
        return code


class _Telephone(asyncio.DatagramProtocol):
    """Sends REGISTERs and receives the answers."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[str, int], asyncio.Future[Answer]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)  # in Python 3.11 it does not say so itself
        host, port = transport.get_extra_info("sockname")[:2]
        self._address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def datagram_received(self, data: bytes, addr: object) -> None:
        text = data.decode("utf-8", "replace")
        status = re.match(r"SIP/2\.0 (\d{3}) ", text)
        key = re.search(r"^(?:Call-ID|i)\s*:\s*(\S+)", text, re.MULTILINE | re.IGNORECASE)
        number = re.search(r"^CSeq\s*:\s*(\d+)", text, re.MULTILINE | re.IGNORECASE)
        if not (status and key and number) or int(status[1]) < 200:
            return
        waiting = self._waiting.get((key[1], int(number[1])))
        if waiting is not None and not waiting.done():
            challenges = re.findall(r"^(?:WWW|Proxy)-Authenticate\s*:(.*)$", text, re.MULTILINE | re.IGNORECASE)
            waiting.set_result((int(status[1]), challenges))

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there now. The request is repeated until the time is up."""

    async def register(self, uri: str, key: str, number: int, headers: list[str]) -> Answer:
        """The final answer and its challenges. The request is repeated until there is one, without a limit."""
        lines = [
            f"REGISTER {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP {self._address};branch=z9hG4bK{secrets.token_hex(8)};rport",
            "Max-Forwards: 70",
            *headers,
            f"CSeq: {number} REGISTER",
            "User-Agent: connect",
            "Content-Length: 0",
        ]
        packet = ("\r\n".join(lines) + "\r\n\r\n").encode()
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[key, number] = answered
        pause = _T1
        try:
            while True:
                self._transport.sendto(packet)
                answers, _ = await asyncio.wait({answered}, timeout=pause)
                if answers:
                    return answered.result()
                pause *= 2
        finally:
            del self._waiting[key, number]


def _authorization(username: str, password: str, uri: str, code: int, challenge: str) -> str | None:
    """The answer to a challenge (RFC 2617 section 3.2.2); None if we cannot answer it."""
    parts = {name.lower(): a or b for name, a, b in re.findall(r'(\w+)=(?:"([^"]*)"|([^,\s]+))', challenge)}
    if not {"realm", "nonce"} <= parts.keys() or parts.get("algorithm", "").upper() not in _MD5:
        return None
    realm, nonce = parts["realm"], parts["nonce"]
    ours, what = _md5(f"{username}:{realm}:{password}"), _md5(f"REGISTER:{uri}")
    parameters = f'username="{username}", realm="{realm}", nonce="{nonce}", uri="{uri}", algorithm=MD5'
    if "opaque" in parts:
        parameters += f', opaque="{parts["opaque"]}"'
    if "auth" in re.split(r"\s*,\s*", parts.get("qop", "")):
        once = secrets.token_hex(8)
        parameters += f', qop=auth, nc=00000001, cnonce="{once}"'
        response = _md5(f"{ours}:{nonce}:00000001:{once}:auth:{what}")
    else:
        response = _md5(f"{ours}:{nonce}:{what}")
    header = "Authorization" if code == 401 else "Proxy-Authorization"
    return f'{header}: Digest {parameters}, response="{response}"'


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
