"""What a process that stops does not finish in time is answered, not cut off: whoever asked repeats it elsewhere."""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from starter.web.security import refused

STOPPING = (
    "This process was stopped before it had the answer. What was asked may still be done: repeat the request, with the "
    "same Idempotency-Key if it changes something"
)


class Stopping:
    """Answers a request that the server gives up as it stops with 503, instead of a 500 of the server's own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except asyncio.CancelledError:  # the server's alone: who hangs up cancels nothing
            if scope["type"] != "http" or begun:
                raise
            await refused(scope, 503, "Connect is stopping", STOPPING)(scope, receive, send)
