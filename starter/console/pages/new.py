"""New clients and new sites, with what there is to say about them as one types."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime

from fastapi import APIRouter, Request
from fastapi.responses import Response

from starter.clients import ClientService
from starter.console.forms.checks import (
    MORE,
    ROWS,
    TYPING,
    FormErrors,
    LineRow,
    check_billing_ref,
    check_days,
    check_numbers,
    command_id_of,
    internet_of,
    lines_of,
    new_command_id,
    rows_of,
    start_told,
)
from starter.console.rendering import SITE_COOKIE, Form, Page, caller_of, page, read_form, reads_of, redirect
from starter.contract.answers import Site
from starter.contract.bodies import NO_PLACES, ClientGiven, LineGiven, SiteGiven
from starter.directory.console import ConsoleReads
from starter.errors import StarterError
from starter.web.dependencies import Clients
from workflows.domain.client.rules import check_billing_ref as meet_billing_ref
from workflows.domain.client.rules import check_client_id, check_name
from workflows.domain.dates import local_day, zone_names
from workflows.domain.errors import Refusal
from workflows.domain.lifecycle import Activation
from workflows.domain.services import ClientType, check_office

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
    return _asking(request, form, sites, rows_of(form, more=ROWS), FormErrors())


@new_pages.post("/clients/new")
async def create_client(request: Request, clients: Clients) -> Response:
    """The client, once; or the same form, with what is wrong beside its fields."""
    form, sites = await read_form(request), (await clients.directory.sites()).items
    if form.text(MORE):
        return await _checked(request, clients, form, sites)
    rows = rows_of(form)
    checks = FormErrors(_order(rows))
    given, lines = _read(form, sites, rows, checks)
    if given is None or checks.stopped:
        await _look_up(form, lines, reads_of(request), checks)
        return _asking(request, form, sites, rows, checks, 422)
    try:
        client = await clients.create(given, command_id_of(form), caller_of(request))
    except Refusal as refusal:
        await _look_up(form, lines, reads_of(request), checks)
        return _asking(request, form, sites, rows, checks, checks.turned_away(refusal, rows), again=True)
    except StarterError as kept:  # it may be under way: the same form then answers
        return _asking(request, form, sites, rows, checks, checks.undone(kept))
    return redirect(f"/clients/{client.client_id}", notice=f"Created {client.name}.")


@new_pages.post("/clients/new/check")
async def check_client(request: Request, clients: Clients) -> Response:
    """The form as it is, with what there is to say about it. Nothing is done."""
    return await _checked(request, clients, await read_form(request), (await clients.directory.sites()).items)


@new_pages.get("/sites/new")
async def show_new_site(request: Request) -> Response:
    return _asking_site(request, Form({}, {}), FormErrors())


@new_pages.post("/sites/new")
async def add_site(request: Request, clients: Clients) -> Response:
    """The site; the same one twice is one. Its id is made of its name when none is given."""
    form = await read_form(request)
    checks = FormErrors(("name", "site_id", "timezone"))
    name, zone = form.text("name"), form.text("timezone")
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63]
    given = checks.read(
        SiteGiven, {"site_id": form.text("site_id") or slug or None, "name": name, "timezone": zone or None}
    )
    if name:
        checks.meet("name", check_name, name)
    namesake = next((site for site in (await clients.directory.sites()).items if site.name == name), None)
    if namesake is not None and given is not None and namesake.site_id != given.site_id:
        checks.refuse("name", f"There is a site of this name already ({namesake.site_id}). Give it another")
    if given is None or checks.stopped:
        return _asking_site(request, form, checks, 422)
    try:
        site = await clients.directory.add_site(given)
    except Refusal as refusal:
        return _asking_site(request, form, checks, checks.turned_away(refusal))
    return redirect("/clients/new", site=site.site_id, notice=f"Added {site.name}. Now its first client.")


# -- inside -----------------------------------------------------------------------------------------------------------


async def _checked(request: Request, clients: ClientService, form: Form, sites: Sequence[Site]) -> Response:
    rows = rows_of(form, more=ROWS if form.text(MORE) else 0)
    checks = FormErrors(_order(rows), form.text(TYPING), sent=False)
    _, lines = _read(form, sites, rows, checks)
    await _look_up(form, lines, reads_of(request), checks)
    return _asking(request, form, sites, rows, checks)


def _read(
    form: Form, sites: Sequence[Site], rows: Sequence[LineRow], checks: FormErrors
) -> tuple[ClientGiven | None, dict[str, LineGiven]]:
    """The client that the form says, None when there cannot be such a one, which is told; and its lines by field."""
    kind = ClientType.VIRTUAL if form.text("type") == ClientType.VIRTUAL else ClientType.RESIDENTIAL
    rooms = [room.strip() for room in re.split(r"[\n,]", form.text("rooms")) if room.strip()]
    lines, internet = lines_of(rows, kind, checks), internet_of(form, checks)
    for name, check in (("name", check_name), ("client_id", check_client_id), ("billing_ref", meet_billing_ref)):
        if form.text(name):
            checks.meet(name, check, form.text(name))
    for room in rooms:
        checks.meet("rooms", check_office, room)
    if kind is ClientType.VIRTUAL and rooms:
        checks.refuse("rooms", "A virtual client has no office. Leave it empty")
    if kind is ClientType.VIRTUAL and internet:
        checks.refuse("down", "A virtual client has no internet access in the building. Leave it empty")
    if form.text("client_id") in OURS:
        checks.refuse("client_id", "The console's own pages go by this id. Choose another", finished=True)
    if form.text("site") not in {site.site_id for site in sites}:
        checks.refuse("site", "There is no such site. Choose one of the list")
    given = checks.read(
        ClientGiven,
        {
            **{name: form.text(name) or None for name in RECORD},
            "name": form.text("name"),
            "management": bool(form.text("management")),
            "offices": rooms,
            "lines": list(lines.values()),
            "internet": internet,
        },
    )
    _tell(form, sites, checks)
    return given, lines


def _tell(form: Form, sites: Sequence[Site], checks: FormErrors) -> None:
    """Say what will happen, and when."""
    site = next((site for site in sites if site.site_id == form.text("site")), None)
    if site is None:
        return
    now = datetime.now(UTC)
    start, end = (None if name in checks.wrong else _day(form.text(name)) for name in ("start_date", "end_date"))
    if "start_date" not in checks.wrong:
        checks.tell("start_date", start_told(start, form.text("activation"), site.timezone, now))
    check_days(start, end, site.timezone, now, checks)


async def _look_up(form: Form, lines: Mapping[str, LineGiven], reads: ConsoleReads, checks: FormErrors) -> None:
    """Say what is taken, and what is free."""
    await check_numbers(lines, reads, checks)
    await check_billing_ref(form.text("billing_ref"), reads, checks)
    client_id = form.text("client_id")
    if client_id and "client_id" not in checks.wrong and checks.typing != "client_id":
        if await reads.client_id_taken(client_id):
            checks.refuse("client_id", f"There is, or was, a client {client_id}. Choose another id", finished=True)
        else:
            checks.tell("client_id", f"{client_id} is free.", "right")


def _asking(
    request: Request,
    form: Form,
    sites: Sequence[Site],
    rows: Sequence[LineRow],
    checks: FormErrors,
    status: int = 200,
    *,
    again: bool = False,
) -> Response:
    """The form as it was typed. ``again``: it is another command from now on, for the one before was refused."""
    site = next((site for site in sites if site.site_id == form.text("site")), None)
    if not checks.told and site is not None:
        _tell(form, sites, checks)
    return page(
        request,
        "new.html",
        status,
        form=form,
        sites=sites,
        site=site,
        today=local_day(datetime.now(UTC), site.timezone) if site else None,
        rows=rows,
        checks=checks,
        command_id=new_command_id() if again else command_id_of(form),
    )


def _asking_site(request: Request, form: Form, checks: FormErrors, status: int = 200) -> Response:
    zones = sorted(zone_names() - NO_PLACES)
    return page(request, "new_site.html", status, form=form, checks=checks, zones=zones)


def _order(rows: Sequence[LineRow]) -> tuple[str, ...]:
    lines = (name for row in rows for name in row.fields)
    return (*RECORD, "management", *lines, "down", "up", "vlan", "rooms")


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
