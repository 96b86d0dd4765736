"""The Clients page: every client of a site at a glance, and the same as CSV."""

import asyncio
import csv
import re
from collections.abc import AsyncIterator, Mapping
from types import SimpleNamespace
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
from starter.web.dependencies import Clients
from workflows.domain.lifecycle import Status
from workflows.wire.views import ClientView

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
FILTERS = {"status", "type", "provisioning", "q", "inactive", "open", "sort"}
CELLS = (
    *("client_id", "name", "site", "status", "provisioning", "type"),
    *("office_label", "billing_ref", "start_date", "end_date"),
)
HEADS = [*CELLS, "next_change", "next_change_at", "numbers"]
PAGE, EXPORT = 50, 500
NUMBERS = re.compile(r"\+[0-9]{7,15}( \+[0-9]{7,15})*", re.ASCII)

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
    (items, then), counts = await asyncio.gather(clients.listed(filters), clients.directory.counts(filters))

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
        next=then and address(cursor=then),
        total=total_of(counts, filters),
        counts=counts,
        everybody=total_of(counts, filters.model_copy(update={"status": None})),
        filters=filters,
        columns=[(name, *sorting(key)) for name, key in COLUMNS.items()],
        address=address,
    )


@client_list.get("/clients.csv")
async def export_clients(request: Request, clients: Clients) -> Response:
    """What the list shows, all pages of it. Cells that a spreadsheet would take for formulas are quoted for it."""
    filters = filter_of(request.query_params)
    if filters is None:
        return redirect(request, "/clients")
    headers = {"Content-Disposition": 'attachment; filename="clients.csv"', "Cache-Control": "no-store"}
    return StreamingResponse(_rows(clients, filters), media_type="text/csv; charset=utf-8", headers=headers)


def filter_of(query: Mapping[str, str]) -> ClientFilter | None:
    """The filter in an address; None when it makes no sense. Inactive clients are not chosen while hidden."""
    fields = {name: value for name, value in query.items() if name in {*FILTERS, "site", "cursor"} and value}
    if fields.get("status") == Status.DECOMMISSIONED and "inactive" not in fields:
        del fields["status"]
    try:
        return ClientFilter.model_validate({**fields, "limit": PAGE})
    except ValidationError:
        return None


async def _rows(clients: ClientService, filters: ClientFilter) -> AsyncIterator[str]:
    row = csv.writer(SimpleNamespace(write=str), lineterminator="\r\n").writerow
    yield row("offices" if head == "office_label" else head for head in HEADS)
    cursor: str | None = ""
    while cursor is not None:
        page = filters.model_copy(update={"cursor": cursor or None, "limit": EXPORT})
        try:
            items, cursor = await clients.listed(page)
        except NoSuchPage:
            return
        for client in items:
            yield row(map(_harmless, _cells(client)))


def _cells(client: ClientView) -> list[str]:
    planned = (client.planned[0].kind, client.planned[0].at.isoformat()) if client.planned else ("", "")
    numbers = " ".join(line.number for line in client.lines)
    return [*(str(getattr(client, name) or "") for name in CELLS), *planned, numbers]


def _harmless(cell: str) -> str:
    """A cell that no spreadsheet executes (OWASP, CSV injection). A telephone number's plus is not one."""
    formula = cell.startswith(("=", "+", "-", "@", "\t", "\r")) and not NUMBERS.fullmatch(cell)
    return f"'{cell}" if formula else cell
