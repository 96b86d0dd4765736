"""Server-sent events: the page hears that something changed, and looks for itself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import nullcontext
from datetime import UTC, datetime

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from starter.console.auth.sessions import sessions_of
from starter.console.rendering import session_of
from starter.directory.watching import EVERY_CLIENT, MOST_KEPT, Watch
from starter.errors import DirectoryAway
from starter.web.admission import Place
from starter.web.dependencies import Clients, caller_of, callers_of

CALM = 0.15  # seconds in which many changes are one
SIGN_OF_LIFE = 5.0  # seconds between them: a connection that is lost is then noticed, and a session that has ended
LONGEST = 3600.0  # seconds that one stream lasts; browsers come back by themselves

live = APIRouter(include_in_schema=False)


@live.get("/live")
async def changes(request: Request, clients: Clients, client: str = EVERY_CLIENT) -> StreamingResponse:
    """``changed`` whenever the client, or any client that the caller sees, may have changed; until the session, the
    token or the service ends. Of others' clients it says what it says of none: nothing."""
    session, caller = session_of(request), caller_of(request)
    until = (session.expires_at - datetime.now(UTC)).total_seconds() if session else LONGEST
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

    async def may_listen() -> bool:
        """Not when the service is about to stop, nor who has signed out, in whichever process that was, or whose token
        is no longer valid."""
        if clients.watch.ended:
            return False
        if session is None:
            return await callers_of(request).knows(request.headers)
        try:
            return await sessions_of(request).find(request) is not None
        except DirectoryAway:  # unknown for now; browsers come back by themselves
            return False

    async def sees(client_ids: set[str]) -> bool:
        """Whether one of these clients is the caller's to see. Which one changed is not known after a lost connection,
        nor among very many."""
        if caller.sees_all or EVERY_CLIENT in client_ids or len(client_ids) >= MOST_KEPT:
            return True
        try:
            return await clients.directory.visible(client_ids)
        except DirectoryAway:
            return False

    place: Place | None = getattr(request.state, "place", None)  # of who comes with a token

    async def stream() -> AsyncIterator[str]:
        with place.waiting() if place else nullcontext(True) as may_wait:
            seconds = min(until, LONGEST) if may_wait else 0
            async for message in _stream(clients.watch, client, seconds, may_listen, sees):
                yield message

    return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)


async def _stream(
    watch: Watch,
    client: str,
    seconds: float,
    may_listen: Callable[[], Awaitable[bool]],
    sees: Callable[[set[str]], Awaitable[bool]],
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
                client_ids = {*changed.client_ids}
                changed.clear()
                message = message if await sees(client_ids) else ""
            except TimeoutError:
                message = ": still here\n\n"
            if not await may_listen():
                break
            if message:
                yield message
