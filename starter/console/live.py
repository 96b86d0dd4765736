"""Server-sent events: the page hears that something changed, and looks for itself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from starter.console.auth.sessions import sessions_of
from starter.console.rendering import session_of
from starter.directory.watching import EVERY_CLIENT, Watch
from starter.errors import DirectoryAway
from starter.web.dependencies import Clients

CALM = 0.15  # seconds in which many changes are one
SIGN_OF_LIFE = 5.0  # seconds between them: a connection that is lost is then noticed, and a session that has ended
LONGEST = 3600.0  # seconds that one stream lasts; browsers come back by themselves

live = APIRouter(include_in_schema=False)


@live.get("/live")
async def changes(request: Request, clients: Clients, client: str = EVERY_CLIENT) -> StreamingResponse:
    """``changed`` whenever the client, or any client, may have changed; until the session or the service ends."""
    session = session_of(request)
    until = (session.expires_at - datetime.now(UTC)).total_seconds() if session else LONGEST
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

    async def may_listen() -> bool:
        """Not when the service is about to stop, nor who has signed out, in whichever process that was."""
        if clients.watch.ended:
            return False
        try:
            return session is None or await sessions_of(request).find(request) is not None
        except DirectoryAway:  # unknown for now; browsers come back by themselves
            return False

    stream = _stream(clients.watch, client, min(until, LONGEST), may_listen)
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


async def _stream(
    watch: Watch, client: str, seconds: float, may_listen: Callable[[], Awaitable[bool]]
) -> AsyncIterator[str]:
    """No timeout spans a ``yield``: it would strike whoever reads, in the middle of what he does meanwhile."""
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    with watch.of(client) as changed:
        yield "retry: 1000\n\n"
        while (left := end - clock()) > 0:
            message = "event: changed\ndata:\n\n"
            try:
                await asyncio.wait_for(changed.wait(), min(SIGN_OF_LIFE, left))
                await asyncio.sleep(CALM)
                changed.clear()
            except TimeoutError:
                message = ": still here\n\n"
            if not await may_listen():
                break
            yield message
