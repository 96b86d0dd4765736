"""Events are numbered without gaps, in the order in which the history was committed, whoever numbers them."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from activities.background import background
from activities.database import own_connection
from activities.directory.events import ClientEvent
from activities.directory.evidence import Evidences
from activities.directory.migrations import migrate
from activities.directory.numbering import HELD_BACK, Numbering, forget, number
from starter.contract.events import EventFilter, EventPage
from starter.directory.events import events
from starter.directory.paging import DirectoryDatabase
from starter.errors import EventsForgotten
from starter.local.postgres import EmbeddedPostgres
from tests.activities.fixtures import AT, ONE, World, publication
from tests.support.databases import connected, database, fetch
from tests.support.waiting import HANGING, eventually
from workflows.domain.errors import InvalidField
from workflows.domain.journal import Entry, Event
from workflows.domain.lifecycle import Kind, Status
from workflows.domain.systems import TELEPHONY
from workflows.ports import Evidence, Finding
from workflows.wire.views import PlannedView

DATABASES = ("directory",)
STARTS, ENDS = AT + timedelta(days=30), AT + timedelta(days=60)
AT_ONCE = timedelta(0)

LINE = "INSERT INTO history (client_id, event, at, kind, text) VALUES ($1, 'refused', now(), 'suspend', $2)"


def entry(event: Event, kind: str, text: str = "Done", **facts: str) -> Entry:
    return Entry(event, AT, text, kind, "olga", "operator", "why", "c1", 2, facts)


async def numbered(world: World, held_back: timedelta = HELD_BACK) -> None:
    async with own_connection(world.dsns["directory"], "test") as connection:
        while await number(connection, held_back=held_back):
            pass


async def page(world: World, span: int = 1000, sites: list[str] | None = None, **filters: Any) -> EventPage:
    return await events(DirectoryDatabase(world.databases.directory, sites=sites), EventFilter(**filters), span)


async def told(world: World, **filters: Any) -> list[ClientEvent]:
    """The events there are, once all that waits is numbered."""
    await numbered(world)
    return (await page(world, **filters)).items


async def publish(world: World, revision: int, *entries: Entry, wanted: int = 0, **changes: Any) -> None:
    order = publication("acme", revision, ONE, billing_ref="R1", **changes)
    order.wanted.update({TELEPHONY: wanted})
    await world.directory.publish(replace(order, entries=list(entries), first_entry=10 * revision))


async def prove(world: World, revision: int) -> None:
    evidence = Evidence(TELEPHONY, revision, AT, "read back", [Finding(ONE, True)])
    assert (await Evidences(world.databases.directory, HANGING).record("acme", evidence)).recorded


def plan(kind: Kind, at: datetime) -> PlannedView:
    return PlannedView(
        change_id=kind, kind=kind, at=at, local_time="", by="olga", reason="", details={}, status_after=None
    )


KINDS = [
    (entry(Event.DECIDED, "suspend", status="suspended"), ["requested", "effective"]),
    (entry(Event.DECIDED, "suspend", status="suspended", planned="true"), ["effective"]),
    (entry(Event.DECIDED, "retry", system="telephony"), ["requested", "effective"]),
    (entry(Event.DECIDED, "assign", matter="skipped"), []),
    (entry(Event.DECIDED, "telephony", "decided anew above it"), []),
    (entry(Event.ASKED, "decommission", change_id="c1", planned_for=ENDS.isoformat()), ["requested"]),
    (entry(Event.ASKED, "activate", "Already active; nothing changed"), ["requested"]),
    (entry(Event.ASKED, "report_drift", system="telephony"), ["drifted"]),
    (entry(Event.ASKED, "credentials", "Credentials shown"), []),
    (entry(Event.REFUSED, "suspend"), ["failed"]),
    (entry(Event.ATTEMPTED, "telephony", "Telephone lines not done: Rejected: x found alive again: y"), ["failed"]),
    (entry(Event.ATTEMPTED, "telephony", "Telephone lines found alive again: +442079460001 rang"), ["drifted"]),
    (entry(Event.ATTEMPTED, "telephony", "Telephone lines found alive again, ended: +44 rang"), ["drifted"]),
    (entry(Event.PROVEN, "telephony"), ["proven"]),
    (replace(entry(Event.PROVEN, "telephony", "watched no longer"), revision=0), []),
    (entry(Event.NOTED, "note"), []),
]


async def test_each_line_of_the_history_is_told_as_what_it_is(world: World) -> None:
    await world.register("acme", ONE, billing_ref="R1")
    await publish(world, 2, *(line for line, _ in KINDS))
    found = await told(world)
    assert [event.seq for event in found] == [*range(1, len(found) + 1)]
    lines = await world.rows("directory", "SELECT history_id FROM history ORDER BY history_id")
    by_line = [[event.kind for event in found if event.history_id == line] for (line,) in lines]
    assert by_line == [kinds for _, kinds in KINDS]
    assert len({event.event_id for event in found}) == len(found)


async def test_an_event_says_who_asked_for_what_and_of_which_systems(world: World) -> None:
    await world.register("acme", ONE, billing_ref="R1")
    await publish(
        world,
        2,
        entry(Event.DECIDED, "suspend", status="suspended", change_id="c1", planned_for=STARTS.isoformat()),
        entry(Event.DECIDED, "retry", system="doors"),
        entry(Event.ATTEMPTED, "telephony", "Telephone lines not done: no"),
    )
    asked, effective, _, retried, failed = await told(world)
    for event in (asked, effective):
        assert (event.client_id, event.site, event.command, event.command_id) == ("acme", "lon", "suspend", "c1")
        assert (event.by, event.source, event.revision, event.systems) == ("olga", "operator", 2, [])
        assert (event.change_id, event.planned_for, event.at) == ("c1", STARTS, AT)
    assert (asked.status, effective.status) == (None, "suspended")
    assert (retried.command, retried.systems) == ("retry", ["doors"])
    assert (failed.command, failed.systems) == ("", ["telephony"])
    assert "why" not in asked.model_dump_json()  # reasons are of the history, which an erased client loses


def by(command_id: str, kind: str, revision: int, event: Event = Event.DECIDED, **facts: str) -> Entry:
    """A line of a command that came by the request ``req-ID``."""
    line = replace(entry(event, kind, **facts), command_id=command_id, revision=revision)
    return replace(line, request_id=command_id and f"req-{command_id}")


async def test_what_no_command_led_to_directly_has_the_ids_of_the_newest_that_it_follows_from(world: World) -> None:
    await world.register("acme", ONE, billing_ref="R1")
    await publish(
        world,
        8,
        by("c1", "create", 2, status="new"),
        by("", "activate", 3, status="active"),  # on the start date
        by("", "telephony", 3, Event.PROVEN),
        by("c2", "suspend", 4, status="suspended"),
        by("c3", "retry", 5, system="internet"),
        by("c4", "edit", 6, status="suspended"),  # which switches nothing
        by("c5", "acknowledge", 6, matter="skipped"),
        by("", "telephony", 7, Event.ATTEMPTED),
        by("", "internet", 7, Event.PROVEN),
        by("", "telephony", 4, Event.PROVEN),
        by("c6", "suspend", 8, Event.REFUSED),
        by("", "suspend", 8, Event.REFUSED),  # a signal without an id
        wanted=8,
    )
    found = [
        (event.kind, event.command_id, event.request_id) for event in await told(world) if event.kind != "requested"
    ]
    assert found == [
        (kind, command, command and f"req-{command}")
        for kind, command in (
            ("effective", "c1"), ("effective", "c1"), ("proven", "c1"), ("effective", "c2"), ("effective", "c3"),
            ("effective", "c4"), ("failed", "c2"), ("proven", "c3"), ("proven", "c2"), ("failed", "c6"), ("failed", ""),
        )
    ]  # fmt: skip


async def test_events_from_before_have_the_command_of_their_line(world: World) -> None:
    await world.register("acme", ONE, billing_ref="R1")
    await publish(world, 2, by("c1", "suspend", 2, status="suspended"))
    await numbered(world)
    await world.execute("directory", "UPDATE events SET command_id = '', request_id = ''")
    assert {(event.command_id, event.request_id) for event in await told(world)} == {("c1", "")}


async def test_a_client_is_billable_from_its_activation_through_suspensions_until_its_service_ends(
    world: World,
) -> None:
    await world.register("acme", ONE, billing_ref="R1")

    async def billable() -> tuple[datetime | None, datetime | None]:
        await numbered(world)
        newest = (await page(world)).items[-1]
        return newest.billable_from, newest.billable_until

    new: dict[str, Any] = {"status": Status.NEW}
    await publish(world, 2, entry(Event.DECIDED, "edit", status="new"), **new)
    assert await billable() == (None, None)
    await publish(world, 3, entry(Event.ASKED, "edit"), **new, planned=[plan(Kind.ACTIVATE, STARTS)])
    assert await billable() == (STARTS, None)
    late = entry(Event.DECIDED, "activate", status="suspended", planned="true", planned_for=STARTS.isoformat())
    await publish(world, 4, replace(late, at=STARTS + timedelta(hours=1)), status=Status.SUSPENDED)
    assert await billable() == (STARTS, None)
    await publish(world, 5, entry(Event.DECIDED, "unsuspend", status="active"))
    assert await billable() == (STARTS, None)
    await publish(world, 6, entry(Event.ASKED, "decommission"), planned=[plan(Kind.DECOMMISSION, ENDS)])
    assert await billable() == (STARTS, ENDS)
    await publish(world, 7, entry(Event.DECIDED, "cancel_planned", status="active"))
    assert await billable() == (STARTS, None)
    end = entry(Event.DECIDED, "decommission", status="decommissioned")
    await publish(world, 8, replace(end, at=ENDS), status=Status.DECOMMISSIONED)
    assert await billable() == (STARTS, ENDS)
    await publish(world, 9, entry(Event.REFUSED, "suspend"), status=Status.DECOMMISSIONED)
    assert await billable() == (STARTS, ENDS)


async def test_who_was_never_activated_is_never_billable(world: World) -> None:
    await world.register("acme", ONE, billing_ref="R1")
    end = entry(Event.DECIDED, "decommission", status="decommissioned")
    await publish(world, 2, end, status=Status.DECOMMISSIONED)
    assert {(event.billable_from, event.billable_until) for event in await told(world)} == {(None, None)}


async def test_a_proof_is_told_after_the_decision_that_it_proves_and_the_last_one_says_that_all_is_settled(
    world: World,
) -> None:
    await world.register("acme", ONE, billing_ref="R1")
    await prove(world, 2)  # recorded before the decision is published
    assert await told(world) == []
    await publish(world, 2, entry(Event.DECIDED, "suspend", status="suspended"), wanted=2)
    found = await told(world)
    assert [(event.kind, event.settled) for event in found] == [
        ("requested", False), ("effective", False), ("proven", True),
    ]  # fmt: skip
    await publish(world, 3, entry(Event.DECIDED, "unsuspend", status="active"), wanted=3)
    assert [event.settled for event in await told(world, after=3)] == [False, False]
    await prove(world, 3)
    assert [event.settled for event in await told(world, after=5)] == [True]


async def test_a_proof_whose_decision_is_never_published_is_told_all_the_same(world: World) -> None:
    await world.register("acme", ONE, billing_ref="R1")
    await prove(world, 7)
    await numbered(world, held_back=AT_ONCE)
    assert [event.kind for event in (await page(world)).items] == ["proven"]


async def test_canaries_are_no_events(world: World) -> None:
    await world.register("connect-canary-lon", ONE, billing_ref="R1")
    await world.execute("directory", LINE, "connect-canary-lon", "no")
    assert await told(world) == []
    assert await world.rows("directory", "SELECT FROM events_waiting") == []


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
        assert [(event.seq, event.client_id) for event in await told(world)] == [(1, "fast")]
    assert [(event.seq, event.client_id) for event in await told(world, after=1)] == [(2, "slow")]


async def test_a_worker_that_stands_still_while_it_numbers_holds_up_nobody_else_for_good(world: World) -> None:
    await world.execute("directory", LINE, "acme", "no")
    async with connected(world.dsns["directory"]) as frozen:
        transaction = frozen.transaction()
        await transaction.start()
        await frozen.execute("SELECT FROM event_log FOR UPDATE")
        assert await told(world) == []  # and nobody waits for it
        await transaction.rollback()
    assert [event.seq for event in await told(world)] == [1]


async def test_old_events_are_forgotten_and_who_asks_for_them_is_told(world: World) -> None:
    for _ in range(3):
        await world.execute("directory", LINE, "acme", "no")
    await numbered(world)
    await world.execute("directory", "UPDATE events SET numbered_at = now() - interval '91 days' WHERE seq < 3")
    async with own_connection(world.dsns["directory"], "test") as connection:
        assert [await forget(connection, timedelta(days=n)) for n in (92, 90, 90)] == [0, 2, 0]
    assert [event.seq for event in await told(world)] == [3]
    assert [event.seq for event in await told(world, after=2)] == [3]
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
async def heard(world: World) -> AsyncIterator[list[str]]:
    """What is said of numbered events meanwhile."""
    async with connected(world.dsns["directory"]) as connection:
        words: list[str] = []
        await connection.add_listener("connect_events", lambda *said: words.append(said[-1]))
        yield words


async def test_a_worker_numbers_what_it_hears_of_and_says_so(world: World) -> None:
    numbering = Numbering(world.dsns["directory"], timedelta(days=90), every=3600)
    async with heard(world) as words, background(numbering.run):
        await world.execute("directory", LINE, "acme", "no")
        await eventually(lambda: words, equal=["1"])  # heard of, or seen when it began to listen
        await world.execute("directory", LINE, "acme", "no")
        await eventually(lambda: words, equal=["1", "2"])
    assert [event.seq for event in (await page(world)).items] == [1, 2]


async def test_the_history_from_before_says_since_when_a_client_is_billable(postgres: EmbeddedPostgres) -> None:
    add = "INSERT INTO history (client_id, event, at, kind, text, facts) VALUES ($1, 'decided', $2, 'x', '', $3::jsonb)"
    async with database(postgres, "before_events") as dsn:
        await migrate(dsn, "0016")
        async with connected(dsn) as connection:
            for client, at, facts in (
                ("acme", AT, '{"status": "new"}'),
                ("acme", STARTS, f'{{"status": "active", "planned_for": "{AT.isoformat()}"}}'),
                ("acme", ENDS, '{"status": "suspended"}'),
                ("gone", AT, '{"status": "active"}'),
                ("gone", ENDS, '{"status": "decommissioned"}'),
                ("connect-canary-lon", AT, '{"status": "active"}'),
            ):
                await connection.execute(add, client, at, facts)
        await migrate(dsn)
        found = await fetch(dsn, "SELECT * FROM billable ORDER BY client_id")
        assert [tuple(row) for row in found] == [("acme", AT, None), ("gone", AT, ENDS)]
        assert await fetch(dsn, "SELECT FROM events_waiting") == []
