"""Nobody sees a page who has not signed in."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from starter.console.auth.sessions import Sessions
from starter.console.rendering import KEPT, out_of_reach
from starter.errors import DirectoryAway
from starter.web.problems import ProblemResponse, problem
from starter.web.security import CHECKS, GUARDED, identify, wants_page

STATIC = "/static/"
OPEN = (*CHECKS, "/sign-in", "/upcoming.ics")
"""Served to anybody, as what lies in STATIC: the checks, the way in; the calendar has a secret of its own."""


class Guard:
    """Find out who is signed in, and show everybody else the way in. The API has its own guard."""

    def __init__(self, app: ASGIApp, sessions: Sessions, token: str) -> None:
        self._app, self._sessions, self._token = app, sessions, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if scope["type"] != "http" or path.startswith(GUARDED) or path in CHECKS:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        try:
            session = await self._sessions.find(request)
        except DirectoryAway as away:
            if path.startswith(STATIC):
                await self._app(scope, receive, send)
            elif _kept_by_the_app(request):
                await self._app(_aside(scope, away), receive, send)
            else:
                await (await out_of_reach(request, away))(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["session"], state["caller"] = session, identify(request.headers, self._token)
        known = session is not None or state["caller"] is not None
        if known or path in OPEN or path.startswith(STATIC):
            await self._app(scope, receive, send)
        elif _kept_by_the_app(request):
            await self._app(_aside(scope), receive, send)
        else:
            await self._turned_away(request)(scope, receive, send)

    @staticmethod
    def _turned_away(request: Request) -> Response:
        if not wants_page(request.scope):
            return ProblemResponse(problem(401, "Sign in, or send the token"), {"WWW-Authenticate": "Bearer"})
        asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        after = f"?next={quote(asked)}" if request.method == "GET" and asked != "/" else ""
        return RedirectResponse(f"/sign-in{after}", 303)


def _kept_by_the_app(request: Request) -> bool:
    """Whether this is a form, which the app then keeps: it reads bodies, and limits them."""
    return request.method == "POST" and wants_page(request.scope)


def _aside(scope: Scope, away: DirectoryAway | None = None) -> Scope:
    """The same request, to be kept instead of carried out."""
    return {**scope, "path": KEPT, "raw_path": KEPT.encode(), "state": {"kept": scope["path"], "away": away}}
