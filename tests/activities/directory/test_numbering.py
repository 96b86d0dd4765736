"""Events are numbered without gaps, in the order in which the history was committed, whoever numbers them."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

import pytest

from activities.background import background
from activities.database import own_connection
from activities.directory.events import ClientEvent
from activities.directory.numbering import Numbering, forget, number
from starter.errors import EventsForgotten
from tests.activities.directory.numbered import LINE, numbered, numbered_events, page
from tests.activities.fixtures import World
from tests.support.databases import connected
from tests.support.waiting import eventually
from workflows.domain.errors import InvalidField

DATABASES = ("directory",)


async def test_a_reader_misses_nothing_that_is_committed_late_and_sees_nothing_twice(world: World) -> None:
    """Eight writers, whose transactions overlap, and some of which are undone; one that writes early and commits late;
    three who number; and a reader who pages meanwhile."""
    chance, done = random.Random(14), asyncio.Event()
    committed: list[str] = []
    order: dict[str, list[str]] = {}

    async def write(name: str) -> None:
        async with connected(world.dsns["directory"]) as connection:
            for turn in range(15):
                words = [f"{name} {turn} {n}" for n in range(chance.randint(1, 4))]
                transaction = connection.transaction()
                await transaction.start()
                for word in words:
                    await connection.execute(LINE, name, word)
                    for _ in range(chance.randint(0, 5)):
                        await connection.fetchval("SELECT 1")
                if chance.random() < 0.2:
                    await transaction.rollback()
                else:
                    await transaction.commit()
                    committed.extend(words)
                    order.setdefault(name, []).extend(words)

    def more_than(number: int) -> bool:
        return len(seen) > number

    async def write_late() -> None:
        async with connected(world.dsns["directory"]) as connection:
            for turn in range(3):
                async with connection.transaction():
                    await connection.execute(LINE, "late", f"late {turn}")
                    enough = len(seen) + 20
                    await eventually(partial(more_than, enough))
                committed.append(f"late {turn}")
                order.setdefault("late", []).append(f"late {turn}")

    async def keep_numbering() -> None:
        async with own_connection(world.dsns["directory"], "test") as connection:
            while not done.is_set():
                await number(connection, most=chance.randint(1, 9))
                await asyncio.sleep(0)

    seen: list[ClientEvent] = []

    async def read() -> None:
        after = 0
        while True:
            writing = not done.is_set()
            found = await page(world, span=chance.randint(1, 20), after=after, limit=chance.randint(1, 10))
            seen.extend(found.items)
            after = found.next
            if not writing and after == found.last:
                return

    async def write_all() -> None:
        async with asyncio.TaskGroup() as writers:
            for n in range(8):
                writers.create_task(write(f"client-{n}"))
            writers.create_task(write_late())
        await eventually(lambda: world.rows("directory", "SELECT FROM events_waiting"), equal=[])
        done.set()

    async with asyncio.TaskGroup() as tasks:
        for work in (write_all, read, *[keep_numbering] * 3):
            tasks.create_task(work())
    assert [event.seq for event in seen] == [*range(1, len(committed) + 1)]
    texts = dict(await world.rows("directory", "SELECT history_id, text FROM history"))
    by_client: dict[str, list[str]] = {}
    for event in seen:
        by_client.setdefault(event.client_id, []).append(texts[event.history_id])
    assert by_client == order
    ids = [event.history_id for event in seen]
    assert ids != sorted(ids)


async def test_a_line_that_is_committed_after_later_ones_were_read_is_read_next(world: World) -> None:
    async with connected(world.dsns["directory"]) as slow, slow.transaction():
        await slow.execute(LINE, "slow", "written first")
        await world.execute("directory", LINE, "fast", "written second")
        assert [(event.seq, event.client_id) for event in await numbered_events(world)] == [(1, "fast")]
    assert [(event.seq, event.client_id) for event in await numbered_events(world, after=1)] == [(2, "slow")]


async def test_a_worker_that_stands_still_while_it_numbers_holds_up_nobody_else_for_good(world: World) -> None:
    await world.execute("directory", LINE, "acme", "no")
    async with connected(world.dsns["directory"]) as frozen:
        transaction = frozen.transaction()
        await transaction.start()
        await frozen.execute("SELECT FROM event_log FOR UPDATE")
        assert await numbered_events(world) == []  # and nobody waits for it
        await transaction.rollback()
    assert [event.seq for event in await numbered_events(world)] == [1]


async def test_old_events_are_forgotten_and_who_asks_for_them_is_told(world: World) -> None:
    for _ in range(3):
        await world.execute("directory", LINE, "acme", "no")
    await numbered(world)
    await world.execute("directory", "UPDATE events SET numbered_at = now() - interval '91 days' WHERE seq < 3")
    async with own_connection(world.dsns["directory"], "test") as connection:
        assert [await forget(connection, timedelta(days=n)) for n in (92, 90, 90)] == [0, 2, 0]
    assert [event.seq for event in await numbered_events(world)] == [3]
    assert [event.seq for event in await numbered_events(world, after=2)] == [3]
    for after in (0, 1):
        with pytest.raises(EventsForgotten, match="up to 2 are gone"):
            await page(world, after=after)
    with pytest.raises(InvalidField, match="the newest is 3"):
        await page(world, after=4)
    assert len(await world.rows("directory", "SELECT FROM history")) == 3
    assert (await page(world, after=3)).model_dump() == {"items": [], "next": 3, "last": 3}


async def test_a_filter_leaves_out_the_others_and_goes_on_where_it_was(world: World) -> None:
    for client in ("acme", "bolt"):
        await world.register(client)
    for client in ("acme", "acme", "acme", "bolt"):
        await world.execute("directory", LINE, client, "no")
    await numbered(world)
    first = await page(world, span=2, client="bolt")
    assert (first.items, first.next, first.last) == ([], 2, 4)
    assert [event.client_id for event in (await page(world, span=2, client="bolt", after=2)).items] == ["bolt"]
    assert (await page(world, kind="proven")).model_dump() == {"items": [], "next": 4, "last": 4}
    assert (await page(world, site="york")).items == []
    assert (await page(world, sites=["york"])).items == []
    assert len((await page(world, sites=["york", "lon"], site="lon")).items) == 4
    assert [event.seq for event in (await page(world, after=1, limit=2)).items] == [2, 3]


@asynccontextmanager
async def notifications(world: World) -> AsyncIterator[list[str]]:
    """What is said of numbered events meanwhile."""
    async with connected(world.dsns["directory"]) as connection:
        words: list[str] = []
        await connection.add_listener("connect_events", lambda *payload: words.append(payload[-1]))
        yield words


async def test_a_worker_numbers_what_it_hears_of_and_says_so(world: World) -> None:
    numbering = Numbering(world.dsns["directory"], timedelta(days=90), every=3600)
    async with notifications(world) as words, background(numbering.run):
        await world.execute("directory", LINE, "acme", "no")
        await eventually(lambda: words, equal=["1"])  # heard of, or seen when it began to listen
        await world.execute("directory", LINE, "acme", "no")
        await eventually(lambda: words, equal=["1", "2"])
    assert [event.seq for event in (await page(world)).items] == [1, 2]
