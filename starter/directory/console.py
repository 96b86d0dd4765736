"""Reads for the console alone: the statuses of a client's life, planned changes, and what is still free."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from starter.directory.matters import NOW, days_at_sites, open_matters_sql
from starter.directory.paging import DirectoryDatabase
from starter.wording import late_for
from workflows.domain.text import folded

MOST_PLANS = 2000
MOST_LOOKED_AT = 1000


@dataclass(frozen=True)
class Plan:
    """A planned change of one client, or its end date, which changes nothing: then ``day`` has it, and ``at`` is
    where it stands among the others. ``revision`` and ``updated_at`` are the client's own: the plan may be older.
    ``blocked_by``: why the plan cannot happen."""

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
    day: date | None = None
    blocked_by: str = ""


END_DATE = "end_date"  # the kind of such a row

_PLANS = f"""
SELECT c.client_id, c.name, c.site_id AS site, s.name AS site_name, s.timezone, p.change_id, p.kind, p.at, p.local_time,
  p.reason, p.by, p.details, c.revision, c.updated_at, NULL::date AS day,
  coalesce(p.blocked_by, '') AS blocked_by, c.sort_name
FROM clients c JOIN sites s USING (site_id), jsonb_to_recordset(c.document->'planned') AS p(change_id text, kind text,
  at timestamptz, local_time text, reason text, by text, details jsonb, blocked_by text)
WHERE c.next_change_at < $3 AND NOT is_canary(c.client_id) AND ($1::text IS NULL OR c.site_id = $1)
  AND p.at >= $2 AND p.at < $3
UNION ALL
SELECT c.client_id, c.name, c.site_id, s.name, s.timezone, '{END_DATE}', '{END_DATE}', e.at, '', '', '', '{{}}'::jsonb,
  c.revision, c.updated_at, c.end_date, '', c.sort_name
FROM clients c JOIN sites s USING (site_id), LATERAL (SELECT c.end_date::timestamp AT TIME ZONE s.timezone AS at) e
WHERE c.end_date BETWEEN ($2 AT TIME ZONE 'UTC')::date - 1 AND ($3 AT TIME ZONE 'UTC')::date
  AND c.status <> 'decommissioned' AND NOT is_canary(c.client_id) AND ($1::text IS NULL OR c.site_id = $1)
  AND e.at + interval '1 day' > $2 AND e.at < $3
ORDER BY at, sort_name, client_id, kind LIMIT $4 OFFSET $5"""  # noqa: S608  # put together from constants


@dataclass(frozen=True)
class StatusChange:
    """A status of a client, and since when it has it. ``due``: for when that was planned, where it was late."""

    at: datetime
    status: str
    due: datetime | None = None


@dataclass(frozen=True)
class Seen:
    """What was last proven of a line, an account or a service, and when."""

    on: bool
    at: datetime


_OPEN = f"""{open_matters_sql("$1")}
SELECT count(*) AS number FROM (SELECT FROM matter m WHERE {NOW} LIMIT $2) counted"""  # noqa: S608  # put together from constants


class ConsoleReads:
    """Its methods raise DirectoryAway when the database does not answer."""

    def __init__(self, database: DirectoryDatabase) -> None:
        self._database = database

    def within(self, sites: Sequence[str] | None) -> "ConsoleReads":
        """The same reads, for a caller who sees these sites alone; None: all."""
        return ConsoleReads(self._database.within(sites))

    async def site_names(self) -> dict[str, str]:
        """The name of each site, by its id."""
        return dict(await self._database.read("SELECT site_id, name FROM sites"))

    async def status_changes(self, client_id: str) -> list[StatusChange]:
        """Since when a client had which status, the oldest first."""
        rows = await self._database.read(
            "SELECT at, facts FROM history "
            "WHERE client_id = $1 AND event = 'decided' AND facts ? 'status' ORDER BY at, history_id",
            client_id,
        )
        return [StatusChange(row["at"], row["facts"]["status"], late_for(row["facts"], row["at"])) for row in rows]

    async def last_seen(self, client_id: str) -> dict[tuple[str, str], Seen]:
        """What was last proven of each line, account and service of a client, by system and name."""
        rows = await self._database.read(
            "SELECT DISTINCT ON (p.system, f->>'subject') p.system, f->>'subject' AS subject, "
            "(f->>'in_service')::boolean AS in_service, p.at FROM proofs p, jsonb_array_elements(p.findings) f "
            "WHERE p.client_id = $1 AND f->>'proof' = 'proven' ORDER BY p.system, f->>'subject', p.at DESC",
            client_id,
        )
        return {(row["system"], row["subject"]): Seen(row["in_service"], row["at"]) for row in rows}

    async def plans(
        self, site: str | None, begin: datetime, end: datetime, most: int = MOST_PLANS, skip: int = 0
    ) -> list[Plan]:
        """What is planned from ``begin`` until before ``end``, and the end dates of living clients that are not over at
        ``begin``, in order; of one site or of all. At most ``most``, without the first ``skip``."""
        rows = await self._database.read(_PLANS, site, begin, end, most, skip)
        return [Plan(**{name: row[name] for name in Plan.__match_args__}) for row in rows]

    async def numbers_taken(self, numbers: Sequence[str]) -> dict[str, str]:
        """Which of these numbers are taken, and by which client; empty for one that the caller does not see."""
        return dict(
            await self._database.read("SELECT number, client_id FROM numbers WHERE number = ANY($1)", list(numbers))
        )

    async def billing_ref_taken(self, ref: str) -> str | None:
        """The client that has, or had, a billing reference; empty for one that the caller does not see."""
        rows = await self._database.read("SELECT client_id FROM billing_refs WHERE key = $1", folded(ref))
        return rows[0]["client_id"] if rows else None

    async def client_id_taken(self, client_id: str) -> bool:
        """Whether a client with this id exists or existed, at any site: ids are unique in the operator."""
        return bool(await self._database.within(None).read("SELECT 1 FROM clients WHERE client_id = $1", client_id))

    async def people(self) -> list[str]:
        """Whom open matters are assigned to, in order."""
        rows = await self._database.read(
            "SELECT DISTINCT assigned_to FROM matter_hands WHERE assigned_to <> '' ORDER BY 1 LIMIT 100"
        )
        return [row["assigned_to"] for row in rows]

    async def open_matters(self, now: datetime) -> tuple[int, bool]:
        """The number of open matters that are not snoozed, and whether there may be more than were counted.

        Every page needs it, so it stops counting early.
        """
        days = await days_at_sites(self._database, now)
        [row] = await self._database.read(_OPEN, days, MOST_LOOKED_AT)
        return row["number"], row["number"] == MOST_LOOKED_AT
