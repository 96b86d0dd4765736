"""A RADIUS server that accounts into a database of its own: with the configuration that we ship, or an operator's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg

from activities.internet.accounting import weaknesses
from starter.local.databases import DEPLOY
from starter.local.systems import FreeRadius
from tests.support.accounting import Accounting
from tests.support.databases import connected
from tests.support.waiting import eventually, free_udp_port
from tests.systems.service import Systems
from tests.systems.stock_radius import STOCK, StockRadius

SCHEMAS = {
    "shipped": DEPLOY / "freeradius/schema.sql",
    "stock": STOCK / "mods-config/sql/main/postgresql/schema.sql",
}


@dataclass
class Place:
    """A RADIUS server, and the owner's connection to its database."""

    kind: str
    gear: Accounting
    database: asyncpg.Connection
    dsn: str
    daemon: FreeRadius
    _numbers: Any = field(default_factory=count)

    def new(self) -> str:
        return f"s{next(self._numbers)}"

    async def row(self, session: str) -> asyncpg.Record:
        """The one row of a session."""
        (row,) = await self.database.fetch("SELECT * FROM radacct WHERE acctsessionid = $1", session)
        return row

    async def is_open(self, session: str) -> bool:
        return (await self.row(session))["acctstoptime"] is None

    async def rows(self, session: str) -> int:
        return len(await self.database.fetch("SELECT FROM radacct WHERE acctsessionid = $1", session))


@asynccontextmanager
async def running_place(kind: str, systems: Systems, folder: Path) -> AsyncIterator[Place]:
    """A RADIUS server of this kind; an operator's database is mended as `connect systems prepare --check` says."""
    server, name = systems.server, f"accounting_{uuid4().hex[:8]}"
    dsn = await server.ensure_database(name)
    async with connected(dsn) as database:
        await database.execute(SCHEMAS[kind].read_text(encoding="utf-8"))
        for problem in await weaknesses(database):
            await database.execute(problem.rpartition(": ")[2])
        await database.execute((DEPLOY / "fence.sql").read_text(encoding="utf-8"))
        await database.execute((DEPLOY / "freeradius/grants.sql").read_text(encoding="utf-8"))
        make = FreeRadius if kind == "shipped" else StockRadius
        here = (folder / "radius", folder / "radius.log")
        daemon = make(server, free_udp_port(), systems.secret, *here, database=name, ipv6=True)
        daemon.start()
        try:
            await eventually(daemon.ready)
            yield Place(kind, Accounting(daemon.port + 1, systems.secret), database, dsn, daemon)
        finally:
            daemon.stop()
