"""What a receiver does not take for long, what a person does about it, and what is forgotten meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from activities.database import own_connection
from activities.directory.numbering import forget
from activities.webhooks.delivery import OUR_OWN, Chain, Deliveries, Patience
from activities.webhooks.dispatch import add_to_chains
from activities.webhooks.message import secret
from activities.webhooks.sending import Sender
from starter.contract.webhooks import WebhookEdit, WebhookGiven, WebhookView
from starter.directory.paging import DirectoryDatabase
from starter.directory.webhooks import Webhooks
from tests.activities.fixtures import MASTER_KEY, World
from tests.activities.webhooks.delivering import AT_ONCE, LOOPBACK, DeliveringWorker, by_client, delivering
from tests.activities.webhooks.happening import happens
from tests.activities.webhooks.receiver import Receiver, receiving
from tests.support.waiting import eventually, unless_it_hangs

DATABASES = ("directory",)
HOUR = 3600.0
FOR_AN_HOUR = Patience(first=HOUR)
MATTERS = "SELECT client_id, matter, kind, text FROM matters ORDER BY matter"


async def view_of(worker: DeliveringWorker, webhook_id: str) -> WebhookView:
    return (await worker.webhooks.one(webhook_id)).view


async def failing(worker: DeliveringWorker, webhook_id: str) -> bool:
    return (await view_of(worker, webhook_id)).failing_since is not None


def choke(receiver: Receiver, client_id: str) -> dict[str, bool]:
    """Have it answer 422 to all that is of a client, for as long as it is ``on``."""
    take, choking = receiver._take, {"on": True}

    def choosy(headers: dict[str, str], body: bytes) -> int:
        return 422 if choking["on"] and f'"subject": "{client_id}"'.encode() in body else take(headers, body)

    receiver._take = choosy  # type: ignore[method-assign]  # a receiver with a fault
    return choking


async def enabled(worker: DeliveringWorker, webhook_id: str, url: str) -> None:
    await worker.webhooks.edit(webhook_id, WebhookEdit(enabled=True))


async def paused_and_enabled(worker: DeliveringWorker, webhook_id: str, url: str) -> None:
    await worker.webhooks.edit(webhook_id, WebhookEdit(enabled=False))
    await worker.webhooks.edit(webhook_id, WebhookEdit(enabled=True))


async def moved(worker: DeliveringWorker, webhook_id: str, url: str) -> None:
    await worker.webhooks.edit(webhook_id, WebhookEdit(url=f"{url}/elsewhere"))


async def told_again(worker: DeliveringWorker, webhook_id: str, url: str) -> None:
    await worker.webhooks.replay(webhook_id, 0)


@pytest.mark.parametrize("done", [enabled, paused_and_enabled, moved, told_again])
async def test_temporal_keeps_a_pause_of_an_hour_and_whoever_mends_the_webhook_does_not_wait_for_it(
    world: World, temporal: Client, done: Callable[[DeliveringWorker, str, str], Awaitable[None]]
) -> None:
    async with (
        receiving(lambda number: 503) as receiver,
        delivering(world, temporal, FOR_AN_HOUR) as worker,
    ):
        webhook_id = await worker.add(receiver)
        await worker.happens("acme", "acme")
        pausing = temporal.get_activity_handle(Chain(webhook_id, "acme").activity_id)

        async def pause() -> timedelta:
            try:
                described = await pausing.describe()
            except RPCError as error:  # it is not begun yet
                raise AssertionError(error) from error
            assert described.attempt == 2
            assert described.next_attempt_schedule_time
            assert described.last_attempt_complete_time
            return described.next_attempt_schedule_time - described.last_attempt_complete_time

        seconds = (await eventually(pause)).total_seconds()
        assert 0.79 * HOUR < seconds <= 1.21 * HOUR, "as long as it was told, however long that is"
        await worker.happens("acme")  # what happens meanwhile waits, too
        receiver.answer = lambda number: 200
        await done(worker, webhook_id, receiver.url)
        await worker.nothing_waits()
        assert (await view_of(worker, webhook_id)).failing_since is None
    assert receiver.seqs == [1, 2, 3]


async def test_a_client_that_is_refused_for_long_is_given_up_alone_until_the_webhook_is_enabled_again(
    world: World, temporal: Client
) -> None:
    async with receiving() as receiver, delivering(world, temporal) as worker:
        webhook_id, choking = await worker.add(receiver), choke(receiver, "acme")
        await worker.happens("acme")
        await eventually(lambda: failing(worker, webhook_id))
        await worker.happens("bolt")
        await eventually(lambda: "bolt" in by_client(receiver))
        long_ago = "UPDATE webhook_chains SET failing_since = failing_since - interval '73 hours'"
        await world.execute("directory", long_ago)

        async def given_up() -> WebhookView:
            view = await view_of(worker, webhook_id)
            assert view.given_up == ["acme"]
            return view

        assert (await eventually(given_up)).state == "active"
        [(client_id, matter, kind, text)] = await world.rows("directory", MATTERS)
        assert (client_id, matter, kind) == ("", f"webhook-clients:{webhook_id}", "webhook_given_up")
        assert f"Webhook {webhook_id} receives nothing more of client acme: " in text
        attempts = "SELECT error FROM webhook_deliveries WHERE client_id = 'acme' ORDER BY delivery_id DESC"
        before = await world.rows("directory", attempts)
        assert before[0] == ("The receiver answered 422. This client is given up",)
        await worker.happens("acme", "bolt")
        await eventually(lambda: len(by_client(receiver)["bolt"]), equal=2)
        assert await world.rows("directory", attempts) == before, "nothing more is sent of it"
        choking["on"] = False
        await worker.webhooks.edit(webhook_id, WebhookEdit(enabled=True))
        await worker.nothing_waits()
        assert (await view_of(worker, webhook_id)).given_up == []
        assert await world.rows("directory", MATTERS) == []
    assert by_client(receiver) == {"acme": [1, 3], "bolt": [2, 4]}


async def test_a_client_is_given_up_and_its_matter_told_in_one_step_or_neither(world: World) -> None:
    """Nobody could know of it otherwise: the worker may die between two steps."""
    async with receiving(lambda number: 422) as receiver:
        webhooks = Webhooks(DirectoryDatabase(world.databases.directory))
        await webhooks.add("wh-1", WebhookGiven(url=receiver.url), "olga")
        deliveries = Deliveries(world.databases.directory, MASTER_KEY, Sender(LOOPBACK), "urn:connect", AT_ONCE)
        await happens(world, "acme", "bolt")
        await world.execute("directory", "INSERT INTO webhook_chains VALUES ('wh-1', 'acme', 0, 1)")
        await world.execute("directory", "UPDATE webhook_chains SET failing_since = now() - interval '73 hours'")
        taken = """INSERT INTO webhook_deliveries (webhook_id, client_id, seq, event_id, kind, attempt, status, seconds)
                   VALUES ('wh-1', 'bolt', 2, gen_random_uuid(), 'failed', 1, 200, 0.1)"""
        await world.execute("directory", taken)
        await world.execute("directory", "ALTER TABLE matters RENAME TO away")
        with pytest.raises(ApplicationError):
            await deliveries.deliver(Chain("wh-1", "acme"))
        await world.execute("directory", "ALTER TABLE away RENAME TO matters")
        assert (await webhooks.one("wh-1")).view.given_up == []
        await deliveries.deliver(Chain("wh-1", "acme"))
        assert (await webhooks.one("wh-1")).view.given_up == ["acme"]
        assert len(await world.rows("directory", MATTERS)) == 1


async def test_a_webhook_that_was_mended_while_an_attempt_failed_is_not_disabled_for_it(world: World) -> None:
    sending, answered = asyncio.Event(), asyncio.Event()

    class Slow(Sender):
        async def send(self, *_: Any) -> int:
            sending.set()
            await answered.wait()
            return 500

    webhooks = Webhooks(DirectoryDatabase(world.databases.directory))
    await webhooks.add("wh-1", WebhookGiven(url="https://old.example/"), "olga")
    deliveries = Deliveries(world.databases.directory, MASTER_KEY, Slow(), "urn:connect", AT_ONCE)
    await happens(world, "acme")
    await world.execute("directory", "INSERT INTO webhook_chains VALUES ('wh-1', 'acme', 0, 1)")
    await world.execute("directory", "UPDATE webhook_chains SET failing_since = now() - interval '73 hours'")
    async with unless_it_hangs():
        delivery = asyncio.create_task(deliveries.deliver(Chain("wh-1", "acme")))
        await sending.wait()
        await webhooks.edit("wh-1", WebhookEdit(url="https://new.example/"))
        answered.set()
        await delivery
    view = (await webhooks.one("wh-1")).view
    assert (view.state, view.failing_since) == ("active", None)
    assert await world.rows("directory", "SELECT turn, begun_at FROM webhook_chains") == [(2, None)], "begun at once"


async def test_a_long_replay_tells_each_event_once_however_the_chains_grow_meanwhile(world: World) -> None:
    async with receiving() as receiver:
        webhooks = Webhooks(DirectoryDatabase(world.databases.directory))
        await webhooks.add("wh-1", WebhookGiven(url=receiver.url), "olga")
        receiver.secret = secret(MASTER_KEY, "wh-1", 1)
        deliveries = Deliveries(world.databases.directory, MASTER_KEY, Sender(LOOPBACK), "urn:connect", AT_ONCE)
        await happens(world, *["acme", "bolt"] * 4)
        await webhooks.replay("wh-1", 0)
        async with own_connection(world.dsns["directory"], "test") as connection:
            while await add_to_chains(connection, span=3):
                for client_id, turn in await world.rows("directory", "SELECT client_id, turn FROM webhook_chains"):
                    await deliveries.deliver(Chain("wh-1", client_id, turn))
            await webhooks.replay("wh-1", 2)
            await add_to_chains(connection, span=100)  # all of it waits when it is set back once more
            await webhooks.replay("wh-1", 4)
            await webhooks.replay("wh-1", 2)
            receiver.taken.clear()
            while await add_to_chains(connection, span=3):
                for client_id, turn in await world.rows("directory", "SELECT client_id, turn FROM webhook_chains"):
                    await deliveries.deliver(Chain("wh-1", client_id, turn))
    assert by_client(receiver) == {"acme": [3, 5, 7], "bolt": [4, 6, 8]}
    assert sorted(receiver.seqs) == [*range(3, 9)]


async def test_events_that_are_forgotten_before_a_webhook_is_told_of_them_are_an_open_matter(world: World) -> None:
    """Those that wait in a chain, and those that no chain has yet; of others nothing is said."""
    webhooks = Webhooks(DirectoryDatabase(world.databases.directory))
    for webhook_id, given in (("wh-all", {}), ("wh-acme", {"clients": ["acme"]}), ("wh-york", {"sites": ["york"]})):
        await webhooks.add(webhook_id, WebhookGiven(url="https://x.example/", **given), "olga")
    await happens(world, "acme", "bolt", "acme")
    async with own_connection(world.dsns["directory"], "test") as connection:
        while await add_to_chains(connection):
            pass
        for webhook_id in ("wh-all", "wh-acme", "wh-york"):
            await webhooks.edit(webhook_id, WebhookEdit(enabled=False))
        await world.execute("directory", "UPDATE webhook_chains SET done = 1 WHERE webhook_id = 'wh-acme'")  # told of 1
        await happens(world, "bolt", "acme", "cole")
        await world.execute("directory", "UPDATE events SET numbered_at = now() - interval '91 days' WHERE seq <= 5")
        assert await forget(connection, timedelta(days=90)) == 5
    lost = {it.webhook_id: (it.lost, it.lost_from, it.lost_to) for it in (await webhooks.all()).items}
    assert lost == {"wh-all": (5, 1, 5), "wh-acme": (2, 3, 5), "wh-york": (0, None, None)}
    found = {matter: text for _, matter, kind, text in await world.rows("directory", MATTERS) if kind == "webhook_lost"}
    assert sorted(found) == ["webhook-lost:wh-acme", "webhook-lost:wh-all"]
    assert "wh-acme was never told of 2 events (numbers 3 to 5)" in found["webhook-lost:wh-acme"]
    await webhooks.edit("wh-acme", WebhookEdit(enabled=True))
    await webhooks.remove("wh-all")
    assert await world.rows("directory", MATTERS) == []
    assert (await webhooks.one("wh-acme")).view.lost == 2, "that stays known"


async def test_a_directory_that_is_away_for_long_is_no_reason_for_long_pauses(world: World) -> None:
    deliveries = Deliveries(world.databases.directory, MASTER_KEY, Sender(LOOPBACK), "urn:connect", FOR_AN_HOUR)
    await world.execute("directory", "ALTER TABLE webhook_chains RENAME TO away")
    with pytest.raises(ApplicationError) as raised:
        await deliveries.deliver(Chain("wh-1", "acme"))
    assert raised.value.next_retry_delay
    assert raised.value.next_retry_delay.total_seconds() <= 1.2 * OUR_OWN.longest
    assert (raised.value.__cause__, raised.value.__context__) == (None, None), "Temporal would keep what it says"
