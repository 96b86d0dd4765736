"""New clients and new sites, with what there is to say about them as one types."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import Response

from starter.console.forms.details import check_billing_ref, day_in, hint_end, hint_start, meet_rules
from starter.console.forms.errors import FormErrors
from starter.console.forms.form import BoundForm, more_rows
from starter.console.forms.internet import RATES, read_internet
from starter.console.forms.lines import (
    ROOMS,
    ROWS,
    LineRow,
    check_numbers,
    order_of,
    read_lines,
    read_rooms,
    rows_of,
)
from starter.console.rendering import SITE_COOKIE, Form, Page, caller_of, page, read_form, reads_of, redirect
from starter.contract.answers import Site
from starter.contract.bodies import NO_PLACES, ClientGiven, LineGiven, SiteGiven
from starter.directory.console import ConsoleReads
from starter.errors import StarterError
from starter.web.dependencies import Clients
from workflows.domain.client.rules import check_name
from workflows.domain.dates import local_day, zone_names
from workflows.domain.errors import Refusal
from workflows.domain.lifecycle import Activation
from workflows.domain.services import ClientType

OURS = {"new"}  # addresses beneath /clients that are pages of their own
RECORD = ("name", "type", "site", "client_id", "billing_ref", "start_date", "end_date", "activation")

new_pages = APIRouter(include_in_schema=False, route_class=Page)


@new_pages.get("/clients/new")
async def show_new(request: Request, clients: Clients, site: str = "") -> Response:
    """An empty form, for the site that one comes from."""
    sites = (await clients.directory.sites()).items
    known = [found.site_id for found in sites]
    remembered = request.cookies.get(SITE_COOKIE, "")
    chosen = next((asked for asked in (site, remembered) if asked in known), known[0] if known else "")
    form = Form({"type": ClientType.RESIDENTIAL, "activation": Activation.AUTOMATIC, "site": chosen}, {})
    return _show(request, BoundForm(form, rows=rows_of(form, more=ROWS)), sites)


@new_pages.post("/clients/new")
async def create_client(request: Request, clients: Clients) -> Response:
    """The client, once; or the same form, with what is wrong beside its fields."""
    form, sites = await read_form(request), (await clients.directory.sites()).items
    if more_rows(form):
        return await check_client(request, clients)
    rows = rows_of(form)
    bound = BoundForm.sent(form, _order(rows), rows)
    given, lines = _read(bound, sites)
    if given is None or bound.errors.stopped:
        await _look_up(bound, lines, reads_of(request))
        return _show(request, bound, sites, 422)
    try:
        client = await clients.create(given, bound.command_id, caller_of(request))
    except Refusal as refusal:
        await _look_up(bound, lines, reads_of(request))
        return _show(request, bound, sites, bound.refused(refusal))
    except StarterError as undone:  # it may be under way: the same form then answers
        return _show(request, bound, sites, bound.errors.undone(undone))
    return redirect(f"/clients/{client.client_id}", notice=f"Created {client.name}.")


@new_pages.post("/clients/new/check")
async def check_client(request: Request, clients: Clients) -> Response:
    """The form as it is, with what there is to say about it. Nothing is done."""
    form, sites = await read_form(request), (await clients.directory.sites()).items
    rows = rows_of(form, more=ROWS if more_rows(form) else 0)
    bound = BoundForm.typed(form, _order(rows), rows)
    _, lines = _read(bound, sites)
    await _look_up(bound, lines, reads_of(request))
    return _show(request, bound, sites)


@new_pages.get("/sites/new")
async def show_new_site(request: Request) -> Response:
    return _show_site(request, Form({}, {}), FormErrors())


@new_pages.post("/sites/new")
async def add_site(request: Request, clients: Clients) -> Response:
    """The site; the same one twice is one. Its id is made of its name when none is given."""
    form = await read_form(request)
    errors = FormErrors(("name", "site_id", "timezone"))
    name, zone = form.text("name"), form.text("timezone")
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63]
    given = errors.read(
        SiteGiven, {"site_id": form.text("site_id") or slug or None, "name": name, "timezone": zone or None}
    )
    if name:
        errors.meet("name", check_name, name)
    namesake = next((site for site in (await clients.directory.sites()).items if site.name == name), None)
    if namesake is not None and given is not None and namesake.site_id != given.site_id:
        errors.refuse("name", f"There is a site of this name already ({namesake.site_id}). Give it another")
    if given is None or errors.stopped:
        return _show_site(request, form, errors, 422)
    try:
        site = await clients.directory.add_site(given)
    except Refusal as refusal:
        return _show_site(request, form, errors, errors.refused(refusal, refusal.field or ""))
    return redirect("/clients/new", site=site.site_id, notice=f"Added {site.name}. Now its first client.")


# -- inside -----------------------------------------------------------------------------------------------------------


def _read(bound: BoundForm, sites: Sequence[Site]) -> tuple[ClientGiven | None, dict[str, LineGiven]]:
    """The client that the form says, None when there cannot be such a one; and its lines by field."""
    form, errors = bound.form, bound.errors
    kind = ClientType.VIRTUAL if form.text("type") == ClientType.VIRTUAL else ClientType.RESIDENTIAL
    lines, internet = read_lines(bound.rows, kind, errors), read_internet(form, errors)
    meet_rules(form, errors)
    rooms = read_rooms(form, errors)
    if kind is ClientType.VIRTUAL and rooms:
        errors.refuse(ROOMS, "A virtual client has no office. Leave it empty")
    if kind is ClientType.VIRTUAL and internet:
        errors.refuse("down", "A virtual client has no internet access in the building. Leave it empty")
    if form.text("client_id") in OURS:
        errors.refuse("client_id", "The console's own pages go by this id. Choose another", finished=True)
    if form.text("site") not in {site.site_id for site in sites}:
        errors.refuse("site", "There is no such site. Choose one of the list")
    record = {name: form.text(name) or None for name in RECORD} | {"name": form.text("name")}
    services = {"offices": rooms, "lines": [*lines.values()], "internet": internet}
    given = errors.read(ClientGiven, {**record, **services, "management": bool(form.text("management"))})
    return given, lines


async def _look_up(bound: BoundForm, lines: Mapping[str, LineGiven], reads: ConsoleReads) -> None:
    """Say what is taken, and what is free."""
    errors, client_id = bound.errors, bound.form.text("client_id")
    await check_numbers(lines, reads, errors)
    await check_billing_ref(bound.form.text("billing_ref"), reads, errors)
    if client_id and "client_id" not in errors.wrong and errors.typing != "client_id":
        if await reads.client_id_taken(client_id):
            errors.refuse("client_id", f"There is, or was, a client {client_id}. Choose another id", finished=True)
        else:
            errors.hint("client_id", f"{client_id} is free.", "right")


def _show(request: Request, bound: BoundForm, sites: Sequence[Site], status: int = 200) -> Response:
    """The form as it was typed, with what will happen, and when."""
    form, errors, now = bound.form, bound.errors, datetime.now(UTC)
    site = next((site for site in sites if site.site_id == form.text("site")), None)
    if site is not None:
        start, end = (None if name in errors.wrong else day_in(form, name) for name in ("start_date", "end_date"))
        if "start_date" not in errors.wrong:
            errors.hint("start_date", hint_start(start, form.text("activation"), site.timezone, now))
        hint_end(start, end, site.timezone, now, errors)
    return page(
        request,
        "new.html",
        status,
        bound=bound,
        sites=sites,
        site=site,
        today=local_day(now, site.timezone) if site else None,
    )


def _show_site(request: Request, form: Form, errors: FormErrors, status: int = 200) -> Response:
    zones = sorted(zone_names() - NO_PLACES)
    return page(request, "new_site.html", status, form=form, errors=errors, zones=zones)


def _order(rows: Sequence[LineRow]) -> tuple[str, ...]:
    return (*RECORD, "management", *order_of(rows), *RATES, ROOMS)
