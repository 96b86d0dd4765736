"""Billing by HTTP: an unpaid invoice suspends the client, paying it lifts the hold; a webhook says when it is proven.

It needs connect_client (`pip install ./starter/client`) and standardwebhooks. Workers must be allowed to send to this
machine: start `connect up` with CONNECT_WEBHOOK_NETWORKS=127.0.0.0/8. Then, with ID one of its clients:

    CONNECT_TOKEN=$(cat .connect/token) python docs/examples/billing_webhook.py ID 1042
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from connect_client import Connect, is_finished
from standardwebhooks import Webhook, WebhookVerificationError

KINDS = ["requested", "effective", "proven", "failed"]


@dataclass
class Receiver:
    """What Connect has sent, each event once."""

    secret: str = ""
    events: dict[str, dict[str, Any]] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, event: dict[str, Any]) -> None:
        """Remember an event. The same one may come again, under the same id."""
        self.events.setdefault(event["id"], event["data"])
        self.news.set()

    async def proof_of(self, answer: Mapping[str, Any]) -> dict[str, Any] | None:
        """The event that says that all that was decided is proven; None where it was when the answer came, as it may
        be after a second unpaid invoice, which changes nothing, or a command that was sent again."""
        while not is_finished(answer):
            for event in self.events.values():
                if event["revision"] >= answer["revision"] and event["settled"]:
                    return event
            self.news.clear()
            await self.news.wait()
        return None


@dataclass
class Billing:
    """What happens to a client because of its invoices. A ``key`` is one intention: sent again, it is done once."""

    connect: Connect
    receiver: Receiver

    async def unpaid(self, client_id: str, invoice: str) -> dict[str, Any] | None:
        """Suspend the client. Returns the event that says that it is proven; None where it was already."""
        reason, key = f"invoice {invoice} unpaid", f"unpaid-{invoice}"
        return await self.receiver.proof_of(
            await self.connect.suspend(client_id, source="billing", reason=reason, key=key)
        )

    async def paid(self, client_id: str, invoice: str) -> dict[str, Any] | None:
        """Lift billing's hold, which is one for all invoices: once none is unpaid. Returns as ``unpaid`` does."""
        reason, key = f"invoice {invoice} paid", f"paid-{invoice}"
        return await self.receiver.proof_of(
            await self.connect.unsuspend(client_id, source="billing", reason=reason, key=key)
        )


@asynccontextmanager
async def billing(connect: Connect, client_id: str) -> AsyncIterator[Billing]:
    """Billing with a webhook of its own, while it runs."""
    loop, receiver = asyncio.get_running_loop(), Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body, status = self.rfile.read(int(self.headers["Content-Length"])), 204
            try:
                event = Webhook(receiver.secret).verify(body, dict(self.headers.items()))
                loop.call_soon_threadsafe(receiver.take, event)
            except WebhookVerificationError:
                status = 401
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = loop.run_in_executor(None, server.serve_forever)
        url = f"http://127.0.0.1:{server.server_address[1]}/connect"
        webhook = await connect.webhooks.add(
            {"url": url, "description": "Billing", "kinds": KINDS, "clients": [client_id]}
        )
        receiver.secret = webhook["secret"]
        try:
            yield Billing(connect, receiver)
        finally:
            await connect.webhooks.remove(webhook["webhook_id"])
            server.shutdown()
            await serving


async def main(client_id: str, invoice: str) -> None:
    url = os.environ.get("CONNECT_URL", "http://127.0.0.1:8000")
    async with Connect(url, os.environ["CONNECT_TOKEN"]) as connect, billing(connect, client_id) as bills:
        for word, command in (("off", bills.unpaid), ("on", bills.paid)):
            event = await command(client_id, invoice)
            cause = f"event {event['seq']}, of {event['command_id']}" if event else "it was already"
            sys.stdout.write(f"{client_id} is proven {word}: {cause}\n")


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
