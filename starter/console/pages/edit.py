"""Edit client: the record's details, and the contracted services, with what there is to say about them as one types.

Forms carry what each field was when they were opened: only what somebody changed is sent, so that nobody undoes what
another one did meanwhile without knowing it.
"""

from collections.abc import Mapping
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
from starter.console.forms.effects import named
from starter.console.forms.form import CHECK, LINES, SERVICES, BoundForm
from starter.console.forms.internet import RATES, rates_of, read_change
from starter.console.forms.lines import check_numbers, read_lines, rows_of_client
from starter.console.forms.services import (
    choices,
    overtaken_services,
    read_services,
    removed_services,
    rows_of_services,
)
from starter.console.rendering import Form, caller_of, page, page_router, reads_of, redirect
from starter.contract.bodies import EditBody, LineGiven, ServicesBody, message_of
from starter.contract.catalogue import Catalogue
from starter.web.dependencies import Clients, clients_of
from workflows.domain.dates import local_day
from workflows.domain.lifecycle import Activation
from workflows.domain.preview import Effect
from workflows.wire.messages import ChangeServices, Edit
from workflows.wire.views import ClientView

EDIT = "/clients/{client_id}/edit"

edit_pages = page_router()


@edit_pages.get(EDIT)
async def show_edit(request: Request, clients: Clients, client_id: str) -> Response:
    return _page(request, await clients.client(client_id))


@edit_pages.post(EDIT)
@edit_pages.post(f"{EDIT}{CHECK}")
async def edit_client(request: Request, clients: Clients, client_id: str) -> Response:
    """The details that were changed; or the same form, with what there is to say beside its fields. A check changes
    nothing."""
    bound, client = await BoundForm.read(request, (*DETAILS, "reason")), await clients.client(client_id)
    form, changes = bound.form, changes_in(bound.form)
    if bound.sent and not changes:
        return redirect(request, f"/clients/{client_id}", "Nothing was changed: the details are as they were.")
    body = read_details(client, form, changes, bound.errors)
    if body is None or not bound.sent:
        await check_billing_ref(changes.get("billing_ref") or "", reads_of(request), bound.errors, client_id)
    else:
        bound.form = details.overtaken(client, form, changes, bound.errors)
    return await _conclude(request, clients, client, bound, Edit, body if changes else None)


@edit_pages.post(f"{EDIT}/services")
@edit_pages.post(f"{EDIT}/services{CHECK}")
async def change_services(request: Request, clients: Clients, client_id: str) -> Response:
    """The change of services, now; or the same form, with what there is to say beside its fields. A check changes
    nothing."""
    bound, client = await BoundForm.read(request, (LINES, *RATES, SERVICES, "reason")), await clients.client(client_id)
    body, new = _read_services(client, bound, clients.catalogue)
    if body is None or not bound.sent:
        await check_numbers(new, reads_of(request), bound.errors, client_id)
    else:
        bound.rows = lines.overtaken(client.lines, bound.rows, bound.errors)
        bound.form = internet.overtaken(client.internet, bound.form, bound.errors)
        bound.services = overtaken_services(client.services, bound.services, bound.errors)
    return await _conclude(request, clients, client, bound, ChangeServices, body)


def _read_services(
    client: ClientView, bound: BoundForm, catalogue: Catalogue
) -> tuple[ServicesBody | None, dict[str, LineGiven]]:
    """The change that the form says, None when there is none or cannot be such a one; and its lines."""
    errors, form = bound.errors, bound.form
    new = read_lines(bound.rows, client.type, errors)
    removed = [row.number for row in bound.rows if row.removed]
    changes = {
        "add_lines": [*new.values()],
        "remove_lines": removed,
        "internet": read_change(form, errors),
        "add_services": read_services(bound.services, client.type, catalogue, errors),
        "remove_services": removed_services(bound.services),
    }
    changes = {name: value for name, value in changes.items() if value}
    if not changes and errors.sent and not errors.wrong:
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
    """Do what was sent, and go to the client; or the same form, with what kept it from that, or would come of it."""
    effects: tuple[Effect, ...] = ()
    if body is not None and bound.errors.wrong:
        bound.code = 409  # somebody else was first
    elif body is not None and not bound.errors.stopped:
        message = message_of(kind, body, by=caller_of(request), command_id=bound.command_id)
        if bound.sent:
            answer = await bound.carried_out(clients.command(client.client_id, message))
            if answer is not None:
                return redirect(request, f"/clients/{answer.client_id}", f"{answer.message.rstrip('.')}.")
        else:
            preview = await clients.preview(client.client_id, message)
            effects = tuple(preview.effects)
            if (refusal := refusal_in(preview)) is not None:
                bound.refused(refusal)
    return _page(request, client, {kind: bound}, effects)


def _page(
    request: Request,
    client: ClientView,
    bound: Mapping[type[Edit | ChangeServices], BoundForm] = {},
    effects: tuple[Effect, ...] = (),
) -> Response:
    """Both forms; the one that was typed in as it was typed, the other as the client is."""
    fields, rates = details_of(client), rates_of(client.internet)
    details = bound.get(Edit) or BoundForm(Form(fields).opened(fields))
    services = bound.get(ChangeServices) or BoundForm(
        Form(rates).opened(rates), rows=rows_of_client(client.lines), services=rows_of_services(client.services)
    )
    catalogue = clients_of(request).catalogue
    last_day = day_in(details.form, "end_date")
    if last_day is not None and last_day < local_day(datetime.now(UTC), client.timezone):
        last_day = None  # it would be refused
    return page(
        request,
        "edit.html",
        max(details.status, services.status),
        client=client,
        details=details,
        services=services,
        effects=effects,
        named=partial(named, catalogue),
        kinds=choices(catalogue, client.type, client.services),
        manual=(details.form.text("activation") or client.activation) == Activation.MANUAL,
        last_day=last_day,
        plan=plan_decommission(client.client_id, last_day),
    )
