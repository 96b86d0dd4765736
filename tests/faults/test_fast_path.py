"""Whoever dies in the middle of what is attempted at once: what was recorded is done, once, and nothing else is.

``make test ARGS="-k fast_path --deaths 100"`` has Temporal die a hundred times; ``--seed`` repeats the moments.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from starter.errors import TemporalAway
from starter.temporal.gateway import Gateway
from tests.faults.place import Place
from tests.faults.place import place as place  # the fixture
from tests.support.databases import locked
from tests.support.waiting import HANGING, eventually
from workflows.domain.provisioning.standing import Limits
from workflows.wire.messages import Suspend, Unsuspend

PROMPT = Limits(attempt=20, first_pause=0.5, longest_pause=1, at_once=5)
SLOW = replace(PROMPT, at_once=12)  # so long the server waits for a worker that was killed
UNHURRIED = replace(PROMPT, at_once=HANGING)
PATIENT = {"CONNECT_LOCK_SECONDS": "25", "CONNECT_STATEMENT_SECONDS": "28"}
KEY = "the-key"
LATEST = 0.2  # seconds into a command, when the server dies: about when a busy machine has answered it
DECIDED = "SELECT command_id FROM history WHERE event IN ('asked', 'decided') AND by = 'api' ORDER BY entry"


async def begin(place: Place) -> None:
    """A caller suspends Acme and is never heard of again. The telephones are off, and the directory says so: only the
    network holds up the attempt at once."""
    message = Suspend(command_id=KEY, by="api", source="billing")
    patient = Gateway(await place.client(), patience=HANGING)
    asking = asyncio.create_task(patient.command("acme", message))

    async def is_done() -> bool:
        return await place.lines() == {0} and await place.rows(DECIDED) == [(KEY,)]

    await eventually(is_done)
    assert not asking.done()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


async def nothing_doubled(place: Place) -> None:
    """Every line of the history stands there once, and every proof."""
    entries = await place.rows("SELECT entry FROM history WHERE entry IS NOT NULL")
    assert len(set(entries)) == len(entries)
    proofs = await place.rows("SELECT kind, revision FROM history WHERE event = 'proven'")
    assert len(set(proofs)) == len(proofs)


async def check_agreed(place: Place, status: str) -> None:
    """Workflow, directory and telephone system are all of this mind."""
    await place.shows("acme", status)

    async def agree() -> bool:
        rows = await place.rows("SELECT status, provisioning FROM clients")
        return rows == [(status, "settled")] and await place.lines() == {int(status == "active")}

    await eventually(agree)


async def test_a_worker_killed_after_the_change_was_committed_is_proven_once(place: Place) -> None:
    with place.worker(**PATIENT) as first:
        await place.open("acme", SLOW)
        async with locked(place.dsns["CONNECT_INTERNET_DSN"], "radcheck"):
            await begin(place)
            first.kill()
    with place.worker():
        await check_agreed(place, "suspended")
        assert await place.rows(DECIDED) == [(KEY,)]
        await nothing_doubled(place)


async def test_a_server_killed_after_the_change_was_committed_goes_on_though_the_caller_is_silent(place: Place) -> None:
    with place.worker(**PATIENT):
        await place.open("acme", UNHURRIED)
        async with locked(place.dsns["CONNECT_INTERNET_DSN"], "radcheck"):
            await begin(place)
            place.kill_temporal()
        await place.start_temporal()
        await check_agreed(place, "suspended")
        assert await place.rows(DECIDED) == [(KEY,)]
        await nothing_doubled(place)


async def test_a_server_that_dies_at_any_moment_leaves_no_effect_that_nobody_decided(
    place: Place, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    option = request.config.getoption
    seed = random.randrange(2**32) if option("seed") is None else int(option("seed"))
    record_property("seed", seed)
    chance, answered = random.Random(seed), list[str]()
    deaths = int(option("deaths"))
    with place.worker():
        await place.open("acme", PROMPT)
        for n in range(deaths):
            if await die(place, f"death-{n}", chance):
                answered.append(f"death-{n}")
        decided = [key for (key,) in await place.rows(DECIDED)]
        record_property("deaths", f"{deaths}: {len(decided)} commands decided, {len(answered)} of them answered")
        assert len(set(decided)) == len(decided)
        assert set(answered) <= set(decided)
        await nothing_doubled(place)


async def die(place: Place, key: str, chance: random.Random) -> bool:
    """Have the server die while a silent caller's command is under way. Whether the caller had its answer before."""
    suspended = await eventually(lambda: status(place)) == "suspended"
    message = (Unsuspend if suspended else Suspend)(command_id=key, by="api")
    asking = asyncio.create_task(Gateway(await place.client()).command("acme", message))
    await asyncio.wait({asking}, timeout=chance.uniform(0, LATEST))
    answered = asking.done() and asking.exception() is None
    place.kill_temporal()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await place.start_temporal()
    await eventually(lambda: agrees(place, key, was_suspended=suspended))
    return answered


async def agrees(place: Place, key: str, *, was_suspended: bool) -> bool:
    """Whether a command was decided and is done everywhere, or is known nowhere and has no effect."""
    decided = (key,) in await place.rows(DECIDED)
    suspended = was_suspended != decided
    rows = await place.rows("SELECT status, provisioning FROM clients")
    return rows == [(await status(place), "settled")] == [
        ("suspended" if suspended else "active", "settled")
    ] and await place.lines() == {int(not suspended)}


async def status(place: Place) -> str:
    """As the client's workflow has it."""
    try:
        return str((await Gateway(await place.client()).client("acme")).status)
    except TemporalAway as away:  # on its way back
        raise AssertionError(away) from away
