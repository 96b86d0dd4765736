"""One line of log per request, of words of ours: callers may have put a name into anything that they send.

It has the route, the id of a client that there is, and the id of the request, which a caller may choose.

For callers without the token, and for requests that are turned away, a few lines are written per answer and address;
the others are counted (``requests_repeated``).
"""

import time
from collections.abc import Iterator

import structlog
from fastapi.routing import APIRoute, RouteContext, iter_route_contexts
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from starter.request_ids import HEADER, REQUEST_ID, id_of
from starter.web.dependencies import API
from starter.web.repeats import WINDOW, Repeats
from starter.web.security import CHECKS, STATIC

log = structlog.get_logger(__name__)

METHODS = frozenset({"GET", "HEAD", "POST", "PATCH", "PUT", "DELETE", "OPTIONS"})
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
                write = log.debug if check else log.info
                write(
                    "request_answered",
                    method=scope["method"] if scope["method"] in METHODS else "OTHER",
                    path=route_of(scope),
                    status=status,
                    ms=round((time.perf_counter() - began) * 1000, 1),
                    request_id=request_id,
                    client_id=scope.get("path_params", {}).get("client_id") if _knows_client(status) else None,
                    **({} if known else {"address": address}),
                )


def route_of(scope: Scope) -> str:
    """The route's path, as ``/api/v1/clients/{client_id}``, also of a request that was turned away before it was
    looked for; of what no route answers, the first part of ours."""
    path: str = scope["path"]
    inside = next((it for it in (f"{API}/", STATIC) if path.startswith(it)), "")
    if route := scope.get("route"):
        own: str = route.path
        return own if own.startswith(inside) else inside.rstrip("/") + own
    return _path_of_route(scope) or (f"{inside}…" if inside else path if path in CHECKS else "…")


def methods_at(scope: Scope) -> list[str]:
    """What can be sent to this address, of whatever route: as Allow says it (RFC 9110 section 10.2.1)."""
    found = {method for route in _routes_at(scope) for method in route.methods or ()}
    return sorted(found) or ["GET", "HEAD"]  # a file


def _path_of_route(scope: Scope) -> str | None:
    """That of the app's route which would have answered; None: there is none."""
    return next((route.path for route in _routes_at(scope) if scope["method"] in (route.methods or ())), None)


def _routes_at(scope: Scope) -> Iterator[RouteContext]:
    for route in iter_route_contexts(scope["app"].routes) if "app" in scope else ():
        if isinstance(route.original_route, APIRoute) and route.path_regex.match(scope["path"]):
            yield route


def _knows_client(status: int) -> bool:
    """Whether such an answer is about a client that there is."""
    return status < 400 or status in (409, 412)


def _log_left_out(stranger: Stranger | None, times: int) -> None:
    status, address = stranger or (None, "others")
    log.info("requests_repeated", status=status, address=address, times=times, seconds=WINDOW)
