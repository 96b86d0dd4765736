"""The rounds of canaries in the directory: one worker at a time, what is told of them, and how little is kept."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from activities.canary import rounds
from activities.canary.judge import Stage, Verdict
from activities.canary.rounds import KEPT, Outcome, Pace, Rounds, Turn
from activities.settings import Settings
from tests.activities.fixtures import World, publication
from tests.support.databases import connected, fetch
from tests.support.waiting import eventually

DATABASES = ("directory",)
FIRST = "connect-canary-york"
COUNTS = """
SELECT client_id, ARRAY[
  (SELECT count(*) FROM history h WHERE h.client_id = c.client_id),
  (SELECT count(*) FROM proofs p WHERE p.client_id = c.client_id),
  (SELECT count(*) FROM answers a WHERE a.client_id = c.client_id)] FROM clients c"""
RED_WITHIN, GREEN_WITHIN, A_GOOD_ROUND = 120, 60, 5  # seconds
GREEN, RED = Outcome(None, 0.4), Outcome(Verdict(Stage.NETWORK, "Nothing answers", "telephony", "main"))


def rounds_of(world: World, every: float = 3600, longest: float = 3600) -> Rounds:
    return Rounds(world.databases.directory, Pace(every, longest))


async def turn_of(workers: Rounds) -> Turn:
    """The next round, once it is time for it."""
    turn = await eventually(lambda: workers.turn("york"))
    assert turn
    return turn


async def row(world: World, *columns: str) -> tuple[object, ...]:
    [[found]] = await world.rows("directory", "SELECT to_jsonb(k)::text FROM canaries k")
    whole = json.loads(found)
    return tuple(whole[name] for name in columns)


async def test_of_all_workers_one_makes_the_round(world: World) -> None:
    turns = await asyncio.gather(*(rounds_of(world).turn("york") for _ in range(8)))
    [turn] = filter(None, turns)
    assert (turn.client_id, turn.state) == (FIRST, "unknown")
    await rounds_of(world).report(turn, GREEN)
    assert await rounds_of(world).turn("york") is None, "the next one is in an hour"


async def test_who_begins_with_a_client_that_another_takes_at_that_moment_has_the_next_one(world: World) -> None:
    dsn = world.dsns["directory"]
    async with connected(dsn) as other, other.transaction():
        row = "INSERT INTO canaries (site_id, client_id, next_at, due_at) VALUES ('hull', $1, now(), now())"
        await other.execute(row, FIRST)
        turn = asyncio.create_task(rounds_of(world).turn("york"))
        await eventually(lambda: fetch(dsn, "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))
    assert await turn is None
    assert (await turn_of(rounds_of(world))).client_id == f"{FIRST}-2"


async def test_a_worker_that_dies_or_freezes_in_a_round_holds_up_no_other_nor_is_its_report_taken_later(
    world: World,
) -> None:
    frozen = await turn_of(rounds_of(world, longest=0.01))
    later = await eventually(lambda: rounds_of(world).turn("york"))
    assert later
    await rounds_of(world).report(later, GREEN)
    await rounds_of(world).report(frozen, RED)
    assert await row(world, "state", "rounds") == ("green", 1)


async def test_a_report_tells_state_stage_and_since_when_and_counts(world: World) -> None:
    quick = rounds_of(world, every=0.001)
    await quick.report(await turn_of(quick), GREEN)
    since = await row(world, "since")
    await quick.report(await turn_of(quick), GREEN)
    assert await row(world, "since") == since
    await quick.report(await turn_of(quick), RED)
    report = await row(world, "state", "stage", "system", "instance", "text", "seconds", "rounds", "failures")
    assert report == ("red", "network", "telephony", "main", "Nothing answers", 0.4, 3, 1)
    await quick.report(await turn_of(quick), GREEN)
    assert await row(world, "state", "stage", "failed_stage", "failures") == ("green", "", "network", 1)
    await quick.report(await turn_of(quick), GREEN, missed=Stage.DIRECTORY)
    assert await row(world, "state", "failed_stage", "failures") == ("green", "directory", 2)


async def test_the_next_round_after_a_red_one_comes_sooner(world: World) -> None:
    workers = rounds_of(world)
    await workers.report(await turn_of(workers), RED)
    [[pause]] = await world.rows("directory", "SELECT next_at - reported_at FROM canaries")
    assert pause == timedelta(seconds=10)


async def test_rounds_begin_as_far_apart_as_the_setting_says_however_long_one_takes(world: World) -> None:
    workers = rounds_of(world, every=60, longest=40)
    turn = await turn_of(workers)
    await world.execute("directory", "UPDATE canaries SET next_at = next_at - interval '20 s'")  # half of it has passed
    turn = replace(turn, until=turn.until - timedelta(seconds=20))
    await workers.report(turn, GREEN)
    [[following, due]] = await world.rows("directory", "SELECT next_at, due_at FROM canaries")
    assert following - turn.until == timedelta(seconds=60 - 40)
    assert due - following == timedelta(seconds=5 + 40)


@pytest.mark.parametrize("limit", [False, True], ids=["defaults", "the longest that settings may be"])
def test_red_comes_within_two_minutes_and_green_within_one(*, limit: bool) -> None:
    """However the fault lies in a round: nobody makes one (overdue); it began when its part of a green one was over, or
    cut one short, whose red may name another stage; and it ended when its part of a red one was over."""
    every, longest = (Settings.model_fields[name] for name in ("canary_every_seconds", "canary_seconds"))
    most = [next(it.le for it in field.metadata if hasattr(it, "le")) for field in (every, longest)]
    pace = Pace(*most) if limit else Pace(every.default, longest.default)
    overdue = pace.silent.total_seconds()
    after_a_green_one = pace.every + pace.tick + pace.longest
    after_one_cut_short = pace.longest + pace.pause_after_red + pace.tick + pace.longest
    assert max(overdue, after_a_green_one, after_one_cut_short) <= RED_WITHIN
    assert pace.longest + pace.pause_after_red + pace.tick + A_GOOD_ROUND <= GREEN_WITHIN


async def test_years_of_rounds_leave_a_bounded_history(world: World) -> None:
    """Lines, answers and proofs of a canary; nobody else's are touched, nor the answer that created it."""
    workers = rounds_of(world)
    turn = await turn_of(workers)
    for client_id in (FIRST, "acme"):
        await world.directory.publish(publication(client_id, 1, billing_ref=client_id))
        await fill(world, client_id, 3 * KEPT)
    await workers.report(turn, GREEN)
    counts = dict(await world.rows("directory", COUNTS))
    assert max(counts[FIRST]) <= KEPT + 2
    assert min(counts["acme"]) >= 3 * KEPT
    [[kinds]] = await world.rows(
        "directory", "SELECT array_agg(kind ORDER BY at) FROM answers WHERE client_id = $1 AND kind = 'create'", FIRST
    )
    assert kinds == ["create"]
    [[newest]] = await world.rows("directory", "SELECT max(revision) FROM proofs WHERE client_id = $1", FIRST)
    assert newest == 3 * KEPT, "what it was last proven to do is shown"


async def fill(world: World, client_id: str, rounds: int) -> None:
    """As so many rounds leave it."""
    await world.execute(
        "directory",
        "INSERT INTO client_systems (client_id, system, wanted, proven) VALUES ($1, 'telephony', $2, $2) "
        "ON CONFLICT (client_id, system) DO UPDATE SET proven = excluded.proven",
        *(client_id, rounds),
    )
    for statement in (
        "INSERT INTO history (client_id, entry, event, at, kind, text) "
        "SELECT $1, n, 'decided', now() + n * interval '1 s', 'suspend', '' FROM generate_series(1000, 999 + $2) n",
        "INSERT INTO proofs (client_id, system, revision, at, method, findings) "
        "SELECT $1, 'telephony', n, now(), '', '[]' FROM generate_series(1, $2) n",
        "INSERT INTO answers (client_id, command_id, fingerprint, kind, changed, message, at) "
        "SELECT $1, n::text, '', CASE WHEN n = 1 THEN 'create' ELSE 'suspend' END, true, '', "
        "now() + n * interval '1 s' FROM generate_series(1, $2) n",
    ):
        await world.execute("directory", statement, client_id, rounds)


async def test_each_later_canary_of_a_site_has_an_id_that_nobody_ever_had(world: World) -> None:
    workers = rounds_of(world)
    await turn_of(workers)
    for taken in (FIRST, f"{FIRST}-2"):
        await world.directory.publish(publication(taken, 1, billing_ref=taken))
    assert await workers.replace("york") == f"{FIRST}-3"
    other = await workers.turn("york-3")  # whose own id is the one that was just given
    assert other
    assert other.client_id == f"{FIRST}-3-2"
    longest = await workers.turn("y" * 63)
    assert longest
    assert len(longest.client_id) <= 63


async def test_a_canary_that_nobody_looks_at_and_no_setting_names_is_found_after_an_hour(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    workers = rounds_of(world, every=0, longest=0)
    await turn_of(workers)
    assert await workers.forgotten([]) == [], "its worker may be on its way back"
    monkeypatch.setattr(rounds, "FORGOTTEN", timedelta(0))
    assert await workers.forgotten(["york"]) == []
    assert await workers.forgotten(["hull"]) == [("york", FIRST, None)]
    await workers.forget("york", "another")
    assert await workers.forgotten([]) == [("york", FIRST, None)]
    await workers.forget("york", FIRST)
    assert await workers.forgotten([]) == []
