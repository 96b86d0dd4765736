"""Accounting-Requests as access gear sends them (RFC 2866 and 2869), one datagram each, with whatever attributes."""

import asyncio
import io
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from pyrad.dictionary import Dictionary
from pyrad.packet import AcctPacket, PacketError

from tests.support.waiting import HANGING

START, STOP, INTERIM, ON, OFF = 1, 2, 3, 7, 8
"""Acct-Status-Type."""

TIME = "Event-Timestamp"
DICTIONARY = """
ATTRIBUTE User-Name             1   string
ATTRIBUTE NAS-IP-Address        4   ipaddr
ATTRIBUTE Framed-IP-Address     8   ipaddr
ATTRIBUTE Calling-Station-Id    31  string
ATTRIBUTE NAS-Identifier        32  string
ATTRIBUTE Acct-Status-Type      40  integer
ATTRIBUTE Acct-Delay-Time       41  integer
ATTRIBUTE Acct-Input-Octets     42  integer
ATTRIBUTE Acct-Output-Octets    43  integer
ATTRIBUTE Acct-Session-Id       44  string
ATTRIBUTE Acct-Session-Time     46  integer
ATTRIBUTE Acct-Terminate-Cause  49  integer
ATTRIBUTE Acct-Input-Gigawords  52  integer
ATTRIBUTE Acct-Output-Gigawords 53  integer
ATTRIBUTE Event-Timestamp       55  integer
ATTRIBUTE NAS-IPv6-Address      95  ipv6addr
ATTRIBUTE Framed-IPv6-Prefix    97  ipv6prefix
ATTRIBUTE Framed-IPv6-Address   168 ipv6addr
"""


@cache
def dictionary() -> Dictionary:
    return Dictionary(io.StringIO(DICTIONARY))


@dataclass
class Accounting:
    """Access gear that accounts to a RADIUS server at ``host`` and ``port`` (of accounting). ``usual``: attributes of
    every request that does not have them otherwise."""

    port: int
    secret: str
    usual: dict[str, Any] = field(default_factory=lambda: {"NAS-IP-Address": "127.0.0.2"})
    host: str = "127.0.0.1"

    async def account(self, status: int, session: str = "s1", *, within: float = HANGING, **attributes: Any) -> bool:
        """Whether the server answers this request, sent once, within so many seconds."""
        return await self.send(self.request(status, session, **attributes), within)

    def request(self, status: int, session: str = "s1", **attributes: Any) -> AcctPacket:
        request = AcctPacket(secret=self.secret.encode(), dict=dictionary())
        usual = {"User-Name": "acme", "Acct-Session-Id": session, "Acct-Status-Type": status}
        named = {name.replace("_", "-"): value for name, value in attributes.items()}
        for name, value in (usual | self.usual | named).items():
            if value is not None:
                request.AddAttribute(name, value)
        return request

    async def send(self, request: AcctPacket, within: float = HANGING) -> bool:
        """Whether the server answers this very packet."""
        raw, answered = request.RequestPacket(), asyncio.Event()

        class Listener(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: object) -> None:
                try:
                    reply = request.CreateReply(packet=data)
                except PacketError:
                    return
                if request.VerifyReply(reply, data):
                    answered.set()

        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Listener, remote_addr=(self.host, self.port))
        try:
            transport.sendto(raw)
            await asyncio.wait_for(answered.wait(), within)
        except TimeoutError:
            return False
        finally:
            transport.close()
        return True
