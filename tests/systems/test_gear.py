"""Our requests about sessions, as FreeRADIUS reads them; and what somebody on the path forges is never evidence."""

import asyncio
import hashlib
import json
import secrets
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from activities.database import open_databases
from activities.directory.evidence import Evidences
from activities.internet.adapter import RadiusInternet
from activities.internet.nas import NasFleet, Outcome, read_nases
from activities.internet.order import Access
from activities.internet.sessions import Session
from activities.settings import Settings
from tests.support.accounting import START, Accounting
from tests.support.databases import fetch
from tests.support.orders import access_order
from tests.support.relay import Relay
from tests.support.waiting import HANGING, eventually, free_udp_port
from tests.systems.gear_radius import GearRadius
from tests.systems.service import KEY, Systems
from workflows.domain.provisioning.standing import Proof
from workflows.domain.systems import INTERNET, SystemInstance
from workflows.ports import Finding

RATES = ["WISPr-Bandwidth-Max-Down", "WISPr-Bandwidth-Max-Up", "Mikrotik-Rate-Limit"]
VLAN = ["Tunnel-Type", "Tunnel-Medium-Type", "Tunnel-Private-Group-Id"]
ACK, NAK, COA_ACK, COA_NAK = 41, 42, 44, 45
PATIENTLY, SHORTLY = 60.0, 0.4  # seconds for answers that come, and for such as do not count
SIGNATURE = 80


@pytest.fixture(scope="module")
def gear(systems: Systems, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GearRadius]:
    it = GearRadius(free_udp_port(), systems.secret, tmp_path_factory.mktemp("gear"))
    it.start()
    try:
        yield it
    finally:
        it.stop()


@dataclass
class Rig:
    """The adapter, in front of real FreeRADIUS and its database; its gear is another FreeRADIUS."""

    adapter: RadiusInternet
    accounting: Accounting
    gear: GearRadius
    dsn: str
    account: str = field(default_factory=lambda: f"gear-{secrets.token_hex(4)}")
    revision: int = 0

    async def order(self, *, on: bool, down: int = 100, up: int = 20, vlan: int | None = 110) -> Finding:
        self.revision += 1
        access = Access(self.account, on, down, up, vlan)
        evidence = await self.adapter.ensure(access_order(self.account, self.revision, [access]))
        (finding,) = evidence.findings
        return finding

    async def session(self, kind: str, **attributes: Any) -> str:
        """A session that is accounted for; it began when the account had its secret and its plan long since."""
        name = f"{kind}-{self.account}"
        assert await self.accounting.account(START, name, User_Name=self.account, **attributes)
        sql = "UPDATE connect_fence SET changed_at = '2025-01-01' WHERE client_id = $1 AND isfinite(changed_at)"
        await fetch(self.dsn, sql, self.account)
        return name

    def noted(self, kind: str, session: str) -> list[str]:
        """What the gear has decoded of requests of a kind about a session."""
        return [line for line in self.gear.requests if line.startswith(kind) and f'"{session}"' in line]


@pytest_asyncio.fixture
async def rig(systems: Systems, gear: GearRadius) -> AsyncIterator[Rig]:
    """Its account is on."""
    nas = {"127.0.0.1": {"secret": systems.secret, "port": gear.port, "coa": RATES + VLAN}}
    settings = Settings(
        directory_dsn=SecretStr(systems.server.dsn("connect", "connect")),
        telephony_dsn=SecretStr(systems.server.dsn("kamailio", "sip_prov")),
        internet_dsn=SecretStr(systems.server.dsn("radius", "radius_prov")),
        master_key=SecretStr(KEY),
        nas=SecretStr(json.dumps(nas)),
        attempt_seconds=10 * PATIENTLY,
        disconnect_seconds=PATIENTLY / 2,
        disconnect_pause_seconds=0.1,
    )
    for ready in (systems.freeradius.ready, lambda: listens(gear)):
        await eventually(ready)
    async with open_databases(settings) as databases:
        instance = databases.instances.instances[SystemInstance(INTERNET)]
        adapter = RadiusInternet.of(instance, databases, Evidences(databases.directory, 5))
        accounting = Accounting(systems.freeradius.port + 1, systems.secret, {"NAS-IP-Address": "127.0.0.1"})
        rig = Rig(adapter, accounting, gear, systems.server.dsn("radius"))
        await rig.order(on=True)
        yield rig


def listens(gear: GearRadius) -> bool:
    """Whether it has read its configuration: then it says so."""
    assert gear.running, gear.log.read_text(encoding="utf-8", errors="replace")
    return "Ready to process requests" in gear.log.read_text(encoding="utf-8", errors="replace")


# -- read by another implementation -----------------------------------------------------------------------------------


async def test_a_change_of_rates_and_vlan_is_decoded_as_it_is_meant_and_the_session_goes_on(rig: Rig) -> None:
    session = await rig.session("s", Framed_IP_Address="10.0.0.7", Calling_Station_Id="02-00-00-00-00-01")
    finding = await rig.order(on=True, down=50, up=10, vlan=120)
    assert (finding.proof, finding.seen["plan"]) == (Proof.PROVEN, "1 changed on the living session")
    (line,) = rig.noted("CoA-Request", session)
    for pair in (
        f'User-Name = "{rig.account}"',
        f'Acct-Session-Id = "{session}"',
        "NAS-IP-Address = 127.0.0.1",
        "Framed-IP-Address = 10.0.0.7",
        'Calling-Station-Id = "02-00-00-00-00-01"',
        "Tunnel-Type:1 = VLAN",
        "Tunnel-Medium-Type:1 = IEEE-802",
        'Tunnel-Private-Group-Id:1 = "120"',
        "WISPr-Bandwidth-Max-Down = 50000000",
        "WISPr-Bandwidth-Max-Up = 10000000",
        'Mikrotik-Rate-Limit = "10M/50M"',
        "Event-Timestamp = ",
        "Message-Authenticator = ",
    ):
        assert pair in line
    assert rig.noted("Disconnect-Request", session) == []


async def test_gear_that_refuses_the_change_ends_the_session_and_the_evidence_says_both(rig: Rig) -> None:
    session = await rig.session("stiff")
    finding = await rig.order(on=True, down=50)
    assert finding.proof is Proof.PROVEN
    assert finding.seen["plan"].startswith("1 of 1 disconnected instead (NAS 127.0.0.1 refused the CoA-Request: ")
    assert "Error-Cause 401, Unsupported Attribute" in finding.seen["plan"]
    assert finding.seen["disconnected"] == "1 by ACK"
    (line,) = rig.noted("Disconnect-Request", session)
    assert "WISPr" not in line
    assert "Tunnel" not in line


@pytest.mark.parametrize(
    ("kind", "proof", "word"),
    [
        ("s", Proof.PROVEN, ""),
        ("gone", Proof.NOT_PROVEN, "does not find it (Error-Cause 503)"),
        ("kept", Proof.FAILED, "Error-Cause 504, Session Context Not Removable"),
    ],
)
async def test_what_it_says_to_a_disconnect_is_read_as_it_is_meant(
    rig: Rig, kind: str, proof: Proof, word: str
) -> None:
    session = await rig.session(kind)
    finding = await rig.order(on=False)
    assert (finding.proof, word in finding.why) == (proof, True)
    assert f'User-Name = "{rig.account}", Acct-Session-Id = "{session}"' in rig.noted("Disconnect-Request", session)[0]


# -- somebody on the path ---------------------------------------------------------------------------------------------


@dataclass
class Forger:
    """He says what he likes in place of an answer. He knows the secret here, so that his Response Authenticators are
    right where he wants them to be: that is what a collision of MD5 gives him (CVE-2024-3596)."""

    secret: bytes
    code: int
    right: bool = True
    signature: str = "none"
    request: bytes = b""
    received: list[bytes] = field(default_factory=list)

    def hears(self, request: bytes) -> tuple[bytes, ...]:
        self.request = request
        return (request,)

    def answers(self, answer: bytes) -> tuple[bytes, ...]:
        self.received.append(answer)
        return (self.forged(),)

    def forged(self) -> bytes:
        body = b"" if self.code in (ACK, COA_ACK) else bytes((101, 6)) + (503).to_bytes(4, "big")
        if self.signature == "wrong":
            body += bytes((SIGNATURE, 18)) + secrets.token_bytes(16)
        head = bytes((self.code, self.request[1])) + (20 + len(body)).to_bytes(2, "big")
        vector = hashlib.md5(head + self.request[4:20] + body + self.secret, usedforsecurity=False).digest()
        return head + (vector if self.right else secrets.token_bytes(16)) + body


SESSION = Session("s", "kept-stiff", "acme", "127.0.0.1", started=0.0, updated=None)
FORGERIES: dict[str, dict[str, Any]] = {
    "without a signature": {},
    "with a wrong signature": {"signature": "wrong"},
    "with a wrong authenticator": {"right": False},
}


@asynccontextmanager
async def in_the_middle(systems: Systems, gear: GearRadius, *, signs: bool) -> AsyncIterator[tuple[Relay, NasFleet]]:
    """Somebody between us and gear, which need sign only if it ``signs``."""
    async with Relay(("127.0.0.1", gear.port)) as relay:
        nas = {"secret": systems.secret, "port": relay.port, "coa": RATES, "message_authenticator": signs}
        await eventually(lambda: listens(gear))
        yield relay, NasFleet(read_nases(json.dumps({"127.0.0.1": nas})), SHORTLY)


async def outcomes_of(fleet: NasFleet, session: Session = SESSION) -> tuple[Outcome, Outcome]:
    """The outcomes of a Disconnect-Request and a CoA-Request about a session."""
    until = asyncio.get_running_loop().time() + HANGING
    change = {session.key: (session, {"Mikrotik-Rate-Limit": "1M/1M"})}
    ended, changed = await asyncio.gather(fleet.disconnect([session], until, time.time()), fleet.change(change, until))
    return ended[session.key], changed[session.key]


@pytest.mark.parametrize("how", FORGERIES.values(), ids=FORGERIES)
async def test_what_he_forges_is_no_evidence(systems: Systems, gear: GearRadius, how: dict[str, Any]) -> None:
    """Any code, and none of them: the gear neither ends the session nor changes it."""

    async def forged(code: int) -> tuple[Outcome, Outcome]:
        forger = Forger(systems.secret.encode(), code, **how)
        async with in_the_middle(systems, gear, signs=True) as (relay, fleet):
            relay.request, relay.answer = forger.hears, forger.answers
            while not forger.received:
                outcomes = await outcomes_of(fleet)
        return outcomes

    for ended, changed in await asyncio.gather(*map(forged, [ACK, NAK, COA_ACK, COA_NAK, 2, 3, 5])):
        assert (ended.proof, ended.how) == (Proof.NOT_PROVEN, "")
        assert changed.how == ""
        assert not changed.gone


@pytest.mark.parametrize("how", [{"signature": "wrong"}, {"right": False}], ids=["signature", "authenticator"])
async def test_what_is_wrong_is_no_evidence_of_gear_that_need_not_sign_either(
    systems: Systems, gear: GearRadius, how: dict[str, Any]
) -> None:
    for code in (ACK, COA_ACK):
        forger = Forger(systems.secret.encode(), code, **how)
        async with in_the_middle(systems, gear, signs=False) as (relay, fleet):
            relay.request, relay.answer = forger.hears, forger.answers
            while not forger.received:
                ended, changed = await outcomes_of(fleet)
        assert (ended.proof, changed.gone) == (Proof.NOT_PROVEN, False)


async def test_a_signature_that_belongs_to_no_request_counts_as_none(systems: Systems, gear: GearRadius) -> None:
    """As FreeRADIUS 3 makes them. Such an answer counts where gear need not sign (above), and here it does not."""
    async with in_the_middle(systems, gear, signs=True) as (_, fleet):
        outcomes = list[Outcome]()
        while not outcomes or any("not answer" in outcome.why for outcome in outcomes[-2:]):
            outcomes += await outcomes_of(fleet, replace(SESSION, session="s"))
    assert not any(outcome.gone for outcome in outcomes)
    assert outcomes[-2].proof is Proof.NOT_PROVEN
    assert all("without Message-Authenticator" in outcome.why for outcome in outcomes[-2:])


async def test_an_answer_of_an_earlier_exchange_is_no_evidence(systems: Systems, gear: GearRadius) -> None:
    """Neither that to another session's end, nor that to the same session's, under the number of the new request."""
    async with in_the_middle(systems, gear, signs=False) as (relay, fleet):
        real, received, number = list[bytes](), list[bytes](), bytearray(1)

        def noted(answer: bytes) -> tuple[bytes, ...]:
            real.append(answer)
            return (answer,)

        relay.answer = noted
        other_session, fleet.seconds = replace(SESSION, key="o", session="other"), PATIENTLY
        ended, changed = await outcomes_of(fleet, other_session)
        assert ended.gone
        assert changed.gone
        assert {answer[0] for answer in real} == {ACK, COA_ACK}

        def remembered(request: bytes) -> tuple[bytes, ...]:
            number[:] = request[1:2]
            return (request,)

        def replayed(answer: bytes) -> tuple[bytes, ...]:
            received.append(answer)
            return (*real, *(answer[:1] + bytes(number) + answer[2:] for answer in real))

        relay.request, relay.answer, fleet.seconds = remembered, replayed, SHORTLY
        for session in (other_session, SESSION):
            received.clear()
            while not received:
                ended, changed = await outcomes_of(fleet, session)
            assert (ended.proof, ended.how, changed.gone) == (Proof.NOT_PROVEN, "", False)


async def test_an_answer_from_another_port_is_no_evidence(systems: Systems, gear: GearRadius) -> None:
    """It is the right one, but for where it comes from."""
    received = list[int]()
    async with in_the_middle(systems, gear, signs=False) as (relay, fleet):
        with socket.socket(type=socket.SOCK_DGRAM) as elsewhere:
            elsewhere.bind(("127.0.0.1", 0))

            def diverted(answer: bytes) -> tuple[bytes, ...]:
                received.append(answer[0])
                for client in relay.clients:
                    elsewhere.sendto(answer, client)
                return ()

            relay.answer = diverted
            while not {ACK, COA_ACK} <= {*received}:
                ended, changed = await outcomes_of(fleet, replace(SESSION, session="s"))
    assert (ended.proof, changed.gone) == (Proof.NOT_PROVEN, False)
