"""What a webhook receives of a client while more is added to its chain, or it is set back, at the same moment."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
import pytest_asyncio
from pydantic import ValidationError
from temporalio.client import Client

from activities.database import own_connection
from activities.webhook_settings import WebhookSettings
from activities.webhooks.delivery import Chain, Deliveries
from activities.webhooks.dispatch import HEARTBEAT, LONGEST_ATTEMPT, Dispatch, add_to_chains
from activities.webhooks.sending import Sender
from starter.contract.webhooks import WebhookGiven
from starter.directory.paging import DirectoryDatabase
from starter.directory.webhooks import Webhooks
from tests.activities.fixtures import MASTER_KEY, World
from tests.activities.webhooks.happening import happens
from tests.support.databases import connected
from tests.support.service import unique
from tests.support.waiting import unless_it_hangs

DATABASES = ("directory",)
LONGEST_ANSWER = 45.0


@dataclass(frozen=True)
class Taking(Sender):
    """A receiver, without a network, that takes all events: ``seqs``."""

    seqs: list[int] = field(default_factory=list)
    clock: list[datetime] = field(default_factory=lambda: [datetime(2026, 11, 28, 12, tzinfo=UTC)])

    def now(self) -> datetime:
        """By a clock of its own: all of the time that it may takes each answer."""
        return self.clock[-1]

    async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        self.seqs.append(json.loads(body)["data"]["seq"])
        self.clock.append(self.now() + timedelta(seconds=LONGEST_ANSWER))
        return 200


class Chains:
    """A webhook, and the steps in which it receives events, one by one."""

    def __init__(self, world: World) -> None:
        self.world, self.sender, self.webhook_id = world, Taking(), unique("wh")
        self.webhooks = Webhooks(DirectoryDatabase(world.databases.directory))
        self.deliveries = Deliveries(
            world.databases.directory, MASTER_KEY, self.sender, "urn:connect", now=self.sender.now
        )

    async def look(self) -> None:
        async with own_connection(self.world.dsns["directory"], "test") as connection:
            while await add_to_chains(connection):
                pass

    async def deliver(self, *clients: str) -> None:
        [(turn,)] = await self.world.rows("directory", "SELECT turn FROM webhooks")
        for client in clients:
            await self.deliveries.deliver(Chain(self.webhook_id, client, turn))


@pytest_asyncio.fixture
async def chains(world: World) -> Chains:
    made = Chains(world)
    await made.webhooks.add(made.webhook_id, WebhookGiven(url="https://billing.example.net/"), "olga")
    return made


async def test_what_is_added_while_a_chain_ends_is_told(world: World, chains: Chains) -> None:
    await happens(world, "acme")
    await chains.look()
    await world.execute("directory", "UPDATE webhook_chains SET done = target")  # told; it is about to end
    await happens(world, "acme")
    async with unless_it_hangs(), connected(world.dsns["directory"]) as dispatcher:
        async with dispatcher.transaction():
            assert await add_to_chains(dispatcher)
            delivering = asyncio.create_task(chains.deliver("acme"))
            await world.waiting_for_locks(1, "directory")  # it found nothing, and would end
        await delivering
    assert chains.sender.seqs == [2]
    assert await world.rows("directory", "SELECT FROM webhook_chains") == []


async def test_what_is_numbered_and_not_yet_added_is_told_once_and_in_order(world: World, chains: Chains) -> None:
    await happens(world, "acme")
    await chains.look()
    await happens(world, "acme", "acme")
    for _ in range(2):
        await chains.deliver("acme")
        await chains.look()
    await chains.deliver("acme")
    assert chains.sender.seqs == [1, 2, 3]


async def test_what_is_numbered_no_more_holds_up_no_chain(world: World, chains: Chains) -> None:
    await happens(world, "acme", "acme")
    await chains.look()
    await world.execute("directory", "DELETE FROM events")
    async with unless_it_hangs():
        await chains.deliver("acme")
    assert await world.rows("directory", "SELECT FROM webhook_chains") == []


async def test_many_events_of_a_slow_receiver_are_told_in_turns_that_end_before_temporal_takes_them_for_lost(
    world: World, chains: Chains
) -> None:
    assert WebhookSettings(webhook_seconds=LONGEST_ANSWER).webhook_seconds < HEARTBEAT.total_seconds()
    with pytest.raises(ValidationError, match="webhook_seconds"):
        WebhookSettings(webhook_seconds=LONGEST_ANSWER + 1)
    await happens(world, *["acme"] * 20)
    await chains.look()
    turns = 0
    while await world.rows("directory", "UPDATE webhook_chains SET begun_at = now() RETURNING 1"):
        began, turns = chains.sender.now(), turns + 1
        await chains.deliver("acme")
        assert chains.sender.now() - began < LONGEST_ATTEMPT
        assert await world.rows("directory", "SELECT FROM webhook_chains WHERE begun_at IS NOT NULL") == []
    assert chains.sender.seqs == [*range(1, 21)]
    assert turns > 1


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("first", ["replay", "look"])
async def test_a_replay_is_told_whoever_adds_to_the_chains_at_the_same_moment(
    world: World, chains: Chains, first: str, after: int
) -> None:
    await happens(world, "acme", "bolt")
    await chains.look()
    await chains.deliver("acme", "bolt")
    await happens(world, "bolt")
    steps = {"replay": lambda: chains.webhooks.replay(chains.webhook_id, after), "look": chains.look}
    async with unless_it_hangs():
        async with world.held("directory", "webhooks"):
            begun = list[asyncio.Task[object]]()
            for step in (first, *(steps.keys() - {first})):
                begun.append(asyncio.create_task(steps[step]()))
                await world.waiting_for_locks(len(begun), "directory")
        await asyncio.gather(*begun)
    await chains.look()
    await chains.deliver("acme", "bolt")
    assert sorted(chains.sender.seqs[2:]) == [*range(after + 1, 4)]


async def test_chains_under_way_are_begun_again_after_those_that_were_added_to_and_in_turn(
    world: World, chains: Chains, temporal: Client
) -> None:
    """No worker is there: what is begun stays under way, as what is turned away does."""
    dispatch = Dispatch(temporal, world.dsns["directory"], timedelta(days=90), unique("webhooks"), most=1)
    begun = "UPDATE webhook_chains SET begun_at = now() - make_interval(mins => $2) WHERE client_id = $1"

    async def look(connection: asyncpg.Connection) -> list[tuple[str]]:
        """Whose chains count as begun since then."""
        [(since,)] = await world.rows("directory", "SELECT now()")
        assert await dispatch.look(connection)
        return await world.rows("directory", "SELECT client_id FROM webhook_chains WHERE begun_at >= $1", since)

    await happens(world, "acme", "bolt", "cole")
    await chains.look()
    await world.execute("directory", begun, "cole", 3)
    await world.execute("directory", begun, "bolt", 2)
    async with own_connection(world.dsns["directory"], "test") as connection:
        assert [await look(connection) for _ in range(3)] == [[("acme",)], [("cole",)], [("bolt",)]]
        await world.execute("directory", begun, "acme", None)  # it was added to
        assert await look(connection) == [], "it is begun once more a moment later"
        await world.execute("directory", begun, "acme", 2)
        assert await look(connection) == [("acme",)]


async def test_who_begins_chains_waits_for_nobody_who_changes_some(
    world: World, chains: Chains, temporal: Client
) -> None:
    dispatch = Dispatch(temporal, world.dsns["directory"], timedelta(days=90), unique("webhooks"))
    await happens(world, "acme", "bolt")
    await chains.look()
    async with unless_it_hangs(), own_connection(world.dsns["directory"], "test") as connection:
        async with world.held("directory", "webhook_chains WHERE client_id = 'acme'"):
            await dispatch.look(connection)
        begun = "SELECT client_id FROM webhook_chains WHERE begun_at IS NOT NULL"
        assert await world.rows("directory", begun) == [("bolt",)]
