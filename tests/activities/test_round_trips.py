"""How often a change waits for a database: each statement is a round trip, BEGIN and COMMIT too."""

import pytest

from tests.activities.fixtures import ONE, TWO, World, access, lines, publication


@pytest.mark.parametrize(("on", "whole"), [(False, 14), (True, 13)], ids=["suspension", "unsuspension"])
async def test_a_change_of_a_client_makes_few_round_trips(world: World, on: bool, whole: int) -> None:
    """A change and its read-back on each system, a record of each proof, one publication. Accounts that go off are
    read once more."""
    await world.open(limits={"disconnect_pause_seconds": 0})
    ref = await world.register("acme", ONE, TWO)
    for revision, before in ((1, True), (2, not on)):
        await world.telephony.ensure(lines("acme", revision, one=before, two=before))
        await world.internet.ensure(access("acme", revision, on=before))
    world.statements.clear()
    await world.telephony.ensure(lines("acme", 3, one=on, two=on))
    await world.internet.ensure(access("acme", 3, on=on))
    await world.directory.publish(publication("acme", 3, ONE, TWO, billing_ref=ref))
    assert world.took() == whole


async def test_a_publication_without_a_claim_is_one_statement(world: World) -> None:
    ref = await world.register("acme", ONE)
    world.statements.clear()
    await world.directory.publish(publication("acme", 2, ONE, billing_ref=ref))
    assert world.took() == 1
