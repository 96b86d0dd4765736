"""A row for each client and system, of whichever kind, and the one word that the client's own row has for all."""

import asyncio
from dataclasses import replace
from itertools import permutations

import pytest

from activities.directory.evidence import Evidences
from activities.directory.migrations import migrate
from starter.local.postgres import EmbeddedPostgres
from tests.activities.fixtures import AT, World, publication, switched
from tests.support.databases import connected, database
from tests.support.waiting import HANGING
from workflows.domain.provisioning.standing import Proof
from workflows.domain.systems import INTERNET, TELEPHONY, System
from workflows.ports import Evidence, Finding, Publish

DATABASES = ("directory",)
DOORS, WIFI = "doors", "wi-fi"


def publication_of(ref: str, revision: int, *systems: System) -> Publish:
    """A publication of a client who has doors and Wi-Fi, and of whom these systems are wanted something new."""
    further = [switched(DOORS, instance="london"), switched(WIFI)]
    order = publication("acme", revision, billing_ref=ref, systems=further)
    return replace(order, wanted=order.wanted | dict.fromkeys(systems, revision))


async def prove(world: World, system: System, revision: int, proof: Proof = Proof.PROVEN) -> Evidence:
    evidence = Evidence(system, revision, AT, "read back", [Finding("main-entrance", True, {"state": "open"}, proof)])
    return await Evidences(world.databases.directory, HANGING).record("acme", evidence)


async def word(world: World) -> str:
    ((provisioning,),) = await world.rows("directory", "SELECT provisioning FROM clients WHERE client_id = 'acme'")
    return str(provisioning)


async def test_each_system_of_a_client_has_a_row_with_the_instance_that_serves_it(world: World) -> None:
    ref = await world.register("acme")
    refused = switched(
        DOORS, instance="london", state="attention", attention_since=AT, attempts=3, last_error="no route"
    )
    await world.directory.publish(publication("acme", 2, billing_ref=ref, systems=[refused]))
    rows = await world.rows(
        "directory",
        "SELECT system, instance, state, attempts, last_error, attention_since FROM client_systems ORDER BY system",
    )
    assert rows == [
        ("doors", "london", "attention", 3, "no route", AT),
        ("internet", "main", "settled", 0, "", None),
        ("telephony", "main", "settled", 0, "", None),
    ]
    await world.directory.publish(publication("acme", 3, billing_ref=ref, systems=[switched(DOORS, instance="paris")]))
    moved = await world.rows("directory", "SELECT instance, state FROM client_systems WHERE system = 'doors'")
    assert moved == [("paris", "settled")]


async def test_a_client_is_settled_when_every_one_of_its_systems_is_proven(world: World) -> None:
    ref = await world.register("acme")
    await world.directory.publish(publication_of(ref, 2, TELEPHONY, DOORS, WIFI))
    for system in (DOORS, TELEPHONY):
        await prove(world, system, 2)
        assert await word(world) == "changing"
    await prove(world, WIFI, 2, Proof.NOT_PROVEN)
    assert await word(world) == "changing"
    await prove(world, WIFI, 2)
    assert await word(world) == "settled"
    proofs = await world.rows("directory", "SELECT system, kind FROM proofs ORDER BY system, kind")
    assert proofs == [("doors", "change"), ("telephony", "change"), ("wi-fi", "change"), ("wi-fi", "part")]
    assert await world.rows("directory", "SELECT text FROM history WHERE kind = 'doors'") == [
        ("Doors proven: 1 on, 0 off",)
    ]


async def test_what_is_proven_before_its_publication_counts(world: World) -> None:
    ref = await world.register("acme")
    await prove(world, DOORS, 2)
    assert await word(world) == "settled"
    await world.directory.publish(publication_of(ref, 2, DOORS))
    assert await word(world) == "settled"
    await world.directory.publish(publication_of(ref, 3, DOORS))
    assert await word(world) == "changing"


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ({DOORS: "attention", TELEPHONY: "skipped"}, "attention"),
        ({DOORS: "attention", TELEPHONY: "changing"}, "attention"),
        ({DOORS: "skipped", TELEPHONY: "changing"}, "changing"),
        ({DOORS: "not_proven"}, "changing"),
        ({DOORS: "skipped"}, "skipped"),
        ({DOORS: "settled"}, "settled"),
    ],
    ids=str,
)
async def test_the_word_for_all_systems_is_that_of_the_one_that_needs_most(
    world: World, states: dict[System, str], expected: str
) -> None:
    ref = await world.register("acme")
    systems = [switched(system, state=state) for system, state in states.items()]
    order = publication("acme", 2, billing_ref=ref, systems=systems)
    open_ones = {system: 2 for system, state in states.items() if state in ("changing", "not_proven", "attention")}
    await world.directory.publish(replace(order, wanted=order.wanted | open_ones))
    assert await word(world) == expected
    await world.directory.publish(publication("acme", 3, billing_ref=ref, systems=[switched(x) for x in states]))
    assert await word(world) == "settled"


async def test_proofs_and_a_publication_at_one_moment_all_count(world: World) -> None:
    """Each statement waits for the client's row, and then sees what the others have written meanwhile."""
    systems = (TELEPHONY, DOORS, WIFI)
    ref = await world.register("acme")
    for revision, order in enumerate(permutations(range(4)), 2):
        await world.directory.publish(publication_of(ref, revision, *systems[:2]))
        waits = [
            *(prove(world, system, revision) for system in systems),
            publish(world, publication_of(ref, revision, WIFI)),
        ]
        async with world.held("directory", "clients"):
            tasks = []
            for number, place in enumerate(order[: world.settings.pool_size // 2], 1):
                tasks.append(asyncio.create_task(waits[place]))
                await world.waiting_for_locks(number, "directory")
        rest = [waits[place] for place in order[len(tasks) :]]
        await asyncio.gather(*tasks, *rest)
        assert await word(world) == "settled", f"of the order {order}"


async def publish(world: World, order: Publish) -> None:
    order.wanted.update({TELEPHONY: order.revision, DOORS: order.revision})
    await world.directory.publish(order)


async def test_evidence_of_any_kind_is_one_statement(world: World) -> None:
    await world.register("acme")
    world.statements.clear()
    for system in (TELEPHONY, INTERNET, DOORS):
        assert (await prove(world, system, 2)).recorded
    assert world.took() == 3


# -- a folder of before -----------------------------------------------------------------------------------------------

_BEFORE = """
INSERT INTO clients (client_id, incarnation, revision, site_id, name, sort_name, type, status, billing_ref, start_date,
  management, offices, numbers, attention, telephony_wanted, telephony_proven, internet_wanted, internet_proven,
  document, search, created_at)
VALUES ($1, 'run', 9, 'lon', $1, $1, 'residential', 'active', $1, '2026-01-01', false, '{}', '{}', $2, $3, $4, $5, $6,
  $7, $1, now())"""


async def test_the_rows_of_before_are_kept_by_system(postgres: EmbeddedPostgres) -> None:
    async with database(postgres, "before_client_systems") as dsn, connected(dsn) as connection:
        await migrate(dsn, "0008")
        await connection.execute("INSERT INTO sites (site_id, name, timezone) VALUES ('lon', 'London', 'UTC')")
        skipped = {"reason": "ticket 7", "by": "ann", "at": AT.isoformat()}
        for client_id, attention, revisions, telephony in (
            ("settled", False, (3, 3, 2, 5), switched(TELEPHONY)),
            ("changing", False, (4, 3, 2, 2), switched(TELEPHONY, state="changing")),
            ("attention", True, (4, 3, 2, 2), switched(TELEPHONY, state="attention", attention_since=AT, attempts=2)),
            ("skipped", False, (4, 4, 2, 2), switched(TELEPHONY, state="skipped", skipped=skipped)),
        ):
            document = f'{{"systems": [{telephony.model_dump_json()}, {switched(INTERNET).model_dump_json()}]}}'
            await connection.execute(_BEFORE, client_id, attention, *revisions, document)
        await migrate(dsn)
        words = await connection.fetch("SELECT client_id, provisioning FROM clients")
        assert {row["client_id"]: row["provisioning"] for row in words} == {
            word: word for word in ("settled", "changing", "attention", "skipped")
        }
        rows = await connection.fetch(
            "SELECT client_id, wanted, proven, state, attempts, attention_since, skipped->>'reason', instance "
            "FROM client_systems WHERE system = 'telephony' ORDER BY client_id"
        )
        assert [tuple(row) for row in rows] == [
            ("attention", 4, 3, "attention", 2, AT, None, "main"),
            ("changing", 4, 3, "changing", 0, None, None, "main"),
            ("settled", 3, 3, "settled", 0, None, None, "main"),
            ("skipped", 4, 4, "skipped", 0, None, "ticket 7", "main"),
        ]
        internet = await connection.fetch("SELECT wanted, proven FROM client_systems WHERE system = 'internet'")
        assert {tuple(row) for row in internet} == {(2, 2), (2, 5)}
        await connection.execute("UPDATE client_systems SET proven = 4 WHERE client_id = 'changing'")
        changed = "SELECT provisioning FROM clients WHERE client_id = 'changing'"
        assert await connection.fetchval(changed) == "settled", "the word follows the rows from here on"
