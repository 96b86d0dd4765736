"""Who calls, how much they may send, and the security headers of every answer."""

from html import escape

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from starter.errors import StarterError
from starter.web.callers import Callers
from starter.web.guesses import response_to_caller
from starter.web.names import Names
from starter.web.problems import ProblemResponse, problem

LARGEST_BODY = 64 * 1024
FORMS, LARGEST_FORM = "/clients", 512 * 1024  # a form carries what was typed into rows that its page does not show
CODEC = "/codec/"
LARGEST_PAYLOADS = 4 * 1024 * 1024  # bytes: Temporal takes no larger message (gRPC's default)
GUARDED = "/api/"
CLIENTS = "/api/v1/clients/"  # says itself which client there is not
STATIC = "/static/"
CHECKS = ("/healthz", "/readyz")
"""Answered under any name, because load balancers ask by address. They show only whether we work."""

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # "no-referrer" would have browsers send our own forms with "Origin: null"
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
}
HSTS = "max-age=31536000"
"""For a year, browsers come to this host name by TLS only (RFC 6797)."""

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
UNKNOWN_HOST = (
    "Connect does not answer to this host name. Use one that it has: 127.0.0.1, localhost, or the name in "
    "CONNECT_PUBLIC_URL. An operator adds others to CONNECT_HOSTS, and has a proxy in front pass the Host header on"
)
OTHER_PAGE = (
    "A page of another address sent this, so nothing was done. Open Connect itself, and do it there. If that is where "
    "you were, a proxy in front changes the Host header: it must pass it on as it is"
)


def sent_by_another_page(method: str, headers: Headers) -> bool:
    """Whether, by its headers, a page of another origin sent this request, and it could change something.

    As OWASP's Cross-Site Request Forgery Prevention Cheat Sheet (Fetch Metadata) and Go's http.CrossOriginProtection
    judge it. Another port of the same host is another origin. Programs that are no browsers send neither header;
    browsers send Sec-Fetch-Site to https and loopback addresses, and Origin with every such request.
    """
    if method in SAFE_METHODS:
        return False
    site, origin = headers.get("Sec-Fetch-Site"), headers.get("Origin")
    if site is not None:
        return site not in ("same-origin", "none")
    return origin is not None and origin.partition("://")[2].lower() != headers.get("Host", "").lower()


def wants_page(scope: Scope) -> bool:
    """Whether a person sees the answer: a browser requests a path outside the API."""
    return not scope["path"].startswith(GUARDED) and "text/html" in Headers(scope=scope).get("Accept", "")


class Security:
    """Refuses wrong names, other pages and callers without a valid token before a body is read. Sets security
    headers."""

    def __init__(self, app: ASGIApp, callers: Callers, names: Names) -> None:
        self._app, self._callers, self._names = app, callers, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                # browsers ask after files each time: a new version counts at once
                headers.setdefault("Cache-Control", "no-cache" if scope["path"].startswith(STATIC) else "no-store")
                if scope["scheme"] == "https":
                    headers.setdefault("Strict-Transport-Security", HSTS)
            await send(message)

        answer = await self._refusal(scope) or self._app
        await answer(scope, receive, with_headers)

    async def _refusal(self, scope: Scope) -> Response | None:
        """The refusal; None for a request that may go on."""
        path, headers = scope["path"], Headers(scope=scope)
        if path not in CHECKS and not self._names.answer_to(headers.getlist("Host")):
            return refused(scope, 421, "Connect has another name", UNKNOWN_HOST)
        if "\0" in path and not path.startswith(CLIENTS):  # which no id has, and no database takes
            return refused(scope, 404, "There is no such page", "No address of Connect has a NUL character in it")
        if sent_by_another_page(scope["method"], headers):
            return refused(scope, 403, "Nothing was done", OTHER_PAGE)
        if path.startswith(GUARDED):
            try:
                caller = await self._callers.of(headers)
            except StarterError as error:  # unknown is not wrong, and a provider's token can be refused for a reason
                return response_to_caller(scope, error)
            if caller is None:
                stranger = problem(401, "Send the token: Authorization: Bearer …")
                return ProblemResponse(stranger, {"WWW-Authenticate": "Bearer"})
            scope.setdefault("state", {})["caller"] = caller
        return None


def refused(scope: Scope, status: int, title: str, why: str) -> Response:
    """A page for a person, a problem document for a program. It repeats nothing of the request."""
    if not wants_page(scope):
        return ProblemResponse(problem(status, f"{why}."))
    return HTMLResponse(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)} &ndash; Connect</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="stylesheet" href="/static/console.css"><main id="main" class="page narrow"><div class="card">'
        f'<h1>{escape(title)}</h1><p role="alert">{escape(why)}.</p></div></main></html>',
        status,
    )


class BodyLimit:
    """Refuses a body that is too large, by its Content-Length or while it is read."""

    def __init__(self, app: ASGIApp, largest: int = LARGEST_BODY) -> None:
        self._app = app
        self._largest = largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope.get("path", "")
        largest = LARGEST_PAYLOADS if path.startswith(CODEC) else self._largest
        if path.startswith(FORMS):
            largest = LARGEST_FORM
        length, seen = Headers(scope=scope).get("Content-Length", "0"), 0
        measured = length.isascii() and length.isdigit()
        declared = int(length[:20]) if measured else 0  # longer than any: int() of very long ones is slow

        async def limited() -> Message:
            nonlocal seen
            if not measured:
                raise HTTPException(400, "Content-Length is no number of octets. Correct it")
            message = {} if declared > largest else await receive()
            seen += len(message.get("body", b""))
            if max(declared, seen) > largest:
                raise HTTPException(413, f"A body has at most {largest // 1024} KiB. Send less at once")
            return message

        await self._app(scope, limited, send)
