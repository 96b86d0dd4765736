"""Erasing a former client for good: what goes and what stays, and doing it. Afterwards its page says that it was."""

from fastapi import Request
from fastapi.responses import Response

from starter.clients import ClientService
from starter.console.forms.form import BoundForm
from starter.console.labels import label
from starter.console.pages.status import NOT_THE_NAME, plain_name
from starter.console.rendering import caller_of, page, page_router, redirect
from starter.erasing import Eraser
from starter.errors import ClientErased, NotErasable
from starter.web.dependencies import Clients
from workflows.domain.lifecycle import Status
from workflows.domain.provisioning.provisioning import Provisioned
from workflows.wire.views import ClientView

ERASE = "/clients/{client_id}/erase"
LATEST = 100
DONE = "Client {} is erased: who it was is not known any more."

erasing_pages = page_router()


@erasing_pages.get(ERASE)
@erasing_pages.post(ERASE)
async def erase_client(request: Request, clients: Clients, client_id: str) -> Response:
    """Erase a client, once somebody has seen what goes, and has typed its name; or say what keeps it from that. Sent
    again, it completes what was interrupted."""
    bound, eraser = await BoundForm.read(request, ("confirmed",)), request.app.state.eraser
    try:
        client = await clients.client(client_id)
    except ClientErased as erased:
        return await (_erase(request, eraser, client_id) if bound.sent else erased_page(request, clients, erased))
    refused = ""
    try:
        await eraser.check(client_id)
        if bound.sent and plain_name(bound.form.text("confirmed")) == plain_name(client.name):
            return await _erase(request, eraser, client_id)
        if bound.sent:
            bound.errors.refuse("confirmed", NOT_THE_NAME)
    except NotErasable as refusal:
        refused, bound.code = _refused(client, refusal), 409
    form, errors = bound.form, bound.errors
    return page(request, "erase.html", bound.status, client=client, form=form, errors=errors, refused=refused)


def _refused(client: ClientView, refusal: NotErasable) -> str:
    """What keeps a client from being erased, for who has this console and no command line."""
    if client.status is not Status.DECOMMISSIONED:
        return f"The client is {label(client.status)}. Decommission it first."
    if client.provisioning is not Provisioned.SETTLED:
        return "It is not proven yet that all of its services are off. Its page shows what each system says."
    return f"{refusal.why.rstrip('.')}."


async def _erase(request: Request, eraser: Eraser, client_id: str) -> Response:
    await eraser.erase(client_id, caller_of(request))
    return redirect(request, f"/clients/{client_id}", DONE.format(client_id))


async def erased_page(
    request: Request, clients: ClientService, erased: ClientErased, cursor: str | None = None
) -> Response:
    """What is left of a client that was erased: its history, which has times and proofs. Raises NoSuchClient, Away."""
    client_id = erased.client_id
    timezone = await clients.directory.timezone(client_id)
    history = await clients.history(client_id, LATEST, cursor)
    left = {"client_id": client_id, "timezone": timezone or "UTC"}
    return page(request, "erased.html", client=left, why=str(erased), history=history, cursor=cursor)
