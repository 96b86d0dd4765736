"""The HTTP server of our processes: uvicorn with deadlines for callers and a limit of connections."""

import asyncio
import os
import signal
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal, cast

import structlog
import uvicorn
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from starter.web.descriptors import room_for_connections
from starter.web.http_protocol import HttpProtocol
from starter.web.repeats import count_repeats

if TYPE_CHECKING:
    from starter.directory.watching import Watch

log = structlog.get_logger(__name__)

AT_ONCE = 128  # connections are taken before any of them is looked at, at most
QUEUE = 2048  # that the system keeps for us meanwhile
_LATE = b"The body of the request did not come in time. Send it again\n"
LATE = (
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(_LATE), _LATE)
)

Awaited = Literal["headers", "body", "reader"]
"""What we wait for: the headers of a request, its body, or the caller reading the answer."""


@dataclass(frozen=True)
class HttpLimits:
    """How long we wait for callers, in seconds, and how many connections there may be at once."""

    connections: int = 1000
    headers: float = 10.0
    body: float = 30.0
    reader: float = 60.0


class Server(uvicorn.Server):
    """A server that waits for no caller for ever. It leaves signals to its caller: uvicorn would raise them again.

    While we work for a caller, as with a stream or `Prefer: wait`, nothing is cut. Callers that we wait for have limits
    (``HttpLimits``). When there is no room for a new connection, those that kept us waiting longest are closed. A
    server that stops first ends the streams of live pages, which would otherwise stay open until its patience ends.
    """

    def __init__(self, config: uvicorn.Config, watch: "Watch | None" = None, limits: HttpLimits | None = None) -> None:
        super().__init__(config)
        self._watch, self._limits = watch, limits or HttpLimits()
        self._room = min(self._limits.connections, room_for_connections())
        config.backlog = max(8, min(AT_ONCE, self._room // 4))
        # Longer than callers' libraries keep a connection, mostly five seconds: or one sends as we close.
        config.timeout_keep_alive = ceil(self._limits.headers)
        # When we work for all of them, a new one gets 503. Those taken at once may be too many for a moment.
        config.limit_concurrency = self._room + config.backlog + 1
        self._since: dict[HttpProtocol, tuple[object, float]] = {}
        self._ending: set[HttpProtocol] = set()
        self._ended: Counter[str] = Counter()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        def make_in_room(**arguments: Any) -> asyncio.Protocol:
            self._make_room()
            made = HttpProtocol(**arguments)
            self._since[made] = (None, time.monotonic())
            return made

        self.config.http_protocol_class = make_in_room  # type: ignore[assignment]  # all it does with it is to call it
        await super().startup(sockets)
        for server in self.servers:
            for listening in server.sockets:  # asyncio has one number for what it takes at once and for the queue
                with socket.socket(fileno=os.dup(listening.fileno())) as ours:
                    ours.listen(QUEUE)

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:  # once a second
            self.look(time.monotonic())
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._watch is not None:
            self._watch.end()
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    @property
    def _connections(self) -> set[HttpProtocol]:
        return cast("set[HttpProtocol]", self.server_state.connections)

    def look(self, now: float) -> None:
        """Close the connections whose callers have kept us waiting too long."""
        since: dict[HttpProtocol, tuple[object, float]] = {}
        for connection in self._connections:
            if awaited := _awaited(connection):
                # another request, or anything read of the answer, and his time begins anew
                state = (awaited, connection.cycle, connection.transport.get_write_buffer_size())
                known, began = self._since.get(connection, (None, now))
                silent = known is None and connection.cycle is None
                since[connection] = (state, began if silent or known == state else now)
                # At the first look, he may have sent what we, being busy, did not read yet.
                if known == state and now - began > getattr(self._limits, awaited):
                    self._end(connection, awaited)
        self._since = since
        if self._ended:
            log.warning("connections_closed", open=len(self._connections), **self._ended)
            self._ended.clear()

    def _end(self, connection: HttpProtocol, awaited: Awaited) -> None:
        if awaited == "reader" or connection.transport.is_closing():
            connection.transport.abort()
        else:
            if awaited == "body":
                connection.transport.write(LATE)
            connection.transport.close()
        self._ended[awaited] += 1

    def _make_room(self) -> None:
        """Close connections that wait for their callers, the oldest first, before there are too many."""
        self._ending &= self._connections
        too_many = len(self._connections) - len(self._ending) + 1 - self._room
        if too_many <= 0:
            return
        now = time.monotonic()
        waiting = [c for c in self._connections - self._ending if _awaited(c)]
        waiting.sort(key=lambda c: self._since.get(c, (None, now))[1])
        for connection in waiting[: max(too_many, self._room // 20)]:
            connection.transport.abort()
            self._ending.add(connection)
            self._ended["room"] += 1


def _awaited(connection: HttpProtocol) -> Awaited | None:
    """What we wait for from the caller; None while we work."""
    cycle = cast("RequestResponseCycle | None", connection.cycle)
    answered = cycle is None or cycle.response_complete
    if connection.transport.get_write_buffer_size() and (answered or connection.flow.write_paused):
        return "reader"
    if connection.pipeline:  # an earlier request is not answered yet, and until then nothing more is read
        return None
    if cycle is None or answered:
        return "headers"
    return "body" if cycle.more_body and not cycle.response_started else None


async def run(server: Server) -> None:
    """Serve until SIGINT or SIGTERM. Requests in progress are answered first."""
    count_repeats()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, server.handle_exit, number, None)
    await server.serve()
