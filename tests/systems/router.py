"""A router in miniature: logs in over RADIUS (RFC 2865, PAP), and says what it was told."""

import asyncio
import io
from dataclasses import dataclass
from typing import Any

from pyrad.client import Client
from pyrad.dictionary import Dictionary
from pyrad.packet import AccessAccept, AccessReject, Packet

TAGGED = {"Tunnel-Type": 64, "Tunnel-Medium-Type": 65, "Tunnel-Private-Group-Id": 81}  # RFC 2868
DICTIONARY = """
ATTRIBUTE User-Name               1  string
ATTRIBUTE User-Password           2  string
ATTRIBUTE NAS-IP-Address          4  ipaddr
ATTRIBUTE Tunnel-Type             64 integer has_tag
ATTRIBUTE Tunnel-Medium-Type      65 integer has_tag
ATTRIBUTE Message-Authenticator   80 octets
ATTRIBUTE Tunnel-Private-Group-Id 81 string has_tag
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


@dataclass(frozen=True)
class Login:
    """What came of a login: whether it was accepted, and the attributes of the answer."""

    accepted: bool
    told: dict[str, Any]


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
    """The access gear. ``port`` and ``secret`` are the RADIUS server's on loopback."""

    port: int
    secret: str

    async def log_in(self, username: str, password: str) -> Login:
        """What the server says to a login with this password."""
        return await asyncio.to_thread(self._log_in, username, password)

    def _log_in(self, username: str, password: str) -> Login:
        dictionary = Dictionary(io.StringIO(DICTIONARY))
        client = Client(
            "127.0.0.1", authport=self.port, secret=self.secret.encode(), dict=dictionary, retries=3, timeout=2
        )
        request = client.CreateAuthPacket(User_Name=username, NAS_IP_Address="127.0.0.1")
        request["User-Password"] = request.PwCrypt(password)
        try:
            answer = client.SendPacket(request)
        finally:
            client._CloseSocket()  # pyrad has no other way to close it
        assert answer.code in (AccessAccept, AccessReject)
        told = {_name(answer, name): answer[name][0] for name in answer.keys()}  # noqa: SIM118  # a packet is no mapping
        told.pop("Message-Authenticator", None)
        return Login(answer.code == AccessAccept, told)


def _name(answer: Packet, name: str) -> str:
    """An attribute as FreeRADIUS writes it: with its tag, which is its first octet."""
    return f"{name}:{answer[TAGGED[name]][0][0]}" if name in TAGGED else name
