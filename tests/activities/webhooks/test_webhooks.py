"""Webhooks with a real Temporal and directory: every event arrives, in order for each client, whatever happens."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from activities.database import own_connection
from activities.directory.evidence import Evidences
from activities.directory.numbering import number
from activities.keys.client_keys import ClientKeys, keys_in_use
from activities.keys.codec import converter
from activities.keys.operator_keys import OperatorKeys
from activities.webhooks.delivery import FEW, SHARE, Chain, Deliveries
from activities.webhooks.message import secret
from activities.webhooks.sending import Sender
from starter.contract.webhooks import WebhookEdit, WebhookGiven
from starter.directory.paging import DirectoryDatabase
from starter.directory.webhooks import Webhooks
from tests.activities.fixtures import AT, MASTER_KEY, ONE, World, publication
from tests.activities.webhooks.delivering import AT_ONCE, LOOPBACK, by_client, delivering
from tests.activities.webhooks.happening import happens
from tests.activities.webhooks.receiver import CUT, TWICE, receiving
from tests.support.databases import connected
from tests.support.waiting import HANGING, eventually, unless_it_hangs
from workflows.domain.journal import Entry, Event
from workflows.domain.systems import TELEPHONY
from workflows.ports import Evidence, Finding

DATABASES = ("directory",)
ERRORS = "SELECT seq, attempt, status, error FROM webhook_deliveries ORDER BY delivery_id"


async def test_every_event_is_told_in_order_for_each_client_as_a_signed_cloud_event(
    world: World, temporal: Client
) -> None:
    async with receiving() as receiver, delivering(world, temporal) as worker:
        await worker.happens("before")
        await worker.add(receiver)
        for client in ("acme", "bolt", "acme", "bolt", "acme"):
            await worker.happens(client)  # while it is told of those before
        await worker.nothing_waits()
    assert by_client(receiver) == {"acme": [2, 4, 6], "bolt": [3, 5]}
    assert sorted(receiver.seqs) == [2, 3, 4, 5, 6], "where nothing failed, each is told once"
    for event, header in zip(receiver.taken, receiver.ids, strict=True):
        assert (event["specversion"], event["type"], event["source"]) == ("1.0", "connect.client.failed", "urn:connect")
        assert event["id"] == event["data"]["event_id"] == header
        assert datetime.fromisoformat(event["time"]) == datetime.fromisoformat(event["data"]["at"])


async def test_what_temporal_keeps_of_it_is_encrypted_where_clients_are(world: World, temporal: Client) -> None:
    keys = ClientKeys(world.databases.directory, OperatorKeys.parse("0f" * 32))
    encrypting = Client(
        temporal.service_client, namespace=temporal.namespace, data_converter=converter(keys, makes=True)
    )
    async with (
        receiving(lambda number: 500 if number == 0 else 200) as receiver,
        delivering(world, encrypting) as worker,
    ):
        await worker.add(receiver)
        await worker.happens("acme", "acme")
        await worker.nothing_waits()
    assert by_client(receiver) == {"acme": [1, 2]}
    assert await keys_in_use(world.databases.directory), "nothing was encrypted"


async def test_what_a_receiver_does_not_take_is_told_again_under_the_same_id_until_it_does(
    world: World, temporal: Client
) -> None:
    trouble = [500, 503, None, 302, 404, CUT, 500, TWICE]
    seen = [500, 503, None, 302, 404, None, 500, 200]
    async with (
        receiving(lambda number: trouble[number] if number < len(trouble) else 200) as receiver,
        delivering(world, temporal) as worker,
    ):
        await worker.add(receiver)
        await worker.happens("acme", "acme", "acme")
        await worker.nothing_waits()
    assert by_client(receiver) == {"acme": [1, 2, 3]}
    attempts = await world.rows("directory", ERRORS)
    assert [row[:3] for row in attempts] == [
        *((1, n, status) for n, status in enumerate(seen, 1)), (2, 1, 200), (3, 1, 200),
    ]  # fmt: skip
    assert attempts[3][3] == "The receiver answered 302"  # and was not asked where that leads
    assert receiver.requests == len(attempts)
    assert receiver.ids[0] == receiver.ids[1], "what it took though its answer was lost is told again, under its id"
    assert len({*receiver.ids}) == len(receiver.ids) - 1


async def test_a_client_whose_event_is_not_taken_holds_up_no_other(world: World, temporal: Client) -> None:
    async with receiving() as receiver, delivering(world, temporal) as worker:
        webhook_id = await worker.add(receiver)
        verify, bad = receiver._take, {"on": True}

        def take(headers: dict[str, str], body: bytes) -> int:
            return 500 if bad["on"] and b'"subject": "acme"' in body else verify(headers, body)

        receiver._take = take  # type: ignore[method-assign]  # a receiver that chokes on one client
        await worker.happens("acme", "bolt", "acme", "cole", "bolt")
        await eventually(lambda: by_client(receiver), equal={"bolt": [2, 5], "cole": [4]})

        async def failing() -> bool:
            return (await worker.webhooks.one(webhook_id)).view.failing_since is not None

        await eventually(failing)
        bad["on"] = False
        await worker.nothing_waits()
    assert by_client(receiver)["acme"] == [1, 3]


async def test_receivers_that_hang_hold_up_nothing_but_themselves(world: World, temporal: Client) -> None:
    async with (
        receiving(lambda number: None) as hanging,
        receiving() as receiver,
        delivering(world, temporal, sender=Sender(LOOPBACK, seconds=60)) as worker,
    ):
        await worker.add(hanging)
        await worker.add(receiver)
        await worker.happens("acme", "bolt", "acme")
        await eventually(lambda: by_client(receiver), equal={"acme": [1, 3], "bolt": [2]})
        await eventually(lambda: hanging.hanging, equal=2)
        assert hanging.taken == []
        hanging.answer = lambda number: 410
        await world.execute("directory", "UPDATE webhooks SET state = 'paused'")


async def test_no_client_waits_for_a_webhook(world: World) -> None:
    """A publication, a proof and the numbering of events need nothing of webhooks: somebody holds all of it."""
    held = ", ".join(("webhooks", "webhook_chains", "webhook_deliveries"))
    async with connected(world.dsns["directory"]) as other, other.transaction(), unless_it_hangs():
        await other.execute(f"LOCK TABLE {held} IN ACCESS EXCLUSIVE MODE")
        await world.register("acme", ONE, billing_ref="R1")
        line = Entry(Event.DECIDED, AT, "Suspended", "suspend", revision=2, facts={"status": "suspended"})
        order = publication("acme", 2, ONE, billing_ref="R1")
        await world.directory.publish(replace(order, entries=[line], first_entry=20))
        evidence = Evidence(TELEPHONY, 2, AT, "read back", [Finding(ONE, False)])
        assert (await Evidences(world.databases.directory, HANGING).record("acme", evidence)).recorded
        async with own_connection(world.dsns["directory"], "test") as connection:
            assert await number(connection)
    kinds = await world.rows("directory", "SELECT kind FROM events WHERE client_id = 'acme' ORDER BY seq")
    assert kinds == [("requested",), ("effective",), ("proven",)]


async def test_a_receiver_that_hangs_is_waited_for_by_few_and_one_that_is_slow_by_its_share(world: World) -> None:
    release, at_once = asyncio.Event(), [0, 0]

    class Hanging(Sender):
        async def send(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
            at_once[0] += 1
            at_once[1] = max(at_once)
            await release.wait()
            at_once[0] -= 1
            return 500 if url == "https://bad.example/" else 200

    deliveries = Deliveries(world.databases.directory, MASTER_KEY, Hanging(), "urn:connect", AT_ONCE)
    webhooks, names = Webhooks(DirectoryDatabase(world.databases.directory)), [f"c{n}" for n in range(8)]
    for webhook_id in ("bad", "slow", "good"):
        await webhooks.add(webhook_id, WebhookGiven(url=f"https://{webhook_id}.example/"), "olga")
    await happens(world, *names)
    chains = "INSERT INTO webhook_chains SELECT w, client_id, 0, 8 FROM unnest(ARRAY['bad', 'slow', 'good']) w, events"
    await world.execute("directory", chains)
    release.set()
    with pytest.raises(ApplicationError, match="500"):
        await deliveries.deliver(Chain("bad", "c0"))
    release.clear()
    attempts = [asyncio.create_task(deliveries.deliver(Chain("bad", name))) for name in names]
    turned_away = await eventually(lambda: _failures(attempts, 6))
    assert all("Others wait" in str(error) and error.next_retry_delay for error in turned_away)
    assert at_once == [FEW, FEW]
    slow = [asyncio.create_task(deliveries.deliver(Chain("slow", name))) for name in names]
    turned_away = await eventually(lambda: _failures(slow, 3))
    assert all("Others wait" in str(error) and error.next_retry_delay for error in turned_away)
    good = [asyncio.create_task(deliveries.deliver(Chain("good", name))) for name in names[:SHARE]]
    await eventually(lambda: at_once[0] == FEW + 2 * SHARE)  # what another receiver is told waits for nothing
    release.set()
    await asyncio.gather(*good)
    await asyncio.gather(*attempts, *slow, return_exceptions=True)
    for name in names:
        await deliveries.deliver(Chain("slow", name))  # there is room again
    logged = await world.rows("directory", "SELECT count(*) FROM webhook_deliveries WHERE webhook_id = 'bad'")
    assert logged == [(3,)]


def _failures(attempts: list[asyncio.Task[None]], number: int) -> list[ApplicationError]:
    """The errors of those that ended, once they are so many."""
    ended = [error for task in attempts if task.done() and isinstance(error := task.exception(), ApplicationError)]
    assert len(ended) == number
    return ended


async def test_a_filter_passes_events_of_its_kinds_sites_and_clients_alone(world: World, temporal: Client) -> None:
    async with receiving() as some, receiving() as none, delivering(world, temporal) as worker:
        await worker.add(some, kinds=["failed"], clients=["acme"])
        await worker.add(none, kinds=["proven"])
        await worker.add(none, sites=["york"])
        await worker.happens("acme", "bolt", "acme")
        await worker.nothing_waits()
    assert (some.seqs, none.requests) == ([1, 3], 0)


async def test_a_replay_tells_again_what_was_told_under_the_same_ids(world: World, temporal: Client) -> None:
    async with receiving() as receiver, delivering(world, temporal) as worker:
        webhook_id = await worker.add(receiver)
        await worker.happens("acme", "bolt", "acme")
        await worker.nothing_waits()
        first = {event["data"]["seq"]: event["id"] for event in receiver.taken}
        await worker.webhooks.replay(webhook_id, 1)
        await eventually(lambda: len(receiver.taken) == 5)
        await worker.nothing_waits()
    again = receiver.taken[3:]
    assert sorted(event["data"]["seq"] for event in again) == [2, 3]
    assert all(first[event["data"]["seq"]] == event["id"] for event in again)


async def test_attempts_are_kept_as_long_as_events_however_long_the_worker_runs(world: World, temporal: Client) -> None:
    async with receiving() as receiver, delivering(world, temporal) as worker:
        await worker.add(receiver)
        await worker.happens("acme", "acme")
        await worker.nothing_waits()
        aged = "UPDATE webhook_deliveries SET at = now() - make_interval(days => 92 - seq::integer)"  # 91 and 90 days
        await world.execute("directory", f"{aged} + interval '1 hour'")

        async def attempts_left() -> list[tuple[Any, ...]]:
            return await world.rows("directory", "SELECT seq FROM webhook_deliveries")

        await eventually(attempts_left, equal=[(2,)])


async def test_attempts_of_a_webhook_that_was_removed_are_forgotten_and_no_others(
    world: World, temporal: Client
) -> None:
    async with receiving() as receiver, receiving() as other, delivering(world, temporal) as worker:
        removed, kept = await worker.add(receiver), await worker.add(other)
        await worker.happens("acme", "bolt")
        await worker.nothing_waits()
        await worker.webhooks.remove(removed)
        logged = "SELECT webhook_id FROM webhook_deliveries"
        await eventually(lambda: world.rows("directory", logged), equal=[(kept,)] * 2)


async def test_after_a_rotation_either_secret_verifies_for_a_day(world: World, temporal: Client) -> None:
    async with receiving() as receiver, delivering(world, temporal) as worker:
        webhook_id = await worker.add(receiver)
        assert (await worker.webhooks.rotate(webhook_id)).version == 2
        await worker.happens("acme")
        await worker.nothing_waits()
        receiver.secret = secret(MASTER_KEY, webhook_id, 2)
        await worker.happens("acme")
        await worker.nothing_waits()
        await world.execute("directory", "UPDATE webhooks SET replaced_at = ARRAY[now() - interval '25 hours']")
        await worker.happens("acme")
        await worker.nothing_waits()
    assert (receiver.seqs, receiver.signatures) == ([1, 2, 3], [2, 2, 1])


async def test_a_secret_that_was_rotated_twice_since_the_receiver_learnt_it_verifies_for_a_day(
    world: World, temporal: Client
) -> None:
    """As when the answer to the first rotation was lost. Ten old ones sign at most: the headers stay small."""
    async with receiving() as receiver, delivering(world, temporal) as worker:
        webhook_id = await worker.add(receiver)
        for _ in range(2):
            await worker.webhooks.rotate(webhook_id)
        await worker.happens("acme")
        await worker.nothing_waits()
        aged = "UPDATE webhooks SET replaced_at = ARRAY[now(), now() - interval '25 hours']"
        await world.execute("directory", aged)
        receiver.secret = secret(MASTER_KEY, webhook_id, 2)
        await worker.happens("acme")
        await worker.nothing_waits()
        for _ in range(12):
            await worker.webhooks.rotate(webhook_id)
        receiver.secret = secret(MASTER_KEY, webhook_id, 5)
        await worker.happens("acme")
        await worker.nothing_waits()
    assert (receiver.seqs, receiver.signatures) == ([1, 2, 3], [3, 2, 11])


@pytest.mark.parametrize("status", [500, 410])
async def test_a_receiver_that_takes_nothing_for_long_or_is_gone_is_disabled_and_told_what_it_missed_once_enabled(
    world: World, temporal: Client, status: int
) -> None:
    async with (
        receiving(lambda number: status) as receiver,
        delivering(world, temporal, replace(AT_ONCE, give_up=timedelta(seconds=status == 500))) as worker,
    ):
        webhook_id = await worker.add(receiver)
        await worker.happens("acme", "acme")

        async def disabled() -> str:
            view = (await worker.webhooks.one(webhook_id)).view
            assert view.state == "disabled"
            return view.why

        assert await eventually(disabled) == f"The receiver answered {status}"
        matters = "SELECT client_id, matter, kind FROM matters"
        assert await world.rows("directory", matters) == [("", f"webhook:{webhook_id}", "webhook_disabled")]
        receiver.answer = lambda number: 200
        await worker.happens("acme")
        await worker.webhooks.edit(webhook_id, WebhookEdit(enabled=True))
        await worker.nothing_waits()
        assert await world.rows("directory", matters) == []
    assert by_client(receiver) == {"acme": [1, 2, 3]}


async def test_an_hour_without_an_answer_is_twelve_attempts_whose_pauses_grow(world: World) -> None:
    """By a clock of its own: Temporal skips the time of workflows alone (StartActivityExecution has no configuration of
    it, nor has the older test server such activities). That it waits for ``next_retry_delay``, however long that is, is
    test_long_trouble's claim."""
    clock = datetime(2026, 11, 28, 12, tzinfo=UTC)
    up_again = clock + timedelta(hours=1)
    async with receiving() as receiver:
        receiver.answer = lambda number: 200 if clock >= up_again else 503
        deliveries = Deliveries(
            world.databases.directory, MASTER_KEY, Sender(LOOPBACK), "urn:connect", now=lambda: clock
        )
        webhooks = Webhooks(DirectoryDatabase(world.databases.directory))
        await webhooks.add("wh-1", WebhookGiven(url=receiver.url), "olga")
        receiver.secret = secret(MASTER_KEY, "wh-1", 1)
        await happens(world, "acme")
        await world.execute("directory", "INSERT INTO webhook_chains VALUES ('wh-1', 'acme', 0, 1)")
        pauses = list[float]()

        async def deliver() -> bool:
            """Whether it is told; otherwise it is as much later as Temporal waits."""
            nonlocal clock
            try:
                await deliveries.deliver(Chain("wh-1", "acme"))
            except ApplicationError as error:
                later = error.next_retry_delay or timedelta()
                clock += later
                pauses.append(later.total_seconds())
                return False
            return True

        while not await deliver():
            pass
        assert all(after > before for before, after in pairwise(pauses))
        assert 9 <= len(pauses) <= 12
        attempts = await world.rows("directory", "SELECT attempt, status FROM webhook_deliveries ORDER BY delivery_id")
        assert attempts == [*((n, 503) for n in range(1, len(pauses) + 1)), (len(pauses) + 1, 200)]
