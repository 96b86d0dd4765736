"""What was proven stands in the directory, once per client, system and revision."""

from dataclasses import replace

from activities.directory.evidence import Evidences
from tests.activities.fixtures import AT, ONE, TWO, World, access, lines, publication, switched
from tests.support.waiting import HANGING
from workflows.domain.journal import Entry, Event
from workflows.domain.lifecycle import Status
from workflows.domain.provisioning.standing import Proof
from workflows.domain.systems import INTERNET, TELEPHONY
from workflows.ports import Evidence, Finding

HISTORY = "SELECT event, kind, text, revision, facts FROM history ORDER BY history_id"
NUMBERS = "SELECT number FROM numbers ORDER BY number"


async def test_a_proven_change_is_recorded_once_however_often_it_is_obeyed(world: World) -> None:
    await world.register("acme")
    for _ in range(2):
        evidence = await world.telephony.ensure(lines("acme", 2, one=True, two=False))
        assert evidence.recorded
    proofs = await world.rows("directory", "SELECT client_id, system, revision, at IS NOT NULL FROM proofs")
    assert proofs == [("acme", "telephony", 2, True)]
    history = await world.rows("directory", HISTORY)
    assert [row[:4] for row in history] == [("proven", "telephony", "Telephone lines proven: 1 on, 1 off", 2)]


async def test_the_directory_is_settled_when_both_systems_are_proven(world: World) -> None:
    ref = await world.register("acme", ONE)
    order = publication("acme", 2, ONE, billing_ref=ref)
    order.wanted.update({TELEPHONY: 2, INTERNET: 2})
    await world.directory.publish(order)
    assert await standing(world) == "changing"
    await world.telephony.ensure(lines("acme", 2, one=True))
    assert await standing(world) == "changing"
    await world.internet.ensure(access("acme", 2, on=True))
    assert await standing(world) == "settled"
    await world.directory.publish(order)
    assert await standing(world) == "settled"


async def test_an_older_proof_never_lowers_what_was_proven(world: World) -> None:
    await world.register("acme")
    await world.internet.ensure(access("acme", 7, on=True))
    await world.telephony.ensure(lines("acme", 3, one=True))
    old = Evidence(TELEPHONY, 2, AT, "read back", [Finding(ONE, True)])
    assert (await Evidences(world.databases.directory, HANGING).record("acme", old)).recorded
    proven = await world.rows("directory", "SELECT system, proven FROM client_systems ORDER BY system")
    assert proven == [("internet", 7), ("telephony", 3)]


async def test_numbers_proven_off_are_free_at_once(world: World) -> None:
    await world.register("acme", ONE, TWO)
    await world.telephony.ensure(lines("acme", 2, release=(ONE,), one=False, two=True))
    assert await world.rows("directory", NUMBERS) == [(TWO,)]
    await world.register("bolt", ONE)


async def test_a_late_proof_does_not_free_a_number_that_was_taken_again_since(world: World) -> None:
    ref = await world.register("acme", ONE)
    await world.directory.publish(publication("acme", 3, ONE, billing_ref=ref))
    await world.telephony.ensure(lines("acme", 2, release=(ONE,), one=False))
    assert await world.rows("directory", NUMBERS) == [(ONE,)]


async def test_a_publication_beside_the_proof_does_not_take_the_freed_number_back(world: World) -> None:
    ref = await world.register("acme", ONE)
    await world.telephony.ensure(lines("acme", 2, release=(ONE,), one=False))
    await world.directory.publish(publication("acme", 2, billing_ref=ref, ceasing=(ONE,)))
    assert await world.rows("directory", NUMBERS) == []


async def test_nor_does_that_of_a_decommission_whose_view_still_has_the_lines(world: World) -> None:
    """It would have the number for ever: a client that is closed publishes no more. A suspension keeps its numbers."""
    ref = await world.register("acme", ONE)
    await world.telephony.ensure(lines("acme", 2, release=(ONE,), one=False))
    off = [switched(TELEPHONY, desired={ONE: "off"})]
    for revision, status, held in ((2, Status.DECOMMISSIONED, []), (3, Status.SUSPENDED, [(ONE,)])):
        order = publication("acme", revision, ONE, billing_ref=ref, systems=off, status=status)
        await world.directory.publish(order)
        assert await world.rows("directory", NUMBERS) == held


async def test_listeners_hear_of_it(world: World) -> None:
    await world.register("acme")
    notified: list[str] = []
    listener = await world.admin("directory")
    await listener.add_listener("connect_clients", lambda *message: notified.append(message[3]))
    await world.telephony.ensure(lines("acme", 2, one=True))
    await listener.execute("SELECT 1")
    assert notified == ["acme"]


async def test_what_an_unknown_client_proves_is_left_to_its_publication(world: World) -> None:
    assert not (await world.telephony.ensure(lines("ghost", 1, one=True))).recorded
    assert await world.rows("directory", "SELECT FROM proofs") == []
    assert await world.rows("directory", "SELECT FROM history") == []


async def standing(world: World) -> str:
    ((word,),) = await world.rows("directory", "SELECT provisioning FROM clients WHERE client_id = 'acme'")
    return str(word)


WATCHED = "SELECT client_id, system, subject, revision, seen->>'in_service' FROM watched ORDER BY 1, 2, 3"


async def test_what_was_proven_off_is_watched_from_the_same_statement_on_and_what_is_on_no_more(world: World) -> None:
    await world.register("acme")
    world.took()
    await world.telephony.ensure(lines("acme", 2, one=False, two=True))
    assert (
        sum("INTO watched" in it.query for it in world.statements)
        == sum("INTO proofs" in it.query for it in world.statements)
        == 1
    )
    assert await world.rows("directory", WATCHED) == [("acme", "telephony", ONE, 2, "absent")]
    await world.telephony.ensure(lines("acme", 3, one=True, two=False))
    assert await world.rows("directory", WATCHED) == [("acme", "telephony", TWO, 3, "0")]
    late = Evidence(TELEPHONY, 2, AT, "read back", [Finding(ONE, False), Finding(TWO, True)])
    for evidence in (late, replace(late, findings=[Finding(TWO, False)])):
        await Evidences(world.databases.directory, HANGING).record("acme", evidence)
    assert ("acme", "telephony", TWO, 3, "0") in await world.rows("directory", WATCHED), "a late proof changes nothing"


async def test_what_is_proven_off_in_part_is_watched_and_what_is_in_doubt_is_not(world: World) -> None:
    await world.register("acme")
    found = [Finding(ONE, False), Finding(TWO, False, proof=Proof.NOT_PROVEN, why="nobody says")]
    await Evidences(world.databases.directory, HANGING).record("acme", Evidence(TELEPHONY, 2, AT, "read back", found))
    assert await world.rows("directory", WATCHED) == [("acme", "telephony", ONE, 2, None)]


async def test_a_proof_that_could_not_be_recorded_is_watched_from_its_publication_on(world: World) -> None:
    ref = await world.register("acme")
    order = publication("acme", 3, billing_ref=ref)
    facts = {ONE: "off", TWO: "on"}
    proven = Entry(Event.PROVEN, AT, "Telephony proven", TELEPHONY, "connect", revision=3, facts=facts)
    other = Entry(Event.DECIDED, AT, "Active", "activate", revision=3, facts={"status": "off"})
    for _ in range(2):
        await world.directory.publish(replace(order, entries=[proven, other], first_entry=2))
    assert await world.rows("directory", WATCHED) == [("acme", "telephony", ONE, 3, None)]


async def test_what_is_off_is_watched_at_the_instance_that_it_was_proven_off_at(world: World) -> None:
    ref = await world.register("acme")
    york = switched(TELEPHONY, instance="york")
    await world.directory.publish(publication("acme", 2, billing_ref=ref, systems=[york]))
    await world.telephony.ensure(lines("acme", 2, one=False))
    facts = {TWO: "off"}
    proven = Entry(Event.PROVEN, AT, "Telephony proven", TELEPHONY, "connect", revision=3, facts=facts)
    order = publication("acme", 3, billing_ref=ref, systems=[york])
    await world.directory.publish(replace(order, entries=[proven], first_entry=2))
    await world.directory.publish(publication("acme", 4, billing_ref=ref))
    rows = await world.rows("directory", "SELECT subject, instance FROM watched ORDER BY 1")
    assert rows == [(ONE, "york"), (TWO, "york")]
