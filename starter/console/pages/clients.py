"""The Clients page: every client of a site at a glance, and the same as CSV."""

import asyncio
import csv
import io
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse
from pydantic import ValidationError

from starter.clients import ClientService
from starter.console.pages.sites import chosen_before, remembering, site_of
from starter.console.rendering import Page, page, redirect
from starter.contract.bodies import ClientFilter
from starter.directory.listing import total_of
from starter.errors import NoSuchPage
from starter.web.dependencies import Clients
from workflows.domain.lifecycle import Status
from workflows.wire.views import ClientView

COLUMNS = (
    ("name", "Name"),
    ("status", "Status"),
    ("", "Provisioning"),
    ("", "Type"),
    ("", "Offices"),
    ("billing_ref", "Billing ref"),
    ("start_date", "Start date"),
    ("end_date", "End date"),
    ("next_change", "Next planned change"),
)
"""The columns and, where the list can be sorted by them, the name of that."""
OURS = ("site", "status", "type", "provisioning", "q", "inactive", "sort", "cursor")
PAGE, EXPORT = 50, 500
NUMBERS = re.compile(r"\+[0-9]{7,15}( \+[0-9]{7,15})*", re.ASCII)

client_list = APIRouter(include_in_schema=False, route_class=Page)


@client_list.get("/")
async def home() -> RedirectResponse:
    return RedirectResponse("/clients")


@client_list.get("/clients")
async def show_clients(request: Request, clients: Clients) -> Response:
    """The list, as its form asks for it. A site that was chosen is remembered."""
    sites = (await clients.directory.sites()).items
    if before := chosen_before(request, sites):
        return before
    site = site_of(request, sites)
    wanted = filter_of({**request.query_params, "site": site.site_id if site else ""})
    if wanted is None:
        return redirect("/clients")
    (items, then), counts = await asyncio.gather(clients.listed(wanted), clients.directory.counts(wanted))
    answer = page(
        request,
        "clients.html",
        clients=items,
        next=then and address(wanted, cursor=then),
        total=total_of(counts, wanted),
        counts=counts,
        everybody=total_of(counts, wanted.model_copy(update={"status": None})),
        sites=sites,
        wanted=wanted,
        columns=[(name, *_sorting(wanted, key)) for key, name in COLUMNS],
        address=lambda **changed: address(wanted, **changed),
        export=address(wanted, "/clients.csv"),
    )
    return remembering(request, answer, site)


@client_list.get("/clients.csv")
async def export_clients(request: Request, clients: Clients) -> Response:
    """What the list shows, all pages of it. Cells that a spreadsheet would take for formulas are quoted for it."""
    wanted = filter_of(dict(request.query_params))
    if wanted is None:
        return redirect("/clients")
    headers = {"Content-Disposition": 'attachment; filename="clients.csv"', "Cache-Control": "no-store"}
    return StreamingResponse(_rows(clients, wanted), media_type="text/csv; charset=utf-8", headers=headers)


def filter_of(said: dict[str, str]) -> ClientFilter | None:
    """The filter that an address says; None when it makes no sense. Inactive clients are not chosen while hidden."""
    given = {name: value for name, value in said.items() if name in OURS and value}
    if given.get("status") == Status.DECOMMISSIONED and "inactive" not in given:
        del given["status"]
    try:
        return ClientFilter.model_validate({**given, "limit": PAGE})
    except ValidationError:
        return None


def address(wanted: ClientFilter, path: str = "/clients", **changed: Any) -> str:
    """The address of this list with something else chosen; it then begins at its first page. It always says the site:
    to say none means the one that was chosen last."""
    said = wanted.model_dump(mode="json", include={*OURS} - {"cursor"}, exclude_defaults=True)
    said = {
        name: value
        for name, value in {"site": "", **said, **changed}.items()
        if name == "site" or value not in (None, "", False)
    }
    told = {name: "true" if value is True else value or "" for name, value in said.items()}
    return f"{path}?{urlencode(told)}"


def _sorting(wanted: ClientFilter, key: str) -> tuple[str, str]:
    """Where a column's head leads, and how the list is sorted by it now (aria-sort)."""
    if not key:
        return "", ""
    if wanted.sort == key:
        return address(wanted, sort=f"-{key}"), "ascending"
    return address(wanted, sort=None if key == "name" else key), "descending" if wanted.sort == f"-{key}" else "none"


async def _rows(clients: ClientService, wanted: ClientFilter) -> AsyncIterator[str]:
    heads = [
        "client_id",
        "name",
        "site",
        "status",
        "provisioning",
        "type",
        "offices",
        "billing_ref",
        "start_date",
        "end_date",
    ]
    yield _line([*heads, "next_change", "next_change_at", "numbers"])
    cursor: str | None = ""
    while cursor is not None:
        asked = wanted.model_copy(update={"cursor": cursor or None, "limit": EXPORT})
        try:
            items, cursor = await clients.listed(asked)
        except NoSuchPage:
            return
        for client in items:
            yield _line(_cells(client))


def _cells(client: ClientView) -> list[str]:
    planned = client.planned[0] if client.planned else None
    return [
        *(
            client.client_id,
            client.name,
            client.site,
            client.status,
            client.provisioning,
            client.type,
            client.office_label,
        ),
        *(client.billing_ref, str(client.start_date), str(client.end_date or "")),
        *((planned.kind, planned.at.isoformat()) if planned else ("", "")),
        " ".join(line.number for line in client.lines),
    ]


def _line(cells: list[str]) -> str:
    written = io.StringIO()
    csv.writer(written, lineterminator="\r\n").writerow([_harmless(cell) for cell in cells])
    return written.getvalue()


def _harmless(cell: str) -> str:
    """A cell that no spreadsheet executes (OWASP, CSV injection). A telephone number's plus is not one."""
    formula = cell.startswith(("=", "+", "-", "@", "\t", "\r")) and not NUMBERS.fullmatch(cell)
    return f"'{cell}" if formula else cell
