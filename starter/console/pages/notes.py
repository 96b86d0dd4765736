"""Notes and tags: the small forms of a client's page."""

from fastapi import Request
from fastapi.responses import Response

from starter.clients import ClientService
from starter.console.forms.errors import FormErrors
from starter.console.forms.form import command_id_of
from starter.console.forms.labels import read_tags
from starter.console.rendering import Form, caller_of, page, page_router, redirect
from starter.contract.bodies import EditBody, NoteBody, message_of
from starter.web.dependencies import Clients
from starter.web.problems import code_of
from workflows.domain.errors import Refusal
from workflows.wire.messages import AnyMessage, Edit, Note

note_pages = page_router()


@note_pages.post("/clients/{client_id}/notes")
async def add_note(request: Request, clients: Clients, client_id: str) -> Response:
    """Write down what somebody has to say. It stands there for good."""
    form, errors = await Form.read(request), FormErrors(("text",))
    body = errors.read(NoteBody, {"text": form.text("text")})
    if body is None:
        return await _refusal_page(request, clients, client_id, errors.wrong.get("text") or errors.problem, 422)
    message = message_of(Note, body, by=caller_of(request), command_id=command_id_of(form))
    return await _carry_out(request, clients, client_id, message)


@note_pages.post("/clients/{client_id}/tags")
async def change_tags(request: Request, clients: Clients, client_id: str) -> Response:
    """Add tags, or remove one; the others stay."""
    form, errors = await Form.read(request), FormErrors(("tags",))
    added, removed = read_tags(form.text("add"), errors), read_tags(form.text("remove"), errors)
    body = errors.read(EditBody, {"add_tags": added, "remove_tags": removed}) if not errors.wrong else None
    if body is None or not (added or removed):
        why = errors.wrong.get("tags") or "No tag is given. Give one, such as vip."
        return await _refusal_page(request, clients, client_id, why, 422)
    message = message_of(Edit, body, by=caller_of(request), command_id=command_id_of(form))
    return await _carry_out(request, clients, client_id, message)


async def _carry_out(request: Request, clients: ClientService, client_id: str, message: AnyMessage) -> Response:
    """Do it and go back to the client, which says what came of it."""
    try:
        answer = await clients.command(client_id, message)
    except Refusal as refusal:
        return await _refusal_page(request, clients, client_id, str(refusal), code_of(type(refusal)))
    return redirect(request, f"/clients/{client_id}", f"{answer.message}.")


async def _refusal_page(request: Request, clients: ClientService, client_id: str, why: str, code: int) -> Response:
    client = await clients.client(client_id)
    return page(request, "refused.html", code, client=client, why=why, next=f"/clients/{client_id}")
