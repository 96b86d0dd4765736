"""All lines, offices, or evidence of a client that has more of them than its page shows, part by part."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from fastapi import Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from starter.console.parts import part_of
from starter.console.rendering import Form, page, page_router, reads_of
from starter.console.switched import Row, needs_last_seen, rows_of
from starter.web.dependencies import Clients
from workflows.domain.systems import System
from workflows.wire.views import ClientView, SystemView

Item = TypeVar("Item")

SIZE = 100

long_list_pages = page_router()


@long_list_pages.get("/clients/{client_id}/lines")
async def show_lines(request: Request, clients: Clients, client_id: str) -> Response:
    """The contracted telephone lines."""
    client = await clients.client(client_id)
    return _page(request, client, "lines", client.lines, lambda line: (line.number, line.office or ""))


@long_list_pages.get("/clients/{client_id}/offices")
async def show_offices(request: Request, clients: Clients, client_id: str) -> Response:
    """The offices, those with a telephone line and those without."""
    client = await clients.client(client_id)
    return _page(request, client, "offices", client.offices, lambda office: (office,))


@long_list_pages.get("/clients/{client_id}/systems/{system}")
async def show_system(request: Request, clients: Clients, client_id: str, system: System) -> Response:
    """What was seen of each line, account or service of a system; what is not as decided comes first."""
    client = await clients.client(client_id)
    one = next((it for it in client.systems if it.system == system), None)
    if one is None:
        raise HTTPException(404)
    seen = await reads_of(request).last_seen(client_id) if needs_last_seen(client) else {}
    offices = {line.number: line.office or "" for line in client.lines}

    def texts(row: Row) -> Sequence[str]:
        return row.subject.subject, offices.get(row.subject.subject, "")

    return _page(request, client, "evidence", rows_of([one], seen)[system], texts, of=one)


def _page(
    request: Request,
    client: ClientView,
    what: str,
    items: Sequence[Item],
    texts: Callable[[Item], Sequence[str]],
    of: SystemView | None = None,
) -> Response:
    part = part_of(what, items, Form(request.query_params.multi_items()), texts, size=SIZE)
    return page(request, "long_list.html", client=client, what=what, part=part, system=of)
