"""New clients and new sites, with what there is to say about them as one types."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

from fastapi import Request
from fastapi.responses import Response

from starter.console.forms.details import check_billing_ref, day_in, hint_end, hint_start, meet_rules
from starter.console.forms.form import CHECK, LINES, SERVICES, BoundForm
from starter.console.forms.internet import RATES, read_internet
from starter.console.forms.lines import ROOMS, check_numbers, read_lines, read_rooms, rows_of
from starter.console.forms.services import choices, read_services, service_rows
from starter.console.rendering import SITE_COOKIE, Form, caller_of, page, page_router, reads_of, redirect
from starter.contract.answers import Site
from starter.contract.bodies import NO_PLACES, ClientGiven, LineGiven, SiteGiven
from starter.contract.catalogue import Catalogue
from starter.directory.console import ConsoleReads
from starter.web.dependencies import Clients, clients_of
from workflows.domain.client.rules import check_name
from workflows.domain.dates import local_day, zone_names
from workflows.domain.lifecycle import Activation
from workflows.domain.services import ClientType

OURS = {"new"}  # addresses beneath /clients that are pages of their own
RECORD = ("name", "type", "site", "client_id", "billing_ref", "start_date", "end_date", "activation")

NEW = "/clients/new"

new_pages = page_router()


@new_pages.get(NEW)
async def show_new(request: Request, clients: Clients, site: str = "") -> Response:
    """An empty form, for the site that one comes from."""
    sites = (await clients.directory.sites()).items
    known = [site.site_id for site in sites]
    candidates = (site, request.cookies.get(SITE_COOKIE, ""), *known)
    first = next((site_id for site_id in candidates if site_id in known), "")
    form = Form({"type": ClientType.RESIDENTIAL, "activation": Activation.AUTOMATIC, "site": first})
    return _page(request, BoundForm(form, rows=rows_of(form, more=True), services=service_rows(form)), sites)


@new_pages.post(NEW)
@new_pages.post(f"{NEW}{CHECK}")
async def create_client(request: Request, clients: Clients) -> Response:
    """The client, once; or the same form, with what there is to say beside its fields. A check creates nothing."""
    bound = await BoundForm.read(request, (*RECORD, "management", LINES, SERVICES, *RATES, ROOMS))
    sites = (await clients.directory.sites()).items
    body, lines = _read(bound, sites, clients.catalogue)
    look_up = partial(_look_up, bound, lines, reads_of(request))
    if bound.sent and body is not None and not bound.errors.stopped:
        client = await bound.carried_out(clients.create(body, bound.command_id, caller_of(request)), look_up)
        if client is not None:
            return redirect(request, f"/clients/{client.client_id}", f"Created {client.name}.")
    else:
        await look_up()
    return _page(request, bound, sites)


@new_pages.get("/sites/new")
async def show_new_site(request: Request) -> Response:
    return _site_page(request, BoundForm(Form({})))


@new_pages.post("/sites/new")
async def add_site(request: Request, clients: Clients) -> Response:
    """The site; the same one twice is one. Its id is made of its name when none is given."""
    bound = await BoundForm.read(request, ("name", "site_id", "timezone"))
    form, errors, name = bound.form, bound.errors, bound.form.text("name")
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63]
    values = {"site_id": form.text("site_id") or slug or None, "name": name, "timezone": form.text("timezone") or None}
    body = errors.read(SiteGiven, values)
    if name:
        errors.meet("name", check_name, name)
    namesake = next((site for site in (await clients.directory.sites()).items if site.name == name), None)
    if namesake is not None and body is not None and namesake.site_id != body.site_id:
        errors.refuse("name", f"There is a site of this name already ({namesake.site_id}). Give it another")
    if body is not None and not errors.stopped:
        site = await bound.carried_out(clients.directory.add_site(body))
        if site is not None:
            return redirect(request, NEW, f"Added {site.name}. Now its first client.", site=site.site_id)
    return _site_page(request, bound)


def _read(
    bound: BoundForm, sites: Sequence[Site], catalogue: Catalogue
) -> tuple[ClientGiven | None, dict[str, LineGiven]]:
    """The client that the form says, None when there cannot be such a one; and its lines by field."""
    form, errors = bound.form, bound.errors
    kind = _type(form)
    further = read_services(bound.services, kind, catalogue, errors)
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
    services = {"offices": rooms, "lines": [*lines.values()], "internet": internet, "services": further}
    body = errors.read(ClientGiven, {**record, **services, "management": bool(form.text("management"))})
    return body, lines


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


def _page(request: Request, bound: BoundForm, sites: Sequence[Site]) -> Response:
    """The form as it was typed, with what will happen, and when."""
    form, errors, now = bound.form, bound.errors, datetime.now(UTC)
    site = next((site for site in sites if site.site_id == form.text("site")), None)
    if site is not None:
        start, end = (None if name in errors.wrong else day_in(form, name) for name in ("start_date", "end_date"))
        if "start_date" not in errors.wrong:
            errors.hint("start_date", hint_start(start, form.text("activation"), site.timezone, now))
        hint_end(start, end, site.timezone, now, errors)
    today = local_day(now, site.timezone) if site else None
    kinds = choices(clients_of(request).catalogue, _type(form), (row for row in bound.services if not row.blank))
    return page(request, "new.html", bound.status, bound=bound, sites=sites, site=site, today=today, kinds=kinds)


def _type(form: Form) -> ClientType:
    return ClientType.VIRTUAL if form.text("type") == ClientType.VIRTUAL else ClientType.RESIDENTIAL


def _site_page(request: Request, bound: BoundForm) -> Response:
    zones = sorted(zone_names() - NO_PLACES)
    return page(request, "new_site.html", bound.status, form=bound.form, errors=bound.errors, zones=zones)
