"""What was ceased is looked at together, whoever's it is: in service, registered or in a call again."""

from datetime import UTC, datetime, timedelta

import pytest

from activities.telephony import alive
from tests.activities.fixtures import ONE, THREE, TWO, World, lines
from tests.support.exchange import TALKING, Exchange
from tests.support.orders import watched
from tests.support.waiting import free_port
from workflows.ports import Life, Observed

DATABASES = ("telephony",)
LONG_AGO = timedelta(hours=1)


def lives_of(observed: Observed) -> dict[str, tuple[Life, str]]:
    return {it.watched.subject: (it.life, it.how) for it in observed.sightings}


async def test_what_is_in_service_or_registered_is_found_in_one_statement_and_nothing_is_changed(world: World) -> None:
    await world.telephony.ensure(lines("acme", 1, one=True, two=True, three=True))
    await world.telephony.ensure(lines("acme", 2, one=False, two=False, three=False))
    await world.execute("telephony", "UPDATE subscriber SET in_service = 1 WHERE username = '442079460001'")
    await world.telephone(TWO)
    before = await world.rows("telephony", "SELECT * FROM subscriber ORDER BY 1")
    world.took()
    observed = await world.telephony.observe(watched("acme", [ONE, TWO, THREE], datetime.now(UTC)))
    assert world.took() == 1
    assert lives_of(observed) == {ONE: (Life.ALIVE, "in service"), TWO: (Life.ALIVE, "registered (1)")}
    assert await world.rows("telephony", "SELECT * FROM subscriber ORDER BY 1") == before
    assert len(await world.rows("telephony", "SELECT FROM location")) == 1


async def test_a_line_that_another_client_has_by_now_is_watched_no_longer(world: World) -> None:
    await world.telephony.ensure(lines("acme", 1, one=False))
    await world.telephony.ensure(lines("bolt", 1, one=True))
    await world.telephone(ONE)
    observed = await world.telephony.observe(watched("acme", [ONE], datetime.now(UTC)))
    assert lives_of(observed) == {ONE: (Life.OVER, "")}


async def test_a_line_is_watched_for_as_long_as_settings_say(world: World) -> None:
    await world.telephony.ensure(lines("acme", 1, one=False, two=False))
    off = watched("acme", [ONE], datetime.now(UTC)) + watched("acme", [TWO], datetime.now(UTC) - LONG_AGO)
    assert lives_of(await world.telephony.observe(off)) == {TWO: (Life.OVER, "")}


async def test_what_a_server_has_in_memory_is_found_and_a_server_that_is_silent_ends_no_watch(world: World) -> None:
    async with Exchange() as exchange:
        await world.open(limits={"sip_rpc_urls": exchange.url})
        await world.telephony.ensure(lines("acme", 1, one=True))
        await world.telephony.ensure(lines("acme", 2, one=False))
        off = watched("acme", [ONE], datetime.now(UTC) - LONG_AGO)
        assert lives_of(await world.telephony.observe(off)) == {ONE: (Life.OVER, "")}
        exchange.registered = {f"{ONE.removeprefix('+')}@sip.test"}
        registered = "registered in the memory of a server (1)"
        assert lives_of(await world.telephony.observe(off)) == {ONE: (Life.ALIVE, registered)}
        exchange.registered, exchange.calls = set(), {1: (ONE.removeprefix("+"), "4930123456", TALKING)}
        assert lives_of(await world.telephony.observe(off)) == {ONE: (Life.ALIVE, "in a call (1)")}
        assert set(exchange.calls) == {1}, "nothing is ended by looking"
    await world.open(limits={"sip_rpc_urls": f"http://127.0.0.1:{free_port()}/RPC"})
    observed = await world.telephony.observe(off)
    assert [sighting.life for sighting in observed.sightings] == [Life.UNSEEN]
    assert "did not answer" in observed.trouble


async def test_servers_are_asked_about_a_part_at_a_time_and_about_everything_in_turn(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alive, "MOST_LOOKED_UP", 2)
    async with Exchange() as exchange:
        await world.open(limits={"sip_rpc_urls": exchange.url})
        off = watched("acme", [ONE, TWO, THREE], datetime.now(UTC) - LONG_AGO)
        first, second = [lives_of(await world.telephony.observe(off)) for _ in range(2)]
        assert len(first) == 2, "what nobody was asked about may still come"
        assert first.keys() | second.keys() == {ONE, TWO, THREE}
