"""What a client's telephones and router are configured with: shown on request, and the history says to whom."""

from fastapi import Request
from fastapi.responses import Response

from starter.console.forms.lines import LINES
from starter.console.pages.status import why_not
from starter.console.parts import part_of
from starter.console.rendering import Form, caller_of, page, page_router
from starter.console.switched import FOLDED_BEYOND
from starter.contract.answers import Credentials
from starter.web.dependencies import Clients
from workflows.domain.lifecycle import Kind
from workflows.wire.views import ClientView

CREDENTIALS = "/clients/{client_id}/credentials"

credentials_pages = page_router()


@credentials_pages.get(CREDENTIALS)
async def ask_for_credentials(request: Request, clients: Clients, client_id: str) -> Response:
    """The button that shows them: an address that is opened, reloaded or gone back to shows no secret."""
    return _page(request, await clients.client(client_id), Form())


@credentials_pages.post(CREDENTIALS)
async def show_credentials(request: Request, clients: Clients, client_id: str) -> Response:
    """The credentials, once the history says who looks at them."""
    client, form = await clients.client(client_id), await Form.read(request)
    return _page(request, client, form, await clients.credentials(client_id, caller_of(request)))


def _page(request: Request, client: ClientView, form: Form, credentials: Credentials | None = None) -> Response:
    rotate = why_not(client)[Kind.ROTATE_CREDENTIALS]
    return page(
        request,
        "credentials.html",
        client=client,
        credentials=credentials,
        part=part_of(LINES, credentials.sip if credentials else [], form, lambda one: (one.number, one.username)),
        why_not_rotate=rotate,
        folded_beyond=FOLDED_BEYOND,
    )
