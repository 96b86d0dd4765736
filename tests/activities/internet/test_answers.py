"""What a NAS's answer proves of a session: the one table, in code and for operators."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from pyrad.packet import CoAACK, CoAPacket, DisconnectNAK

from activities.internet.answers import ERROR_CAUSES, SESSION_NOT_FOUND, Answer, meaning_of
from activities.internet.radius import dictionary
from tests.activities.fixtures import World, access
from tests.activities.internet.gear import SECRET, impatient, reopen, session, session_counts, switch
from tests.support.router import Nas
from workflows.domain.provisioning.standing import Proof

DATABASES = ("internet",)
DOCS = Path(__file__).parents[3] / "docs/systems.md"


@pytest.mark.parametrize("cause", [*ERROR_CAUSES, 599])
async def test_every_error_cause_means_what_the_table_says(world: World, nas: Nas, cause: int) -> None:
    answer: Answer = meaning_of(cause)
    await session(world, nas, begun="2026-01-01")
    nas.refuses = cause
    finding = await switch(world, 1, on=False)
    assert finding.proof is answer.proof
    if cause != SESSION_NOT_FOUND:
        assert f"Error-Cause {cause}, {answer.name}" in finding.why
        assert answer.remedy in finding.why
        assert nas.sessions


def test_operators_have_the_same_table() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for cause, answer in ERROR_CAUSES.items():
        (line,) = [line for line in text.splitlines() if line.startswith(f"| {cause} ")]
        assert answer.name in line
        assert f"*{answer.proof.value.replace('_', ' ')}*" in line
        assert answer.rfc in line


# -- not found, and heard of ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ago", "proof"), [(30, Proof.NOT_PROVEN), (500, Proof.NOT_PROVEN), (700, Proof.PROVEN)])
async def test_not_found_is_no_proof_until_an_interim_interval_has_passed(
    world: World, nas: Nas, ago: int, proof: Proof
) -> None:
    await session(world, nas, begun="2026-01-01")
    await update_sessions(world, ago)
    nas.refuses = SESSION_NOT_FOUND
    finding = await switch(world, 1, on=False)
    assert finding.proof is proof
    if proof is Proof.NOT_PROVEN:
        assert "does not find it (Error-Cause 503), and accounting heard of it" in finding.why
        assert "600 s, its Interim interval" in finding.why


INTERVALS = {
    "its reply rows": "INSERT INTO radreply (username, attribute, op, value) "
    "VALUES ('acme', 'Acct-Interim-Interval', ':=', '60')",
    "its group's": "WITH g AS (INSERT INTO radgroupreply (groupname, attribute, op, value) "
    "VALUES ('g', 'Acct-Interim-Interval', ':=', '60')) "
    "INSERT INTO radusergroup (username, groupname) VALUES ('acme', 'g')",
    "the gap that was seen": "UPDATE radacct SET acctinterval = 60",
}


@pytest.mark.parametrize("known", INTERVALS.values(), ids=INTERVALS)
async def test_the_interval_is_known_from(world: World, nas: Nas, known: str) -> None:
    await session(world, nas, begun="2026-01-01")
    await world.execute("internet", known)
    await update_sessions(world, 40)
    nas.refuses = SESSION_NOT_FOUND
    assert "60 s, its Interim interval" in (await switch(world, 1, on=False)).why
    await update_sessions(world, 70)
    assert (await switch(world, 2, on=False)).proof is Proof.PROVEN


NO_INTERVALS = {
    "an update for another reason": ("", "UPDATE radacct SET acctinterval = 1", 40, "600 s"),
    "an update that came early": (INTERVALS["its reply rows"], "UPDATE radacct SET acctinterval = 20", 40, "60 s"),
    "accounting that was away": ("", "UPDATE radacct SET acctinterval = 4000", 40, "600 s"),
    "less than what is observed": (INTERVALS["its reply rows"], "UPDATE radacct SET acctinterval = 300", 200, "300 s"),
}


@pytest.mark.parametrize(("accounted", "seen", "ago", "interval"), NO_INTERVALS.values(), ids=NO_INTERVALS)
async def test_no_interval_is(world: World, nas: Nas, accounted: str, seen: str, ago: int, interval: str) -> None:
    await session(world, nas, begun="2026-01-01")
    for sql in filter(None, (accounted, seen)):
        await world.execute("internet", sql)
    await update_sessions(world, ago)
    nas.refuses = SESSION_NOT_FOUND
    finding = await switch(world, 1, on=False)
    assert finding.proof is Proof.NOT_PROVEN
    assert f"{interval}, its Interim interval" in finding.why


async def test_or_else_it_is_a_setting(world: World, nas: Nas) -> None:
    await reopen(world, nas, interim_seconds=20)
    await session(world, nas, begun="2026-01-01")
    await update_sessions(world, 30)
    nas.refuses = SESSION_NOT_FOUND
    assert (await switch(world, 1, on=False)).proof is Proof.PROVEN


async def update_sessions(world: World, ago: int) -> None:
    await world.execute(
        "internet", "UPDATE radacct SET acctupdatetime = now() - make_interval(secs => $1::float8)", float(ago)
    )


# -- how a session is named -------------------------------------------------------------------------------------------


async def test_a_nas_that_wants_the_time_gets_it_unless_its_clock_is_wrong(world: World, nas: Nas) -> None:
    await session(world, nas, begun="2026-01-01")
    nas.wary = True
    gear = {"secret": SECRET, "port": nas.port, "event_timestamp": False}
    await reopen(world, nas, nas=json.dumps({nas.address: gear}))
    assert (await switch(world, 1, on=False)).seen["disconnected"] == "1 not found"
    await reopen(world, nas)
    assert (await switch(world, 2, on=False)).seen["disconnected"] == "1 by ACK"


NAMES = {
    "the name with realm, as it was accounted": ("username = 'acme@isp.example'", "acme@isp.example", {}),
    "the realm in a column of its own": ("realm = 'isp.example'", "acme@isp.example", {}),
    "a name of its own, though the row has a realm": ("realm = 'isp.example'", "acme", {}),
    "an address beside it": ("framedipaddress = '10.0.0.7'", "acme", {"Framed-IP-Address": "10.0.0.7"}),
    "an address that has changed since": ("framedipaddress = '10.0.0.7'", "acme", {"Framed-IP-Address": "10.0.0.8"}),
    "a device": ("callingstationid = '02-00-00-00-00-01'", "acme", {"Calling-Station-Id": "02-00-00-00-00-01"}),
}


@pytest.mark.parametrize(("row", "name", "more"), NAMES.values(), ids=NAMES)
async def test_a_session_is_named_as_its_nas_knows_it_by(
    world: World, nas: Nas, row: str, name: str, more: dict[str, str]
) -> None:
    await session(world, nas)
    await world.execute("internet", f"UPDATE radacct SET {row}")  # noqa: S608  # the test's
    nas.sessions["s1"], nas.knows = name, more
    assert (await switch(world, 1, on=False)).seen["disconnected"] == "1 by ACK"
    assert nas.sessions == {}


async def test_a_request_says_who_which_where_and_when(world: World, nas: Nas) -> None:
    await session(world, nas)
    await world.execute(
        "internet",
        """UPDATE radacct SET framedipaddress = '10.0.0.7', framedipv6prefix = '2001:db8::/64',
        callingstationid = '02-00-00-00-00-01'""",
    )
    requests: list[CoAPacket] = []
    nas.datagram_received = lambda data, addr: requests.append(  # type: ignore[method-assign]  # heard, not answered
        CoAPacket(packet=data, secret=SECRET.encode(), dict=dictionary())
    )
    with impatient(world):
        await switch(world, 1, on=False)
    request = requests[0]
    assert abs(request["Event-Timestamp"][0] - time.time()) < 300  # what a NAS takes (RFC 5176 section 6.3)
    named = {name: request[name][0] for name in request.keys()}  # noqa: SIM118  # a packet is no mapping
    named.pop("Message-Authenticator")
    named.pop("Event-Timestamp")
    assert named == {
        "User-Name": "acme",
        "Acct-Session-Id": "s1",
        "NAS-IP-Address": "127.0.0.2",
        "Framed-IP-Address": "10.0.0.7",
        "Framed-IPv6-Prefix": "2001:db8::/64",
        "Calling-Station-Id": "02-00-00-00-00-01",
    }


# -- what is no answer ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["another kind", "an Error-Cause of one octet"])
async def test_an_answer_that_is_none_proves_nothing(world: World, nas: Nas, kind: str) -> None:
    await session(world, nas, begun="2026-01-01")

    def answer(data: bytes, addr: Any) -> None:
        request = CoAPacket(packet=data, secret=SECRET.encode(), dict=dictionary())
        reply = request.CreateReply()
        if kind == "another kind":
            reply.code = CoAACK
        else:
            reply.code = DisconnectNAK
            reply[101] = [b"\xf7"]
        nas._transport.sendto(reply.ReplyPacket(), addr)

    nas.datagram_received = answer  # type: ignore[method-assign]  # another NAS
    finding = await switch(world, 1, on=False)
    assert finding.proof is not Proof.PROVEN
    assert ("an answer of another kind" if kind == "another kind" else "without an Error-Cause") in finding.why


async def test_an_ack_of_one_attempt_and_not_found_at_the_next_agree(world: World, nas: Nas) -> None:
    """A NAS that never accounts for an end: what it ended is not found, and nobody hears of it."""
    await session(world, nas, begun="2026-01-01")
    assert session_counts(await switch(world, 1, on=False)) == ("1", "1 by ACK", "1 by ACK")
    assert session_counts(await switch(world, 2, on=False)) == ("1", "1 not found", "1 not found")


async def test_a_session_of_an_ipv6_nas_is_asked_about_by_its_address(world: World) -> None:
    await world.open(limits={"nas": json.dumps({"::/0": {"secret": SECRET}}), "disconnect_seconds": 0.1})
    await world.execute(
        "internet",
        """INSERT INTO radacct (acctsessionid, acctuniqueid, username, nasipaddress, acctstarttime)
        VALUES ('s1', 's1', 'acme', '2001:db8::7', now())""",
    )
    (finding,) = (await world.internet.ensure(access("acme", 1, on=False))).findings
    assert finding.proof is Proof.NOT_PROVEN
    assert "NAS 2001:db8::7 did not answer" in finding.why
    reading = await world.internet.reader.sessions(["acme"])
    ((one,),) = reading[1].values()
    assert one.identities() == [{"User-Name": "acme", "Acct-Session-Id": "s1", "NAS-IPv6-Address": "2001:db8::7"}]
