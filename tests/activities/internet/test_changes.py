"""A change of rates or VLAN reaches sessions that live, where their gear takes it (RFC 5176 CoA-Request)."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from activities.internet.nas import read_nases
from activities.internet.order import Access
from activities.internet.radius import TRIES
from tests.activities.fixtures import World, access
from tests.activities.internet.gear import SECRET, closed, reopen, session, silent, switch
from tests.support.orders import access_order
from tests.support.router import (
    NOT_REMOVABLE,
    SESSION_NOT_FOUND,
    UNSUPPORTED_ATTRIBUTE,
    UNSUPPORTED_EXTENSION,
    Nas,
)
from tests.support.waiting import eventually
from workflows.domain.provisioning.standing import Proof
from workflows.ports import Finding, Life

DATABASES = ("internet",)

MIKROTIK = ["Mikrotik-Rate-Limit"]
WISPR = ["WISPr-Bandwidth-Max-Down", "WISPr-Bandwidth-Max-Up"]
VLAN = ["Tunnel-Type", "Tunnel-Medium-Type", "Tunnel-Private-Group-Id"]
CHANGED = "1 changed on the living session"


async def open_with(world: World, nas: Nas, takes: list[str], **limits: object) -> None:
    """The NAS takes these attributes, and we know it. The account is on, with a session from before."""
    nas.changes = frozenset(takes)
    gear = {nas.address: {"secret": SECRET, "port": nas.port, "coa": takes}}
    await reopen(world, nas, nas=json.dumps(gear), **limits)
    await world.internet.ensure(access("acme", 1, on=True))
    await world.execute("internet", "UPDATE connect_fence SET changed_at = '2025-01-01'")  # its secret is from then
    await session(world, nas, begun="2026-01-01")


async def change(world: World, revision: int, down: int = 50, up: int = 10, vlan: int | None = 110) -> Finding:
    evidence = await world.internet.ensure(access_order("acme", revision, [Access("acme", True, down, up, vlan)]))
    (finding,) = evidence.findings
    return finding


GEAR: dict[str, tuple[list[str], dict[str, Any]]] = {
    "one attribute": (MIKROTIK, {"Mikrotik-Rate-Limit": "10M/50M"}),
    "two": (WISPR, {"WISPr-Bandwidth-Max-Down": 50_000_000, "WISPr-Bandwidth-Max-Up": 10_000_000}),
    "all, with the VLAN": (MIKROTIK + WISPR + VLAN, {"Tunnel-Private-Group-Id": "110", "Tunnel-Type": 13}),
}


@pytest.mark.parametrize(("takes", "plan"), GEAR.values(), ids=GEAR)
async def test_new_rates_reach_the_living_session_with_what_its_gear_takes(
    world: World, nas: Nas, takes: list[str], plan: dict[str, Any]
) -> None:
    await open_with(world, nas, takes)
    finding = await change(world, 2)
    assert (finding.proof, finding.seen["plan"]) == (Proof.PROVEN, CHANGED)
    assert nas.plans["s1"].keys() == set(takes)
    assert plan.items() <= nas.plans["s1"].items()
    assert (nas.disconnects, nas.sessions) == ([], {"s1": "acme"})
    assert finding.seen["open_sessions"] == "1"


async def test_a_session_that_shows_up_in_the_second_round_is_not_said_to_have_the_new_rates(
    world: World, nas: Nas
) -> None:
    """Its login was answered before, and it was accounted for late."""
    await open_with(world, nas, MIKROTIK)
    world.internet.fleet.seconds = 2
    nas.mute = True
    order = asyncio.create_task(change(world, 2))
    await eventually(lambda: len(nas.disconnects) == TRIES)  # the first round is over
    nas.mute, nas.meanwhile = False, partial(session, world, nas, "s2", begun="2026-01-01")
    finding = await order
    assert "s2" not in nas.plans
    assert (finding.proof, "session s2 on NAS 127.0.0.2 began meanwhile" in finding.why) == (Proof.NOT_PROVEN, True)
    finding = await change(world, 2)
    assert (finding.proof, nas.plans["s2"]) == (Proof.PROVEN, nas.plans["s1"])


async def test_the_same_rates_send_nothing(world: World, nas: Nas) -> None:
    await open_with(world, nas, MIKROTIK)
    await change(world, 2)
    before = len(nas.changes_requested)
    for revision in (2, 3):
        assert "plan" not in (await change(world, revision)).seen
    await switch(world, 4, on=False)
    assert len(nas.changes_requested) == before
    assert nas.sessions == {}


async def test_an_account_that_was_off_and_has_no_session_sends_nothing(world: World, nas: Nas) -> None:
    await open_with(world, nas, MIKROTIK)
    await switch(world, 2, on=False)
    await closed(world, "s1")
    await change(world, 3)
    assert nas.changes_requested == []


@pytest.mark.parametrize("while_off", [False, True], ids=["set before", "set while it is off"])
async def test_a_session_that_outlives_a_suspension_has_the_rates_with_which_its_account_comes_back(
    world: World, nas: Nas, *, while_off: bool
) -> None:
    """Its NAS was silent to every request: the suspension was never proven."""
    await open_with(world, nas, MIKROTIK)
    orders = [Access("acme", on, 50, 10, 110) for on in (False, True)]
    with silent(world, nas):
        assert while_off or (await change(world, 2)).proof is Proof.NOT_PROVEN
        evidence = await world.internet.ensure(access_order("acme", 3, orders[:1]))
    assert not evidence.complete
    (finding,) = (await world.internet.ensure(access_order("acme", 4, orders[1:]))).findings
    assert (finding.proof, nas.plans) == (Proof.PROVEN, {"s1": {"Mikrotik-Rate-Limit": "10M/50M"}})


SEEN_OTHERWISE = {
    "closed by a clean-up job": "acctstoptime = now(), acctterminatecause = 'Stale'",
    "closed without a cause": "acctstoptime = now(), acctterminatecause = NULL",
    "its Start never came": "acctstarttime = now() + interval '20 seconds', connectinfo_start = NULL",
    "its Accept was repeated": "acctstarttime = now() + interval '4 seconds'",
    "under another case": "username = 'ACME'",
}


@pytest.mark.parametrize("row", SEEN_OTHERWISE.values(), ids=SEEN_OTHERWISE)
async def test_a_living_session_is_changed_whatever_its_row_says(world: World, nas: Nas, row: str) -> None:
    await open_with(world, nas, MIKROTIK)
    nas.knows = {"User-Name": "ACME"} if "ACME" in row else {}
    await world.execute("internet", f"UPDATE radacct SET {row}")  # noqa: S608
    assert (await change(world, 2)).proof is Proof.PROVEN
    assert nas.plans == {"s1": {"Mikrotik-Rate-Limit": "10M/50M"}}


@pytest.mark.parametrize("row", [*SEEN_OTHERWISE.values()][:2], ids=[*SEEN_OTHERWISE][:2])
async def test_a_row_that_somebody_closed_does_not_make_a_nas_right_that_does_not_find_its_session(
    world: World, nas: Nas, row: str
) -> None:
    await open_with(world, nas, MIKROTIK)
    await world.execute("internet", f"UPDATE radacct SET acctupdatetime = now(), {row}")  # noqa: S608
    nas.refuses = SESSION_NOT_FOUND
    finding = await change(world, 2)
    assert (finding.proof, "accounting heard of it" in finding.why) == (Proof.NOT_PROVEN, True)


async def test_an_older_order_changes_no_session_after_a_newer_one(world: World, nas: Nas) -> None:
    """It had asked, and nobody had answered, when the newer one came."""
    await open_with(world, nas, MIKROTIK)
    world.internet.fleet.seconds = 2  # so that it is asked again soon
    nas.mute = True
    older = asyncio.create_task(change(world, 2))
    await eventually(lambda: nas.changes_requested)
    newer = asyncio.create_task(change(world, 3, 70, 7))
    replies = "SELECT value FROM radreply WHERE attribute = 'Mikrotik-Rate-Limit'"
    await eventually(lambda: world.rows("internet", replies), equal=[("7M/70M",)])
    nas.mute = False
    assert (await older).proof is Proof.NOT_PROVEN
    assert (await newer).proof is Proof.PROVEN
    assert nas.plans["s1"] == {"Mikrotik-Rate-Limit": "7M/70M"}


async def doubted(world: World) -> list[str]:
    """What is on, and said to be otherwise."""
    return [it.how for it in (await world.internet.observe([])).sightings if it.life is Life.OTHERWISE]


@pytest.mark.parametrize("kind", ["rates", "vlan", "secret"])
async def test_a_session_from_before_that_is_accounted_for_after_the_proof_is_found_and_put_right_once(
    world: World, nas: Nas, kind: str
) -> None:
    await open_with(world, nas, MIKROTIK + VLAN)

    async def again(revision: int) -> Proof:
        if kind == "secret":
            return (await switch(world, revision, on=True, version=2)).proof
        return (await change(world, revision, *((50, 10) if kind == "rates" else (100, 20, 200)))).proof

    assert await again(2) is Proof.PROVEN
    await closed(world, "s1")
    assert await doubted(world) == []
    await session(world, nas, "new", begun=(datetime.now(UTC) + timedelta(minutes=1)).isoformat())
    assert await doubted(world) == [], "it began afterwards"
    await session(world, nas, "late", begun="2026-01-01")
    for _ in range(2):
        assert await doubted(world) == [
            "session late on NAS 127.0.0.2 began before the change, and was accounted for after it"
        ]
    before = len(nas.disconnects)
    assert await again(3) is Proof.PROVEN
    assert "new" in nas.sessions
    assert nas.disconnects[before:] == (["late"] if kind == "secret" else [])
    assert kind == "secret" or nas.plans["late"].keys() == nas.changes
    assert await doubted(world) == []


async def test_a_session_that_its_nas_said_it_has_ended_and_let_live_is_found_and_not_believed_again(
    world: World, nas: Nas
) -> None:
    await open_with(world, nas, MIKROTIK)
    nas.undead, nas.refuses_change = True, 404
    assert (await change(world, 2)).proof is Proof.PROVEN
    assert await doubted(world) == []
    await world.execute("internet", "UPDATE radacct SET acctupdatetime = now() + interval '5 seconds'")
    assert await doubted(world) == ["session s1 on NAS 127.0.0.2 was said to have ended, and was heard of afterwards"]
    finding = await change(world, 3)
    assert (finding.proof, "seen alive afterwards" in finding.why) == (Proof.NOT_PROVEN, True)
    nas.refuses_change = 0
    assert (await change(world, 3)).proof is Proof.PROVEN
    assert nas.plans["s1"] == {"Mikrotik-Rate-Limit": "10M/50M"}
    assert await doubted(world) == []


async def test_a_vlan_that_its_gear_does_not_change_ends_the_session(world: World, nas: Nas) -> None:
    await open_with(world, nas, MIKROTIK)
    finding = await change(world, 2, 100, 20, vlan=200)
    assert finding.proof is Proof.PROVEN
    assert finding.seen["plan"].startswith("1 of 1 disconnected instead (NAS 127.0.0.2 takes no CoA-Request for all")
    assert (nas.changes_requested, nas.sessions) == ([], {})


@pytest.mark.parametrize("cause", [UNSUPPORTED_ATTRIBUTE, 404, 405, UNSUPPORTED_EXTENSION, NOT_REMOVABLE])
async def test_gear_that_refuses_the_change_ends_the_session_and_the_evidence_says_so(
    world: World, nas: Nas, cause: int
) -> None:
    await open_with(world, nas, MIKROTIK)
    nas.refuses_change = cause
    finding = await change(world, 2)
    assert finding.proof is Proof.PROVEN
    assert finding.seen["plan"].startswith("1 of 1 disconnected instead (NAS 127.0.0.2 refused the CoA-Request: ")
    assert str(cause) in finding.seen["plan"]
    assert nas.sessions == {}


async def test_gear_that_is_silent_leaves_it_not_proven_until_it_is_changed(world: World, nas: Nas) -> None:
    await open_with(world, nas, MIKROTIK)
    with silent(world, nas):
        finding = await change(world, 2)
    assert (finding.proof, finding.in_service) == (Proof.NOT_PROVEN, True)
    assert "NAS 127.0.0.2 did not answer the Disconnect-Request; session s1 may still be open" in finding.why
    assert "did not answer the CoA-Request" in finding.seen["plan"]
    finding = await change(world, 2)
    assert (finding.proof, finding.seen["plan"]) == (Proof.PROVEN, CHANGED)


async def test_a_change_whose_attempt_died_is_made_by_the_next(world: World, nas: Nas) -> None:
    await open_with(world, nas, MIKROTIK)
    nas.mute = True
    died = asyncio.create_task(change(world, 2))
    await eventually(lambda: nas.changes_requested)
    died.cancel()
    await asyncio.gather(died, return_exceptions=True)
    nas.mute = False
    await reopen(world, nas, nas=world.settings.nas.get_secret_value())
    assert (await change(world, 3)).seen["plan"] == CHANGED
    assert nas.plans["s1"] == {"Mikrotik-Rate-Limit": "10M/50M"}


async def test_a_login_of_that_moment_is_changed_in_the_second_round(world: World, nas: Nas) -> None:
    await open_with(world, nas, MIKROTIK)
    nas.meanwhile = partial(session, world, nas, "s2")
    assert (await change(world, 2)).seen["plan"] == "2 changed on the living session"
    assert nas.changes_requested == ["s1", "s2"]


async def test_gear_that_takes_no_change_is_left_alone_until_the_next_login(world: World, nas: Nas) -> None:
    await open_with(world, nas, [])
    finding = await change(world, 2)
    assert finding.proof is Proof.PROVEN
    assert "plan" not in finding.seen
    assert (nas.changes_requested, nas.disconnects) == ([], [])


def test_what_gear_takes_must_be_what_we_send() -> None:
    with pytest.raises(ValueError, match=r"CONNECT_NAS: 10.0.0.1: coa.0 is not one of 'Tunnel-Type'"):
        read_nases('{"10.0.0.1": {"secret": "hush", "coa": ["Filter-Id"]}}')
