"""One client's page: its three axes, its services with their evidence, its timeline and its history."""

from datetime import UTC, datetime

from fastapi import Request
from fastapi.responses import Response

from starter.console.forms.action import reschedule
from starter.console.rendering import page, page_router, reads_of
from starter.console.timeline import timeline_of
from starter.web.dependencies import Clients
from workflows.domain.journal import Event

LATEST = 8
PAGE = 100
EVENTS = tuple(event.value for event in Event)

client_pages = page_router()


@client_pages.get("/clients/{client_id}")
async def show_client(request: Request, clients: Clients, client_id: str) -> Response:
    """Everything about a client that one looks for, live."""
    client = await clients.client(client_id)
    latest = await clients.history(client_id, LATEST, None)
    changes = await reads_of(request).status_changes(client_id)
    timeline = timeline_of(client, changes, datetime.now(UTC))
    return page(request, "client.html", client=client, history=latest, timeline=timeline, reschedule=reschedule)


@client_pages.get("/clients/{client_id}/history")
async def show_history(
    request: Request, clients: Clients, client_id: str, event: str = "", cursor: str | None = None
) -> Response:
    """All requests, refusals, decisions, attempts and proofs; or only one kind of them."""
    client = await clients.client(client_id)
    chosen = event if event in EVENTS else ""
    history = await clients.history(client_id, PAGE, cursor, chosen)
    return page(request, "history.html", client=client, history=history, events=EVENTS, chosen=chosen, cursor=cursor)
