"""The route of events: a page of them, one that waits for the next, or a stream."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Header, HTTPException, Query, Request, Response
from fastapi.responses import StreamingResponse

from starter.contract.events import FARTHEST, STREAM, EventFilter, EventPage, as_server_sent
from starter.directory.watching import EVENTS
from starter.errors import DirectoryAway
from starter.web import problems
from starter.web.admission import Place
from starter.web.dependencies import Clients, callers_of
from starter.web.media import EVENT_STREAM, accepted
from starter.web.preferences import preferences, seconds_of
from workflows.domain.errors import InvalidField

SIGN_OF_LIFE = 15.0  # seconds between two signs in a stream: a connection that is lost is noticed
LONGEST = 3600.0  # seconds that a stream lasts; readers come back by themselves, with the number they have
RETRY = 1000  # milliseconds

router = APIRouter(tags=["events"])

Wait = Annotated[str | None, Header(alias="Prefer", description="`wait=N`: as the query", examples=["wait=30"])]
LastEventId = Annotated[
    str | None, Header(alias="Last-Event-ID", max_length=20, description="Of a stream: the last `id` that was read")
]


@router.get(
    "/events",
    summary="What happened, in order",
    response_model=EventPage,
    responses={200: {"content": STREAM}, **problems.answers(410, 422)},
)
async def list_events(
    request: Request,
    response: Response,
    clients: Clients,
    filters: Annotated[EventFilter, Query()],
    prefer: Wait = None,
    last_event_id: LastEventId = None,
) -> Any:
    """Every event of every client, numbered without gaps: none is missed by who asks again with `after` as the last
    answer's `next`. `wait=N` (or `Prefer: wait=N`) answers as soon as there is one, or after N seconds. With
    `Accept: text/event-stream` they come as a stream of server-sent events, which goes on after `Last-Event-ID`; while
    there is none for its filter, it says by `id` alone how far it has read.

    Events are kept for a time that the settings say; an older `after` is refused (410), and the history stays."""
    reader, place = _Reader(clients, filters), request.state.place
    if EVENT_STREAM in accepted(request.headers.getlist("Accept")):
        if last_event_id:
            reader.go_on_after(last_event_id)
        first = await reader.page()  # what is wrong with the request is said before a stream begins

        async def may_listen() -> bool:
            """Not when the service is about to stop, nor whose token is no longer valid."""
            return not clients.watch.ended and await callers_of(request).knows(request.headers)

        return StreamingResponse(_stream(reader, first, may_listen, place), media_type=EVENT_STREAM)
    seconds = seconds_of(preferences(request.headers.getlist("Prefer") if prefer else []))
    with place.waiting() as may_wait:
        if seconds and may_wait:
            response.headers["Preference-Applied"] = f"wait={seconds}"
        page = await reader.next_page((seconds or filters.wait) if may_wait else 0)
    if await callers_of(request).of(request.headers) is None:  # what happened since is not for who waited with it
        raise HTTPException(401, "The token is no longer valid. Send another", {"WWW-Authenticate": "Bearer"})
    return page


class _Reader:
    """Reads on where it was."""

    def __init__(self, clients: Clients, filters: EventFilter) -> None:
        self._clients, self._filters = clients, filters

    def go_on_after(self, number: str) -> None:
        """Raises InvalidField."""
        if not (number.isascii() and number.isdigit() and int(number) <= FARTHEST):
            raise InvalidField("Last-Event-ID is no number of an event", "Send the id of the last one", "Last-Event-ID")
        self._filters = self._filters.model_copy(update={"after": int(number)})

    async def page(self) -> EventPage:
        """What there is now. Raises EventsForgotten, InvalidField, DirectoryAway."""
        while True:
            page = await self._clients.directory.events(self._filters)
            self._filters = self._filters.model_copy(update={"after": page.next})
            if page.items or page.next >= page.last:
                return page

    async def next_page(self, seconds: float) -> EventPage:
        """As ``page``, but the first that has an event, or the last one within the time."""
        clock = asyncio.get_running_loop().time
        end = clock() + seconds
        with self._clients.watch.of(EVENTS) as news:
            while True:
                news.clear()
                page = await self.page()
                if page.items or self._clients.watch.ended or (left := end - clock()) <= 0:
                    return page
                with suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), left)


async def _stream(
    reader: _Reader, page: EventPage, may_listen: Callable[[], Awaitable[bool]], place: Place
) -> AsyncIterator[str]:
    """No timeout spans a ``yield``: it would strike whoever reads, in the middle of what he does meanwhile. A stream
    for which there is no place ends with what there is: its reader comes back."""
    clock = asyncio.get_running_loop().time
    end = clock() + LONGEST
    yield f"retry: {RETRY}\n\n"
    with place.waiting() as may_wait:
        while True:
            for event in page.items:
                yield as_server_sent(event)
            try:
                if not may_wait or clock() > end or not await may_listen():
                    return
                page = await reader.next_page(SIGN_OF_LIFE)
                if not await may_listen():
                    return
            except DirectoryAway:  # the reader comes back by itself
                return
            if not page.items:  # an id without data is kept by the reader, who will not read all that again
                yield f": still here\nid: {page.next}\n\n"
