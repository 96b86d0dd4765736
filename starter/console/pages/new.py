"""New clients, with what there is to say about them as one types; also one like another, present or former."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import Response

from starter.clients import ClientService
from starter.console.forms.copied import Copied, copy_of_client
from starter.console.forms.details import check_billing_ref, day_in, hint_end, hint_start, meet_rules
from starter.console.forms.errors import FormErrors
from starter.console.forms.form import CHECK, BoundForm
from starter.console.forms.internet import RATES, read_internet
from starter.console.forms.labels import LABELS, read_external_ids, read_tags
from starter.console.forms.lines import LINES, ROOMS, check_numbers, part_of_lines, read_lines, read_rooms, rows_of
from starter.console.forms.lookalikes import hint_lookalikes
from starter.console.forms.pasted import take_pasted
from starter.console.forms.services import SERVICES, choices, part_of_services, read_services, service_rows
from starter.console.rendering import SITE_COOKIE, Form, caller_of, page, page_router, reads_of, redirect
from starter.contract.answers import Site
from starter.contract.bodies import ClientGiven, LineGiven
from starter.contract.catalogue import Catalogue
from starter.directory.console import ConsoleReads
from starter.web.dependencies import Clients, clients_of
from starter.wording import client_word
from workflows.domain.client.labels import keys_of
from workflows.domain.dates import local_day
from workflows.domain.lifecycle import Activation
from workflows.domain.services import ClientType

OURS = {"new"}  # addresses beneath /clients that are pages of their own
RECORD = ("name", "type", "site", "client_id", "billing_ref", "start_date", "end_date", "activation", *LABELS)

NEW = "/clients/new"

new_pages = page_router()


@new_pages.get(NEW)
async def show_new(
    request: Request, clients: Clients, site: str = "", like: Annotated[str, Query(alias="from")] = ""
) -> Response:
    """An empty form, for the site that one comes from; or one filled with what another client has, or had."""
    sites = await _open_sites(clients)
    if like:
        copied = await copy_of_client(clients, reads_of(request), await clients.client(like), sites)
        return _page(request, copied.bound, sites, copied)
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
    sites = await _open_sites(clients)
    site = next((site for site in sites if site.site_id == bound.form.text("site")), None)
    take_pasted(bound, site.country if site else None)
    body, lines = _read(bound, sites, clients.catalogue)
    look_up = partial(_look_up, bound, lines, clients, reads_of(request))
    if bound.sent and body is not None and not bound.errors.stopped:
        client = await bound.carry_out(clients.create(body, bound.command_id, caller_of(request)), look_up)
        if client is not None:
            warned = " ".join(f"{warning.text}." for warning in client.warnings)
            return redirect(request, f"/clients/{client.client_id}", f"Created {client.name}. {warned}".rstrip())
    else:
        await look_up()
    return _page(request, bound, sites)


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
        errors.refuse("client_id", "The console has a page of this name. Choose another id", finished=True)
    if form.text("site") not in {site.site_id for site in sites}:
        errors.refuse("site", "There is no such site. Choose one of the list")
    plain = [name for name in RECORD if name not in LABELS]
    record = {name: form.text(name) or None for name in plain} | {"name": form.text("name")}
    tags, ids = read_tags(form.text("tags"), errors), read_external_ids(form.text("external_ids"), errors)
    services = {
        "offices": rooms,
        "lines": [*lines.values()],
        "internet": internet,
        "services": further,
        "tags": tags,
        "external_ids": ids,
    }
    body = errors.read(ClientGiven, {**record, **services, "management": bool(form.text("management"))})
    return body, lines


async def _open_sites(clients: ClientService) -> list[Site]:
    """Those that take new clients."""
    return [site for site in (await clients.directory.sites()).items if not site.retired]


async def _look_up(
    bound: BoundForm, lines: Mapping[str, LineGiven], clients: ClientService, reads: ConsoleReads
) -> None:
    """Say what is taken, what is free, and what is odd beside others."""
    errors, client_id = bound.errors, bound.form.text("client_id")
    await check_numbers(lines, reads, errors)
    await check_billing_ref(bound.form.text("billing_ref"), reads, errors)
    if client_id and "client_id" not in errors.wrong and errors.typing != "client_id":
        if await reads.client_id_taken(client_id):
            errors.refuse("client_id", f"There is, or was, a client {client_id}. Choose another id", finished=True)
        else:
            errors.hint("client_id", f"{client_id} is free.", "right")
    ids = read_external_ids(bound.form.text("external_ids"), FormErrors())
    for name, holder in (await clients.directory.external_ids_taken(keys_of(ids).values())).items():
        errors.refuse("external_ids", f"{name} is that of {client_word(holder)}. Leave it out", finished=True)
    offices = [(name.replace("number", "office"), line.office) for name, line in lines.items()]
    offices += [(ROOMS, room) for room in read_rooms(bound.form, FormErrors())]
    await hint_lookalikes(clients, errors, client_id, bound.form.text("site"), offices, bound.form.text("name"))


def _page(request: Request, bound: BoundForm, sites: Sequence[Site], copied: Copied | None = None) -> Response:
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
    return page(
        request,
        "new.html",
        bound.status,
        bound=bound,
        sites=sites,
        site=site,
        today=today,
        kinds=kinds,
        copied=copied,
        line_part=part_of_lines(bound.rows, form, errors),
        service_part=part_of_services(bound.services, form, errors),
    )


def _type(form: Form) -> ClientType:
    return ClientType.VIRTUAL if form.text("type") == ClientType.VIRTUAL else ClientType.RESIDENTIAL
