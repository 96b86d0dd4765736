"""The watch of one worker over a whole service, which looks when a test has it look, and systems to look at."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.database import Database
from activities.watch.proofs import ProofWatch
from tests.support.service import Service
from tests.support.waiting import HANGING
from workflows.domain.systems import INTERNET, TELEPHONY, SystemInstance
from workflows.ports import Ensure, Evidence, Life, Observed, ServiceSystem, Sighting, Watched

PHONES, ROUTERS = SystemInstance(TELEPHONY), SystemInstance(INTERNET)


class OneWay(ServiceSystem):
    """A system that is only looked at."""

    async def ensure(self, order: Ensure) -> Evidence:
        raise AssertionError(order)


@dataclass
class SeenOnce(OneWay):
    """A system that shows once that these lines are alive: sessions are accounted for, and not heard of again."""

    lines: Sequence[str]

    async def observe(self, watched: Sequence[Watched]) -> Observed:
        alive, self.lines = self.lines, ()
        return Observed([Sighting(it, Life.ALIVE, "goes on") for it in watched if it.subject in alive])


@dataclass
class Stumbling:
    """A way to Temporal whose first signals get lost."""

    temporal: Client
    losses: int = 1

    def get_workflow_handle(self, workflow_id: str) -> Any:
        if not self.losses:
            return self.temporal.get_workflow_handle(workflow_id)
        self.losses -= 1
        return self

    async def signal(self, *_: object) -> None:
        raise RPCError("unreachable", RPCStatusCode.UNAVAILABLE, b"")


@dataclass
class Watch:
    """The watch of one worker, which looks when it is told to."""

    service: Service
    directory: asyncpg.Connection
    watch: ProofWatch
    database: Database
    statements: list[str]
    fails: bool = False

    async def look(self, system: SystemInstance = PHONES) -> list[tuple[str, str]]:
        """A round. Returns what it looked at, by client and subject."""
        fake = self.service.telephony if system == PHONES else self.service.internet
        before = len(fake.looks)
        await self.watch.round(system)
        return [(it.client_id, it.subject) for look in fake.looks[before:] for it in look]

    def of(self, adapter: ServiceSystem, every: float = 0, temporal: Any = None) -> ProofWatch:
        """A watch of another worker, whose telephones are these. ``temporal``: its way to Temporal."""
        temporal = temporal or self.service.temporal
        return ProofWatch(temporal, self.database, {PHONES: adapter}, lambda _: False, every, 5)

    async def rows(self, client_id: str) -> list[tuple[Any, ...]]:
        """What is watched of a client."""
        sql = "SELECT system, subject, ended FROM watched WHERE client_id = $1 ORDER BY 1, 2"
        return [tuple(row) for row in await self.directory.fetch(sql, client_id)]

    async def matters(self, client_id: str) -> list[dict[str, Any]]:
        """The open matters of a client, or those of none but that no worker reports of a system: none of the tests'
        does, and after a minute that is one, too."""
        page = (await self.service.api.get("/matters", params={"limit": 500})).json()
        return [it for it in page["items"] if it["client_id"] == client_id and it["kind"] != "unserved"]

    async def errors(self) -> dict[str, str]:
        """Why nobody can see what is off, by system."""
        items = (await self.service.api.get("/systems")).json()["items"]
        return {it["system"]: it["watch_error"] for it in items if it["instance"] == "main"}

    async def texts(self, client_id: str, words: str) -> list[str]:
        """The lines of a client's history with these words, the oldest first."""
        return [line["text"] for line in reversed(await self.service.history(client_id)) if words in line["text"]]


@pytest_asyncio.fixture
async def watch(
    service: Service, directory: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Watch]:
    await directory.execute("DELETE FROM watched; DELETE FROM watch_rounds; DELETE FROM matters WHERE client_id = ''")
    service.telephony.over = {}
    async with Database("directory", service.settings.directory_dsn.get_secret_value(), service.settings) as database:
        sent: list[str] = []
        once = database._once

        async def count_statement(pool: asyncpg.Pool, statement: str, values: tuple[object, ...]) -> Any:
            sent.append(statement)
            return await once(pool, statement, values)

        monkeypatch.setattr(database, "_once", count_statement)
        adapters = {PHONES: service.telephony, ROUTERS: service.internet}
        watch = ProofWatch(service.temporal, database, adapters, lambda _: subject.fails, 0, HANGING)
        subject = Watch(service, directory, watch, database, sent)
        yield subject


async def suspended(service: Service, **record: Any) -> tuple[str, str]:
    """A client that was proven off: its id, and its line."""
    client = await service.create(**record)
    assert (await service.post(client["client_id"], "suspend")).json()["provisioning"] == "settled"
    await service.known(client["client_id"])
    return client["client_id"], client["lines"][0]["number"]
