"""Nobody sees a page who has not signed in."""

from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from starter.console.sessions import COOKIE, Sessions
from starter.console.shell import out_of_reach
from starter.errors import DirectoryAway
from starter.problems import ProblemResponse, problem
from starter.security import GUARDED, identify

OPEN = ("/healthz", "/readyz", "/sign-in", "/upcoming.ics", "/static/")
"""Served to anybody: the checks, the way in and what it looks like; the calendar has a secret of its own."""


class Guard:
    """Find out who is signed in, and show everybody else the way in. The API has its own guard."""

    def __init__(self, app: ASGIApp, sessions: Sessions, token: str) -> None:
        self._app, self._sessions, self._token = app, sessions, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if scope["type"] != "http" or path.startswith(GUARDED) or path in ("/healthz", "/readyz"):
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        try:
            session = await self._sessions.find(request.cookies.get(COOKIE))
        except DirectoryAway as away:
            if path.startswith("/static/"):
                await self._app(scope, receive, send)
                return
            await out_of_reach(request, away)(scope, receive, send)
            return
        scope.setdefault("state", {})["session"] = session
        headers = Headers(scope=scope)
        if session is None and not path.startswith(OPEN) and identify(headers, self._token) is None:
            await self._turned_away(request, headers)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    @staticmethod
    def _turned_away(request: Request, headers: Headers) -> Response:
        if "text/html" not in headers.get("Accept", ""):
            return ProblemResponse(problem(401, "Sign in, or send the token"), {"WWW-Authenticate": "Bearer"})
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        after = f"?next={quote(asked)}" if request.method == "GET" and asked != "/" else ""
        return RedirectResponse(f"/sign-in{after}", 303)
