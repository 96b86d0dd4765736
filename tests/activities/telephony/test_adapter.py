"""Lines are switched as ordered, by their owner alone, and proven."""

import asyncio
from dataclasses import replace

import pytest
from temporalio.exceptions import ApplicationError

from activities.secrets import ha1, sip_password, sip_username
from activities.telephony.adapter import METHOD
from tests.activities.fixtures import DOMAIN, MASTER_KEY, ONE, THREE, TWO, World, lines
from workflows.domain.provisioning.standing import Proof
from workflows.domain.systems import TELEPHONY
from workflows.ports import STALE_REVISION

DATABASES = ("telephony",)


def derived(client_id: str, number: str, version: int = 1) -> str:
    user = sip_username(number)
    return ha1(user, DOMAIN, sip_password(MASTER_KEY, client_id, number, version))


async def test_unknown_lines_are_created_with_a_derived_secret(world: World) -> None:
    evidence = await world.telephony.ensure(lines("acme", 1, one=True, two=True))
    assert {f.subject: f.in_service for f in evidence.findings} == {ONE: True, TWO: True}
    assert evidence.findings[0].seen == {"in_service": "1", "registrations": "0", "secret": "derived, version 1"}
    assert await world.subscriber(ONE) == (1, derived("acme", ONE))
    assert await world.subscriber(TWO) == (1, derived("acme", TWO))
    password = sip_password(MASTER_KEY, "acme", ONE, 1)
    with_domain = ha1(f"{sip_username(ONE)}@{DOMAIN}", DOMAIN, password)
    assert (with_domain,) in await world.rows("telephony", "SELECT ha1b FROM subscriber")


async def test_an_unknown_line_that_is_to_be_off_is_proven_absent_and_stays_unknown(world: World) -> None:
    evidence = await world.telephony.ensure(lines("acme", 1, one=False))
    assert [(f.in_service, f.seen["in_service"]) for f in evidence.findings] == [(False, "absent")]
    assert await world.subscriber(ONE) is None


async def test_a_ceased_line_loses_its_registrations_and_others_keep_theirs(world: World) -> None:
    await world.telephony.ensure(lines("acme", 1, one=True, two=True))
    await world.telephone(ONE)
    await world.telephone(TWO)
    evidence = await world.telephony.ensure(lines("acme", 2, one=False, two=True))
    assert [f.seen["registrations"] for f in evidence.findings] == ["0", "1"]
    assert await world.rows("telephony", "SELECT username FROM location") == [(sip_username(TWO),)]
    assert await world.subscriber(ONE) == (0, derived("acme", ONE))


async def test_obeying_twice_is_obeying_once(world: World) -> None:
    order = lines("acme", 3, one=True, two=False)
    first = await world.telephony.ensure(order)
    before = await world.rows("telephony", "SELECT xmin::text, * FROM subscriber")
    again = await world.telephony.ensure(order)
    assert again.findings == first.findings
    assert await world.rows("telephony", "SELECT xmin::text, * FROM subscriber") == before


async def test_a_late_attempt_of_an_older_revision_is_refused_by_the_fence(world: World) -> None:
    await world.telephony.ensure(lines("acme", 8, one=False))
    with pytest.raises(ApplicationError) as refused:
        await world.telephony.ensure(lines("acme", 7, one=True))
    assert refused.value.type == STALE_REVISION
    assert refused.value.details == ({"newest": 8},)
    assert refused.value.non_retryable
    assert await world.subscriber(ONE) is None


async def test_a_late_attempt_beside_a_newer_one_waits_for_it_and_is_refused(world: World) -> None:
    await world.telephony.ensure(lines("acme", 1, one=True))
    async with world.held("telephony", "subscriber"):
        newer = asyncio.create_task(world.telephony.ensure(lines("acme", 8, one=False)))
        await world.waiting_for_locks(1)
        late = asyncio.create_task(world.telephony.ensure(lines("acme", 7, one=True)))
        await world.waiting_for_locks(2)
    assert not (await newer).findings[0].in_service
    with pytest.raises(ApplicationError, match="has obeyed revision 8"):
        await late
    assert await world.subscriber(ONE) == (0, derived("acme", ONE))


async def test_a_newer_attempt_beside_a_late_one_waits_for_it_and_is_carried_out(world: World) -> None:
    await world.telephony.ensure(lines("acme", 1, one=True))
    async with world.held("telephony", "subscriber"):
        late = asyncio.create_task(world.telephony.ensure(lines("acme", 2, one=True, two=True)))
        await world.waiting_for_locks(1)
        newer = asyncio.create_task(world.telephony.ensure(lines("acme", 3, one=False, two=False)))
        await world.waiting_for_locks(2)
    await asyncio.gather(late, return_exceptions=True)
    assert [finding.seen["in_service"] for finding in (await newer).findings] == ["0", "0"], "it saw the new line, too"


async def test_orders_of_two_clients_have_fences_of_their_own(world: World) -> None:
    await world.telephony.ensure(lines("acme", 90, one=True))
    evidence = await world.telephony.ensure(lines("bolt", 1, two=True))
    assert evidence.findings[0].in_service


async def test_a_line_from_before_connect_keeps_its_secret_and_its_telephone(world: World) -> None:
    await world.brownfield_line(ONE)
    evidence = await world.telephony.ensure(lines("acme", 1, one=True))
    assert evidence.findings[0].seen == {"in_service": "1", "registrations": "1", "secret": "its own"}
    await world.telephony.ensure(lines("acme", 2, one=False))
    await world.telephony.ensure(lines("acme", 3, one=True))
    assert await world.subscriber(ONE) == (1, "handmade")


async def test_rotating_gives_every_line_a_new_derived_secret_and_ends_registrations(world: World) -> None:
    await world.brownfield_line(ONE)
    await world.telephony.ensure(lines("acme", 1, one=True, two=True, three=True))
    await world.telephony.ensure(lines("acme", 2, one=True, two=True, three=False))
    evidence = await world.telephony.ensure(lines("acme", 3, version=2, one=True, two=True, three=False))
    assert {f.seen["secret"] for f in evidence.findings} == {"derived, version 2"}
    assert await world.subscriber(ONE) == (1, derived("acme", ONE, 2))
    assert await world.subscriber(TWO) == (1, derived("acme", TWO, 2))
    assert await world.subscriber(THREE) == (0, derived("acme", THREE, 2))
    assert await world.rows("telephony", "SELECT FROM location") == []


async def test_a_number_let_again_gets_another_secret_and_the_old_telephone_is_out(world: World) -> None:
    await world.telephony.ensure(lines("acme", 1, one=True))
    await world.telephone(ONE)
    evidence = await world.telephony.ensure(lines("bolt", 1, one=True))
    assert evidence.findings[0].seen["registrations"] == "0"
    assert await world.subscriber(ONE) == (1, derived("bolt", ONE))
    assert derived("bolt", ONE) != derived("acme", ONE)


async def test_a_line_from_before_connect_that_is_let_again_gets_a_derived_secret(world: World) -> None:
    await world.brownfield_line(ONE)
    await world.telephony.ensure(lines("acme", 1, one=False))
    await world.telephony.ensure(lines("bolt", 1, one=True))
    assert await world.subscriber(ONE) == (1, derived("bolt", ONE))


async def test_an_off_order_does_not_cut_the_line_of_another_client(world: World) -> None:
    await world.telephony.ensure(lines("acme", 1, one=True))
    await world.telephony.ensure(lines("bolt", 1, one=True))
    await world.telephone(ONE)
    evidence = await world.telephony.ensure(lines("acme", 2, version=2, one=False))
    assert [(f.in_service, f.seen) for f in evidence.findings] == [(False, {"owner": "another client"})]
    assert await world.subscriber(ONE) == (1, derived("bolt", ONE))
    assert len(await world.rows("telephony", "SELECT FROM location")) == 1


async def test_evidence_comes_from_another_connection_than_the_change(world: World) -> None:
    async with world.databases.of(TELEPHONY).transaction() as one:
        changing = await one.fetchval("SELECT pg_backend_pid()")
    async with world.databases.of(TELEPHONY).read_only() as other:
        assert await other.fetchval("SELECT pg_backend_pid()") != changing
        assert await other.fetchval("SHOW transaction_read_only") == "on"


async def test_what_reads_back_differently_is_not_proven_and_the_rest_is(world: World) -> None:
    await world.telephony.ensure(lines("acme", 1, one=True, two=True))
    await world.execute(
        "telephony",
        "CREATE RULE stuck AS ON UPDATE TO subscriber WHERE old.username = '442079460001' DO INSTEAD NOTHING",
    )
    one, two = (await world.telephony.ensure(lines("acme", 2, one=False, two=False))).findings
    assert (one.proof, two.proof) == (Proof.NOT_PROVEN, Proof.PROVEN)
    assert one.in_service
    assert one.why.startswith("should be ceased and is in_service=1")
    assert one.why.endswith("somebody else changes it: look there")


async def test_a_protected_line_says_that_it_was_left_in_service(world: World) -> None:
    order = replace(lines("acme", 1, one=True, two=False), protected=[ONE])
    one, two = (await world.telephony.ensure(order)).findings
    assert one.seen["protected"] == "left in service"
    assert "protected" not in two.seen


async def test_without_an_rpc_address_the_evidence_says_that_calls_were_not_looked_up(world: World) -> None:
    on = await world.telephony.ensure(lines("acme", 1, one=True))
    assert on.method == METHOD
    assert "calls" not in on.findings[0].seen
    off = await world.telephony.ensure(lines("acme", 2, one=False))
    assert off.method == f"{METHOD}; calls were not looked up"
    assert off.findings[0].seen["calls"] == "not looked up"
    assert off.complete


async def test_an_order_without_lines_is_proven(world: World) -> None:
    assert (await world.telephony.ensure(lines("acme", 1))).findings == []
