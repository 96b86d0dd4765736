"""Billing references and numbers are held by one client; who is first decides; asking again gets the same answer."""

import asyncio
from dataclasses import replace

import pytest

from tests.activities.fixtures import ONE, THREE, TWO, World, publication, registration
from workflows.domain.lifecycle import Status
from workflows.ports import Claim, Published
from workflows.wire.views import LineView

DATABASES = ("directory",)

NUMBERS = "SELECT number, client_id FROM numbers ORDER BY number"
REFS = "SELECT billing_ref FROM billing_refs WHERE client_id = $1 ORDER BY billing_ref"


async def claim(
    world: World,
    client_id: str,
    revision: int,
    *numbers: str,
    ref: str,
    billing_ref: str | None = None,
    add: tuple[str, ...] = (),
) -> Published:
    """Publish a client that goes by ``ref`` and holds ``numbers``, with a claim for more."""
    order = publication(client_id, revision, *numbers, billing_ref=ref, claim=Claim(billing_ref, list(add)))
    return await world.directory.publish(order)


# -- numbers ----------------------------------------------------------------------------------------------------------


async def test_a_free_number_is_won_and_held(world: World) -> None:
    ref = await world.register("acme", ONE)
    answer = await claim(world, "acme", 2, ONE, ref=ref, add=(TWO,))
    assert answer.lost is None
    assert await world.rows("directory", NUMBERS) == [(ONE, "acme"), (TWO, "acme")]


async def test_a_number_of_another_client_is_lost_and_the_rest_of_the_publication_stands(world: World) -> None:
    ref = await world.register("acme", ONE)
    await world.register("bolt", TWO)
    answer = await claim(world, "acme", 2, ONE, ref=ref, add=(THREE, TWO))
    assert answer.lost is not None
    assert (answer.lost.type, answer.lost.field) == ("NumberTaken", "lines")
    assert TWO in answer.lost.why
    assert THREE not in answer.lost.why
    assert await world.rows("directory", NUMBERS) == [(ONE, "acme"), (TWO, "bolt")]
    assert await world.rows("directory", "SELECT revision FROM clients WHERE client_id = 'acme'") == [(2,)]


async def test_a_claim_made_twice_is_won_twice(world: World) -> None:
    ref = await world.register("acme")
    first = await claim(world, "acme", 2, ref=ref, add=(ONE,))
    again = await claim(world, "acme", 2, ref=ref, add=(ONE,))
    later = await claim(world, "acme", 3, ref=ref, add=(ONE,))
    assert first == again
    assert later.lost is None


async def test_a_number_claimed_and_then_not_wanted_is_free(world: World) -> None:
    ref = await world.register("acme")
    await claim(world, "acme", 2, ref=ref, add=(ONE,))
    await world.directory.publish(publication("acme", 3, billing_ref=ref))
    assert await world.rows("directory", NUMBERS) == []


async def test_of_many_clients_racing_for_one_number_exactly_one_wins(world: World) -> None:
    clients = [f"client-{n}" for n in range(5)]
    refs = [await world.register(client_id) for client_id in clients]
    answers = await asyncio.gather(
        *(claim(world, client_id, 2, ref=ref, add=(ONE,)) for client_id, ref in zip(clients, refs, strict=True))
    )
    assert sorted(a.lost.type if a.lost else "won" for a in answers) == ["NumberTaken"] * 4 + ["won"]
    assert len(await world.rows("directory", NUMBERS)) == 1


async def test_two_new_clients_racing_for_overlapping_numbers_end_with_one_and_nothing_of_the_other(
    world: World,
) -> None:
    orders = [registration("acme", ONE, TWO), registration("bolt", TWO, ONE)]
    answers = await asyncio.gather(*map(world.directory.publish, orders))
    assert sorted(a.lost.type if a.lost else "won" for a in answers) == ["NumberTaken", "won"]
    ((winner,),) = await world.rows("directory", "SELECT client_id FROM clients")
    assert await world.rows("directory", NUMBERS) == [(ONE, winner), (TWO, winner)]
    assert await world.rows("directory", "SELECT client_id FROM billing_refs") == [(winner,)]


@pytest.mark.parametrize("number", ["+4420794600011", "+10", "+999123456789"])
async def test_a_number_that_cannot_exist_is_not_granted(world: World, number: str) -> None:
    turned_away = await world.directory.publish(registration("bolt", number))
    assert turned_away.lost is not None
    assert (turned_away.lost.type, turned_away.lost.field) == ("NumberNotValid", "lines")
    assert await world.rows("directory", "SELECT FROM clients") == []
    ref = await world.register("acme")
    answer = await claim(world, "acme", 2, ref=ref, add=(ONE, number))
    assert answer.lost is not None
    assert number in answer.lost.why
    assert await world.rows("directory", NUMBERS) == []


# -- billing references -----------------------------------------------------------------------------------------------


async def test_references_left_blank_are_generated_and_unique(world: World) -> None:
    await world.register("taker", billing_ref="C000002")
    refs = await asyncio.gather(*(world.register(f"client-{n}") for n in range(4)))
    assert sorted(refs) == ["C000001", "C000003", "C000004", "C000005"]


async def test_a_reference_of_another_client_is_lost(world: World) -> None:
    await world.register("acme", billing_ref="R-1")
    turned_away = await world.directory.publish(registration("bolt", ONE, billing_ref="R-1"))
    assert turned_away.lost is not None
    assert (turned_away.lost.type, turned_away.lost.field) == ("BillingRefTaken", "billing_ref")
    assert await world.rows("directory", NUMBERS) == []
    ref = await world.register("bolt")
    answer = await claim(world, "bolt", 2, ref=ref, billing_ref="R-1")
    assert answer.lost is not None
    assert answer.billing_ref is None
    assert await world.rows("directory", REFS, "bolt") == [(ref,)]


async def test_a_claimed_reference_is_held_from_the_moment_it_is_granted(world: World) -> None:
    await world.register("acme", billing_ref="R-1")
    assert (await claim(world, "acme", 2, ref="R-1", billing_ref="R-2")).billing_ref == "R-2"
    for taken in ("R-1", "R-2"):
        assert (await world.directory.publish(registration("bolt", billing_ref=taken))).lost is not None
    await world.directory.publish(publication("acme", 3, billing_ref="R-2"))
    assert await world.rows("directory", REFS, "acme") == [("R-2",)]
    await world.register("bolt", billing_ref="R-1")


async def test_a_claimed_reference_no_longer_wanted_is_free_and_the_old_one_was_never_lost(world: World) -> None:
    await world.register("acme", billing_ref="R-1")
    await claim(world, "acme", 2, ref="R-1", billing_ref="R-2")
    await world.directory.publish(publication("acme", 3, billing_ref="R-1"))
    assert await world.rows("directory", REFS, "acme") == [("R-1",)]
    await world.register("bolt", billing_ref="R-2")


async def test_a_generated_reference_whose_answer_was_lost_is_the_same_when_asked_again(world: World) -> None:
    order = registration("acme")
    first = await world.directory.publish(order)
    assert (await world.directory.publish(order)).billing_ref == first.billing_ref == "C000001"
    granted = [(await claim(world, "acme", n, ref="C000001", billing_ref="")).billing_ref for n in (2, 2, 3)]
    assert granted == ["C000002"] * 3


async def test_clearing_a_reference_again_generates_another(world: World) -> None:
    ref = await world.register("acme")
    second = (await claim(world, "acme", 2, ref=ref, billing_ref="")).billing_ref
    assert second
    third = (await claim(world, "acme", 3, ref=second, billing_ref="")).billing_ref
    assert (await claim(world, "acme", 3, ref=second, billing_ref="")).billing_ref == third
    assert len({ref, second, third}) == 3


async def test_when_part_of_a_claim_is_lost_nothing_of_it_is_held(world: World) -> None:
    await world.register("bolt", TWO)
    await world.register("acme", billing_ref="R-1")
    answer = await claim(world, "acme", 2, ref="R-1", billing_ref="R-2", add=(ONE, TWO))
    assert answer.lost is not None
    assert await world.rows("directory", REFS, "acme") == [("R-1",)]
    assert await world.rows("directory", NUMBERS) == [(TWO, "bolt")]


# -- which instances serve the site -----------------------------------------------------------------------------------


async def test_whoever_claims_hears_which_instances_serve_the_site_at_that_moment(world: World) -> None:
    order = registration("acme", ONE)
    site = order.view.site
    await world.execute("directory", 'UPDATE sites SET systems = \'{"telephony": "york"}\' WHERE site_id = $1', site)
    first = await world.directory.publish(order)
    assert first.instances == {"telephony": "york"}
    await world.execute("directory", 'UPDATE sites SET systems = \'{"telephony": "hull"}\' WHERE site_id = $1', site)
    assert first.billing_ref
    claimed = await claim(world, "acme", 2, ONE, ref=first.billing_ref)
    assert claimed.instances == {"telephony": "hull"}, "also when nothing else is claimed"
    plain = await world.directory.publish(publication("acme", 3, ONE, billing_ref=first.billing_ref))
    assert plain.instances == {}


# -- external ids -----------------------------------------------------------------------------------------------------

IDS = "SELECT external_id, client_id FROM external_ids ORDER BY external_id"


async def publish_with_ids(
    world: World, client_id: str, revision: int, ref: str, *claimed: str, **has: str
) -> Published:
    """Publish a client that other systems call so, with a claim for more."""
    claim = Claim(external_ids=list(claimed)) if claimed else None
    return await world.directory.publish(
        publication(client_id, revision, billing_ref=ref, claim=claim, external_ids=has)
    )


async def test_an_external_id_is_held_whatever_its_capitals_and_free_once_it_is_changed(world: World) -> None:
    first, second = await world.register("acme"), await world.register("bolt")
    assert (await publish_with_ids(world, "acme", 2, first, "CRM:4711")).lost is None
    await publish_with_ids(world, "acme", 3, first, CRM="4711")
    lost = (await publish_with_ids(world, "bolt", 2, second, "crm:4711")).lost
    assert lost is not None
    assert (lost.type, lost.field) == ("ExternalIdTaken", "external_ids")
    assert await world.rows("directory", IDS) == [("crm:4711", "acme")]
    await publish_with_ids(world, "acme", 4, first, erp="1")
    assert (await publish_with_ids(world, "bolt", 3, second, "crm:4711")).lost is None
    assert await world.rows("directory", IDS) == [("crm:4711", "bolt"), ("erp:1", "acme")]


async def test_a_new_client_with_an_external_id_of_another_is_turned_away_whole(world: World) -> None:
    ref = await world.register("acme")
    await publish_with_ids(world, "acme", 2, ref, crm="4711")
    order = registration("bolt", ONE)
    view = order.view.model_copy(update={"external_ids": {"crm": "4711"}})
    claim = Claim("", [ONE], ["crm:4711"])
    answer = await world.directory.publish(replace(order, view=view, claim=claim))
    assert answer.lost is not None
    assert answer.lost.type == "ExternalIdTaken"
    assert await world.rows("directory", NUMBERS) == []


@pytest.mark.parametrize("change", ["retired = true", "timezone = 'Asia/Tokyo'"])
async def test_a_client_on_its_way_to_a_site_that_was_changed_is_turned_away(world: World, change: str) -> None:
    await world.execute("directory", f"UPDATE sites SET {change}")  # noqa: S608  # ours
    answer = await world.directory.publish(registration("acme", ONE))
    assert answer.lost is not None
    assert (answer.lost.type, answer.lost.field) == ("InvalidField", "site")
    assert await world.rows("directory", "SELECT count(*) FROM clients") == [(0,)]


# -- what has ended ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lines", [(ONE,), ()], ids=["decommissioned", "line removed"])
async def test_a_number_that_was_proven_off_a_moment_ago_is_not_taken_again(
    world: World, lines: tuple[str, ...]
) -> None:
    """The proof may be recorded before the decision that asked for it is published: they are made side by side."""
    ref = await world.register("acme", ONE)
    status = Status.DECOMMISSIONED if lines else Status.ACTIVE
    order = publication("acme", 2, ceasing=(ONE,), billing_ref=ref, status=status)
    views = [LineView(number=number, office="3.12", protected=False) for number in lines]
    order = replace(order, view=order.view.model_copy(update={"lines": views}))
    await world.execute("directory", "DELETE FROM numbers")  # as the proof does
    await world.directory.publish(order)
    assert await world.rows("directory", NUMBERS) == []
