"""Notifications of changed clients (LISTEN), and waiting until a client is settled.

One connection per process listens, and waiters register with it. A notification may be lost while the connection is
made again, so every waiter looks again then, and from time to time anyway.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import asyncpg
import structlog

from activities.canary.rounds import PREFIX
from activities.database import DRIVER_ERRORS
from activities.directory.numbering import NUMBERED
from starter.directory.reads import DirectoryReads
from starter.errors import DirectoryAway
from workflows.wire.views import ClientView

log = structlog.get_logger(__name__)

CHANNEL = "connect_clients"
EVERY_CLIENT = ""
EVENTS = "events:"  # no client's id
MOST_KEPT = 1000  # ids of changed clients that one who waits is told


class Changed(asyncio.Event):
    """Set whenever a client may have changed; ``client_ids`` are those that did since it was cleared, with EVERY_CLIENT
    among them when that may be any."""

    def __init__(self) -> None:
        super().__init__()
        self.client_ids: set[str] = set()

    def clear(self) -> None:
        super().clear()
        self.client_ids.clear()


class Watch:
    """Tells of changed clients while ``run`` runs. ``pause`` seconds lie between attempts to connect, and
    ``heartbeat`` between two signs of life from the server: nothing else shows that a connection is half open."""

    def __init__(self, dsn: str, pause: float = 1.0, heartbeat: float = 10.0) -> None:
        self._dsn = dsn
        self._pause, self._heartbeat = pause, heartbeat
        self._watchers: dict[str, set[Changed]] = defaultdict(set)
        self.ended = False

    @contextmanager
    def of(self, client_id: str = EVERY_CLIENT) -> Iterator[Changed]:
        """An event that is set whenever the client, or any client, may have changed; or there may be ``EVENTS``. Clear
        it before looking."""
        event = Changed()
        self._watchers[client_id].add(event)
        try:
            yield event
        finally:
            self._watchers[client_id].discard(event)
            if not self._watchers[client_id]:
                del self._watchers[client_id]

    def end(self) -> None:
        """End all waiting, because the service stops."""
        self.ended = True
        for client_id in list(self._watchers):
            self._wake(client_id)

    async def run(self) -> None:
        """Listen for ever, through restarts of the database."""
        while True:
            try:
                await self._listen()
            except DRIVER_ERRORS as error:
                log.warning("directory_watch_lost", error=type(error).__name__)
            await asyncio.sleep(self._pause)

    async def _listen(self) -> None:
        lost = asyncio.Event()
        connection = await asyncpg.connect(self._dsn, timeout=5)
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, self._on_notification)
            await connection.add_listener(NUMBERED, lambda *_: self._wake(EVENTS))
            for client_id in list(self._watchers):
                self._wake(client_id)
            while not lost.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(lost.wait(), self._heartbeat)
                    break
                await connection.fetchval("SELECT 1", timeout=self._heartbeat)
        finally:
            with suppress(*DRIVER_ERRORS):
                await connection.close(timeout=1)

    def _on_notification(self, _connection: object, _pid: int, _channel: str, client_id: str) -> None:
        self._wake(client_id, client_id)
        if not client_id.startswith(PREFIX):  # a canary changes all the time, and no list shows it
            self._wake(EVERY_CLIENT, client_id)

    def _wake(self, watched: str, client_id: str = EVERY_CLIENT) -> None:
        for event in self._watchers.get(watched, ()):
            if len(event.client_ids) < MOST_KEPT:
                event.client_ids.add(client_id)
            event.set()


async def until_settled(
    directory: DirectoryReads, watch: Watch, decided: ClientView, seconds: float, look_every: float = 2.0
) -> ClientView | None:
    """The client when everything that was ``decided`` is done and shown. None when the time is over first, or the
    service stops.

    It goes on waiting while the directory is away.
    """
    client_id, revision = decided.client_id, decided.revision
    with watch.of(client_id) as changed, suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            while True:
                changed.clear()
                with suppress(DirectoryAway):
                    published = await directory.find_settled(client_id, revision, datetime.now(UTC))
                    if published and (published.revision > revision or _decisions(published) == _decisions(decided)):
                        return published
                if watch.ended:
                    return None
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), look_every)
    return None


def _decisions(view: ClientView) -> tuple[object, ...]:
    """What identifies a decision besides its revision: a workflow that was reset may decide something else under a
    revision that the directory has already."""
    plans = [(plan.change_id, plan.at) for plan in view.planned]
    services = (view.type, view.lines, view.internet, view.secret_version)
    return (view.status, view.name, view.billing_ref, view.start_date, view.end_date, *services, view.holds, plans)
