"""What a person does about a system in attention, and cancelling what is planned: the small forms of other pages."""

from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError

from starter.clients import ClientService
from starter.console.forms.errors import HIDDEN, sentence
from starter.console.forms.form import command_id_of
from starter.console.pages.status import refusal_text
from starter.console.rendering import Form, Page, caller_of, page, read_form, redirect, safe_path
from starter.contract.bodies import MarkDoneBody, SkipBody, Switched, message_of
from starter.web.dependencies import Clients
from starter.web.problems import code_of
from workflows.domain.errors import NothingPlanned, Refusal
from workflows.domain.text import visible
from workflows.wire.messages import BY_NAME, AnyMessage, CancelPlanned, Retry

LONGEST = 500
RULE = f"Give 1 to {LONGEST} characters. They are kept in the history."
GONE = "This change is not planned any more: it has happened, or somebody cancelled it. Nothing was done."
PROMPTS = {
    "skip": ("Skip", "reason", "Reason for skipping", "It is not attempted again until the next decision."),
    "mark-done": ("Mark done", "note", "What was done by hand", "Kept as the evidence, with your name."),
}
"""What each asks for: its name, its field, the label, the help."""

system_actions = APIRouter(include_in_schema=False, route_class=Page)


@system_actions.post("/clients/{client_id}/systems/{system}/retry")
async def retry(request: Request, clients: Clients, client_id: str, system: Switched) -> Response:
    """Attempt a system again at once."""
    form = await read_form(request)
    said = {"system": system, "reason": _reason(form)}
    return await _carry_out(
        request, clients, client_id, form, Retry.model_validate({**said, **_envelope(request, form)})
    )


@system_actions.post("/clients/{client_id}/systems/{system}/{action}")
async def accept(
    request: Request, clients: Clients, client_id: str, system: Switched, action: Literal["skip", "mark-done"]
) -> Response:
    """Leave a system as it is, or count it as done by hand: both say why, for good."""
    form = await read_form(request)
    name, field, label, help_ = PROMPTS[action]
    body = SkipBody if action == "skip" else MarkDoneBody
    try:
        given = body.model_validate({field: form.text(field)})
    except ValidationError as invalid:
        hidden = [error for error in invalid.errors() if error["type"] == HIDDEN]
        return page(
            request,
            "system_action.html",
            422,
            client=await clients.client(client_id),
            name=name,
            field=field,
            label=label,
            help=help_,
            value=form.text(field),
            wrong=f"{sentence(field, hidden[0])}." if hidden else RULE,
            next=form.text("next"),
        )
    kind = BY_NAME[action.replace("-", "_")]
    message = message_of(kind, given, system=system, **_envelope(request, form))
    return await _carry_out(request, clients, client_id, form, message)


@system_actions.post("/clients/{client_id}/planned/{change:path}/cancel")
async def cancel_planned(request: Request, clients: Clients, client_id: str, change: str) -> Response:
    """Cancel a planned change, by its id or kind."""
    form = await read_form(request)
    said = {"change": change[:200], "reason": _reason(form)}
    message = CancelPlanned.model_validate({**said, **_envelope(request, form)})
    return await _carry_out(request, clients, client_id, form, message)


def _reason(form: Form) -> str:
    """No form of ours asks for one here; whoever gives one has what can be kept of it kept."""
    return visible(form.text("reason"))[:LONGEST]


def _envelope(request: Request, form: Form) -> dict[str, str]:
    return {"by": caller_of(request), "command_id": command_id_of(form)}


async def _carry_out(
    request: Request, clients: ClientService, client_id: str, form: Form, message: AnyMessage
) -> Response:
    """Do it and go back to where it was asked, which says what came of it."""
    after = safe_path(form.text("next") or f"/clients/{client_id}")
    try:
        answer = await clients.command(client_id, message)
    except Refusal as refusal:
        client = await clients.client(client_id)
        why = GONE if isinstance(refusal, NothingPlanned) else refusal_text(refusal)
        return page(request, "refused.html", code_of(type(refusal)), client=client, why=why, next=after)
    return redirect(after, notice=f"{answer.message}.")
