"""How a line or an account looks from outside, to a telephone or a router of our own; and what silence means."""

import asyncio
from enum import StrEnum

_KNOCK = 0.3  # seconds for a host to say that nobody listens


class ProbeResult(StrEnum):
    """How a server received a line or an account that looked from outside."""

    LET_IN = "let in"
    TURNED_AWAY = "turned away"
    OTHER = "answered otherwise"
    CLOSED = "nobody listens there"
    """The host itself says so (ICMP port unreachable)."""
    SILENT = "no answer"
    NOT_ASKED = "not asked"


Seen = tuple[ProbeResult, str]
"""How it looks, and what was said, in words."""

NOT_ASKED: Seen = ProbeResult.NOT_ASKED, "not asked"


async def silence(host: str, port: int, server: str, question: str) -> Seen:
    """What it means that a server did not answer over UDP: a host that is there says when nobody listens (RFC 1122,
    3.2.2.1)."""
    knock = _Knock()
    try:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: knock, remote_addr=(host, port)
        )
    except OSError as error:
        return ProbeResult.SILENT, f"{server} cannot be reached: {error.strerror}"
    try:
        transport.sendto(b"\r\n\r\n")  # means nothing to a SIP server (RFC 5626, 3.5.1), nor to one of RADIUS
        async with asyncio.timeout(_KNOCK):
            await knock.refused.wait()
        return ProbeResult.CLOSED, f"{server}: nobody listens there"
    except TimeoutError:
        return ProbeResult.SILENT, f"{server} did not answer {question}"
    finally:
        transport.close()


class _Knock(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.refused = asyncio.Event()

    def error_received(self, exc: Exception) -> None:
        if isinstance(exc, ConnectionRefusedError):
            self.refused.set()
