"""One line of log per request. Query strings and headers stay out: they may hold names, or the token."""

import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger(__name__)

CLIENTS = "/api/v1/clients/"
CHECKS = ("/healthz", "/readyz")


class AccessLog:
    """Log what was asked and how it was answered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            path = scope["path"]
            write = log.debug if path in CHECKS else log.info
            write(
                "request_answered",
                method=scope["method"],
                path=path,
                status=status,
                ms=round((time.perf_counter() - began) * 1000, 1),
                client_id=path.removeprefix(CLIENTS).partition("/")[0] if path.startswith(CLIENTS) else None,
            )
