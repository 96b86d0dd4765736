"""Off is ended, not only denied: open sessions are ended by their NAS, and what a NAS does not say is not proven."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from activities.internet.nas import OF_ONE_NAS, NasFleet, Session, left_open, read_nases
from activities.internet.order import Access
from tests.activities.fixtures import World, access, settings_for
from tests.support.orders import access_look, access_order
from tests.support.router import NOT_REMOVABLE, SESSION_NOT_FOUND, Nas
from tests.support.waiting import eventually, free_port
from workflows.domain.provisioning.standing import Proof
from workflows.ports import Finding

DATABASES = ("internet",)

SECRET = "what we share with the NAS"
PAUSE = 0.1


@pytest_asyncio.fixture
async def nas(world: World) -> AsyncIterator[Nas]:
    """Access gear that the activities know. Nobody accounts for the end of its sessions: it is forgetful."""
    nobody = free_port()
    async with Nas(nobody, SECRET, free_port(), forgetful=True) as nas:
        await reopen(world, nas)
        yield nas


async def reopen(world: World, gear: Nas, **limits: object) -> None:
    known = json.dumps({gear.address: {"secret": SECRET, "port": gear.port}})
    usual = {"nas": known, "disconnect_seconds": 0.3, "disconnect_pause_seconds": PAUSE}
    await world.open(limits=usual | limits)


async def session(world: World, nas: Nas, name: str = "s1", account: str = "acme", begun: str = "now") -> None:
    """A session on the NAS that is accounted for, begun then."""
    nas.sessions[name] = account
    await world.execute(
        "internet",
        """INSERT INTO radacct (acctsessionid, acctuniqueid, username, nasipaddress, acctstarttime, acctupdatetime)
        VALUES ($1, $1, $2, $3::text::inet, $4::text::timestamptz, $4::text::timestamptz)""",
        *(name, account, nas.address, begun),
    )


async def closed(world: World, name: str) -> None:
    await world.execute("internet", "UPDATE radacct SET acctstoptime = now() WHERE acctuniqueid = $1", name)


async def rejected(world: World, account: str = "acme") -> bool:
    """Whether logins are rejected from now on."""
    return bool(await world.rows("internet", "SELECT FROM radcheck WHERE username = $1 AND value = 'Reject'", account))


async def switch(world: World, revision: int, *, on: bool, version: int = 1) -> Finding:
    evidence = await world.internet.ensure(access("acme", revision, on=on, version=version))
    (finding,) = evidence.findings
    assert not finding.why or finding.proof is not Proof.PROVEN
    return finding


def counted(finding: Finding) -> tuple[str, str, str]:
    return finding.seen["open_sessions"], finding.seen["disconnected"], finding.seen["disowned"]


async def test_an_open_session_is_ended_and_the_evidence_says_so(world: World, nas: Nas) -> None:
    await switch(world, 1, on=True)
    await session(world, nas, "s1")
    await session(world, nas, "s2", account="bolt")
    evidence = await world.internet.ensure(access("acme", 2, on=False))
    assert nas.sessions == {"s2": "bolt"}
    assert nas.asked == ["s1"]
    (finding,) = evidence.findings
    assert (finding.proof, counted(finding)) == (Proof.PROVEN, ("1", "1 by ACK", "1 by ACK"))
    assert "Disconnect-Requests" in evidence.method


async def test_what_is_counted_are_the_open_rows_and_how_many_of_them_their_nas_disowned(
    world: World, nas: Nas
) -> None:
    await reopen(world, nas, disconnect_pause_seconds=0.5)
    for name in ("s1", "s2", "s3"):
        await session(world, nas, name)
    del nas.sessions["s3"]
    order = asyncio.create_task(switch(world, 1, on=False))
    await eventually(lambda: len(nas.asked) == 3)
    await closed(world, "s1")
    assert counted(await order) == ("2", "2 by ACK, 1 not found", "1 by ACK, 1 not found")


async def test_a_session_of_an_account_that_stays_on_is_left_alone(world: World, nas: Nas) -> None:
    await switch(world, 1, on=True)
    await world.execute("internet", "UPDATE connect_fence SET changed_at = now() - interval '1 day'")
    await session(world, nas)
    evidence = await world.internet.ensure(access_order("acme", 2, [Access("acme", True, 5, 5)]))
    assert evidence.findings[0].seen["open_sessions"] == "1"
    assert "Disconnect-Requests" not in evidence.method
    assert nas.asked == []


async def test_a_nas_that_is_silent_leaves_it_unknown_until_it_answers(world: World, nas: Nas) -> None:
    await switch(world, 1, on=True)
    await session(world, nas)
    nas.mute = True
    finding = await switch(world, 2, on=False)
    assert (finding.proof, finding.in_service, finding.seen["login"]) == (Proof.NOT_PROVEN, False, "rejected")
    assert finding.why == ("NAS 127.0.0.2 did not answer the Disconnect-Request; session s1 may still be open")
    assert finding.seen["disconnected"] == "0"
    nas.mute = False
    assert (await switch(world, 2, on=False)).proof is Proof.PROVEN


async def test_a_nas_with_another_secret_is_as_silent_as_none(world: World, nas: Nas) -> None:
    await session(world, nas)
    nas.secret = "another"
    finding = await switch(world, 1, on=False)
    assert finding.proof is Proof.NOT_PROVEN
    assert "did not answer" in finding.why
    assert list(nas.sessions) == ["s1"]


async def test_a_nas_that_signs_its_answer_with_another_secret_is_not_believed(world: World, nas: Nas) -> None:
    class Impostor(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport, self.asked = transport, 0

        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            self.asked += 1
            for answer in (b"", b"?", bytes([41, data[1], 0, 20]) + bytes(16)):
                self.transport.sendto(answer, addr)

    await session(world, nas)
    await world.execute("internet", "UPDATE radacct SET nasipaddress = '127.0.0.3'")
    loop = asyncio.get_running_loop()
    transport, impostor = await loop.create_datagram_endpoint(Impostor, local_addr=("127.0.0.3", nas.port))
    try:
        await reopen(world, nas, nas=json.dumps({"127.0.0.0/8": {"secret": SECRET, "port": nas.port}}))
        assert (await switch(world, 1, on=False)).proof is Proof.NOT_PROVEN
        assert impostor.asked
    finally:
        transport.close()


async def test_a_session_that_the_nas_does_not_know_is_gone(world: World, nas: Nas) -> None:
    await session(world, nas, begun="2026-01-01")
    nas.sessions.clear()
    finding = await switch(world, 1, on=False)
    assert (finding.proof, counted(finding)) == (Proof.PROVEN, ("1", "1 not found", "1 not found"))


async def test_a_nas_that_must_sign_and_does_not_is_not_believed(world: World, nas: Nas) -> None:
    """Anybody on the way could acknowledge for it (CVE-2024-3596)."""
    await switch(world, 1, on=True)
    await session(world, nas)
    nas.signs = False
    gear = {"secret": SECRET, "port": nas.port, "message_authenticator": True}
    await reopen(world, nas, nas=json.dumps({nas.address: gear}))
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
        "NAS 127.0.0.2 refused the Disconnect-Request: Error-Cause 504, Session Context Not Removable; "
        "session s1 may still be open"
    )


async def test_a_nas_without_a_secret_is_not_proven_and_the_remedy_is_told(world: World, nas: Nas) -> None:
    await session(world, nas)
    await reopen(world, nas, nas='{"10.0.0.0/8": {"secret": "x"}}')
    finding = await switch(world, 1, on=False)
    assert finding.proof is Proof.NOT_PROVEN
    assert "no secret is known for NAS 127.0.0.2. Add it to CONNECT_NAS; session s1 may still be open" in finding.why
    assert nas.asked == []


async def test_a_session_that_ends_by_itself_meanwhile_needs_no_answer(world: World, nas: Nas) -> None:
    await session(world, nas)
    nas.mute = True
    order = asyncio.create_task(switch(world, 1, on=False))
    await eventually(lambda: nas.asked)
    await closed(world, "s1")
    finding = await order
    assert (finding.proof, finding.seen["open_sessions"]) == (Proof.PROVEN, "0")


async def test_a_session_that_shows_up_during_the_change_is_ended_in_the_second_round(world: World, nas: Nas) -> None:
    await reopen(world, nas, disconnect_pause_seconds=0.5)
    await session(world, nas, "s1")
    order = asyncio.create_task(switch(world, 1, on=False))
    await eventually(lambda: nas.asked)
    await session(world, nas, "s2")
    finding = await order
    assert nas.sessions == {}
    assert finding.seen["disconnected"] == "2 by ACK"
    assert nas.asked == ["s1", "s2"], "what is gone is not asked about again"


async def test_one_silent_nas_of_two_is_the_one_that_is_named(world: World, nas: Nas) -> None:
    await session(world, nas, "s1")
    await session(world, nas, "s2")
    await world.execute("internet", "UPDATE radacct SET nasipaddress = '10.9.9.9' WHERE acctuniqueid = 's2'")
    finding = await switch(world, 1, on=False)
    assert counted(finding) == ("2", "1 by ACK", "1 by ACK")
    assert "NAS 10.9.9.9. Add it to CONNECT_NAS; session s2" in finding.why
    assert "s1" not in finding.why


async def test_a_login_that_nobody_could_know_of_at_the_change_is_ended_in_the_second_round(
    world: World, nas: Nas
) -> None:
    await reopen(world, nas, disconnect_pause_seconds=0.5)
    await switch(world, 1, on=True)
    order = asyncio.create_task(switch(world, 2, on=False))
    await eventually(lambda: rejected(world))
    await session(world, nas)
    assert (await order).proof is Proof.PROVEN
    assert nas.sessions == {}


async def test_what_was_cut_by_an_attempt_that_died_just_now_has_its_second_round(world: World, nas: Nas) -> None:
    await switch(world, 1, on=True)
    await reopen(world, nas, disconnect_pause_seconds=20)
    died = asyncio.create_task(switch(world, 2, on=False))
    await eventually(lambda: rejected(world))
    died.cancel()
    await asyncio.gather(died, return_exceptions=True)
    for revision in (2, 3):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await switch(world, revision, on=False)


async def test_what_was_off_before_is_spared_the_pause(world: World, nas: Nas) -> None:
    await switch(world, 1, on=True)
    await switch(world, 2, on=False)
    await world.execute("internet", "UPDATE connect_fence SET changed_at = now() - interval '2 minutes'")
    await reopen(world, nas, disconnect_pause_seconds=20)
    order = access_order("acme", 3, [Access("acme", False, 5, 5), Access("unknown", False, 5, 5)])
    async with asyncio.timeout(5):
        assert (await world.internet.ensure(order)).complete


async def test_what_is_admitted_first_is_spared_the_pause_and_what_gets_another_secret_is_not(
    world: World, nas: Nas
) -> None:
    await reopen(world, nas, disconnect_pause_seconds=20)
    async with asyncio.timeout(5):
        await switch(world, 1, on=True)
        await switch(world, 2, on=True)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1):
            await switch(world, 3, on=True, version=2)


async def test_rotating_ends_the_sessions_of_the_old_secret_also_after_a_silent_attempt(world: World, nas: Nas) -> None:
    await switch(world, 1, on=True)
    await session(world, nas, "old")
    nas.mute = True
    finding = await switch(world, 2, on=True, version=2)
    assert (finding.proof, finding.in_service) == (Proof.NOT_PROVEN, True)
    assert "session old may still be open" in finding.why
    nas.mute = False
    await session(world, nas, "new", begun=(datetime.now(UTC) + timedelta(seconds=5)).isoformat())
    finding = await switch(world, 2, on=True, version=2)
    assert (finding.proof, counted(finding)) == (Proof.PROVEN, ("2", "1 by ACK", "1 by ACK"))
    assert nas.sessions == {"new": "acme"}


async def test_an_account_taken_over_by_another_client_loses_the_sessions_of_the_first(world: World, nas: Nas) -> None:
    await switch(world, 1, on=True)
    await session(world, nas)
    evidence = await world.internet.ensure(access_order("bolt", 1, [Access("acme", True, 1, 1)]))
    assert evidence.findings[0].seen["disconnected"] == "1 by ACK"
    assert nas.sessions == {}


async def test_an_account_from_before_connect_keeps_its_session(world: World, nas: Nas) -> None:
    await world.execute(
        "internet", "INSERT INTO radcheck (username, attribute, op, value) VALUES ('acme', 'NT-Password', ':=', 'abc')"
    )
    await session(world, nas, begun="2026-01-01")
    assert (await switch(world, 1, on=True)).proof is Proof.PROVEN
    assert nas.asked == []


async def test_a_late_attempt_ends_no_session_of_a_later_decision(world: World, nas: Nas) -> None:
    await reopen(world, nas, disconnect_pause_seconds=0.5)
    await switch(world, 1, on=True)
    await session(world, nas, "s1")
    late = asyncio.create_task(switch(world, 2, on=False))
    await eventually(lambda: nas.asked)
    await closed(world, "s1")
    await switch(world, 3, on=True)
    await session(world, nas, "s2")
    assert (await late).proof is Proof.NOT_PROVEN
    assert nas.asked == ["s1"]
    assert nas.sessions == {"s2": "acme"}


async def test_a_session_is_asked_about_by_the_name_that_the_nas_gave_it(world: World, nas: Nas) -> None:
    await session(world, nas, "a=2Bb=3D")  # as rlm_sql stores a+b=
    nas.sessions = {"a+b=": "acme"}
    assert (await switch(world, 1, on=False)).seen["disconnected"] == "1 by ACK"
    assert nas.sessions == {}


async def test_a_second_look_finds_what_is_admitted_or_alive_again(world: World, nas: Nas) -> None:
    await switch(world, 1, on=False)
    await session(world, nas, "stale", begun="2026-01-01")
    since = datetime.now(UTC) - timedelta(seconds=5)

    async def look() -> tuple[Proof, str]:
        evidence = await world.internet.observe(access_look("acme", 1, ["acme"], since))
        assert evidence.look
        (finding,) = evidence.findings
        return finding.proof, finding.why

    assert await look() == (Proof.PROVEN, "")
    await session(world, nas, "fresh")
    assert await look() == (Proof.FAILED, "session fresh on NAS 127.0.0.2 was alive since, or shortly before")
    await closed(world, "fresh")
    await world.execute("internet", "UPDATE radacct SET acctupdatetime = now() WHERE acctuniqueid = 'stale'")
    assert await look() == (Proof.FAILED, "session stale on NAS 127.0.0.2 was alive since, or shortly before")
    await closed(world, "stale")
    assert await look() == (Proof.PROVEN, "")
    await world.internet.ensure(access("acme", 2, on=True))
    await world.execute("internet", "UPDATE radcheck SET value = 'changed' WHERE attribute = 'Cleartext-Password'")
    assert await look() == (Proof.FAILED, "it is admitted again")
    await world.internet.ensure(access_order("bolt", 1, [Access("acme", True, 1, 1)]))
    assert await look() == (Proof.PROVEN, "")
    assert nas.asked == []


async def test_what_was_written_shortly_before_the_proof_may_have_been_late_and_counts_as_alive(
    world: World, nas: Nas
) -> None:
    since = (await world.internet.ensure(access("acme", 1, on=False))).at
    for seconds, proof in ((70, Proof.PROVEN), (50, Proof.FAILED)):
        await session(world, nas, f"{seconds}", begun=(since - timedelta(seconds=seconds)).isoformat())
        evidence = await world.internet.observe(access_look("acme", 1, ["acme"], since))
        assert [finding.proof for finding in evidence.findings] == [proof]
    assert evidence.findings[0].seen["open_sessions"] == "2"


@pytest.mark.parametrize("accounts", [["acme"], []])
async def test_evidence_has_the_time_of_the_database_that_was_read_last(
    world: World, nas: Nas, accounts: list[str]
) -> None:
    """A clock that is a year ahead, as only that database has it."""
    await world.execute(
        "internet",
        """CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql STABLE
        AS $$ SELECT pg_catalog.clock_timestamp() + interval '1 year' $$""",
    )
    name = world.dsns["internet"].rpartition("/")[2]
    await world.execute("internet", f'ALTER DATABASE "{name}" SET search_path = public, pg_catalog')
    await reopen(world, nas)
    order = access_order("acme", 1, [Access(account, True, 5, 5) for account in accounts])
    change = await world.internet.ensure(order)
    look = await world.internet.observe(access_look("acme", 1, accounts, change.at))
    assert datetime.now(UTC) + timedelta(days=360) < change.at < look.at


async def test_an_ack_of_what_was_alive_afterwards_is_not_believed_again_but_that_it_is_unknown_is(
    world: World, nas: Nas
) -> None:
    await session(world, nas)
    order = replace(access("acme", 1, on=False), revived=1)
    (finding,) = (await world.internet.ensure(order)).findings
    assert (finding.proof, counted(finding)) == (Proof.PROVEN, ("1", "1 not found", "1 not found"))
    assert nas.asked == ["s1", "s1"]
    await session(world, nas, "s2")
    nas.undead = True
    (finding,) = (await world.internet.ensure(order)).findings
    assert finding.proof is Proof.NOT_PROVEN
    assert finding.why == (
        "NAS 127.0.0.2 acknowledged the Disconnect-Request, but the session was seen alive afterwards; "
        "session s2 may still be open"
    )
    assert counted(finding) == ("2", "1 by ACK, 1 not found", "1 by ACK, 1 not found")


async def test_an_ack_is_proof_again_when_the_end_is_accounted_for(world: World, nas: Nas) -> None:
    await reopen(world, nas, disconnect_pause_seconds=0.5)
    await session(world, nas)
    nas.undead = True
    order = asyncio.create_task(world.internet.ensure(replace(access("acme", 1, on=False), revived=1)))
    await eventually(lambda: nas.asked)
    await closed(world, "s1")
    (finding,) = (await order).findings
    assert (finding.proof, counted(finding)) == (Proof.PROVEN, ("0", "1 by ACK", "0"))


# -- time -------------------------------------------------------------------------------------------------------------


async def stale_sessions(world: World, count: int, nas: str = "127.0.0.2") -> None:
    await world.execute(
        "internet",
        """INSERT INTO radacct (acctsessionid, acctuniqueid, username, nasipaddress, acctstarttime, acctupdatetime)
        SELECT 's' || i, $2 || ' s' || i, 'acme', $2::text::inet, '2026-01-01', '2026-01-01'
        FROM generate_series(1, $1) i""",
        *(count, nas),
    )


async def test_a_silent_nas_is_not_asked_one_by_one(world: World, nas: Nas) -> None:
    nas.mute = True
    await stale_sessions(world, 450)
    finding = await switch(world, 1, on=False)
    assert (finding.proof, finding.why) == (
        Proof.NOT_PROVEN,
        "NAS 127.0.0.2 did not answer the Disconnect-Request; 450 sessions may still be open",
    )
    assert len(set(nas.asked)) <= 2 * OF_ONE_NAS


async def test_a_nas_that_answers_is_asked_about_all_whatever_another_one_does(world: World, nas: Nas) -> None:
    await reopen(world, nas, nas=json.dumps({"127.0.0.0/8": {"secret": SECRET, "port": nas.port}}))
    await stale_sessions(world, 150)
    await stale_sessions(world, 150, "127.0.0.9")
    finding = await switch(world, 1, on=False)
    assert finding.seen["disowned"] == "150 not found"
    assert finding.why == "NAS 127.0.0.9 did not answer the Disconnect-Request; 150 sessions may still be open"


async def test_no_nas_is_waited_for_beyond_the_time_for_all(world: World, nas: Nas) -> None:
    await stale_sessions(world, 3)
    nas.mute = True
    fleet = NasFleet.of(world.settings)
    sessions = [Session(f"s{n}", f"s{n}", "acme", "127.0.0.2", None, None) for n in range(30)]
    fleet.seconds = 3600  # for each answer: whoever waited for one would be at it still
    outcomes = await fleet.disconnect(sessions, asyncio.get_running_loop().time() + 0.1)
    assert left_open(outcomes.values()) == [
        "NAS 127.0.0.2 had not answered when the time for all of them was up; 30 sessions may still be open"
    ]


@pytest.mark.parametrize(
    ("pause", "seconds", "fits"), [(0.5, 3, True), (18, 3, True), (0.5, 12, False), (20, 3, False)]
)
def test_two_rounds_must_fit_into_a_try(pause: float, seconds: float, fits: bool) -> None:
    dsns = dict.fromkeys(("directory", "telephony", "internet"), "postgresql://localhost/x")
    limits = {"disconnect_pause_seconds": pause, "disconnect_seconds": seconds}
    settings_for(dsns, limits)  # without access gear, nothing is asked
    with nullcontext() if fits else pytest.raises(ValueError, match="CONNECT_DISCONNECT_PAUSE_SECONDS"):
        settings_for(dsns, limits | {"nas": '{"10.0.0.1": {"secret": "hush"}}'})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("{", "CONNECT_NAS is not JSON"),
        ("[]", "CONNECT_NAS must be an object"),
        ('{"10.0.0": {"secret": "hush"}}', "CONNECT_NAS: '10.0.0' is no address or network"),
        ('{"10.0.0.1/8": {"secret": "hush"}}', "has host bits set"),
        ('{"10.0.0.1": {}}', "CONNECT_NAS: 10.0.0.1: secret Field required"),
        ('{"10.0.0.1": {"secret": ""}}', "CONNECT_NAS: 10.0.0.1: secret"),
        ('{"10.0.0.1": {"secret": "hush", "port": 0}}', "CONNECT_NAS: 10.0.0.1: port"),
        ('{"10.0.0.1": {"secret": "hush", "prot": 1}}', "CONNECT_NAS: 10.0.0.1: prot"),
        ('{"10.0.0.1": "hush"}', "CONNECT_NAS: 10.0.0.1: Input should be"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_key_and_without_its_secret(given: str, told: str) -> None:
    with pytest.raises(ValueError, match="CONNECT_NAS") as refused:
        read_nases(given)
    assert told in str(refused.value)
    assert "hush" not in str(refused.value)


def test_a_setting_has_the_usual_port_and_shows_no_secret() -> None:
    nases = read_nases('{"10.0.0.0/8": {"secret": "hush"}, "fd00::1": {"secret": "hush", "port": 1700}}')
    assert {str(network): nas.port for network, nas in nases.items()} == {"10.0.0.0/8": 3799, "fd00::1/128": 1700}
    assert "hush" not in repr(nases)


async def test_an_unknown_session_counts_as_gone_by_its_error_cause_alone(world: World, nas: Nas) -> None:
    await session(world, nas)
    nas.refuses = SESSION_NOT_FOUND
    assert (await switch(world, 1, on=False)).seen["disconnected"] == "1 not found"
