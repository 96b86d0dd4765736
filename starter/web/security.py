"""Who calls, how much they may send, and the security headers of every answer."""

import hmac
from dataclasses import dataclass
from html import escape

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from starter.web.names import Names
from starter.web.problems import ProblemResponse, problem

LARGEST_BODY = 64 * 1024
GUARDED = "/api/"
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


@dataclass(frozen=True)
class Caller:
    """Whoever holds the token. Roles come later."""

    name: str


def identify(headers: Headers, token: str) -> Caller | None:
    """The caller; None without the right token. This is the only place that decides it."""
    scheme, _, token_sent = headers.get("Authorization", "").partition(" ")
    known = hmac.compare_digest(token_sent.strip().encode("latin-1"), token.encode())
    return Caller("api") if scheme.lower() == "bearer" and known else None


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
    """Refuses wrong names, other sites and callers without the token before a body is read. Sets security headers."""

    def __init__(self, app: ASGIApp, token: str, names: Names) -> None:
        self._app, self._token, self._names = app, token, names

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

        answer = self._refusal(scope) or self._app
        await answer(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        """The refusal; None for a request that may go on."""
        path, headers = scope["path"], Headers(scope=scope)
        if path not in CHECKS and not self._names.answer_to(headers.getlist("Host")):
            return _refused(scope, 421, "Connect has another name", UNKNOWN_HOST)
        if sent_by_another_page(scope["method"], headers):
            return _refused(scope, 403, "Nothing was done", OTHER_PAGE)
        if path.startswith(GUARDED):
            caller = identify(headers, self._token)
            if caller is None:
                stranger = problem(401, "Send the token: Authorization: Bearer …")
                return ProblemResponse(stranger, {"WWW-Authenticate": "Bearer"})
            scope.setdefault("state", {})["caller"] = caller
        return None


def _refused(scope: Scope, status: int, title: str, why: str) -> Response:
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
        length, seen = Headers(scope=scope).get("Content-Length", "0"), 0
        measured = length.isascii() and length.isdigit()
        declared = int(length[:20]) if measured else 0  # longer than any: int() of very long ones is slow

        async def limited() -> Message:
            nonlocal seen
            if not measured:
                raise HTTPException(400, "Content-Length is no number of octets. Correct it")
            message = {} if declared > self._largest else await receive()
            seen += len(message.get("body", b""))
            if max(declared, seen) > self._largest:
                raise HTTPException(413, f"A body has at most {self._largest // 1024} KiB. Send less at once")
            return message

        await self._app(scope, limited, send)
