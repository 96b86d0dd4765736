"""The worker, Temporal and PostgreSQL killed while webhooks are told: every event arrives, in order for each client."""

import sys
from collections import defaultdict

import pytest

from activities.database import Database
from activities.settings import Settings
from activities.webhooks.message import secret
from starter.contract.webhooks import WebhookGiven
from starter.directory.paging import DirectoryDatabase
from starter.directory.webhooks import Webhooks
from tests.activities.webhooks.happening import LINE
from tests.activities.webhooks.receiver import SILENT, Receiver, receiving
from tests.faults.conftest import KEY
from tests.faults.place import Place
from tests.faults.place import place as place  # the fixture
from tests.support.databases import UNHURRIED
from tests.support.waiting import HANGING, eventually

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kills with all that was started")

CLIENTS = ("bolt", "cole", "dove")
SETTINGS = {"CONNECT_WEBHOOK_NETWORKS": "127.0.0.0/8", "CONNECT_WEBHOOK_SECONDS": "2"}
LONG = 4 * HANGING
"""A minute passes until Temporal takes a telling for lost."""


async def add_webhook(place: Place, receiver: Receiver) -> None:
    dsn = place.dsns["CONNECT_DIRECTORY_DSN"]
    async with Database("directory", dsn, Settings.model_validate(UNHURRIED | {"directory_dsn": dsn})) as database:
        await Webhooks(DirectoryDatabase(database)).add("wh-1", WebhookGiven(url=receiver.url, after=0), "olga")
    receiver.secret = secret(KEY.encode(), "wh-1", 1)


async def test_whatever_is_killed_while_webhooks_are_told_every_event_arrives_in_order_for_each_client(
    place: Place,
) -> None:
    async def happens() -> None:
        """Two more events of each client."""
        for client_id in 2 * CLIENTS:
            await place.rows(LINE, client_id)

    async with receiving() as receiver:

        async def told_in_silence() -> None:
            """More happens, and the receiver takes the first of it and does not answer."""
            number, before = receiver.requests, receiver.hanging
            receiver.answer = lambda it: SILENT if it == number else 200
            await happens()
            await eventually(lambda: receiver.hanging > before, LONG)

        await add_webhook(place, receiver)
        with place.worker(**SETTINGS) as first:
            await place.open("acme")  # whose events are told, too
            await told_in_silence()
            first.kill()
        with place.worker(**SETTINGS):
            await told_in_silence()
            place.kill_temporal()
            await happens()
            await place.start_temporal()
            await told_in_silence()
            place.postgres.kill()
            place.postgres.start()
            await happens()

            async def all_told() -> bool:
                waits = "SELECT FROM webhook_chains UNION ALL SELECT FROM events_waiting"
                last = await place.rows("SELECT last - position FROM webhooks, event_log")
                return last == [(0,)] and not await place.rows(waits)

            await eventually(all_told, LONG)
        right = await place.rows("SELECT client_id, seq, event_id::text FROM events ORDER BY seq")
    told, ids = defaultdict[str, list[int]](list), set[tuple[str, int, str]]()
    for event, webhook_id in zip(receiver.taken, receiver.ids, strict=True):
        client_id, seq = event["subject"], event["data"]["seq"]
        ids.add((client_id, seq, webhook_id))
        if seq not in told[client_id]:
            told[client_id].append(seq)
    assert ids == {(client_id, seq, event_id) for client_id, seq, event_id in right}, "each arrives, under one id"
    assert {client_id for client_id, _, _ in right} == {"acme", *CLIENTS}
    assert all(seqs == sorted(seqs) for seqs in told.values()), "what comes again comes after it first came in order"
    assert len(receiver.ids) > len(ids), "something was in the middle each time"
