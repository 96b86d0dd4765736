"""Nobody sees a page who has not signed in."""

from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from starter.console.auth.sessions import Sessions
from starter.console.errors import SIGNED_OUT, answer_to, resubmit_page
from starter.errors import DirectoryAway, InvalidToken, NotAllowed, ProviderAway
from starter.web.callers import Callers
from starter.web.guesses import response_to_caller
from starter.web.problems import ProblemResponse, problem
from starter.web.security import CHECKS, GUARDED, STATIC, wants_page

OPEN = (*CHECKS, "/sign-in", "/sign-in/openid", "/sign-in/openid/callback", "/upcoming.ics")
"""Served to anybody, as what lies in STATIC: the checks, the ways in; the calendar has a secret of its own."""


class Guard:
    """Find out who is signed in, and show everybody else the way in. The API has its own guard."""

    def __init__(self, app: ASGIApp, sessions: Sessions, callers: Callers) -> None:
        self._app, self._sessions, self._callers = app, sessions, callers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        answer: ASGIApp | None = None
        if scope["type"] == "http" and not path.startswith(GUARDED) and path not in CHECKS:
            request = Request(scope, receive)
            try:
                answer = await self._refusal(request)
            except (InvalidToken, NotAllowed, ProviderAway) as error:  # said to programs: browsers send no token
                answer = response_to_caller(scope, error)
            except (DirectoryAway, HTTPException) as error:
                answer = None if path.startswith(STATIC) else await answer_to(request, error)
        await (answer or self._app)(scope, receive, send)

    async def _refusal(self, request: Request) -> Response | None:
        """What a stranger is shown instead; None for a request that may go on."""
        session = await self._sessions.find(request)
        caller = session.caller if session else await self._callers.of(request.headers)
        request.state.session, request.state.caller = session, caller
        path = request.url.path
        if caller is not None or path in OPEN or path.startswith(STATIC):
            return None
        if not wants_page(request.scope):
            return ProblemResponse(problem(401, "Sign in, or send a token"), {"WWW-Authenticate": "Bearer"})
        if request.method == "POST":
            return await resubmit_page(request, 401, "You are signed out", SIGNED_OUT)
        address = path + (f"?{request.url.query}" if request.url.query else "")
        after = f"?next={quote(address)}" if request.method == "GET" and address != "/" else ""
        return RedirectResponse(f"/sign-in{after}", 303)
