"""A REGISTER of our own: what a telephone of the line would be told, and what that proves."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Self

import pytest
import pytest_asyncio

from activities.secrets import ha1, sip_password
from activities.telephony.sip_probe import Probe
from tests.activities.fixtures import DOMAIN, MASTER_KEY, ONE, TWO, World, lines
from tests.support.waiting import free_port
from workflows.domain.provisioning.standing import Proof

DATABASES = ("telephony",)
USER_ONE, USER_TWO = ONE.removeprefix("+"), TWO.removeprefix("+")
HEADERS = ("Via", "From", "To", "Call-ID", "CSeq")
CHALLENGES = 'Digest realm="sip.test", nonce="n2", algorithm=SHA-256', 'Digest realm="sip.test", nonce="n1", qop="auth"'


@dataclass
class Registrar(asyncio.DatagramProtocol):
    """Challenges, and answers with ``codes``, by number; 0 is silence. ``lost`` first packets are not heard."""

    codes: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    requests: list[str] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._transport.get_extra_info('sockname')[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        text = data.decode()
        self.requests.append(text)
        user = re.search(r"^From: <sip:(\d+)@", text, re.MULTILINE)
        assert user
        code = self.codes.get(user[1], 200)
        if len(self.requests) <= self.lost or not code:
            return
        headers = [line for line in text.splitlines() if line.partition(":")[0] in HEADERS]
        if "\r\nAuthorization: " not in text:
            code, headers = 401, [*headers, *(f"WWW-Authenticate: {challenge}" for challenge in CHALLENGES)]
        self._transport.sendto("\r\n".join([f"SIP/2.0 {code} Said", *headers, "", ""]).encode(), addr)


@pytest_asyncio.fixture
async def registrar(world: World) -> AsyncIterator[Registrar]:
    """Where the world's lines are probed, with ONE and TWO in service."""
    await world.telephony.ensure(lines("acme", 1, one=True, two=True))
    async with Registrar() as registrar:
        await world.open(limits={"probe_lines": True, "sip_server": registrar.address, "probe_seconds": 1.0})
        yield registrar


async def test_a_line_in_service_may_register_and_a_ceased_one_is_refused(world: World, registrar: Registrar) -> None:
    registrar.codes = {USER_TWO: 403}
    evidence = await world.telephony.ensure(lines("acme", 2, one=True, two=False))
    assert evidence.complete
    assert [finding.seen["register"] for finding in evidence.findings] == ["200", "403"]
    assert evidence.method.endswith("; a REGISTER without Contact")
    assert not any("\r\nContact:" in text for text in registrar.requests), "that would change its registrations"


async def test_the_password_is_proven_and_not_sent(world: World, registrar: Registrar) -> None:
    await world.telephony.ensure(lines("acme", 2, one=True))
    password = sip_password(MASTER_KEY, "acme", ONE, 1)
    digest = dict(re.findall(r'(\w+)="?([^",\s]+)', registrar.requests[-1].partition("Digest ")[2]))
    ours, what = ha1(USER_ONE, DOMAIN, password), ha1("REGISTER", "sip", DOMAIN)
    assert digest["nonce"] == "n1", "the challenge that asks for MD5"
    assert digest["response"] == ha1(f"{ours}:n1:00000001:{digest['cnonce']}", "auth", what)
    assert not any(password in text for text in registrar.requests)


async def test_what_is_lost_on_the_way_is_asked_again(world: World, registrar: Registrar) -> None:
    registrar.lost = 1
    assert (await world.telephony.ensure(lines("acme", 2, one=True))).complete


@pytest.mark.parametrize(
    ("code", "proof", "why"),
    [
        (0, Proof.NOT_PROVEN, "nobody answered our REGISTER"),
        (503, Proof.NOT_PROVEN, "a REGISTER was answered 503 instead of 403"),
        (200, Proof.FAILED, "a REGISTER was answered 200 instead of 403"),
        (401, Proof.FAILED, "a REGISTER was answered 401 instead of 403"),
    ],
)
async def test_another_answer_is_no_proof(
    world: World, registrar: Registrar, code: int, proof: Proof, why: str
) -> None:
    registrar.codes = {USER_TWO: code}
    one, two = (await world.telephony.ensure(lines("acme", 2, one=True, two=False))).findings
    assert (one.proof, two.proof) == (Proof.PROVEN, proof)
    assert why in two.why


async def test_where_nobody_listens_nothing_is_proven(world: World) -> None:
    await world.open(limits={"probe_lines": True, "sip_server": f"127.0.0.1:{free_port()}", "probe_seconds": 0.2})
    (found,) = (await world.telephony.ensure(lines("acme", 1, one=True))).findings
    assert (found.proof, found.seen["register"]) == (Proof.NOT_PROVEN, "no answer")


async def test_a_line_that_keeps_its_own_secret_is_not_probed_and_says_so(world: World, registrar: Registrar) -> None:
    await world.execute("telephony", "DELETE FROM subscriber")
    await world.execute("telephony", "DELETE FROM connect_fence")
    await world.brownfield_line(ONE)
    (found,) = (await world.telephony.ensure(lines("acme", 2, one=True))).findings
    assert found.proof is Proof.PROVEN
    assert found.seen["register"] == "not tried: the line has a secret of its own"
    assert registrar.requests == []


async def test_an_absent_line_needs_no_probe(world: World, registrar: Registrar) -> None:
    assert (await world.telephony.ensure(lines("acme", 2, three=False))).complete
    assert registrar.requests == []


@pytest.mark.parametrize("server", [None, "host:port", "a host", ""])
async def test_probing_needs_to_know_where(world: World, server: str | None) -> None:
    with pytest.raises(ValueError, match="CONNECT_SIP_SERVER"):
        await world.open(limits={"probe_lines": True, "sip_server": server})


@pytest.mark.parametrize(
    ("server", "host", "port"),
    [("pbx.example", "pbx.example", 5060), ("10.0.0.1:5070", "10.0.0.1", 5070), ("[::1]:5070", "::1", 5070)],
)
def test_a_server_may_be_named_in_every_usual_way(server: str, host: str, port: int) -> None:
    probe = Probe.of(server, DOMAIN, 1.0)
    assert (probe.host, probe.port) == (host, port)
