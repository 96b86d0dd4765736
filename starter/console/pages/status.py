"""The Edit status page: what can be done with a client, what that would do, and doing it."""

import hashlib
from dataclasses import dataclass, replace

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from starter.clients import ClientService, refusal_in
from starter.console.forms.action import Action, ActionForm, actions_for
from starter.console.forms.errors import FormErrors
from starter.console.forms.form import BoundForm, new_command_id
from starter.console.forms.internet import CHOICES
from starter.console.forms.lines import place_of
from starter.console.rendering import Form, Page, caller_of, page, read_form, redirect
from starter.errors import NotDecided
from starter.web.dependencies import Clients
from workflows.domain.errors import Refusal
from workflows.domain.lifecycle import Kind
from workflows.wire.previews import PreviewView
from workflows.wire.views import ClientView

THINGS = {"line": "Line", "account": "Internet", "office": "Office", "hold": "Hold", "detail": "Record"}
"""What a command touches, as the preview names it, in the order in which it is read."""
OVERTAKEN = (
    "The client has changed since this was previewed, and it would now do something else. Nothing was done. "
    "Look at what would happen now, and confirm that."
)
NOT_THE_NAME = "That is not the client's name. Type it exactly as it is written above."

status_pages = APIRouter(include_in_schema=False, route_class=Page)


@dataclass(frozen=True)
class Choice:
    """An action, and why it cannot be taken now; none: it can."""

    action: Action
    why_not: str


@status_pages.get("/clients/{client_id}/status")
async def show_status(request: Request, clients: Clients, client_id: str) -> Response:
    """What can be done, and a preview of what is chosen: as one types, nothing is done."""
    client, form = await clients.client(client_id), form_in(request)
    action = ActionForm.of(client, form)
    return await _show(request, clients, client, action, BoundForm.typed(form, action.order if action else ()))


@status_pages.post("/clients/{client_id}/status")
async def change_status(request: Request, clients: Clients, client_id: str) -> Response:
    """Do what was previewed. What is refused is shown with everything that was typed."""
    form, client = await read_form(request), await clients.client(client_id)
    action = ActionForm.of(client, form)
    if action is None:
        return redirect(f"/clients/{client_id}/status")
    bound, status = BoundForm.sent(form, action.order, action.rows), 422
    message = action.message(caller_of(request), bound.command_id, bound.errors)
    if action.action.danger and _plain(form.text("confirmed")) != _plain(client.name):
        bound.errors.refuse("confirmed", NOT_THE_NAME)
    elif message is not None:
        try:
            shown = await clients.preview(client_id, message)
            if shown.changed and not shown.answered and seal(shown) != form.text("seen"):
                bound.errors.problem, status = OVERTAKEN, 409
            else:
                answer = await clients.command(client_id, message)
                return redirect(f"/clients/{client_id}", notice=f"{answer.message}.")
        except Refusal as refusal:
            status = bound.refused(refusal)
            bound.errors.problem = refusal_text(refusal)
        except NotDecided as undecided:  # sent again with the same id, it is the same command
            status = bound.errors.undone(undecided)
            return await _show(request, clients, await clients.client(client_id), action, bound, status)
    bound.command_id = new_command_id()
    return await _show(request, clients, await clients.client(client_id), action, bound, status)


def form_in(request: Request) -> Form:
    """What an address asks, read as a form is."""
    many: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        many.setdefault(name, []).append(value.strip())
    return Form({name: values[-1] for name, values in many.items()}, many)


async def _show(
    request: Request,
    clients: ClientService,
    client: ClientView,
    action: ActionForm | None,
    bound: BoundForm,
    status: int = 200,
) -> HTMLResponse:
    shown, errors = None, bound.errors
    action = action and replace(action, client=client)
    message = (
        action.message(caller_of(request), bound.command_id, FormErrors() if errors.sent else errors)
        if action
        else None
    )
    if message is not None:
        shown = await clients.preview(client.client_id, message)
    refusal = refusal_in(shown) if shown else None
    if refusal is not None and action and (place := place_of(refusal, action.rows)) in errors.order:
        errors.refuse(place, refusal.why, finished=True)
    return page(
        request,
        "status.html",
        status,
        client=client,
        choices=choices(client),
        action=action,
        form=bound.form,
        errors=errors,
        shown=shown,
        effects=in_order(shown),
        internet_choices=CHOICES,
        refused=refusal_text(refusal) if refusal else "",
        seal=seal(shown),
        command_id=bound.command_id,
    )


def choices(client: ClientView) -> list[Choice]:
    """Every action, and whether the client would take it. A hold that is only planned can be lifted as a plan."""
    why = {action.kind: action.why for action in client.actions}
    if {plan.kind for plan in client.planned} & {Kind.SUSPEND, Kind.UNSUSPEND}:
        why[Kind.UNSUSPEND] = ""
    return [Choice(action, why[action.kind]) for action in actions_for(client)]


def refusal_text(refusal: Refusal) -> str:
    """A refusal in words; what is allowed instead stands beside it on this page."""
    planned = "; ".join(refusal.situation.planned)
    sentences = (refusal.why, planned and f"Planned: {planned}", refusal.remedy)
    return " ".join(f"{sentence.rstrip('.')}." for sentence in sentences if sentence)


def in_order(shown: PreviewView | None) -> list[tuple[str, str, str, str]]:
    """What a command touches: a word for it, its name, before and after; lines and accounts first."""
    order = list(THINGS)
    effects = sorted(shown.effects, key=lambda effect: order.index(effect.kind)) if shown else []
    return [(THINGS[effect.kind], effect.subject, effect.before, effect.after) for effect in effects]


def seal(shown: PreviewView | None) -> str:
    """What stands for a preview in the form that confirms it: another one has another seal."""
    if shown is None:
        return ""
    told = shown.model_dump_json(exclude={"goes": {"__all__": {"change_id"}}, "comes": {"__all__": {"change_id"}}})
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def _plain(name: str) -> str:
    """A name as a page shows it: blanks that follow each other are one."""
    return " ".join(name.split())
