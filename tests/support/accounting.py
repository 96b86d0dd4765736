"""Accounting-Requests as access gear sends them (RFC 2866 and 2869), one datagram each, with whatever attributes."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from pyrad.packet import AcctPacket, PacketError

from tests.support.radius import dictionary
from tests.support.waiting import HANGING

START, STOP, INTERIM, ON, OFF = 1, 2, 3, 7, 8
"""Acct-Status-Type."""

TIME = "Event-Timestamp"


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
