"""What a person does about a system in attention: the small forms of other pages."""

from typing import Literal

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel

from starter.clients import ClientService
from starter.console.forms.errors import FormErrors
from starter.console.forms.form import command_id_of
from starter.console.labels import label
from starter.console.pages.status import refusal_text
from starter.console.rendering import Form, caller_of, page, page_router, redirect, safe_path
from starter.contract.bodies import MarkDoneBody, SkipBody, message_of
from starter.web.dependencies import Clients
from starter.web.problems import code_of
from workflows.domain.errors import Refusal
from workflows.domain.text import visible
from workflows.wire.fields import KindName
from workflows.wire.messages import AnyMessage, MarkDone, Retry, Skip

LONGEST = 500
PROMPTS: dict[str, tuple[str, str, str, type[BaseModel], type[Skip | MarkDone]]] = {
    "skip": ("reason", "Reason for skipping", "It is not attempted again until the next decision.", SkipBody, Skip),
    "mark-done": ("note", "What was done by hand", "Kept as the evidence, with your name.", MarkDoneBody, MarkDone),
}
"""What each asks for: its field, the label, the help; the model of the answer and of the message."""

system_actions = page_router()


@system_actions.post("/clients/{client_id}/systems/{system}/retry")
async def retry(request: Request, clients: Clients, client_id: str, system: KindName) -> Response:
    """Attempt a system again at once."""
    form = await Form.read(request)
    message = Retry(system=system, reason=_reason(form), **_envelope(request, form))
    return await _carry_out(request, clients, client_id, form, message)


@system_actions.post("/clients/{client_id}/systems/{system}/{action}")
async def accept(
    request: Request, clients: Clients, client_id: str, system: KindName, action: Literal["skip", "mark-done"]
) -> Response:
    """Leave a system as it is, or count it as done by hand: both say why, for good."""
    form = await Form.read(request)
    field, prompt, help_, body_type, message_type = PROMPTS[action]
    errors = FormErrors((field,))
    body = errors.read(body_type, {field: form.text(field)})
    if body is None:
        client = await clients.client(client_id)
        context = {"name": label(action.replace("-", "_")), "field": field, "prompt": prompt, "help": help_}
        return page(request, "system_action.html", 422, client=client, form=form, errors=errors, **context)
    message = message_of(message_type, body, system=system, **_envelope(request, form))
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
        return page(
            request, "refused.html", code_of(type(refusal)), client=client, why=refusal_text(refusal), next=after
        )
    return redirect(request, after, f"{answer.message}.")
