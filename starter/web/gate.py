"""The gate before the API: requests with a token are let in, or answered at once."""

from starlette.types import ASGIApp, Receive, Scope, Send

from starter.contract.callers import Caller
from starter.web.admission import Admission, Place
from starter.web.media import media_refused
from starter.web.problems import ProblemResponse, problem
from starter.web.security import CODEC, GUARDED

BUSY = "There are too many requests now, or of this token. Nothing was done. Send it again after Retry-After."


class Gate:
    """Lets requests with a token in, by the role of their caller, and answers the others with 429. People who are
    signed in are not counted."""

    def __init__(self, app: ASGIApp, admission: Admission) -> None:
        self._app, self._admission = app, admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        state, path = scope.get("state", {}), scope.get("path", "")
        caller: Caller | None = state.get("caller")
        if scope["type"] != "http" or caller is None:
            await self._app(scope, receive, send)
            return
        if path.startswith((GUARDED, CODEC)) and (wrong := media_refused(scope)):
            await ProblemResponse(wrong)(scope, receive, send)
            return
        if state.get("session"):
            await self._app(scope, receive, send)
            return
        if seconds := self._admission.retry_after(caller):
            await ProblemResponse(problem(429, BUSY), {"Retry-After": str(seconds)})(scope, receive, send)
            return
        scope["state"]["place"] = place = Place(self._admission, caller.role)
        with place.working():
            await self._app(scope, receive, send)
