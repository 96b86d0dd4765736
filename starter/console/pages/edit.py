"""Edit client: the record's details, and the contracted services, with what there is to say about them as one types.

Forms carry what each field was when they were opened: only what somebody changed is sent, so that nobody undoes what
another one did meanwhile without knowing it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial

from fastapi import Request
from fastapi.responses import Response

from starter.clients import ClientService, refusal_in
from starter.console.forms import details, internet, lines
from starter.console.forms.action import plan_decommission
from starter.console.forms.details import (
    DETAILS,
    changes_in,
    check_billing_ref,
    day_in,
    details_of,
    read_details,
    reason_in,
)
from starter.console.forms.effects import alike, thing_and_name
from starter.console.forms.form import BESIDE, CHECK, BoundForm
from starter.console.forms.internet import RATES, rates_of, read_change
from starter.console.forms.lines import (
    LINES,
    UNWANTED,
    check_numbers,
    part_of_lines,
    read_lines,
    rows_of_client,
    with_unsent,
)
from starter.console.forms.lookalikes import hint_lookalikes
from starter.console.forms.pasted import take_pasted, unwanted_numbers, with_removed
from starter.console.forms.services import (
    SERVICES,
    choices,
    overtaken_services,
    part_of_services,
    read_services,
    removed_services,
    rows_of_services,
    with_unsent_services,
)
from starter.console.pages.status import seal
from starter.console.parts import looks_for_something
from starter.console.rendering import Form, caller_of, page, page_router, reads_of, redirect
from starter.console.switched import FOLDED_BEYOND
from starter.contract.bodies import EditBody, LineGiven, ServicesBody, message_of
from starter.contract.catalogue import Catalogue
from starter.web.dependencies import Clients, clients_of
from starter.wording import sentences
from workflows.domain.dates import local_day
from workflows.domain.lifecycle import Activation
from workflows.domain.preview import SWITCHED
from workflows.wire.messages import ChangeServices, Edit
from workflows.wire.previews import PreviewView
from workflows.wire.views import ClientView

EDIT = "/clients/{client_id}/edit"
FIELDS: Mapping[type[Edit | ChangeServices], Sequence[str]] = {
    Edit: (*DETAILS, "reason"),
    ChangeServices: (LINES, UNWANTED, *RATES, SERVICES, "reason"),
}
STILL_TYPED: Mapping[type[Edit | ChangeServices], str] = {
    Edit: "The details below are not saved yet.",
    ChangeServices: "The services below are not changed yet.",
}
OTHERWISE = "What would happen now is not what was shown before. Look at it below, and confirm that."

edit_pages = page_router()


@edit_pages.get(EDIT)
async def show_edit(request: Request, clients: Clients, client_id: str) -> Response:
    return _page(request, await clients.client(client_id))


@edit_pages.post(EDIT)
@edit_pages.post(f"{EDIT}{CHECK}")
async def edit_client(request: Request, clients: Clients, client_id: str) -> Response:
    """The details that were changed; or the same form, with what there is to say beside its fields. A check changes
    nothing."""
    bound, client = await BoundForm.read(request, FIELDS[Edit]), await clients.client(client_id)
    form, changes = bound.form, changes_in(bound.form)
    if bound.sent and not changes:
        if not form.text(BESIDE):
            return redirect(request, f"/clients/{client_id}", "Nothing was changed: the details are as they were.")
        bound.errors.problem = "The details are as they were."
    body = read_details(client, form, changes, bound.errors)
    if body is None or not bound.sent:
        await check_billing_ref(changes.get("billing_ref") or "", reads_of(request), bound.errors, client_id)
        await hint_lookalikes(clients, bound.errors, client_id, None, (), changes.get("name"))
    else:
        bound.form = details.overtaken(client, form, changes, bound.errors)
    return await _conclude(request, clients, client, bound, Edit, body if changes else None)


@edit_pages.post(f"{EDIT}/services")
@edit_pages.post(f"{EDIT}/services{CHECK}")
async def change_services(request: Request, clients: Clients, client_id: str) -> Response:
    """The change of services, now, once somebody has seen what it does; or the same form, with what there is to say
    beside its fields. A check changes nothing."""
    bound, client = await BoundForm.read(request, FIELDS[ChangeServices]), await clients.client(client_id)
    bound.rows = with_unsent(bound.rows, client.lines)
    bound.services = with_unsent_services(bound.services, client.services)
    country = await clients.country(client)
    take_pasted(bound, country)
    there = [row.number for row in bound.rows if row.was is not None]
    unwanted = unwanted_numbers(bound.form, there, country, bound.errors)
    body, new = _read_services(client, bound, clients.catalogue, unwanted)
    if body is None or not bound.sent:
        await check_numbers(new, reads_of(request), bound.errors, client_id)
        offices = [(name.replace("number", "office"), line.office) for name, line in new.items()]
        await hint_lookalikes(clients, bound.errors, client_id, None, offices, None)
    else:
        bound.rows = lines.overtaken(client.lines, bound.rows, bound.errors)
        bound.form = internet.overtaken(client.internet, bound.form, bound.errors)
        bound.services = overtaken_services(client.services, bound.services, bound.errors)
    return await _conclude(request, clients, client, bound, ChangeServices, body)


def _read_services(
    client: ClientView, bound: BoundForm, catalogue: Catalogue, unwanted: Sequence[str]
) -> tuple[ServicesBody | None, dict[str, LineGiven]]:
    """The change that the form says, None when there is none or cannot be such a one; and its lines."""
    errors, form = bound.errors, bound.form
    new = read_lines(bound.rows, client.type, errors)
    bound.rows = with_removed(bound.rows, unwanted)
    removed = [row.number for row in bound.rows if row.goes]
    changes = {
        "add_lines": [*new.values()],
        "remove_lines": [*dict.fromkeys((*removed, *unwanted))],
        "internet": read_change(form, errors),
        "add_services": read_services(bound.services, client.type, catalogue, errors),
        "remove_services": removed_services(bound.services),
    }
    changes = {name: value for name, value in changes.items() if value}
    if not changes and errors.sent and not errors.wrong and not looks_for_something(form):
        errors.problem = "No service is changed yet. Change one first."
    body = errors.read(ServicesBody, {**changes, **reason_in(form)})
    return (body if changes and not errors.stopped else None), new


async def _conclude(
    request: Request,
    clients: ClientService,
    client: ClientView,
    bound: BoundForm,
    kind: type[Edit | ChangeServices],
    body: EditBody | ServicesBody | None,
) -> Response:
    """Do what was sent, and go to the client; or the same form, with what kept it from that, or would come of it.

    What switches something is done once it was seen, like an action of Edit status. What was typed into the other form
    of the page stays.
    """
    preview: PreviewView | None = None
    other = ChangeServices if kind is Edit else Edit
    beside = BoundForm.beside(bound.form, FIELDS[other])
    forms = {kind: bound, **({other: beside} if beside else {})}
    if body is not None and bound.errors.wrong:
        bound.code = 409  # somebody else was first
    elif body is not None and not bound.errors.stopped:
        message = message_of(kind, body, by=caller_of(request), command_id=bound.command_id)
        if not bound.sent:
            preview = await clients.preview(client.client_id, message)
            if (refusal := refusal_in(preview)) is not None:
                bound.add_refusal(refusal)
        elif (preview := await bound.carry_out(clients.preview(client.client_id, message))) is None:
            pass  # which the form says
        elif not _to_be_seen(kind, preview) or seal(preview) == bound.form.text("seen"):
            answer = await bound.carry_out(clients.command(client.client_id, message))
            outcome = sentences(answer.message, *(it.text for it in answer.warnings[:2])) if answer else ""
            if answer is not None and beside is None:
                return redirect(request, f"/clients/{answer.client_id}", outcome)
            if answer is not None:
                del forms[kind]
                notice = f"{outcome} {STILL_TYPED[other]}"
                return _page(request, await clients.client(client.client_id), forms, notice=notice)
        elif bound.form.text("seen"):
            bound.errors.problem, bound.code = OTHERWISE, 409
    return _page(request, client, forms, preview)


def _to_be_seen(kind: type[Edit | ChangeServices], preview: PreviewView) -> bool:
    """Whether somebody must have seen what a command does: it changes services or the status, or switches something."""
    if not preview.changed or preview.answered:
        return False
    switched = any(effect.kind in SWITCHED for effect in preview.effects)
    return kind is ChangeServices or switched or preview.status_before != preview.status_after


def _page(
    request: Request,
    client: ClientView,
    bound: Mapping[type[Edit | ChangeServices], BoundForm] = {},
    preview: PreviewView | None = None,
    **more: str,
) -> Response:
    """Both forms; the one that was typed in as it was typed, the other as the client is."""
    fields, rates = details_of(client), rates_of(client.internet)
    details = bound.get(Edit) or BoundForm(Form(fields).opened(fields))
    services = bound.get(ChangeServices) or BoundForm(
        Form(rates).opened(rates), rows=rows_of_client(client.lines), services=rows_of_services(client.services)
    )
    if services.typed:  # while the other form was sent
        services.rows = with_unsent(services.rows, client.lines)
        services.services = with_unsent_services(services.services, client.services)
    catalogue, about = clients_of(request).catalogue, Edit if Edit in bound and not details.typed else ChangeServices
    last_day = day_in(details.form, "end_date")
    past = last_day is not None and last_day < local_day(datetime.now(UTC), client.timezone)
    if past:
        last_day = None  # it would be refused
    return page(
        request,
        "edit.html",
        max(details.status, services.status),
        client=client,
        details=details,
        services=services,
        effects=preview.effects if preview and _to_be_seen(about, preview) else (),
        about="details" if about is Edit else "services",
        warnings=preview.warnings if preview else (),
        seal=seal(preview),
        named=partial(thing_and_name, catalogue),
        alike=partial(alike, catalogue),
        kinds=choices(catalogue, client.type, client.services),
        line_part=part_of_lines(services.rows, services.form, services.errors),
        service_part=part_of_services(services.services, services.form, services.errors),
        manual=(details.form.text("activation") or client.activation) == Activation.MANUAL,
        past=past,
        last_day=last_day,
        plan=plan_decommission(client.client_id, last_day),
        folded_beyond=FOLDED_BEYOND,
        **more,
    )
