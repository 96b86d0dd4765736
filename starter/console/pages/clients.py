"""The Clients page: every client of a site at a glance, and the same as a file."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from tempfile import TemporaryFile
from typing import Any

from fastapi import Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse
from pydantic import ValidationError

from starter.clients import ClientService
from starter.console.pages.sites import ChosenSite
from starter.console.rendering import page_router, redirect
from starter.contract.bodies import ClientFilter
from starter.directory.listing import total_of
from starter.errors import NoSuchPage
from starter.sheets import CLIENT, Workbook, client_cells, csv_lines
from starter.web.dependencies import Clients
from workflows.domain.lifecycle import Status

COLUMNS = {
    "Name": "name",
    "Status": "status",
    "Provisioning": "",
    "Type": "",
    "Offices": "",
    "Billing ref": "billing_ref",
    "Start date": "start_date",
    "End date": "end_date",
    "Next planned change": "next_change",
}
"""The columns and, where the list can be sorted by them, the name of that."""
FILTERS = {"status", "type", "provisioning", "q", "inactive", "open", "tag", "external_id", "sort"}
UNFOLDED = {"type", "provisioning", "inactive", "open"}
"""Those that stand below the first line of the form, which opens."""
PAGE, EXPORT = 50, 500
WORKBOOK = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

client_list = page_router()


@client_list.get("/")
async def home() -> RedirectResponse:
    return RedirectResponse("/clients")


@client_list.get("/clients")
async def show_clients(request: Request, clients: Clients, choice: ChosenSite) -> Response:
    """The list, as its form asks for it."""
    filters = filter_of({**request.query_params, "site": choice.site_id})
    if filters is None:
        return redirect(request, "/clients")
    (items, cursor), counts = await asyncio.gather(
        clients.list_page(filters), clients.directory.counts(filters, datetime.now(UTC))
    )

    def address(path: str = "/clients", **changed: Any) -> str:
        """The address of this list with something else chosen; it then begins at its first page."""
        return choice.address(path, **filters.model_dump(mode="json", include=FILTERS, exclude_defaults=True) | changed)

    def sorting(key: str) -> tuple[str, str]:
        """Where a column's head leads, and how the list is sorted by it now (aria-sort)."""
        if not key:
            return "", ""
        if filters.sort == key:
            return address(sort=f"-{key}"), "ascending"
        return address(sort=None if key == "name" else key), "descending" if filters.sort == f"-{key}" else "none"

    return choice.page(
        request,
        "clients.html",
        clients=items,
        next=cursor and address(cursor=cursor),
        total=total_of(counts, filters),
        counts=counts,
        everybody=total_of(counts, filters.model_copy(update={"status": None})),
        filters=filters,
        chosen=len(filters.model_dump(include=UNFOLDED, exclude_defaults=True)),
        columns=[(name, *sorting(key)) for name, key in COLUMNS.items()],
        address=address,
    )


@client_list.get("/clients.csv")
async def export_clients(request: Request, clients: Clients) -> Response:
    """What the list shows, all pages of it, as ``starter.sheets`` writes files."""
    filters = filter_of(request.query_params)
    if filters is None:
        return redirect(request, "/clients")
    return StreamingResponse(
        _csv(clients, filters), media_type="text/csv; charset=utf-8", headers=download_headers("clients.csv")
    )


@client_list.get("/clients.xlsx")
async def export_workbook(request: Request, clients: Clients) -> Response:
    """All pages of the list as a workbook, which ``starter.sheets`` writes."""
    filters = filter_of(request.query_params)
    if filters is None:
        return redirect(request, "/clients")
    with TemporaryFile() as file:
        book = Workbook(file, CLIENT)
        try:
            async for rows in _rows(clients, filters):
                book.add(rows)
        finally:  # it has scratch files of its own
            await asyncio.to_thread(book.close)
        file.seek(0)
        return Response(file.read(), media_type=WORKBOOK, headers=download_headers("clients.xlsx"))


def filter_of(query: Mapping[str, str]) -> ClientFilter | None:
    """The filter in an address; None when it makes no sense. Inactive clients are not chosen while hidden."""
    fields = {name: value for name, value in query.items() if name in {*FILTERS, "site", "cursor"} and value}
    if fields.get("status") == Status.DECOMMISSIONED and "inactive" not in fields:
        del fields["status"]
    try:
        return ClientFilter.model_validate({**fields, "limit": PAGE})
    except ValidationError:
        return None


async def _csv(clients: ClientService, filters: ClientFilter) -> AsyncIterator[str]:
    yield "".join(csv_lines(CLIENT, ()))
    async for rows in _rows(clients, filters):
        yield "".join(csv_lines((), rows))


async def _rows(clients: ClientService, filters: ClientFilter) -> AsyncIterator[list[list[str]]]:
    """The cells of every client that the list shows, page by page."""
    cursor: str | None = ""
    while cursor is not None:
        page = filters.model_copy(update={"cursor": cursor or None, "limit": EXPORT})
        try:
            items, cursor = await clients.list_page(page)
        except NoSuchPage:
            return
        yield [client_cells(client.model_dump(mode="json")) for client in items]


def download_headers(name: str) -> dict[str, str]:
    """The headers of a file that is saved."""
    return {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
