"""Everything a bench needs, started as `connect up` starts it, in a folder of its own."""

import asyncio
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from activities.settings import Settings
from bench.floor import DATABASE, TABLE
from bench.worker import FLOOR_DSN, STARTED
from starter.local.children import Child, tail
from starter.local.databases import Urls, prepare
from starter.local.ports import free_port
from starter.local.postgres import EmbeddedPostgres
from starter.local.supervisor import Part
from starter.local.temporal import NAMESPACE, TemporalServer

OURS_TO_SAY = ("CONNECT_", "TEMPORAL_")


class PartFailed(RuntimeError):
    """A part did not start. The text has the end of its log."""


class House:
    """PostgreSQL with its durable settings, Temporal on its file, and one worker process."""

    def __init__(self, folder: Path) -> None:
        self.temporal_file = folder / "temporal.db"
        self._key = secrets.token_urlsafe(32)
        self.postgres = EmbeddedPostgres(folder / "postgres", free_port(), secrets.token_urlsafe(16))
        self.temporal = TemporalServer(self.temporal_file, free_port(), folder / "temporal.log")
        self.worker = Child("The worker", [sys.executable, "-m", "bench.worker"], folder / "worker.log")
        self.settings: Settings

    @contextmanager
    def running(self) -> Iterator["House"]:
        """Have it all running; also what this process itself is told of where. StartFailed, PartFailed."""
        parts: list[Part] = [self.postgres, self.temporal, self.worker]
        try:
            self.postgres.start()
            self.temporal.start()
            self._tell(prepare(self.postgres))
            asyncio.run(self._lay_floor())
            self._await(self.temporal, self.temporal.ready)
            self.worker.start()
            self._await(self.worker, lambda: STARTED in tail(self.worker.log))
            yield self
        finally:
            for part in reversed(parts):
                part.stop()

    def pids(self) -> dict[str, int]:
        """The process of each part."""
        parts: dict[str, Part] = {"temporal": self.temporal, "worker": self.worker, "postgres": self.postgres}
        return {name: part.process.pid for name, part in parts.items() if part.process is not None}

    def _tell(self, urls: Urls) -> None:
        for name in [name for name in os.environ if name.startswith(OURS_TO_SAY)]:
            del os.environ[name]
        os.environ |= {
            "CONNECT_DIRECTORY_DSN": urls.directory,
            "CONNECT_TELEPHONY_DSN": urls.telephony,
            "CONNECT_INTERNET_DSN": urls.internet,
            "CONNECT_MASTER_KEY": self._key,
            "CONNECT_DISCONNECT_PAUSE_SECONDS": "0",  # work is measured here, not a pause that waits on purpose
            FLOOR_DSN: self.postgres.dsn(DATABASE, "connect"),
            "TEMPORAL_ADDRESS": self.temporal.address,
            "TEMPORAL_NAMESPACE": NAMESPACE,
            "TEMPORAL_CONFIG_FILE": os.devnull,
        }
        self.settings = Settings()

    async def _lay_floor(self) -> None:
        await self.postgres.ensure_database(DATABASE, owner="connect")
        connection = await asyncpg.connect(os.environ[FLOOR_DSN])
        try:
            await connection.execute(TABLE)
        finally:
            await connection.close()

    def _await(self, part: Child, ready: Callable[[], bool], within: float = 30.0) -> None:
        end = time.monotonic() + within
        while not ready():
            if time.monotonic() > end or (part.process and part.process.poll() is not None):
                raise PartFailed(f"{part.name} did not start. {part.log} says:\n{tail(part.log)}")
            time.sleep(0.05)
