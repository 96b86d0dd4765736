"""One line of log per request. Query strings and headers stay out: they may hold names, or the token.

For callers without the token, and for requests that are turned away, a few lines are written per answer and address;
the others are counted (``requests_repeated``).
"""

import time

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from starter.request_ids import HEADER, REQUEST_ID, id_of
from starter.web.repeats import WINDOW, Repeats
from starter.web.security import CHECKS

log = structlog.get_logger(__name__)

CLIENTS = "/api/v1/clients/"
LONGEST_PATH = 200  # characters
TOO_MANY = 429

Stranger = tuple[int, str]
"""The status of an answer, and the address of the caller."""


class AccessLog:
    """Logs each request and the status of its answer, and has each answer name its request."""

    def __init__(self, app: ASGIApp, window: float = WINDOW) -> None:
        self._app = app
        self._repeats = Repeats[Stranger](_log_left_out, window)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, named = time.perf_counter(), 500, Headers(scope=scope).get(HEADER, "")
        REQUEST_ID.set(request_id := id_of(named))

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            state, address = scope.get("state", {}), (scope.get("client") or ("",))[0]
            known, check = state.get("caller") or state.get("session"), scope["path"] in CHECKS
            if (known and status != TOO_MANY) or check or self._repeats.few((status, address)):
                path = printable(scope["path"])
                write = log.debug if check else log.info
                write(
                    "request_answered",
                    method=printable(scope["method"]),
                    path=path,
                    status=status,
                    ms=round((time.perf_counter() - began) * 1000, 1),
                    request_id=request_id,
                    client_id=path.removeprefix(CLIENTS).partition("/")[0] if path.startswith(CLIENTS) else None,
                    **({} if known else {"address": address}),
                )


def printable(text: str) -> str:
    """The text for a log: shortened, and without characters that control a terminal."""
    short = text if len(text) <= LONGEST_PATH else text[: LONGEST_PATH - 1] + "…"
    return (
        short if short.isprintable() else "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in short)
    )


def _log_left_out(stranger: Stranger | None, times: int) -> None:
    status, address = stranger or (None, "others")
    log.info("requests_repeated", status=status, address=address, times=times, seconds=WINDOW)
