"""What each line of the history is as an event, whose command it follows from, and since when a client is billable."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from activities.directory.evidence import Evidences
from activities.directory.migrations import migrate
from starter.local.postgres import EmbeddedPostgres
from tests.activities.directory.numbered import LINE, numbered, numbered_events, page
from tests.activities.fixtures import AT, ONE, World, publication
from tests.support.databases import connected, database, fetch
from tests.support.waiting import HANGING
from workflows.domain.journal import Entry, Event
from workflows.domain.lifecycle import Kind, Status
from workflows.domain.systems import TELEPHONY
from workflows.ports import Evidence, Finding
from workflows.wire.views import PlannedView

DATABASES = ("directory",)
STARTS, ENDS = AT + timedelta(days=30), AT + timedelta(days=60)
AT_ONCE = timedelta(0)


def entry(event: Event, kind: str, text: str = "Done", **facts: str) -> Entry:
    return Entry(event, AT, text, kind, "olga", "operator", "why", "c1", 2, facts)


async def publish(world: World, revision: int, *entries: Entry, telephony: int = 0, **changes: Any) -> None:
    order = publication("acme", revision, ONE, billing_ref="R1", **changes)
    order.wanted.update({TELEPHONY: telephony})
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
    found = await numbered_events(world)
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
    requested, effective, _, retried, failed = await numbered_events(world)
    for event in (requested, effective):
        assert (event.client_id, event.site, event.command, event.command_id) == ("acme", "lon", "suspend", "c1")
        assert (event.by, event.source, event.revision, event.systems) == ("olga", "operator", 2, [])
        assert (event.change_id, event.planned_for, event.at) == ("c1", STARTS, AT)
    assert (requested.status, effective.status) == (None, "suspended")
    assert (retried.command, retried.systems) == ("retry", ["doors"])
    assert (failed.command, failed.systems) == ("", ["telephony"])
    assert "why" not in requested.model_dump_json()  # reasons are of the history, which an erased client loses


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
        telephony=8,
    )
    found = [
        (event.kind, event.command_id, event.request_id)
        for event in await numbered_events(world)
        if event.kind != "requested"
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
    assert {(event.command_id, event.request_id) for event in await numbered_events(world)} == {("c1", "")}


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
    assert {(event.billable_from, event.billable_until) for event in await numbered_events(world)} == {(None, None)}


async def test_a_proof_is_told_after_the_decision_that_it_proves_and_the_last_one_says_that_all_is_settled(
    world: World,
) -> None:
    await world.register("acme", ONE, billing_ref="R1")
    await prove(world, 2)  # recorded before the decision is published
    assert await numbered_events(world) == []
    await publish(world, 2, entry(Event.DECIDED, "suspend", status="suspended"), telephony=2)
    found = await numbered_events(world)
    assert [(event.kind, event.settled) for event in found] == [
        ("requested", False), ("effective", False), ("proven", True),
    ]  # fmt: skip
    await publish(world, 3, entry(Event.DECIDED, "unsuspend", status="active"), telephony=3)
    assert [event.settled for event in await numbered_events(world, after=3)] == [False, False]
    await prove(world, 3)
    assert [event.settled for event in await numbered_events(world, after=5)] == [True]


async def test_a_proof_whose_decision_is_never_published_is_told_all_the_same(world: World) -> None:
    await world.register("acme", ONE, billing_ref="R1")
    await prove(world, 7)
    await numbered(world, held_back=AT_ONCE)
    assert [event.kind for event in (await page(world)).items] == ["proven"]


async def test_canaries_are_no_events(world: World) -> None:
    await world.register("connect-canary-lon", ONE, billing_ref="R1")
    await world.execute("directory", LINE, "connect-canary-lon", "no")
    assert await numbered_events(world) == []
    assert await world.rows("directory", "SELECT FROM events_waiting") == []


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
