"""What browsers are shown instead of a page: what is wrong and the way out, with what was typed."""

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from starter.console.labels import field_word
from starter.console.rendering import Form, page
from starter.errors import (
    Away,
    ClientErased,
    NoSuchClient,
    NoSuchPage,
    NoSuchSite,
    NoSuchToken,
    NoSuchWebhook,
    NotAllowed,
    StarterError,
)
from starter.web.access import methods_at
from starter.web.problems import response_to
from starter.web.security import HEADERS, wants_page
from workflows.domain.errors import Refusal

SIGNED_OUT = "Sign in again in another tab. What you typed is kept here: then send it again."
SEND_AGAIN = "What you typed is kept here: send it again shortly, as it is. However often, it is done once."
NO_CLIENT = "The address may be mistyped; the list has all clients, the inactive ones too."
NOT_DONE = "That cannot be done"
NOWHERE = (
    "There is no such page",
    "There is no page at this address. It may be mistyped, or the link that led here is old.",
)
BY_STATUS = {
    404: NOWHERE,
    405: ("This cannot be opened by itself", "Forms are sent to this address. Go back to the page with the form."),
    413: (
        "The form is too large",
        "The form says more than a page may send at once. Nothing was done. Go back and send less.",
    ),
}
OTHERWISE = ("This request is not valid", "Nothing was done. Go back and try again.")
OURS = (
    "Connect made a mistake",
    "The log of the service has the details. The client's page shows whether your change was made: "
    "look there before you try again.",
)


class SeeOther(Exception):
    """The page is at another address of ours."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.address = address


async def answer_to(request: Request, error: Exception) -> Response:
    """What a browser is shown for an error. What was only asked for can be asked for again, when that may help."""
    match error:
        case SeeOther(address=address):
            return RedirectResponse(address, 303)
        case Away(part=part, retry_after=seconds):
            title = f"{part} does not answer"
            if request.method == "POST":
                answer: Response = await resubmit_page(request, 503, title, SEND_AGAIN)
            else:
                answer = _error_page(request, 503, title, str(error))
            answer.headers["Retry-After"] = str(seconds)
            return answer
        case ClientErased():
            return _error_page(request, 404, "This client was erased", str(error))
        case NoSuchClient(client_id=client_id):
            why = f"No client has the id {client_id!r}. {NO_CLIENT}"
            return _error_page(request, 404, "There is no such client", why)
        case NoSuchSite() | NoSuchToken() | NoSuchWebhook() | NoSuchPage():
            return _error_page(request, 404, NOWHERE[0], str(error))
        case NotAllowed():
            return _error_page(request, 403, "You may not do this", str(error))
        case StarterError() | Refusal():
            return _error_page(request, 409, NOT_DONE, str(error))
        case HTTPException(status_code=status):
            return _error_page(request, status, *BY_STATUS.get(status, OTHERWISE))
        case RequestValidationError():  # what no address or form of ours has
            return _error_page(request, 404, *NOWHERE)
        case _:
            return _error_page(request, 500, *OURS)


async def resubmit_page(request: Request, status: int, title: str, why: str) -> Response:
    """A page that keeps the form that was sent, to be sent again: nothing that was typed is lost."""
    form = await Form.read(request)
    if "token" in form:  # which is written nowhere
        return _error_page(request, status, title, "Nothing was done. Go back, and try again shortly.")
    fields = form.multi_items()
    typed = [(field_word(name), value) for name, value in fields if value and field_word(name)]
    out = status == 401
    return page(request, "kept.html", status, title=title, why=why, fields=fields, typed=typed, out=out)


def _error_page(request: Request, status: int, title: str, why: str) -> Response:
    return page(request, "error.html", status, title=title, why=why, again=request.method == "GET" and status >= 500)


def install(app: FastAPI) -> None:
    """Answer every error of the app: a browser with a page, a program with a problem document."""

    async def answer(request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException) and error.status_code == 405:
            error = HTTPException(405, headers={"Allow": ", ".join(methods_at(request.scope))})
        key = getattr(request.state, "key", None)
        response = await answer_to(request, error) if wants_page(request.scope) else response_to(error, key)
        response.headers.update(HEADERS)  # a mistake is answered outside of all that sets them otherwise
        return response

    for kind in (HTTPException, RequestValidationError, StarterError, Refusal, Exception):
        app.add_exception_handler(kind, answer)

    async def nobody_waits(request: Request, error: Exception) -> Response:
        """The caller left before all was read: a page that previews as one types does so with every letter."""
        return Response(status_code=400)

    app.add_exception_handler(SeeOther, answer_to)
    app.add_exception_handler(ClientDisconnect, nobody_waits)
