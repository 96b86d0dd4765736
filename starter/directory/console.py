"""Reads for the console alone: the statuses of a client's life, planned changes, and what is still free."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starter.directory.paging import DirectoryDatabase

MOST_PLANS = 2000
MOST_LOOKED_AT = 1000


@dataclass(frozen=True)
class Plan:
    """A planned change of one client. ``revision`` and ``updated_at`` are the client's own: the plan may be older."""

    client_id: str
    name: str
    site: str
    site_name: str
    timezone: str
    change_id: str
    kind: str
    at: datetime
    local_time: str
    reason: str
    by: str
    details: dict[str, Any]
    revision: int
    updated_at: datetime


_IN_NEED = """
SELECT count(*) FILTER (WHERE provisioning = 'attention') + (SELECT count(*) FROM (
    SELECT FROM matters m
    WHERE NOT EXISTS (SELECT FROM clients c WHERE c.client_id = m.client_id AND c.provisioning = 'attention')
    LIMIT $1) stopped) AS number,
  count(*) AS looked
FROM (SELECT provisioning FROM clients WHERE provisioning <> 'settled' LIMIT $1) unsettled"""


class ConsoleReads:
    """Its methods raise DirectoryAway when the database does not answer."""

    def __init__(self, database: DirectoryDatabase) -> None:
        self._database = database

    async def site_names(self) -> dict[str, str]:
        """What each site is called."""
        return dict(await self._database.read("SELECT site_id, name FROM sites"))

    async def status_changes(self, client_id: str) -> list[tuple[datetime, str]]:
        """Since when a client had which status, the oldest first."""
        rows = await self._database.read(
            "SELECT at, facts->>'status' AS status FROM history "
            "WHERE client_id = $1 AND event = 'decided' AND facts ? 'status' ORDER BY at, history_id",
            client_id,
        )
        return [(row["at"], row["status"]) for row in rows]

    async def plans(
        self, site: str | None, begin: datetime, end: datetime, most: int = MOST_PLANS, skip: int = 0
    ) -> list[Plan]:
        """What is planned from ``begin`` until before ``end``, in order; of one site or of all. At most ``most``,
        without the first ``skip``."""
        rows = await self._database.read(
            "SELECT c.client_id, c.name, c.site_id AS site, s.name AS site_name, s.timezone, p.*, c.revision, "
            "c.updated_at FROM clients c JOIN sites s USING (site_id), "
            "jsonb_to_recordset(c.document->'planned') AS p(change_id text, kind text, at timestamptz, "
            "local_time text, reason text, by text, details jsonb) "
            "WHERE c.next_change_at < $3 AND ($1::text IS NULL OR c.site_id = $1) "
            "AND p.at >= $2 AND p.at < $3 ORDER BY p.at, c.sort_name, c.client_id, p.kind LIMIT $4 OFFSET $5",
            *(site, begin, end, most, skip),
        )
        return [Plan(**row) for row in rows]

    async def numbers_taken(self, numbers: Sequence[str]) -> dict[str, str]:
        """Which of these numbers are taken, and by which client."""
        return dict(
            await self._database.read("SELECT number, client_id FROM numbers WHERE number = ANY($1)", list(numbers))
        )

    async def billing_ref_taken(self, ref: str) -> str | None:
        """The client that has, or had, a billing reference."""
        rows = await self._database.read("SELECT client_id FROM billing_refs WHERE billing_ref = $1", ref)
        return rows[0]["client_id"] if rows else None

    async def client_id_taken(self, client_id: str) -> bool:
        """Whether a client with this id exists or existed."""
        return bool(await self._database.read("SELECT 1 FROM clients WHERE client_id = $1", client_id))

    async def in_attention(self) -> tuple[int, bool]:
        """The number of clients that need a person, or whose workflow cannot run, and whether there may be more than
        were counted.

        Every page needs it, so it stops counting early when all clients change at once.
        """
        rows = await self._database.read(_IN_NEED, MOST_LOOKED_AT)
        return rows[0]["number"], rows[0]["looked"] == MOST_LOOKED_AT
