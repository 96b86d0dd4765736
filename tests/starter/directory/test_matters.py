"""Every kind of open matter is found where the directory says it, and goes when that changes; what people do is
about one occurrence."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest_asyncio

from activities.database import Database
from activities.directory.migrations import migrate
from activities.directory.publish import PostgresDirectory
from activities.settings import Settings
from starter.contract.answers import Matter
from starter.contract.bodies import ClientFilter, MatterFilter, SiteGiven
from starter.directory.console import ConsoleReads
from starter.directory.matter_actions import keep
from starter.directory.matters import matter_named
from starter.directory.reads import DirectoryReads
from starter.local.postgres import EmbeddedPostgres
from tests.activities.fixtures import publication, switched
from tests.support.databases import UNHURRIED, connected
from tests.support.service import unique
from tests.support.waiting import HANGING
from workflows.domain.lifecycle import Kind, Status
from workflows.domain.systems import TELEPHONY
from workflows.wire.matters import MatterView
from workflows.wire.views import PlannedView

TOKYO, HONOLULU = "Asia/Tokyo", "Pacific/Honolulu"
NOW = datetime(2026, 11, 28, 20, tzinfo=UTC)  # the 29th in Tokyo, the 28th in Honolulu
LATE = datetime(2026, 11, 28, 8, 30, tzinfo=UTC)
SKIPPED = {"reason": "the card is replaced on Monday", "by": "ann", "at": LATE}


@dataclass
class House:
    """A site, and the directory that its clients are published to."""

    site: str
    timezone: str
    directory: PostgresDirectory
    reads: DirectoryReads
    dsn: str

    def named(self, name: str) -> str:
        return f"{self.site}-{name}"

    async def show(self, name: str, /, revision: int = 2, since: int = 0, **client: Any) -> None:
        """Publish a client; telephony is to do what it is to do since revision ``since``."""
        order = publication(
            self.named(name), revision, billing_ref=self.named(name), site=self.site, timezone=self.timezone, **client
        )
        await self.directory.publish(replace(order, wanted=order.wanted | {TELEPHONY: since}))

    async def matters(self, now: datetime = NOW, **filters: Any) -> list[Matter]:
        page = await self.reads.matters(MatterFilter(site=self.site, **filters), now)
        assert page.total == len(page.items)
        return page.items

    async def found(self, now: datetime = NOW, **filters: Any) -> set[tuple[str, str]]:
        """Which client has which kind of matter. The clients' own pages and the list say the same."""
        items = await self.matters(now, **filters)
        if not filters:
            mine = {(client_id, kind) for item in items for client_id, kind in [(item.client_id, item.kind)]}
            views, _ = await self.reads.clients(ClientFilter(site=self.site, inactive=True, limit=500), now)
            assert {(view.client_id, m.kind) for view in views for m in view.matters if not m.snoozed} == mine
            opened, _ = await self.reads.clients(ClientFilter(site=self.site, inactive=True, open=True), now)
            assert {view.client_id for view in opened} == {client_id for client_id, _ in mine}
        return {(item.client_id.removeprefix(f"{self.site}-"), item.kind) for item in items}

    async def hand(self, name: str, matter: str, text: str = "", key: str = "k", **changed: Any) -> None:
        """Somebody does something about a matter."""
        row = await matter_named(self.reads.database, self.named(name), matter, NOW)
        assert row is not None
        fields = {"by": "ann", "reason": "", "command_id": key}
        await keep(self.reads.database, row, changed, "assign", text, NOW, **fields)

    async def execute(self, sql: str, *values: object) -> None:
        async with connected(self.dsn) as connection:
            await connection.execute(sql, *values)


@pytest_asyncio.fixture
async def reads(postgres: EmbeddedPostgres) -> AsyncIterator[tuple[DirectoryReads, PostgresDirectory, str]]:
    dsn = await postgres.ensure_database("matters")
    await migrate(dsn)
    async with Database("directory", dsn, Settings(directory_dsn=dsn, **UNHURRIED)) as database:
        yield DirectoryReads(database, timeout=HANGING), PostgresDirectory(database), dsn


async def house_in(timezone: str, parts: tuple[DirectoryReads, PostgresDirectory, str]) -> House:
    reads, directory, dsn = parts
    site = unique("house")
    await reads.add_site(SiteGiven(site_id=site, name="House", timezone=timezone))
    return House(site, timezone, directory, reads, dsn)


@pytest_asyncio.fixture
async def house(reads: tuple[DirectoryReads, PostgresDirectory, str]) -> House:
    return await house_in(TOKYO, reads)


def plan(kind: Kind, change_id: str = "later", **more: Any) -> PlannedView:
    day = datetime(2027, 1, 1, tzinfo=UTC)
    fields = {"at": day, "local_time": "", "reason": "", "by": "ann", "details": {}, "status_after": None}
    return PlannedView.model_validate({"change_id": change_id, "kind": kind, **fields, **more})


async def test_systems_that_need_a_person(house: House) -> None:
    trouble = {"attempts": 3, "last_error": "no route"}
    await house.show("well")
    await house.show("ill", since=2, systems=[switched(TELEPHONY, state="attention", attention_since=LATE, **trouble)])
    await house.show("young", since=2, systems=[switched(TELEPHONY, state="not_proven", **trouble)])
    await house.show("dark", since=2, systems=[switched(TELEPHONY, state="not_proven", **trouble)])
    await house.show("let-be", systems=[switched(TELEPHONY, state="skipped", skipped=SKIPPED)])
    assert await house.found() == {("ill", "attention"), ("let-be", "skipped")}
    await house.execute("UPDATE clients SET updated_at = $2 WHERE client_id = $1", house.named("dark"), LATE)
    assert await house.found() == {("ill", "attention"), ("dark", "not_proven"), ("let-be", "skipped")}
    [ill] = [item for item in await house.matters() if item.kind == "attention"]
    assert (ill.matter, ill.system, ill.since, ill.text) == ("telephony", "telephony", LATE, "no route")
    assert ill.since.isoformat() == "2026-11-28T17:30:00+09:00"
    assert f"connect client retry {house.named('ill')} telephony" in [way.command for way in ill.remedies]


async def test_an_end_date_is_over_with_its_day_at_the_site(
    house: House, reads: tuple[DirectoryReads, PostgresDirectory, str]
) -> None:
    there = await house_in(HONOLULU, reads)
    for place in (house, there):
        await place.show("past", end_date=date(2026, 11, 27))
        await place.show("last", end_date=date(2026, 11, 28))
        await place.show("gone", end_date=date(2026, 11, 1), status=Status.DECOMMISSIONED)
        await place.show("open")
    assert await house.found() == {("past", "end_date_passed"), ("last", "end_date_passed")}
    assert await there.found() == {("past", "end_date_passed")}
    assert await there.found(NOW + timedelta(hours=14)) == {("past", "end_date_passed"), ("last", "end_date_passed")}
    last = (await house.matters())[1]
    assert last.since.isoformat() == "2026-11-29T00:00:00+09:00"
    assert last.text == "The end date, 28 Nov 2026, has passed, and the client is still Active."
    assert f"connect client decommission {house.named('last')}" in [way.command for way in last.remedies]


async def test_a_new_client_whose_day_has_come_and_whom_nothing_activates(house: House) -> None:
    begun: dict[str, Any] = {"status": Status.NEW, "start_date": date(2026, 11, 29)}
    await house.show("by-hand", **begun)
    await house.show("planned", **begun, planned=[plan(Kind.SUSPEND, "other"), plan(Kind.ACTIVATE)])
    await house.show("cancelled", **begun, planned=[plan(Kind.SUSPEND)])
    await house.show("tomorrow", status=Status.NEW, start_date=date(2026, 11, 30))
    await house.show("begun", start_date=date(2026, 11, 29))
    assert await house.found() == {("by-hand", "start_reached"), ("cancelled", "start_reached")}
    assert await house.found(NOW - timedelta(hours=6)) == set(), "it is the 28th there"
    await house.show("by-hand", revision=3, start_date=date(2026, 11, 29))
    assert await house.found() == {("cancelled", "start_reached")}


async def test_plans_that_break_are_what_the_workflow_says(house: House) -> None:
    text = "Line 3 has no office in the conversion."
    broken = MatterView(matter="plan:c1", kind="plan_blocked", system=None, since=LATE, text=text)
    refused = broken.model_copy(update={"matter": "plan:c0", "kind": "plan_refused", "text": "Refused."})
    await house.show("breaks", planned=[plan(Kind.CONVERT, "c1")], matters=[refused, broken])
    assert await house.found() == {("breaks", "plan_blocked"), ("breaks", "plan_refused")}
    await house.show("breaks", 3, planned=[plan(Kind.CONVERT, "c1")], matters=[changed_matter(broken, since=NOW)])
    [matter] = await house.matters(kind="plan_blocked")
    assert (matter.matter, matter.since, matter.text) == ("plan:c1", LATE, text), "it is so since it was first heard of"
    await house.show("breaks", 4, matters=[changed_matter(broken, kind="plan_refused", since=NOW)])
    assert [(item.kind, item.since) for item in await house.matters()] == [("plan_refused", NOW)]
    await house.show("breaks", 5)
    assert await house.found() == set()


async def test_a_plan_that_something_else_blocks_is_open_again(house: House) -> None:
    broken = MatterView(matter="plan:c1", kind="plan_blocked", system=None, since=LATE, text="No office.")
    await house.show("breaks", matters=[broken])
    await house.hand("breaks", "plan:c1", acknowledged_at=NOW)
    await house.show("breaks", 3, matters=[changed_matter(broken, since=NOW)])
    assert await house.found() == set()
    await house.show("breaks", 4, matters=[changed_matter(broken, text="A number is taken.")])
    assert await house.found() == {("breaks", "plan_blocked")}


def changed_matter(matter: MatterView, **changes: Any) -> MatterView:
    return matter.model_copy(update=changes)


async def test_what_watches_find_is_among_them(house: House) -> None:
    await house.show("halted")
    row = (house.named("halted"), "workflow", "workflow_ended", LATE, "It was terminated.")
    await house.execute("INSERT INTO matters (client_id, matter, kind, since, text) VALUES ($1, $2, $3, $4, $5)", *row)
    assert await house.found() == {("halted", "workflow_ended")}


async def test_an_instance_that_no_worker_serves_is_a_matter_of_no_client(house: House) -> None:
    mine, system = unique("inst"), TELEPHONY
    matter = f"unserved:{system}:{mine}"

    async def unserved() -> list[Matter]:
        page = await house.reads.matters(MatterFilter(kind="unserved", limit=500), NOW)
        return [item for item in page.items if item.matter == matter]

    report = (
        "INSERT INTO system_states (system, worker, state, since, instance, updated_at) VALUES ($1, $2, $3, $4, $5, $6)"
    )
    await house.execute(report, system, mine, "working", LATE, mine, LATE)
    assert await unserved() == [], "nothing was ever switched there"
    await house.show("there", since=2, systems=[switched(system, instance=mine, state="changing")])
    [found] = await unserved()
    assert (found.client_id, found.system, found.since) == ("", system, LATE)
    assert f"No worker serves telephone lines at {mine}" in found.text
    assert await house.matters(kind="unserved") == [], "it is of no site"
    await house.execute("UPDATE system_states SET updated_at = now() WHERE worker = $1", mine)
    assert await unserved() == []


async def test_a_snooze_ends_at_its_moment_and_with_a_new_error(house: House) -> None:
    trouble: dict[str, Any] = {"state": "attention", "attention_since": LATE, "last_error": "no route"}
    await house.show("ill", since=2, systems=[switched(TELEPHONY, **trouble)])
    ahead = datetime.now(UTC) + timedelta(days=1)
    await house.hand("ill", "telephony", snoozed=True, snoozed_until=ahead)
    assert await house.matters() == []
    [put_aside] = await house.matters(snoozed=True)
    assert (put_aside.snoozed, put_aside.snoozed_until) == (True, ahead)
    assert await house.reads.clients(ClientFilter(site=house.site, open=True), NOW) == ([], None)
    await house.execute("UPDATE matter_hands SET snoozed_until = now() WHERE client_id = $1", house.named("ill"))
    assert [item.snoozed_until for item in await house.matters()] == [None]
    await house.hand("ill", "telephony", snoozed=True, snoozed_until=None)
    assert await house.matters() == []
    await house.show("ill", 3, since=2, systems=[switched(TELEPHONY, **trouble | {"last_error": "refused"})])
    assert [item.text for item in await house.matters()] == ["refused"]


async def test_whoever_has_it_keeps_it_until_it_happens_anew(house: House) -> None:
    trouble: dict[str, Any] = {"state": "attention", "attention_since": LATE, "last_error": "no route"}
    await house.show("ill", since=2, systems=[switched(TELEPHONY, **trouble)])
    await house.show("other", since=2, systems=[switched(TELEPHONY, **trouble)])
    await house.hand("ill", "telephony", assigned_to="Ann")
    await house.show("ill", 3, since=2, systems=[switched(TELEPHONY, **trouble | {"last_error": "refused"})])
    assert [item.assigned_to for item in await house.matters()] == ["Ann", None]
    assert await house.found(assigned_to="ANN") == {("ill", "attention")}
    assert await house.found(assigned_to="nobody") == {("other", "attention")}
    again = trouble | {"attention_since": LATE + timedelta(hours=1)}
    await house.show("ill", 4, since=4, systems=[switched(TELEPHONY, **again)])
    assert {item.assigned_to for item in await house.matters()} == {None}


async def test_what_is_acknowledged_is_open_again_once_it_is_another(house: House) -> None:
    await house.show("stays", end_date=date(2026, 11, 20))
    await house.hand("stays", "end_date_passed", acknowledged_at=NOW)
    assert await house.found() == set()
    assert await house.matters(snoozed=True) == []
    await house.show("stays", revision=3, end_date=date(2026, 11, 20), name="Renamed Ltd")
    assert await house.found() == set()
    await house.show("stays", revision=4, end_date=date(2026, 11, 25))
    assert await house.found() == {("stays", "end_date_passed")}


async def test_a_hand_is_one_line_of_the_history(house: House) -> None:
    await house.show("stays", end_date=date(2026, 11, 20))
    for _ in range(2):
        await house.hand("stays", "end_date_passed", "Assigned to Ann", assigned_to="Ann")
    page = await house.reads.history(house.named("stays"), 10, None)
    assert page is not None
    assert [(line.event, line.kind, line.by, line.text) for line in page.items] == [
        ("decided", "assign", "ann", "Assigned to Ann")
    ]
    assert page.items[0].facts == {"matter": "end_date_passed"}


async def test_the_number_in_the_menu_leaves_out_what_was_put_aside(house: House) -> None:
    console = ConsoleReads(house.reads.database)
    await house.show("stays", end_date=date(2026, 11, 20))
    before = await console.open_matters(NOW)
    assert before == ((await house.reads.matters(MatterFilter(), NOW)).total, False)
    await house.hand("stays", "end_date_passed", snoozed=True, snoozed_until=None)
    assert await console.open_matters(NOW) == (before[0] - 1, False)
