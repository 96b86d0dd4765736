"""A login of our own: what it proves, and that silence and contradiction are told apart."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from pyrad.packet import AccessAccept, AccessReject, AuthPacket

from activities.internet.order import Access, replies_of
from activities.internet.radius import dictionary
from activities.internet.radius_probe import RadiusProbe
from activities.secrets import radius_password
from tests.activities.fixtures import MASTER_KEY, World, access, settings_for
from tests.support.orders import access_order
from tests.support.waiting import free_port
from workflows.domain.provisioning.standing import Proof
from workflows.ports import Finding

DATABASES = ("internet",)

SECRET = "what we share with the server"
PLAN = replies_of(Access("acme", True, 100, 20, 110))


@dataclass
class Server(asyncio.DatagramProtocol):
    """A RADIUS server that says the same to everybody who knows its secret. ``logins`` are the requests it had; one
    that comes again is answered as before.

    ``signs``: its answers have a Message-Authenticator; ``forges``: it is a wrong one. An answer that is right but for
    the signature is what an attacker on the way can make (CVE-2024-3596).
    """

    code: int = AccessReject
    replies: dict[str, str] = field(default_factory=dict)
    secret: bytes = SECRET.encode()
    signs: bool = True
    forges: bool = False
    logins: list[AuthPacket] = field(default_factory=list)
    answered: dict[tuple[bytes, tuple[str, int]], bytes] = field(default_factory=dict)

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if again := self.answered.get((data, addr)):
            self.transport.sendto(again, addr)
            return
        request = AuthPacket(packet=data, secret=self.secret, dict=dictionary())
        if not request.verify_message_authenticator():
            return
        self.logins.append(request)
        reply = request.CreateReply()
        reply.code = self.code
        for name, value in self.replies.items():
            reply.AddAttribute(name, int(value) if value.isdecimal() and "WISPr" in name else value)
        if not self.signs or self.forges:
            reply.message_authenticator = None
        if self.forges:
            reply["Message-Authenticator"] = 16 * b"x"
        answer = self.answered[data, addr] = reply.ReplyPacket()
        self.transport.sendto(answer, addr)


@pytest_asyncio.fixture
async def server(world: World) -> AsyncIterator[Server]:
    """A server that the activities ask."""
    loop, port = asyncio.get_running_loop(), free_port()
    transport, server = await loop.create_datagram_endpoint(Server, local_addr=("127.0.0.1", port))
    await world.open(limits=probing(server))
    yield server
    transport.close()


def probing(server: Server) -> dict[str, object]:
    """The settings of a worker that asks it."""
    address = "{}:{}".format(*server.transport.get_extra_info("sockname"))
    return {"probe_accounts": True, "probe_seconds": 0.3, "radius_server": address, "radius_secret": SECRET}


async def switch(world: World, *, on: bool) -> Finding:
    (finding,) = (await world.internet.ensure(access("acme", 1, on=on))).findings
    return finding


async def test_an_account_that_is_off_is_seen_to_be_rejected(world: World, server: Server) -> None:
    finding = await switch(world, on=False)
    assert (finding.proof, finding.seen["probe"]) == (Proof.PROVEN, "Access-Reject")
    (request,) = server.logins
    assert request["Calling-Station-Id"] == request["NAS-Identifier"] == ["connect-probe"]


async def test_an_account_that_is_on_is_seen_to_be_accepted_with_its_plan(world: World, server: Server) -> None:
    server.code, server.replies = AccessAccept, PLAN
    evidence = await world.internet.ensure(access("acme", 1, on=True))
    assert evidence.method.endswith("a login of our own")
    (finding,) = evidence.findings
    assert (finding.proof, finding.seen["probe"]) == (Proof.PROVEN, "Access-Accept")
    (request,) = server.logins
    assert request.PwDecrypt(request["User-Password"][0]) == radius_password(MASTER_KEY, "acme", "acme", 1)


@pytest.mark.parametrize(
    ("on", "code", "replies", "why"),
    [
        (False, AccessAccept, PLAN, "it is off, and a login was answered with Access-Accept"),
        (True, AccessReject, {}, "it is on, and a login was answered with Access-Reject"),
        (True, AccessAccept, PLAN | {"Tunnel-Private-Group-Id:1": "7"}, "Tunnel-Private-Group-Id ['7'] instead of"),
        (True, AccessAccept, {}, "Mikrotik-Rate-Limit missing instead of ['20M/100M']"),
    ],
)
async def test_a_contrary_answer_has_failed(
    world: World, server: Server, on: bool, code: int, replies: dict[str, str], why: str
) -> None:
    server.code, server.replies = code, replies
    finding = await switch(world, on=on)
    assert (finding.proof, finding.in_service) == (Proof.FAILED, code == AccessAccept)
    assert why in finding.why


@pytest.mark.parametrize("on", [True, False])
async def test_a_server_that_is_silent_leaves_it_unknown(world: World, server: Server, on: bool) -> None:
    server.secret = b"another"
    finding = await switch(world, on=on)
    assert (finding.proof, finding.seen["probe"]) == (Proof.NOT_PROVEN, "no answer")
    assert "did not answer an Access-Request" in finding.why


@pytest.mark.parametrize(("on", "code"), [(True, AccessAccept), (False, AccessReject)], ids=["on", "off"])
async def test_an_answer_that_is_not_signed_is_no_evidence(world: World, server: Server, on: bool, code: int) -> None:
    server.code, server.replies, server.signs = code, PLAN if on else {}, False
    finding = await switch(world, on=on)
    assert (finding.proof, finding.seen["probe"]) == (Proof.NOT_PROVEN, "no signed answer")
    assert "without Message-Authenticator" in finding.why
    assert "CONNECT_RADIUS_MESSAGE_AUTHENTICATOR=false" in finding.why


async def test_a_server_that_cannot_sign_is_believed_where_an_operator_says_so(world: World, server: Server) -> None:
    server.signs = False
    await world.open(limits=probing(server) | {"radius_message_authenticator": False})
    assert (await switch(world, on=False)).proof is Proof.PROVEN


async def test_a_wrong_signature_is_worse_than_none(world: World, server: Server) -> None:
    server.forges = True
    await world.open(limits=probing(server) | {"radius_message_authenticator": False})
    finding = await switch(world, on=False)
    assert (finding.proof, finding.seen["probe"]) == (Proof.NOT_PROVEN, "no answer")


async def test_what_a_server_says_is_cut_and_cleaned(world: World, server: Server) -> None:
    server.code, server.replies = AccessAccept, {f"Tunnel-Private-Group-Id:{n}": "\x1b]0;\n" * 40 for n in range(1, 9)}
    finding = await switch(world, on=True)
    assert finding.proof is Proof.FAILED
    assert len(finding.why) <= 500
    assert finding.why.isprintable()


async def test_an_account_with_its_own_secret_is_asked_about_only_when_it_is_off(world: World, server: Server) -> None:
    await world.execute(
        "internet", "INSERT INTO radcheck (username, attribute, op, value) VALUES ('acme', 'NT-Password', ':=', 'abc')"
    )
    finding = await switch(world, on=True)
    assert finding.proof is Proof.PROVEN
    assert finding.seen["probe"] == "not asked: Connect does not know its secret"
    assert server.logins == []
    (finding,) = (await world.internet.ensure(access("acme", 2, on=False))).findings
    assert finding.seen["probe"] == "Access-Reject"


async def test_an_account_with_check_items_of_its_own_is_on_by_its_rows_and_asked_about_only_when_it_is_off(
    world: World, server: Server
) -> None:
    await world.execute(
        "internet",
        """INSERT INTO radcheck (username, attribute, op, value)
        VALUES ('acme', 'Calling-Station-Id', '==', '02-00-00-00-00-01')""",
    )
    finding = await switch(world, on=True)
    assert (finding.proof, finding.in_service) == (Proof.PROVEN, True)
    assert finding.seen["probe"] == "not asked: has check items of its own (Calling-Station-Id)"
    assert server.logins == []
    (finding,) = (await world.internet.ensure(access("acme", 2, on=False))).findings
    assert finding.seen["probe"] == "Access-Reject"


async def test_a_limit_that_the_server_does_not_look_at_keeps_nobody_out(world: World, server: Server) -> None:
    await world.execute(
        "internet",
        "INSERT INTO radcheck (username, attribute, op, value) VALUES ('acme', 'Expiration', ':=', '1 Jan 2020')",
    )
    server.code, server.replies = AccessAccept, PLAN
    assert (await switch(world, on=True)).proof is Proof.PROVEN
    server.code, server.replies = AccessReject, {}
    assert (await switch(world, on=True)).proof is Proof.FAILED


async def test_what_another_client_has_now_is_not_asked_about(world: World, server: Server) -> None:
    server.code, server.replies = AccessAccept, PLAN
    await switch(world, on=True)
    evidence = await world.internet.ensure(access_order("bolt", 1, [Access("acme", False, 1, 1)]))
    assert evidence.complete
    assert len(server.logins) == 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"radius_server": "127.0.0.1:1812"}, "needs CONNECT_RADIUS_SECRET"),
        ({"radius_secret": SECRET}, "needs CONNECT_RADIUS_SERVER as host:port"),
        ({"radius_secret": SECRET, "radius_server": "radius.example"}, "as host:port, not 'radius.example'"),
        ({"radius_secret": SECRET, "radius_server": "[::1:1812"}, "as host:port"),
    ],
)
def test_a_probe_that_lacks_a_setting_is_refused(settings: dict[str, str], words: str) -> None:
    dsns = dict.fromkeys(("directory", "telephony", "internet"), "postgresql://localhost/x")
    with pytest.raises(ValueError, match="CONNECT_PROBE_ACCOUNTS") as refused:
        RadiusProbe.of(settings_for(dsns, {"probe_accounts": True, **settings}))
    assert words in str(refused.value)
