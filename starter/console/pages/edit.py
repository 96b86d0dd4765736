"""Edit client: the record's details, and the contracted services, with what there is to say about them as one types.

Forms carry what each field was when they were opened: only what somebody changed is sent, so that nobody undoes what
another one did meanwhile without knowing it.
"""

from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import Response

from starter.clients import ClientService, refusal_in
from starter.console.forms import details, internet, lines
from starter.console.forms.action import plan_decommission
from starter.console.forms.details import DETAILS, changes_in, check_billing_ref, day_in, details_of, read_details
from starter.console.forms.form import BoundForm, more_rows
from starter.console.forms.internet import RATES, rates_of, read_change
from starter.console.forms.lines import ROWS, check_numbers, order_of, read_lines, rows_of, rows_of_client
from starter.console.rendering import Form, Page, caller_of, page, read_form, reads_of, redirect
from starter.contract.bodies import EditBody, LineGiven, ServicesBody, message_of
from starter.web.dependencies import Clients
from workflows.domain.dates import local_day
from workflows.domain.lifecycle import Activation
from workflows.domain.preview import Effect
from workflows.wire.messages import ChangeServices, Edit
from workflows.wire.views import ClientView

edit_pages = APIRouter(include_in_schema=False, route_class=Page)


@edit_pages.get("/clients/{client_id}/edit")
async def show_edit(request: Request, clients: Clients, client_id: str) -> Response:
    return _show(request, await clients.client(client_id))


@edit_pages.post("/clients/{client_id}/edit")
async def edit_client(request: Request, clients: Clients, client_id: str) -> Response:
    """The details that were changed; or the same form, with what is wrong beside its fields."""
    form, client = await read_form(request), await clients.client(client_id)
    bound, changes = BoundForm.sent(form, (*DETAILS, "reason")), changes_in(form)
    body = read_details(client, form, changes, bound.errors)
    if not changes:
        return redirect(f"/clients/{client_id}", notice="Nothing was changed: the details are as they were.")
    if body is None:
        await check_billing_ref(changes.get("billing_ref") or "", reads_of(request), bound.errors, client_id)
        return _show(request, client, 422, details=bound)
    bound.form = details.overtaken(client, form, changes, bound.errors)
    if bound.errors.wrong:
        return _show(request, client, 409, details=bound)
    return await _carry_out(request, clients, client, Edit, body, bound)


@edit_pages.post("/clients/{client_id}/edit/check")
async def check_edit(request: Request, clients: Clients, client_id: str) -> Response:
    """The form as it is, with what there is to say about it. Nothing is done."""
    form, client = await read_form(request), await clients.client(client_id)
    bound, changes = BoundForm.typed(form, (*DETAILS, "reason")), changes_in(form)
    body = read_details(client, form, changes, bound.errors)
    await check_billing_ref(changes.get("billing_ref") or "", reads_of(request), bound.errors, client_id)
    if changes and body is not None and not bound.errors.stopped:
        await _preview(clients, client, Edit, body, bound)
    return _show(request, client, details=bound)


@edit_pages.post("/clients/{client_id}/edit/services")
async def change_services(request: Request, clients: Clients, client_id: str) -> Response:
    """The change of services, now; or the same form, with what is wrong beside its fields."""
    form = await read_form(request)
    if more_rows(form):
        return await check_services(request, clients, client_id)
    client, rows = await clients.client(client_id), rows_of(form)
    bound = BoundForm.sent(form, (*order_of(rows), *RATES, "reason"), rows)
    body, new = _read_services(client, bound)
    if body is None:
        await check_numbers(new, reads_of(request), bound.errors, client_id)
        return _show(request, client, 422, services=bound)
    bound.rows = lines.overtaken(client.lines, rows, bound.errors)
    bound.form = internet.overtaken(client.internet, form, bound.errors)
    if bound.errors.wrong:
        return _show(request, client, 409, services=bound)
    return await _carry_out(request, clients, client, ChangeServices, body, bound)


@edit_pages.post("/clients/{client_id}/edit/services/check")
async def check_services(request: Request, clients: Clients, client_id: str) -> Response:
    """The form as it is, with what there is to say about it. Nothing is done."""
    form, client = await read_form(request), await clients.client(client_id)
    rows = rows_of(form, more=ROWS if more_rows(form) else 0)
    effects: tuple[Effect, ...] = ()
    bound = BoundForm.typed(form, (*order_of(rows), *RATES, "reason"), rows)
    body, new = _read_services(client, bound)
    await check_numbers(new, reads_of(request), bound.errors, client_id)
    if body is not None and not bound.errors.stopped:
        effects = await _preview(clients, client, ChangeServices, body, bound)
    return _show(request, client, services=bound, effects=effects)


def _read_services(client: ClientView, bound: BoundForm) -> tuple[ServicesBody | None, dict[str, LineGiven]]:
    """The change that the form says, None when there is none or cannot be such a one; and its lines."""
    errors, form = bound.errors, bound.form
    new = read_lines(bound.rows, client.type, errors)
    removed = [row.number for row in bound.rows if row.removed]
    changes = {"add_lines": [*new.values()], "remove_lines": removed, "internet": read_change(form, errors)}
    changes = {name: value for name, value in changes.items() if value}
    if not changes and errors.sent and not errors.wrong:
        errors.problem = "No line and no internet access is changed yet. Change one first."
    reason = {"reason": form.text("reason")} if form.text("reason") else {}
    body = errors.read(ServicesBody, {**changes, **reason})
    return (body if changes and not errors.stopped else None), new


async def _preview(
    clients: ClientService,
    client: ClientView,
    kind: type[Edit | ChangeServices],
    body: EditBody | ServicesBody,
    bound: BoundForm,
) -> tuple[Effect, ...]:
    """What would come of it; a refusal is said in the form."""
    shown = await clients.preview(client.client_id, message_of(kind, body, by="", command_id=""))
    refusal = refusal_in(shown)
    if refusal is not None:
        bound.errors.refused(refusal, lines.place_of(refusal, bound.rows))
    return tuple(shown.effects)


async def _carry_out(
    request: Request,
    clients: ClientService,
    client: ClientView,
    kind: type[Edit | ChangeServices],
    body: EditBody | ServicesBody,
    bound: BoundForm,
) -> Response:
    """Do it, and go to the client; or the same form, with what kept it from being done."""
    message = message_of(kind, body, by=caller_of(request), command_id=bound.command_id)
    answer = await bound.carried_out(clients.command(client.client_id, message))
    if isinstance(answer, int):
        details, services = (bound, None) if kind is Edit else (None, bound)
        return _show(request, client, answer, details=details, services=services)
    return redirect(f"/clients/{answer.client_id}", notice=f"{answer.message.rstrip('.')}.")


def _show(
    request: Request,
    client: ClientView,
    status: int = 200,
    *,
    details: BoundForm | None = None,
    services: BoundForm | None = None,
    effects: tuple[Effect, ...] = (),
) -> Response:
    """Both forms; the one that was typed in as it was typed, the other as the client is."""
    fields, rates = details_of(client), rates_of(client.internet)
    details = details or BoundForm(Form(fields, {}).opened(fields))
    services = services or BoundForm(Form(rates, {}).opened(rates), rows=rows_of_client(client.lines))
    last_day = day_in(details.form, "end_date")
    if last_day is not None and last_day < local_day(datetime.now(UTC), client.timezone):
        last_day = None  # it would be refused
    return page(
        request,
        "edit.html",
        status,
        client=client,
        details=details,
        services=services,
        effects=effects,
        manual=(details.form.text("activation") or client.activation) == Activation.MANUAL,
        last_day=last_day,
        plan=plan_decommission(client.client_id, last_day),
    )
