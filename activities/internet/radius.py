"""One RADIUS request and its answer (RFC 2865, RFC 5176), in pyrad's packets, over a socket of its own."""

import asyncio
import hashlib
import hmac
import io
from contextlib import suppress
from functools import cache

from pyrad.dictionary import Dictionary
from pyrad.packet import CoARequest, DisconnectRequest, Packet, PacketError

TRIES = 3
"""How often a request is sent within the time for its answer. UDP loses packets."""

_DICTIONARY = """
ATTRIBUTE User-Name               1  string
ATTRIBUTE User-Password           2  string
ATTRIBUTE NAS-IP-Address          4  ipaddr
ATTRIBUTE Framed-IP-Address       8  ipaddr
ATTRIBUTE Calling-Station-Id      31 string
ATTRIBUTE NAS-Identifier          32 string
ATTRIBUTE Acct-Session-Id         44 string
ATTRIBUTE Acct-Multi-Session-Id   50 string
ATTRIBUTE Event-Timestamp         55 date
ATTRIBUTE Tunnel-Type             64 integer has_tag
ATTRIBUTE Tunnel-Medium-Type      65 integer has_tag
ATTRIBUTE Message-Authenticator   80 octets
ATTRIBUTE Tunnel-Private-Group-Id 81 string has_tag
ATTRIBUTE NAS-IPv6-Address        95 ipv6addr
ATTRIBUTE Framed-IPv6-Prefix      97 ipv6prefix
ATTRIBUTE Error-Cause             101 integer
ATTRIBUTE Framed-IPv6-Address     168 ipv6addr
VALUE Tunnel-Type        VLAN     13
VALUE Tunnel-Medium-Type IEEE-802 6
VENDOR WISPr 14122
BEGIN-VENDOR WISPr
ATTRIBUTE WISPr-Bandwidth-Max-Up   7 integer
ATTRIBUTE WISPr-Bandwidth-Max-Down 8 integer
END-VENDOR WISPr
VENDOR Mikrotik 14988
BEGIN-VENDOR Mikrotik
ATTRIBUTE Mikrotik-Rate-Limit 8 string
END-VENDOR Mikrotik
"""


class Unsigned(TimeoutError):
    """An answer without Message-Authenticator: anybody on the path could have forged it."""


@cache
def dictionary() -> Dictionary:
    """The attributes that Connect sends and reads."""
    return Dictionary(io.StringIO(_DICTIONARY))


async def exchange(request: Packet, host: str, port: int, seconds: float, *, signed: bool = False) -> Packet:
    """The answer to a request, which is repeated while none comes. Raises TimeoutError when nobody answers.

    An answer counts if its authenticators were made with the request's secret. With ``signed`` it needs a
    Message-Authenticator of this request (RFC 3579 section 3.2), because the other authenticator is MD5 and can be
    forged on the path (CVE-2024-3596); raises Unsigned when only others came. A repeated packet is the same packet,
    which its receiver carries out once (RFC 5080, 2.2.2).
    """
    raw = request.RequestPacket()
    listener = _Listener(request, signed)
    answer = listener.answer
    try:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: listener, remote_addr=(host, port)
        )
    except OSError as error:
        raise TimeoutError(f"{host}:{port} cannot be reached: {error.strerror}") from error
    try:
        for _ in range(TRIES):
            transport.sendto(raw)
            with suppress(TimeoutError):
                return await asyncio.wait_for(asyncio.shield(answer), seconds / TRIES)
        if listener.unsigned:
            raise Unsigned(f"no answer from {host}:{port} with a Message-Authenticator in {seconds:g} s")
        raise TimeoutError(f"no answer from {host}:{port} in {seconds:g} s")
    finally:
        transport.close()


def _signed_for_any_request(request: Packet, reply: Packet, data: bytes) -> bool:
    """Whether an answer to a Disconnect- or CoA-Request is right, but for a signature that belongs to no request.

    FreeRADIUS 3 signs these answers over an authenticator of zeros (RFC 5176 section 3.4: that of the request). Such a
    signature may be of an earlier answer, so it counts as none.
    """
    if request.code not in (CoARequest, DisconnectRequest) or "Message-Authenticator" not in reply:
        return False
    octets = data[:4] + request.authenticator + data[20 : int.from_bytes(data[2:4], "big")] + request.secret
    right = hmac.compare_digest(hashlib.md5(octets, usedforsecurity=False).digest(), data[4:20])
    return (
        right and reply.id == request.id and reply.verify_message_authenticator(request.secret, bytes(16), request.code)
    )


class _Listener(asyncio.DatagramProtocol):
    """Takes the first datagram that answers the request. Errors of a closed port are ignored: the next try may
    succeed."""

    def __init__(self, request: Packet, signed: bool) -> None:
        self._request, self._signed, self.unsigned = request, signed, False
        self.answer: asyncio.Future[Packet] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        try:
            reply = self._request.CreateReply(packet=data)
        except PacketError:
            return
        if self.answer.done():
            return
        if self._request.VerifyReply(reply, data):  # which looks at a signature that is there
            signed = "Message-Authenticator" in reply
        elif _signed_for_any_request(self._request, reply, data):
            signed = False
        else:
            return
        if self._signed and not signed:
            self.unsigned = True  # the right one may be on its way
        else:
            self.answer.set_result(reply)
