"""What access gear answers to a Disconnect-Request, and what that proves; and the settings that name it."""

import asyncio
import json
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from activities.internet.nas import OF_ONE_NAS, NasFleet, left_open, read_nases
from activities.internet.sessions import Session
from tests.activities.fixtures import World, access, settings_for
from tests.activities.internet.gear import SECRET, closed, impatient, reopen, session, session_counts, silent, switch
from tests.support.router import NOT_REMOVABLE, SESSION_NOT_FOUND, Nas
from workflows.domain.provisioning.standing import Proof

DATABASES = ("internet",)


async def test_a_nas_that_is_silent_leaves_it_unknown_until_it_answers(world: World, nas: Nas) -> None:
    await switch(world, 1, on=True)
    await session(world, nas)
    with silent(world, nas):
        finding = await switch(world, 2, on=False)
    assert (finding.proof, finding.in_service, finding.seen["login"]) == (Proof.NOT_PROVEN, False, "rejected")
    assert finding.why == ("NAS 127.0.0.2 did not answer the Disconnect-Request; session s1 may still be open")
    assert finding.seen["disconnected"] == "0"
    assert (await switch(world, 2, on=False)).proof is Proof.PROVEN


async def test_a_nas_with_another_secret_is_as_silent_as_none(world: World, nas: Nas) -> None:
    await session(world, nas)
    nas.secret = "another"
    with impatient(world):
        finding = await switch(world, 1, on=False)
    assert finding.proof is Proof.NOT_PROVEN
    assert "did not answer" in finding.why
    assert list(nas.sessions) == ["s1"]


async def test_a_nas_that_signs_its_answer_with_another_secret_is_not_believed(world: World, nas: Nas) -> None:
    class Impostor(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport, self.disconnects = transport, 0

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            self.disconnects += 1
            for answer in (b"", b"?", bytes([41, data[1], 0, 20]) + bytes(16)):
                self.transport.sendto(answer, addr)

    await session(world, nas)
    await world.execute("internet", "UPDATE radacct SET nasipaddress = '127.0.0.3'")
    loop = asyncio.get_running_loop()
    transport, impostor = await loop.create_datagram_endpoint(Impostor, local_addr=("127.0.0.3", nas.port))
    try:
        await reopen(world, nas, nas=json.dumps({"127.0.0.0/8": {"secret": SECRET, "port": nas.port}}))
        with impatient(world):
            assert (await switch(world, 1, on=False)).proof is Proof.NOT_PROVEN
        assert impostor.disconnects
    finally:
        transport.close()


async def test_a_session_that_the_nas_does_not_know_is_gone(world: World, nas: Nas) -> None:
    await session(world, nas, begun="2026-01-01")
    nas.sessions.clear()
    finding = await switch(world, 1, on=False)
    assert (finding.proof, session_counts(finding)) == (Proof.PROVEN, ("1", "1 not found", "1 not found"))


async def test_a_nas_that_must_sign_and_does_not_is_not_believed(world: World, nas: Nas) -> None:
    """Anybody on the way could acknowledge for it (CVE-2024-3596)."""
    await switch(world, 1, on=True)
    await session(world, nas)
    nas.signs = False
    gear = {"secret": SECRET, "port": nas.port, "message_authenticator": True}
    await reopen(world, nas, nas=json.dumps({nas.address: gear}))
    with impatient(world, 1):
        finding = await switch(world, 2, on=False)
    assert finding.proof is Proof.NOT_PROVEN
    assert "without Message-Authenticator" in finding.why
    nas.signs = True
    nas.sessions["s1"] = "acme"
    assert (await switch(world, 3, on=False)).proof is Proof.PROVEN


async def test_a_nas_that_refuses_has_failed_and_its_reason_is_told(world: World, nas: Nas) -> None:
    await session(world, nas)
    nas.refuses = NOT_REMOVABLE
    finding = await switch(world, 1, on=False)
    assert finding.proof is Proof.FAILED
    assert finding.why == (
        "NAS 127.0.0.2 refused the Disconnect-Request: Error-Cause 504, Session Context Not Removable. "
        "End it there; session s1 may still be open"
    )


async def test_a_nas_without_a_secret_is_not_proven_and_the_remedy_is_told(world: World, nas: Nas) -> None:
    await session(world, nas)
    await reopen(world, nas, nas='{"10.0.0.0/8": {"secret": "x"}}')
    finding = await switch(world, 1, on=False)
    assert finding.proof is Proof.NOT_PROVEN
    assert "no secret is known for NAS 127.0.0.2. Add it to CONNECT_NAS; session s1 may still be open" in finding.why
    assert nas.disconnects == []


async def test_one_silent_nas_of_two_is_the_one_that_is_named(world: World, nas: Nas) -> None:
    await session(world, nas, "s1")
    await session(world, nas, "s2")
    await world.execute("internet", "UPDATE radacct SET nasipaddress = '10.9.9.9' WHERE acctuniqueid = 's2'")
    finding = await switch(world, 1, on=False)
    assert session_counts(finding) == ("2", "1 by ACK", "1 by ACK")
    assert "NAS 10.9.9.9. Add it to CONNECT_NAS; session s2" in finding.why
    assert "s1" not in finding.why


async def test_a_session_is_asked_about_by_the_name_that_the_nas_gave_it(world: World, nas: Nas) -> None:
    await session(world, nas, "a=2Bb=3D")  # as rlm_sql stores a+b=
    nas.sessions = {"a+b=": "acme"}
    assert (await switch(world, 1, on=False)).seen["disconnected"] == "1 by ACK"
    assert nas.sessions == {}


async def test_an_ack_of_what_was_alive_afterwards_is_not_believed_again_but_that_it_is_unknown_is(
    world: World, nas: Nas
) -> None:
    await session(world, nas, begun="2026-01-01")
    order = replace(access("acme", 1, on=False), revived=1)
    (finding,) = (await world.internet.ensure(order)).findings
    assert (finding.proof, session_counts(finding)) == (Proof.PROVEN, ("1", "1 not found", "1 not found"))
    assert nas.disconnects == ["s1", "s1"]
    await session(world, nas, "s2")
    nas.undead = True
    (finding,) = (await world.internet.ensure(order)).findings
    assert finding.proof is Proof.NOT_PROVEN
    assert finding.why == (
        "NAS 127.0.0.2 acknowledged the Disconnect-Request, but the session was seen alive afterwards; "
        "session s2 may still be open"
    )
    assert session_counts(finding) == ("2", "1 by ACK, 1 not found", "1 by ACK, 1 not found")


DENIALS: dict[str, tuple[dict[str, Any], str, str]] = {
    "it acknowledged the end": ({"undead": True}, "now", "acknowledged the Disconnect-Request"),
    "it did not know the session": ({"refuses": SESSION_NOT_FOUND}, "2026-01-01", "did not know it"),
}


@pytest.mark.parametrize("closed_then", [False, True], ids=["and goes on", "and is closed"])
@pytest.mark.parametrize(("mood", "begun", "why"), DENIALS.values(), ids=DENIALS)
async def test_what_accounting_hears_of_after_its_nas_said_that_it_is_gone_is_not_proven_until_it_is_closed(
    world: World, nas: Nas, mood: dict[str, Any], begun: str, why: str, closed_then: bool
) -> None:
    async def heard_of() -> None:
        await world.execute("internet", "UPDATE radacct SET acctupdatetime = now()")
        if closed_then:
            await closed(world, "s1")

    await session(world, nas, begun=begun)
    for name, value in mood.items():
        setattr(nas, name, value)
    nas.meanwhile = heard_of
    finding = await switch(world, 1, on=False)
    if closed_then:
        assert (finding.proof, nas.disconnects) == (Proof.PROVEN, ["s1"])
    else:
        assert finding.proof is Proof.NOT_PROVEN
        assert why in finding.why or "does not find it (Error-Cause 503), and accounting heard of it" in finding.why
        assert nas.disconnects == ["s1", "s1"]


async def test_an_ack_is_proof_again_when_the_end_is_accounted_for(world: World, nas: Nas) -> None:
    await session(world, nas)
    nas.undead, nas.meanwhile = True, partial(closed, world, "s1")
    (finding,) = (await world.internet.ensure(replace(access("acme", 1, on=False), revived=1))).findings
    assert (finding.proof, session_counts(finding)) == (Proof.PROVEN, ("0", "1 by ACK", "0"))


async def stale_sessions(world: World, count: int, nas: str = "127.0.0.2") -> None:
    await world.execute(
        "internet",
        """INSERT INTO radacct (acctsessionid, acctuniqueid, username, nasipaddress, acctstarttime, acctupdatetime)
        SELECT 's' || i, $2 || ' s' || i, 'acme', $2::text::inet, '2026-01-01', '2026-01-01'
        FROM generate_series(1, $1) i""",
        *(count, nas),
    )


async def test_a_silent_nas_is_not_asked_one_by_one(world: World, nas: Nas) -> None:
    await stale_sessions(world, 450)
    with silent(world, nas):
        finding = await switch(world, 1, on=False)
    assert (finding.proof, finding.why) == (
        Proof.NOT_PROVEN,
        "NAS 127.0.0.2 did not answer the Disconnect-Request; 450 sessions may still be open",
    )
    assert len(set(nas.disconnects)) <= 2 * OF_ONE_NAS


async def test_a_nas_that_answers_is_asked_about_all_whatever_another_one_does(world: World, nas: Nas) -> None:
    await reopen(world, nas, nas=json.dumps({"127.0.0.0/8": {"secret": SECRET, "port": nas.port}}))
    await stale_sessions(world, 150)
    await stale_sessions(world, 150, "127.0.0.9")
    with impatient(world, 2):
        finding = await switch(world, 1, on=False)
    assert finding.seen["disowned"] == "150 not found"
    assert finding.why == "NAS 127.0.0.9 did not answer the Disconnect-Request; 150 sessions may still be open"


async def test_no_nas_is_waited_for_beyond_the_time_for_all(world: World, nas: Nas) -> None:
    await stale_sessions(world, 3)
    nas.mute = True
    fleet = NasFleet.of(world.settings)
    sessions = [Session(f"s{n}", f"s{n}", "acme", "127.0.0.2", None, None) for n in range(30)]
    fleet.seconds = 3600  # for each answer: whoever waited for one would be at it still
    outcomes = await fleet.disconnect(sessions, asyncio.get_running_loop().time() + 0.1, at=0)
    assert left_open(outcomes.values()) == [
        "NAS 127.0.0.2 had not answered when the time for all of them was up; 30 sessions may still be open"
    ]


@pytest.mark.parametrize(
    ("pause", "seconds", "fits"), [(0.5, 3, True), (18, 3, True), (0.5, 12, False), (20, 3, False)]
)
def test_two_rounds_must_fit_into_a_try(pause: float, seconds: float, fits: bool) -> None:
    dsns = dict.fromkeys(("directory", "telephony", "internet"), "postgresql://localhost/x")
    limits = {"attempt_seconds": 120, "disconnect_pause_seconds": pause, "disconnect_seconds": seconds}
    settings_for(dsns, limits)  # without access gear, nothing is asked
    with nullcontext() if fits else pytest.raises(ValueError, match="CONNECT_DISCONNECT_PAUSE_SECONDS"):
        settings_for(dsns, limits | {"nas": '{"10.0.0.1": {"secret": "hush"}}'})


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("{", "CONNECT_NAS is not JSON"),
        ("[]", "CONNECT_NAS must be an object"),
        ('{"10.0.0": {"secret": "hush"}}', "CONNECT_NAS: '10.0.0' is no address or network"),
        ('{"10.0.0.1/8": {"secret": "hush"}}', "has host bits set"),
        ('{"10.0.0.1": {}}', "CONNECT_NAS: 10.0.0.1: secret is missing"),
        ('{"10.0.0.1": {"secret": ""}}', "CONNECT_NAS: 10.0.0.1: secret"),
        ('{"10.0.0.1": {"secret": "hush", "port": 0}}', "CONNECT_NAS: 10.0.0.1: port"),
        ('{"10.0.0.1": {"secret": "hush", "prot": 1}}', "CONNECT_NAS: 10.0.0.1: There is no field prot"),
        ('{"10.0.0.1": "hush"}', "CONNECT_NAS: 10.0.0.1: it is not a JSON object"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_key_and_without_its_secret(setting: str, words: str) -> None:
    with pytest.raises(ValueError, match="CONNECT_NAS") as refused:
        read_nases(setting)
    assert words in str(refused.value)
    assert "hush" not in str(refused.value)


def test_a_setting_has_the_usual_port_and_shows_no_secret() -> None:
    nases = read_nases('{"10.0.0.0/8": {"secret": "hush"}, "fd00::1": {"secret": "hush", "port": 1700}}')
    assert {str(network): nas.port for network, nas in nases.items()} == {"10.0.0.0/8": 3799, "fd00::1/128": 1700}
    assert "hush" not in repr(nases)


async def test_an_unknown_session_counts_as_gone_by_its_error_cause_alone(world: World, nas: Nas) -> None:
    await session(world, nas, begun="2026-01-01")
    nas.refuses = SESSION_NOT_FOUND
    assert (await switch(world, 1, on=False)).seen["disconnected"] == "1 not found"
