"""A worker that sends webhooks the events of a directory, by a real Temporal."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_network
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker

from activities.background import background
from activities.webhooks.delivery import Deliveries, Patience
from activities.webhooks.dispatch import Dispatch
from activities.webhooks.message import secret
from activities.webhooks.sending import Sender
from starter.contract.webhooks import WebhookGiven
from starter.directory.paging import DirectoryDatabase
from starter.directory.webhooks import Webhooks
from tests.activities.fixtures import MASTER_KEY, World
from tests.activities.webhooks.happening import happens
from tests.activities.webhooks.receiver import Receiver
from tests.support.service import unique
from tests.support.waiting import eventually

LOOPBACK = [ip_network("127.0.0.0/8")]
AT_ONCE = Patience(first=0.01, longest=0.05)


@dataclass
class DeliveringWorker:
    """A worker that sends webhooks the events of a directory."""

    world: World
    temporal: Client
    webhooks: Webhooks
    dispatch: Dispatch

    async def add(self, receiver: Receiver, **filters: Any) -> str:
        webhook_id = unique("wh")
        await self.webhooks.add(webhook_id, WebhookGiven(url=receiver.url, **filters), "olga")
        receiver.secret = secret(MASTER_KEY, webhook_id, 1)
        return webhook_id

    async def happens(self, *clients: str) -> None:
        """An event of each of these."""
        await happens(self.world, *clients)

    async def nothing_waits(self) -> None:
        async def waits() -> bool:
            last = await self.world.rows("directory", "SELECT last FROM event_log")
            places = await self.world.rows("directory", "SELECT DISTINCT position FROM webhooks WHERE state = 'active'")
            chains = await self.world.rows("directory", "SELECT FROM webhook_chains")
            return not chains and places in ([], last)

        await eventually(waits)


@asynccontextmanager
async def delivering(
    world: World, temporal: Client, patience: Patience = AT_ONCE, sender: Sender | None = None
) -> AsyncIterator[DeliveringWorker]:
    queue, dsn = unique("webhooks"), world.dsns["directory"]
    sender = sender or Sender(LOOPBACK, seconds=2)
    deliveries = Deliveries(world.databases.directory, MASTER_KEY, sender, "urn:connect", patience)
    dispatch = Dispatch(temporal, dsn, timedelta(days=90), queue, every=0.2)
    worker = Worker(temporal, task_queue=queue, activities=[deliveries.deliver])
    async with worker, background(dispatch.run):
        yield DeliveringWorker(world, temporal, Webhooks(DirectoryDatabase(world.databases.directory)), dispatch)


def by_client(receiver: Receiver) -> dict[str, list[int]]:
    """The events of each client as they were taken, without those sent again."""
    found: dict[str, list[int]] = {}
    for event in receiver.taken:
        seqs = found.setdefault(event["subject"], [])
        if event["data"]["seq"] not in seqs:
            seqs.append(event["data"]["seq"])
    return found
