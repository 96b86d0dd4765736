"""A change of rates or VLAN reaches sessions that live, where their gear takes it (RFC 5176 CoA-Request)."""

import asyncio
import json
from typing import Any

import pytest

from activities.internet.nas import read_nases
from activities.internet.order import Access
from tests.activities.fixtures import World, access
from tests.activities.internet.gear import SECRET, reopen, session, switch
from tests.support.orders import access_order
from tests.support.router import NOT_REMOVABLE, UNSUPPORTED_ATTRIBUTE, UNSUPPORTED_EXTENSION, Nas
from tests.support.waiting import eventually
from workflows.domain.provisioning.standing import Proof
from workflows.ports import Finding

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
    assert (nas.asked, nas.sessions) == ([], {"s1": "acme"})
    assert finding.seen["open_sessions"] == "1"


async def test_the_same_rates_send_nothing(world: World, nas: Nas) -> None:
    await open_with(world, nas, MIKROTIK)
    await change(world, 2)
    asked = len(nas.changes_asked)
    for revision in (2, 3):
        assert "plan" not in (await change(world, revision)).seen
    await switch(world, 4, on=False)
    assert len(nas.changes_asked) == asked
    assert nas.sessions == {}


async def test_an_account_that_was_off_or_is_new_sends_nothing(world: World, nas: Nas) -> None:
    await open_with(world, nas, MIKROTIK)
    await switch(world, 2, on=False)
    await session(world, nas, "s2", begun="2026-01-01")
    await change(world, 3)
    assert nas.changes_asked == []


async def test_a_vlan_that_its_gear_does_not_change_ends_the_session(world: World, nas: Nas) -> None:
    await open_with(world, nas, MIKROTIK)
    finding = await change(world, 2, 100, 20, vlan=200)
    assert finding.proof is Proof.PROVEN
    assert finding.seen["plan"].startswith("1 of 1 disconnected instead (NAS 127.0.0.2 takes no CoA-Request for all")
    assert (nas.changes_asked, nas.sessions) == ([], {})


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
    nas.mute = True
    finding = await change(world, 2)
    assert (finding.proof, finding.in_service) == (Proof.NOT_PROVEN, True)
    assert "NAS 127.0.0.2 did not answer the Disconnect-Request; session s1 may still be open" in finding.why
    assert "did not answer the CoA-Request" in finding.seen["plan"]
    nas.mute = False
    finding = await change(world, 2)
    assert (finding.proof, finding.seen["plan"]) == (Proof.PROVEN, CHANGED)


async def test_a_change_whose_attempt_died_is_made_by_the_next(world: World, nas: Nas) -> None:
    await open_with(world, nas, MIKROTIK)
    nas.mute = True
    died = asyncio.create_task(change(world, 2))
    await eventually(lambda: nas.changes_asked)
    died.cancel()
    await asyncio.gather(died, return_exceptions=True)
    nas.mute = False
    await reopen(world, nas, nas=world.settings.nas.get_secret_value())
    assert (await change(world, 3)).seen["plan"] == CHANGED
    assert nas.plans["s1"] == {"Mikrotik-Rate-Limit": "10M/50M"}


async def test_a_login_of_that_moment_is_changed_in_the_second_round(world: World, nas: Nas) -> None:
    await open_with(world, nas, MIKROTIK, disconnect_pause_seconds=0.5)
    order = asyncio.create_task(change(world, 2))
    await eventually(lambda: nas.changes_asked)
    await session(world, nas, "s2")
    assert (await order).seen["plan"] == "2 changed on the living session"
    assert nas.changes_asked == ["s1", "s2"]


async def test_gear_that_takes_no_change_is_left_alone_until_the_next_login(world: World, nas: Nas) -> None:
    await open_with(world, nas, [])
    finding = await change(world, 2)
    assert finding.proof is Proof.PROVEN
    assert "plan" not in finding.seen
    assert (nas.changes_asked, nas.asked) == ([], [])


def test_what_gear_takes_must_be_what_we_send() -> None:
    with pytest.raises(ValueError, match=r"CONNECT_NAS: 10.0.0.1: coa.0 Input should be 'Tunnel-Type'"):
        read_nases('{"10.0.0.1": {"secret": "hush", "coa": ["Filter-Id"]}}')
