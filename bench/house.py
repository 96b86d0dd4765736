"""Everything a bench needs, started as `connect up` starts it, in a folder of its own."""

import asyncio
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from activities.settings import Settings
from bench.floor import DATABASE, TABLE
from bench.worker import FLOOR_DSN, STARTED
from starter.local.children import Child, tail
from starter.local.databases import dsns, prepare
from starter.local.ports import free_port
from starter.local.postgres import EmbeddedPostgres
from starter.local.temporal import NAMESPACE, TemporalServer

OUR_PREFIXES = ("CONNECT_", "TEMPORAL_")


class House:
    """PostgreSQL with its durable settings, Temporal on its file, one worker process and one of the API."""

    def __init__(self, folder: Path) -> None:
        self.temporal_file = folder / "temporal.db"
        self._key = secrets.token_urlsafe(32)
        self.postgres = EmbeddedPostgres(folder / "postgres", free_port(), secrets.token_urlsafe(16))
        self.temporal = TemporalServer(self.temporal_file, free_port(), folder / "temporal.log")
        self.worker = Child("The worker", [sys.executable, "-m", "bench.worker"], folder / "worker.log")
        self.api = Child("The API", [sys.executable, "-m", "starter.cli.main", "serve"], folder / "api.log")
        self.token, self.url = secrets.token_urlsafe(32), f"http://127.0.0.1:{free_port()}"
        self.settings: Settings

    @contextmanager
    def running(self) -> Iterator["House"]:
        """Have it all running, and the settings of this process name it. Raises StartFailed."""
        parts: list[Child] = [self.postgres, self.temporal, self.worker, self.api]
        try:
            self.postgres.start()
            self.temporal.start()
            prepare(self.postgres)
            self._set_environment()
            asyncio.run(self._lay_floor())
            self.temporal.wait_until(self.temporal.ready)
            self.worker.start()
            self.api.start()
            self.worker.wait_until(lambda: STARTED in tail(self.worker.log))
            self.api.wait_until(self._api_is_ready)
            yield self
        finally:
            for part in reversed(parts):
                part.stop()

    def pids(self) -> dict[str, int]:
        """The process of each part."""
        parts: dict[str, Child] = {
            "temporal": self.temporal,
            "worker": self.worker,
            "postgres": self.postgres,
            "api": self.api,
        }
        return {name: part.process.pid for name, part in parts.items() if part.process is not None}

    def _set_environment(self) -> None:
        for name in [name for name in os.environ if name.startswith(OUR_PREFIXES)]:
            del os.environ[name]
        os.environ |= {
            **dsns(self.postgres),
            "CONNECT_MASTER_KEY": self._key,
            "CONNECT_TOKEN": self.token,
            "CONNECT_ENCRYPTION_KEYS": secrets.token_hex(32),
            "CONNECT_PORT": self.url.rpartition(":")[2],
            "CONNECT_DISCONNECT_PAUSE_SECONDS": "0",  # work is measured here, not a pause that waits on purpose
            FLOOR_DSN: self.postgres.dsn(DATABASE, "connect"),
            "TEMPORAL_ADDRESS": self.temporal.address,
            "TEMPORAL_NAMESPACE": NAMESPACE,
            "TEMPORAL_CONFIG_FILE": os.devnull,
        }
        self.settings = Settings()

    def _api_is_ready(self) -> bool:
        try:
            return httpx2.get(f"{self.url}/readyz", trust_env=False).is_success
        except httpx2.TransportError:
            return False

    async def _lay_floor(self) -> None:
        await self.postgres.ensure_database(DATABASE, owner="connect")
        async with self.postgres.session(DATABASE, "connect") as connection:
            await connection.execute(TABLE)
