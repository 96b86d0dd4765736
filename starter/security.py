"""Who is calling, how much they may send, and what every answer says to browsers."""

import hmac
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from starter.problems import ProblemResponse, problem

LARGEST_BODY = 64 * 1024
GUARDED = "/api/"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
}


@dataclass(frozen=True)
class Caller:
    """Whoever holds the token. Roles come later."""

    name: str


def identify(headers: Headers, token: str) -> Caller | None:
    """Who is calling; None for nobody we know. The one place that decides it."""
    scheme, _, given = headers.get("Authorization", "").partition(" ")
    known = hmac.compare_digest(given.strip().encode("latin-1"), token.encode())
    return Caller("api") if scheme.lower() == "bearer" and known else None


class Security:
    """Turn strangers away before anything of theirs is read, and tell browsers what our answers may do."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
                if scope["path"].startswith(GUARDED):
                    headers.setdefault("Cache-Control", "no-store")
            await send(message)

        if scope["path"].startswith(GUARDED):
            caller = identify(Headers(scope=scope), self._token)
            if caller is None:
                answer = ProblemResponse(
                    problem(401, "Send the token: Authorization: Bearer …"), {"WWW-Authenticate": "Bearer"}
                )
                await answer(scope, receive, with_headers)
                return
            scope.setdefault("state", {})["caller"] = caller
        await self._app(scope, receive, with_headers)


class BodyLimit:
    """Stop reading a body that is too large, whether it says so beforehand or comes in pieces."""

    def __init__(self, app: ASGIApp, largest: int = LARGEST_BODY) -> None:
        self._app = app
        self._largest = largest

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared, seen = int(Headers(scope=scope).get("Content-Length", "0")), 0

        async def limited() -> Message:
            nonlocal seen
            message = {} if declared > self._largest else await receive()
            seen += len(message.get("body", b""))
            if max(declared, seen) > self._largest:
                raise HTTPException(413, f"A body has at most {self._largest // 1024} KiB. Send less at once")
            return message

        await self._app(scope, limited, send)
