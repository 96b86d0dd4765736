"""What browsers are shown that ask for what there is not, or meet a mistake of ours: pages, not problem documents."""

from collections.abc import Awaitable, Callable

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from starter.console.rendering import error_page
from starter.web.security import HEADERS, wants_page

Handler = Callable[[Request, Exception], Awaitable[Response]]

NOWHERE = (
    "There is no such page",
    "There is no page at this address. It may be mistyped, or the link that led here is old.",
)
TOLD = {
    404: NOWHERE,
    405: ("This cannot be opened by itself", "Forms are sent to this address. Go back to the page with the form."),
    413: ("That was too much at once", "A form has at most 64 KiB. Nothing was done. Go back and send less."),
}
OTHERWISE = ("This request makes no sense", "Nothing was done. Go back and try again.")
OURS = (
    "Connect made a mistake",
    "It is not yours. The log of the service says more. Whether what you asked was done, the page of the client shows: "
    "look there before you ask for it again.",
)


def install(app: FastAPI) -> None:
    """Have browsers shown a page where the app's handlers, which are there already, answer with a problem document."""

    def shown(told: Callable[[Exception], tuple[int, str, str]], kind: type[Exception]) -> None:
        otherwise: Handler = app.exception_handlers[kind]  # type: ignore[assignment]  # ours are all coroutines

        async def handle(request: Request, error: Exception) -> Response:
            if wants_page(request.scope):
                answer: Response = error_page(request, *told(error))
            else:
                answer = await otherwise(request, error)
            answer.headers.update(HEADERS)  # a mistake is answered outside of all that says them otherwise
            return answer

        app.add_exception_handler(kind, handle)

    def refused(error: Exception) -> tuple[int, str, str]:
        assert isinstance(error, HTTPException)
        return error.status_code, *TOLD.get(error.status_code, OTHERWISE)

    shown(refused, HTTPException)
    shown(lambda _: (404, *NOWHERE), RequestValidationError)  # what no address or form of ours says
    shown(lambda _: (500, *OURS), Exception)
