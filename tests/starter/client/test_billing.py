"""The example of billing, as it stands in the documents: told by a webhook when what it asked for is proven, and not
held up by what changes nothing."""

import importlib
import sys
from datetime import timedelta
from ipaddress import ip_network

import pytest
from temporalio.worker import Worker

from activities.background import background
from activities.database import Database
from activities.webhooks.delivery import Deliveries
from activities.webhooks.dispatch import Dispatch
from activities.webhooks.sending import Sender
from starter import client as package
from tests.support.service import MASTER_KEY, TOKEN, Service, unique
from tests.support.waiting import unless_it_hangs


async def test_an_unpaid_invoice_suspends_and_a_paid_one_unsuspends_and_a_webhook_says_when_it_is_proven(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "connect_client", package)
    example = importlib.import_module("docs.examples.billing_webhook")
    client_id = (await service.create())["client_id"]
    dsn, queue = service.settings.directory_dsn.get_secret_value(), unique("webhooks")
    async with service.directory() as directory:
        await directory.execute("DELETE FROM webhooks")  # of other tests: nothing leaves this machine
    database = Database("directory", dsn, service.settings)
    deliveries = Deliveries(database, MASTER_KEY, Sender([ip_network("127.0.0.0/8")]), "urn:connect")
    dispatch = Dispatch(service.temporal, dsn, timedelta(days=90), queue)
    worker = Worker(service.temporal, task_queue=queue, activities=[deliveries.deliver])
    async with (
        database,
        worker,
        background(dispatch.run),
        package.Connect(service.url, TOKEN) as connect,
        example.billing(connect, client_id) as billing,
        unless_it_hangs(),
    ):
        for command, status in ((billing.unpaid, "suspended"), (billing.paid, "active")):
            for invoice in ("1042", "1043", "1042"):  # the second one changes nothing, nor does the first sent again
                event = await command(client_id, invoice)
                assert event is None or (event["client_id"], event["settled"]) == (client_id, True)
                await service.known(client_id)
            client = await service.client(client_id)
            assert (client["status"], client["provisioning"]) == (status, "settled")
    assert (await service.api.get("/webhooks")).json()["items"] == [], "billing has removed its own"
