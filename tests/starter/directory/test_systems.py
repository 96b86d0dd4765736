"""A third kind of system is listed, filtered, shown and counted like the two that come with Connect."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime

import pytest
import pytest_asyncio

from activities.database import Database
from activities.directory.evidence import Evidences
from activities.directory.migrations import migrate
from activities.directory.publish import PostgresDirectory
from activities.settings import Settings
from starter.contract.bodies import AttentionFilter, ClientFilter, SiteGiven
from starter.directory.reads import DirectoryReads
from starter.local.postgres import EmbeddedPostgres
from starter.wording import Standing
from tests.activities.fixtures import AT, publication, switched
from tests.support.databases import UNHURRIED
from tests.support.service import unique
from tests.support.waiting import HANGING
from workflows.domain.provisioning.provisioning import Provisioned
from workflows.domain.systems import BUILT_IN
from workflows.ports import Evidence, Finding
from workflows.wire.views import SubjectView, SystemView

SKIPPED = {"reason": "the reader is being replaced", "by": "ann", "at": AT.replace(hour=7)}
DOOR = SubjectView(
    subject="main", desired="on", actual="unknown", state="changing", proven_at=None, protected=False, why=""
)


@dataclass
class House:
    """A site whose clients have a system of a kind of its own."""

    site: str
    kind: str
    directory: PostgresDirectory
    evidences: Evidences
    reads: DirectoryReads

    async def show(self, client_id: str, system: SystemView, since: int = 2) -> None:
        """Publish a client with this system, of whom something is wanted since that revision."""
        order = publication(
            f"{self.site}-{client_id}", 2, billing_ref=f"{self.site}-{client_id}", site=self.site, systems=[system]
        )
        await self.directory.publish(replace(order, wanted=order.wanted | {system.system: since}))

    async def listed(self, word: str) -> set[str]:
        filters = ClientFilter(site=self.site, provisioning=Standing(word))
        clients, _ = await self.reads.clients(filters, AT)
        field = Provisioned.SETTLED if word == "done_by_hand" else Provisioned(word)
        assert {client.provisioning for client in clients} <= {field}
        assert sum((await self.reads.counts(filters, AT)).values()) == len(clients)
        return {client.client_id.removeprefix(f"{self.site}-") for client in clients}


@pytest_asyncio.fixture
async def house(postgres: EmbeddedPostgres) -> AsyncIterator[House]:
    """Clients whose doors are in every state, at two instances. Their directory is their own: it has a kind more."""
    site, kind, dsn = unique("gate"), unique("doors"), await postgres.ensure_database("third_kind")
    await migrate(dsn)
    settings = Settings(directory_dsn=dsn, **UNHURRIED)
    async with Database("directory", dsn, settings) as database:
        reads = DirectoryReads(database, timeout=HANGING)
        await reads.add_site(SiteGiven(site_id=site, name="Gate", timezone="UTC"))
        house = House(site, kind, PostgresDirectory(database), Evidences(database, HANGING), reads)
        trouble = {"state": "attention", "attempts": 4, "last_error": "no route"}
        await house.show("well", switched(kind), since=0)
        await house.show("late", switched(kind, state="changing", subjects=[DOOR], desired={"main": "on"}))
        await house.show("ill", switched(kind, **trouble, attention_since=AT))
        await house.show("far", switched(kind, **trouble, attention_since=AT.replace(hour=8), instance="paris"))
        await house.show("let-be", switched(kind, state="skipped", skipped=SKIPPED), since=0)
        await house.show("sworn", switched(kind, method="by hand", by="ann", note="taken off"), since=0)
        yield house


async def test_clients_are_listed_by_the_word_for_all_their_systems(house: House) -> None:
    assert await house.listed(Provisioned.SETTLED) == {"well", "sworn"}, "as the field says"
    assert await house.listed(Standing.DONE_BY_HAND) == {"sworn"}
    assert await house.listed(Provisioned.CHANGING) == {"late"}
    assert await house.listed(Provisioned.ATTENTION) == {"ill", "far"}
    assert await house.listed(Provisioned.SKIPPED) == {"let-be"}


async def test_its_newest_proof_is_shown_before_it_is_published(house: House) -> None:
    client_id = f"{house.site}-late"
    assert await house.reads.find_settled(client_id, 2, AT) is None
    finding = Finding("main", True, {"lock": "open"})
    assert (await house.evidences.record(client_id, Evidence(house.kind, 2, AT, "read back", [finding]))).recorded
    client = await house.reads.find_settled(client_id, 2, AT)
    assert client is not None
    (system,) = (system for system in client.systems if system.system == house.kind)
    assert (system.state, system.proven_at, system.method, system.actual) == (
        "settled",
        AT,
        "read back",
        {"main": "on"},
    )
    assert [(x.state, x.proven_at, x.seen) for x in system.subjects] == [("proven", AT, {"lock": "open"})]
    assert await house.listed(Provisioned.CHANGING) == set()


async def test_what_is_accepted_is_nothing_to_wait_for_and_not_settled(house: House) -> None:
    client = await house.reads.find_settled(f"{house.site}-let-be", 2, AT)
    assert client is not None
    assert client.provisioning is Provisioned.SKIPPED


async def test_those_who_need_a_person_are_grouped_by_instance(house: House) -> None:
    page = await house.reads.attention(AttentionFilter(site=house.site, skipped=True))
    found = [(item.system, item.instance, item.client_id.removeprefix(f"{house.site}-")) for item in page.items]
    assert found == [
        (house.kind, "main", "let-be"),
        (house.kind, "main", "ill"),
        (house.kind, "paris", "far"),
    ]
    assert (page.items[1].attempts, page.items[1].last_error, page.items[1].since) == (4, "no route", AT)
    assert page.items[0].skipped is not None
    first = await house.reads.attention(AttentionFilter(system=house.kind, limit=1))
    rest = await house.reads.attention(AttentionFilter(system=house.kind, cursor=first.next))
    assert [item.client_id for item in (*first.items, *rest.items)] == [f"{house.site}-ill", f"{house.site}-far"]
    assert (first.total, rest.next) == (2, None)


async def test_each_instance_says_how_many_clients_wait_for_it(house: House) -> None:
    systems = (await house.reads.systems()).items
    assert [x.system for x in systems if x.instance == "main"][: len(BUILT_IN)] == list(BUILT_IN)
    ours = {
        x.instance: (x.clients_in_attention, x.clients_changing, x.oldest_attention_at, x.state)
        for x in systems
        if x.system == house.kind
    }
    assert ours == {"main": (1, 1, AT, "unknown"), "paris": (1, 0, AT.replace(hour=8), "unknown")}


@pytest.mark.parametrize(
    ("succeeded", "finds"), [(AT.replace(hour=7), "all_fail"), (AT.replace(hour=9, minute=30), "some_fail")]
)
async def test_a_system_is_as_attempts_find_it(house: House, succeeded: datetime, finds: str) -> None:
    """Its worker says that it is working: too few clients fail for its breaker to open."""
    await house.reads.database.write(
        "INSERT INTO system_states (system, instance, worker, state, since, last_success_at, updated_at) "
        "VALUES ($1, 'paris', 'one', 'working', $2, $3, now())",
        *(house.kind, AT, succeeded),
    )
    paris = next(x for x in (await house.reads.systems()).items if (x.system, x.instance) == (house.kind, "paris"))
    assert (paris.state, paris.attempts_find, paris.attempts_error) == ("working", finds, "no route")
    main = next(x for x in (await house.reads.systems()).items if (x.system, x.instance) == ("internet", "main"))
    assert (main.attempts_find, main.attempts_error) == ("", "")
