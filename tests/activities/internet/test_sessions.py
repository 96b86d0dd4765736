"""Off is ended, not only denied: open sessions are ended by their NAS, and what a NAS does not say is not proven."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from activities.internet.order import Access
from tests.activities.fixtures import World, access
from tests.activities.internet.gear import closed, rejected, reopen, session, session_counts, silent, switch
from tests.support.orders import access_order, watched
from tests.support.router import Nas
from tests.support.waiting import eventually
from workflows.domain.provisioning.standing import Proof

DATABASES = ("internet",)
TWO_ROUNDS = 2
"""Accounts are read after the change, and once more after the pause."""


async def test_an_open_session_is_ended_and_the_evidence_says_so(world: World, nas: Nas) -> None:
    await switch(world, 1, on=True)
    await session(world, nas, "s1")
    await session(world, nas, "s2", account="bolt")
    evidence = await world.internet.ensure(access("acme", 2, on=False))
    assert nas.sessions == {"s2": "bolt"}
    assert nas.disconnects == ["s1"]
    (finding,) = evidence.findings
    assert (finding.proof, session_counts(finding)) == (Proof.PROVEN, ("1", "1 by ACK", "1 by ACK"))
    assert "Disconnect-Requests" in evidence.method


async def test_what_is_counted_are_the_open_rows_and_how_many_of_them_their_nas_disowned(
    world: World, nas: Nas
) -> None:
    for name in ("s1", "s2", "s3"):
        await session(world, nas, name, begun="2026-01-01" if name == "s3" else "now")
    del nas.sessions["s3"]
    nas.meanwhile = partial(closed, world, "s1")
    assert session_counts(await switch(world, 1, on=False)) == ("2", "2 by ACK, 1 not found", "1 by ACK, 1 not found")


async def test_a_session_of_an_account_that_stays_on_is_left_alone(world: World, nas: Nas) -> None:
    await switch(world, 1, on=True)
    await world.execute("internet", "UPDATE connect_fence SET changed_at = now() - interval '1 day'")
    await session(world, nas)
    evidence = await world.internet.ensure(access_order("acme", 2, [Access("acme", True, 5, 5)]))
    assert evidence.findings[0].seen["open_sessions"] == "1"
    assert "Disconnect-Requests" not in evidence.method
    assert nas.disconnects == []


async def test_a_session_that_ends_by_itself_meanwhile_needs_no_answer(world: World, nas: Nas) -> None:
    await session(world, nas)
    with silent(world, nas):
        order = asyncio.create_task(switch(world, 1, on=False))
        await eventually(lambda: nas.disconnects)
        await closed(world, "s1")
        finding = await order
    assert (finding.proof, finding.seen["open_sessions"]) == (Proof.PROVEN, "0")


async def test_a_session_that_shows_up_during_the_change_is_ended_in_the_second_round(world: World, nas: Nas) -> None:
    await session(world, nas, "s1")
    nas.meanwhile = partial(session, world, nas, "s2")
    finding = await switch(world, 1, on=False)
    assert nas.sessions == {}
    assert finding.seen["disconnected"] == "2 by ACK"
    assert nas.disconnects == ["s1", "s2"], "what is gone is not asked about again"


async def test_a_login_that_nobody_could_know_of_at_the_change_is_ended_in_the_second_round(
    world: World, nas: Nas
) -> None:
    await reopen(world, nas, disconnect_pause_seconds=2)
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
    await reopen(world, nas)
    for revision in (2, 3):
        world.statements.clear()
        await switch(world, revision, on=False)
        assert world.took("radacct") == TWO_ROUNDS


async def test_what_was_off_before_is_spared_the_pause(world: World, nas: Nas) -> None:
    await switch(world, 1, on=True)
    await switch(world, 2, on=False)
    await world.execute("internet", "UPDATE connect_fence SET changed_at = now() - interval '2 minutes'")
    order = access_order("acme", 3, [Access("acme", False, 5, 5), Access("unknown", False, 5, 5)])
    world.statements.clear()
    assert (await world.internet.ensure(order)).complete
    assert world.took("radacct") == 1


async def test_what_is_admitted_first_is_spared_the_pause_and_what_gets_another_secret_is_not(
    world: World, nas: Nas
) -> None:
    for revision, version, rounds in ((1, 1, 1), (2, 1, 1), (3, 2, TWO_ROUNDS)):
        world.statements.clear()
        await switch(world, revision, on=True, version=version)
        assert world.took("radacct") == rounds


async def test_rotating_ends_the_sessions_of_the_old_secret_also_after_a_silent_attempt(world: World, nas: Nas) -> None:
    await switch(world, 1, on=True)
    await session(world, nas, "old")
    with silent(world, nas):
        finding = await switch(world, 2, on=True, version=2)
    assert (finding.proof, finding.in_service) == (Proof.NOT_PROVEN, True)
    assert "session old may still be open" in finding.why
    await session(world, nas, "new", begun=(datetime.now(UTC) + timedelta(minutes=1)).isoformat())
    finding = await switch(world, 2, on=True, version=2)
    assert (finding.proof, session_counts(finding)) == (Proof.PROVEN, ("2", "1 by ACK", "1 by ACK"))
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
    assert nas.disconnects == []


async def test_a_late_attempt_ends_no_session_of_a_later_decision(world: World, nas: Nas) -> None:
    async def decided_anew() -> None:
        await closed(world, "s1")
        await switch(world, 3, on=True)
        await session(world, nas, "s2")

    await switch(world, 1, on=True)
    await session(world, nas, "s1")
    nas.meanwhile = decided_anew
    assert (await switch(world, 2, on=False)).proof is Proof.NOT_PROVEN
    assert nas.disconnects == ["s1"]
    assert nas.sessions == {"s2": "acme"}


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
    look = await world.internet.observe(watched("acme", accounts, change.at))
    assert look.at is not None
    assert datetime.now(UTC) + timedelta(days=360) < change.at < look.at
