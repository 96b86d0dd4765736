"""The Edit status page: what can be done with a client, what that would do, and doing it."""

import hashlib
from dataclasses import dataclass
from uuid import uuid4

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from starter.clients import ClientService, refusal_in
from starter.console.forms.action import Action, ActionForm, FormError, actions_for
from starter.console.forms.checks import command_id_of
from starter.console.rendering import Form, Page, caller_of, page, read_form, redirect
from starter.errors import NotDecided
from starter.web.dependencies import Clients
from starter.web.problems import code_of
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


@dataclass(frozen=True)
class Turned:
    """What was sent and could not be done: the answer's status, why, what is wrong in which field."""

    status: int
    problem: str
    wrong: dict[str, str]
    command_id: str = ""


@status_pages.get("/clients/{client_id}/status")
async def show_status(request: Request, clients: Clients, client_id: str) -> Response:
    """What can be done, and a preview of what is chosen: as one types, nothing is done."""
    return await _shown(request, clients, await clients.client(client_id), asked_in(request))


@status_pages.post("/clients/{client_id}/status")
async def change_status(request: Request, clients: Clients, client_id: str) -> Response:
    """Do what was previewed. What is refused is shown with everything that was typed."""
    form = await read_form(request)
    client = await clients.client(client_id)
    wish = wish_of(client, form)
    if wish is None:
        return redirect(f"/clients/{client_id}/status")
    if wish.action.kind is Kind.DECOMMISSION and _plain(form.text("confirmed")) != _plain(client.name):
        turned = Turned(422, "", {"confirmed": NOT_THE_NAME})
        return await _shown(request, clients, client, form, turned)
    command_id = command_id_of(form)
    try:
        message = wish.message(caller_of(request), command_id)
        shown = await clients.preview(client_id, message)
        if shown.changed and not shown.answered and seal(shown) != form.text("seen"):
            return await _shown(request, clients, client, form, Turned(409, OVERTAKEN, {}))
        answer = await clients.command(client_id, message)
    except FormError as unsaid:
        turned = Turned(422, str(unsaid), unsaid.wrong)
    except Refusal as refusal:
        wrong = {refusal.field: refusal.why} if refusal.field else {}
        turned = Turned(code_of(type(refusal)), refusal_text(refusal), wrong)
    except NotDecided as undecided:  # sent again with the same id, it is the same command
        turned = Turned(code_of(NotDecided), str(undecided), {}, command_id)
    else:
        return redirect(f"/clients/{client_id}", notice=f"{answer.message}.")
    return await _shown(request, clients, await clients.client(client_id), form, turned)


def asked_in(request: Request) -> Form:
    """What an address asks, read as a form is."""
    many: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        many.setdefault(name, []).append(value.strip())
    return Form({name: values[-1] for name, values in many.items()}, many)


def wish_of(client: ClientView, form: Form) -> ActionForm | None:
    """What is wished for; None while no action is chosen."""
    named = {action.kind.value: action for action in actions_for(client)}
    action = named.get(form.text("action"))
    return ActionForm(action, client, form) if action else None


async def _shown(
    request: Request, clients: ClientService, client: ClientView, form: Form, turned: Turned | None = None
) -> HTMLResponse:
    wish, shown, hint = wish_of(client, form), None, ""
    wrong = dict(turned.wrong) if turned else {}
    if wish is not None:
        try:
            shown = await clients.preview(client.client_id, wish.message(caller_of(request), uuid4().hex))
        except FormError as unsaid:
            hint = str(unsaid) if unsaid.missing else ""
            wrong |= {} if unsaid.missing and turned is None else unsaid.wrong
    refusal = refusal_in(shown) if shown else None
    if refusal is not None and refusal.field and turned is None:
        wrong[refusal.field] = refusal.why
    return page(
        request,
        "status.html",
        turned.status if turned else 200,
        client=client,
        choices=choices(client),
        wish=wish,
        shown=shown,
        effects=in_order(shown),
        things=THINGS,
        refused=refusal_text(refusal) if refusal else "",
        hint=hint,
        wrong=wrong,
        turned=turned,
        seal=seal(shown),
        command_id=(turned.command_id if turned else "") or uuid4().hex,
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
