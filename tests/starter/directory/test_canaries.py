"""Wherever clients are listed, counted, searched, planned, warned of or in the way, a canary is not among them."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest_asyncio

from activities.database import Database
from activities.directory.migrations import migrate
from activities.directory.publish import PostgresDirectory
from activities.settings import Settings
from starter.contract.bodies import AttentionFilter, ClientFilter, MatterFilter, SiteEdit, SiteGiven
from starter.directory.console import ConsoleReads
from starter.directory.lookalikes import lookalikes
from starter.directory.reads import DirectoryReads
from starter.errors import InstanceInUse, SiteInUse
from starter.local.postgres import EmbeddedPostgres
from tests.activities.fixtures import AT, ONE, TWO, publication, switched
from tests.support.databases import UNHURRIED, database
from tests.support.waiting import HANGING
from workflows.domain.lifecycle import Kind, Status
from workflows.domain.systems import TELEPHONY
from workflows.wire.views import PlannedView

CANARY, CLIENT, MATTER = "connect-canary-lon", "acme", "INSERT INTO matters VALUES ($1, $2, 'k', $3, now(), 'It fails')"
SOON = AT + timedelta(days=3)
PLANNED = PlannedView(
    change_id="1",
    kind=Kind.DECOMMISSION,
    at=SOON,
    local_time="",
    reason="",
    by="",
    details={},
    status_after=Status.DECOMMISSIONED,
)


@pytest_asyncio.fixture
async def directory(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    """One site with nobody at it."""
    async with database(postgres, "canaries") as dsn:
        await migrate(dsn)
        async with Database("directory", dsn, Settings(directory_dsn=dsn, **UNHURRIED)) as directory:
            await DirectoryReads(directory, timeout=HANGING).add_site(
                SiteGiven(site_id="lon", name="London", timezone="UTC")
            )
            yield directory


async def places(directory: Database, client_id: str, number: str) -> set[str]:
    """Where a client shows that has everything that is shown somewhere."""
    ill = switched(TELEPHONY, state="attention", attention_since=AT, last_error="no route", desired={number: "on"})
    order = publication(
        client_id, 2, number, billing_ref=client_id, systems=[ill], end_date=SOON.date(), planned=[PLANNED]
    )
    await PostgresDirectory(directory).publish(replace(order, wanted=order.wanted | {TELEPHONY: 2}))
    for matter, system in (("workflow", ""), (f"alive:{TELEPHONY}", TELEPHONY)):
        await directory.write(MATTER, client_id, matter, system)
    reads = DirectoryReads(directory, timeout=HANGING)
    console = ConsoleReads(reads.database)
    [state] = [it for it in (await reads.systems()).items if it.system == TELEPHONY]
    plans = await console.plans("lon", AT, AT + timedelta(days=9))
    found: dict[str, object] = {
        "list": (await reads.clients(ClientFilter(), AT))[0],
        "search": (await reads.clients(ClientFilter(q=number), AT))[0],
        "open": (await reads.clients(ClientFilter(open=True), AT))[0],
        "counts": sum((await reads.counts(ClientFilter(), AT)).values()),
        "attention": (await reads.attention(AttentionFilter(system=TELEPHONY))).total,
        "cannot run": (await reads.attention(AttentionFilter(system="workflow"))).total,
        "matters": (await reads.matters(MatterFilter(), AT)).total,
        "system": state.clients_in_attention,
        "menu": (await console.open_matters(AT))[0],
        "plans": [plan for plan in plans if plan.kind == "decommission"],
        "end dates": [plan for plan in plans if plan.kind == "end_date"],
        "offices": (await lookalikes(reads.database, "another", "lon", ["3.12"], None)).offices,
    }
    try:
        await reads.edit_site("lon", SiteEdit(timezone="Asia/Tokyo"), "ann")
        await reads.edit_site("lon", SiteEdit(timezone="UTC"), "ann")
    except SiteInUse as use:
        found["time zone"] = use
    try:
        await reads.edit_site("lon", SiteEdit(systems={TELEPHONY: "york"}), "ann")
        await reads.edit_site("lon", SiteEdit(systems={TELEPHONY: "main"}), "ann")
    except InstanceInUse as use:
        found["instance"] = use
    await directory.write("UPDATE clients SET status = $2 WHERE client_id = $1", client_id, Status.DECOMMISSIONED)
    name = order.view.name
    found["former"] = (await lookalikes(reads.database, "another", "lon", [], name)).former
    return {place for place, rows in found.items() if rows}


async def test_a_canary_shows_nowhere_and_any_other_client_in_all_these_places(directory: Database) -> None:
    assert await places(directory, CANARY, ONE) == set()
    assert await places(directory, CLIENT, TWO) == {
        *("list", "search", "open", "counts", "attention", "cannot run", "matters", "system", "menu"),
        *("plans", "end dates", "offices", "former", "time zone", "instance"),
    }
