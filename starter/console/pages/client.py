"""One client's page: its three axes, its services with their evidence, its timeline and its history."""

from datetime import UTC, datetime

from fastapi import Request
from fastapi.responses import Response

from starter.console.forms.action import reschedule
from starter.console.pages.erasing import erased_page
from starter.console.pages.status import why_not
from starter.console.parts import PART_SIZE
from starter.console.rendering import page, page_router, reads_of
from starter.console.switched import FOLDED_BEYOND, needs_last_seen, rows_of
from starter.console.timeline import timeline_of
from starter.errors import ClientErased
from starter.web.dependencies import Clients
from workflows.domain.journal import Event

LATEST = 8
NOTES = 5
PAGE = 100
EVENTS = tuple(event.value for event in Event)

client_pages = page_router()


@client_pages.get("/clients/{client_id}")
async def show_client(request: Request, clients: Clients, client_id: str) -> Response:
    """Everything about a client that one looks for, live."""
    try:
        client = await clients.client(client_id)
    except ClientErased as erased:
        return await erased_page(request, clients, erased)
    latest = await clients.history(client_id, LATEST, None)
    reads = reads_of(request)
    notes = await clients.notes(client_id, NOTES, None)
    changes = await reads.status_changes(client_id)
    seen = await reads.last_seen(client_id) if needs_last_seen(client) else {}
    return page(
        request,
        "client.html",
        client=client,
        why_not=why_not(client),
        switched=rows_of(client.systems, seen),
        folded_beyond=FOLDED_BEYOND,
        shown=PART_SIZE,
        most_rows=max(FOLDED_BEYOND, PART_SIZE // max(len(client.systems), 1)),
        history=latest,
        notes=notes,
        timeline=timeline_of(client, changes, datetime.now(UTC)),
        reschedule=reschedule,
    )


@client_pages.get("/clients/{client_id}/history")
async def show_history(
    request: Request, clients: Clients, client_id: str, event: str = "", cursor: str | None = None
) -> Response:
    """All requests, refusals, decisions, attempts and proofs; or only one kind of them."""
    try:
        client = await clients.client(client_id)
    except ClientErased as erased:
        return await erased_page(request, clients, erased, cursor)
    chosen = event if event in EVENTS else ""
    history = await clients.history(client_id, PAGE, cursor, chosen)
    return page(request, "history.html", client=client, history=history, events=EVENTS, chosen=chosen, cursor=cursor)
