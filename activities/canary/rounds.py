"""The rounds of the canaries in the directory: whose turn it is, how the last one went, and what is kept of them."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from activities.canary.judge import Verdict
from activities.database import Database

PREFIX = "connect-canary-"
"""How the ids of canaries begin (``is_canary`` in the directory): lists leave them out, and nobody else gets one."""

FORGOTTEN = timedelta(hours=1)
"""After so long without a report, a canary that our settings do not name has none left that do."""

KEPT = 100
"""Lines of a canary's history, and revisions of its proofs: each round makes some more, for years."""

# The first id that no client has or had. A site's own is followed by those of its later canaries: …-2, …-3.
_FREE = """
SELECT id FROM (SELECT n, $2 || CASE WHEN n = 1 THEN '' ELSE '-' || n END AS id FROM generate_series(1, 9999) n) ids
WHERE NOT EXISTS (SELECT FROM clients c WHERE c.client_id = id)
  AND NOT EXISTS (SELECT FROM canaries o WHERE o.client_id = id AND o.site_id <> $1)
ORDER BY n LIMIT 1"""

# Who moves next_at has the turn until then: a worker that dies or freezes in a round holds up no other.
_TURN = f"""
INSERT INTO canaries AS k (site_id, client_id, next_at, due_at)
VALUES ($1, ({_FREE}), now() + $3::interval, now() + $4::interval)
ON CONFLICT (site_id) DO UPDATE SET next_at = excluded.next_at WHERE k.next_at <= now()
RETURNING client_id, next_at, state, stage"""  # noqa: S608  # put together from constants

# Of the round whose turn ends at $2: another one's report, or the same one again, changes nothing. After a red one the
# next comes $3 later, otherwise $3 after the end of this one's turn: a slow round is followed sooner.
_REPORT = """
UPDATE canaries k SET reported_at = now(), next_at = next.at, due_at = next.at + $4::interval,
  since = CASE WHEN k.state = $5 THEN k.since ELSE now() END,
  state = $5, stage = $6, system = $7, instance = $8, text = $9, seconds = coalesce($10, k.seconds),
  rounds = k.rounds + 1, failures = k.failures + ($5 = 'red' OR $11 <> '')::int,
  failed_at = CASE WHEN $5 = 'red' OR $11 <> '' THEN now() ELSE k.failed_at END,
  failed_stage = CASE WHEN $5 = 'red' THEN $6 WHEN $11 <> '' THEN $11 ELSE k.failed_stage END
FROM (SELECT CASE WHEN $5 = 'red' THEN now() ELSE greatest(now() - $3::interval, $2::timestamptz) END + $3::interval)
  AS next(at)
WHERE k.site_id = $1 AND k.next_at = $2 RETURNING k.rounds"""

_REPLACED = f"UPDATE canaries SET client_id = ({_FREE}) WHERE site_id = $1 RETURNING client_id"  # noqa: S608  # see above

_PRUNE = """
WITH lines AS (
  DELETE FROM history WHERE client_id = $1 AND history_id < (
    SELECT history_id FROM history WHERE client_id = $1 ORDER BY history_id DESC OFFSET $2 LIMIT 1)),
proofs AS (
  DELETE FROM proofs p USING client_systems s
  WHERE p.client_id = $1 AND (s.client_id, s.system) = (p.client_id, p.system) AND p.revision < s.proven - $2)
DELETE FROM answers WHERE client_id = $1 AND kind <> 'create' AND at < (
  SELECT at FROM answers WHERE client_id = $1 ORDER BY at DESC OFFSET $2 LIMIT 1)"""

_FORGOTTEN = """
SELECT k.site_id, k.client_id, c.status FROM canaries k LEFT JOIN clients c USING (client_id)
WHERE k.site_id <> ALL($1::text[]) AND k.due_at < now() - $2::interval"""

_FORGET = "DELETE FROM canaries WHERE site_id = $1 AND client_id = $2"


@dataclass(frozen=True)
class Pace:
    """How often rounds are begun, and how long each may take, in seconds."""

    every: float
    longest: float

    @property
    def tick(self) -> float:
        """Between two looks whether it is time for a round."""
        return min(self.every, 5.0)

    @property
    def pause_after_red(self) -> float:
        """From a round that was red to the next one: what is mended is seen soon."""
        return min(self.every, 10.0)

    @property
    def pause(self) -> float:
        """From the end of a round's turn, which lasts as long as the longest round, to the next one."""
        return self.every - self.longest

    @property
    def silent(self) -> timedelta:
        """From one report to the next at the longest, while a worker lives."""
        return timedelta(seconds=self.every + self.tick + self.longest)


@dataclass(frozen=True)
class Turn:
    """A round that is ours: the client that the canary is, until when it is ours, and how the last one went."""

    site: str
    client_id: str
    until: datetime
    state: str
    stage: str


@dataclass(frozen=True)
class Outcome:
    """How a round went. ``seconds``: from a decision to its proof, the slower of both; None where it is red."""

    verdict: Verdict | None
    seconds: float | None = None

    @property
    def state(self) -> str:
        return "red" if self.verdict else "green"


class Rounds:
    """Its methods raise the driver's errors of the directory."""

    def __init__(self, directory: Database, pace: Pace) -> None:
        self._directory, self._pace = directory, pace

    async def turn(self, site: str) -> Turn | None:
        """The next round of a site's canary, if it is time for it, and nobody else makes it."""
        values = site, _first_id(site), timedelta(seconds=self._pace.longest), self._pace.silent
        try:
            rows = await self._directory.write(_TURN, *values)
        except asyncpg.UniqueViolationError:  # another worker begins with the same client at this very moment
            return None
        return Turn(site, *rows[0]) if rows else None

    async def report(self, turn: Turn, outcome: Outcome, missed: str = "") -> None:
        """Write down how it went. ``missed``: the stage that failed before, when that could not be written down."""
        pause = timedelta(seconds=self._pace.pause_after_red if outcome.verdict else self._pace.pause)
        longest = timedelta(seconds=self._pace.tick + self._pace.longest)
        verdict, state = outcome.verdict, outcome.state
        columns = (verdict.stage, verdict.system, verdict.instance, verdict.text) if verdict else ("", "", "", "")
        values = turn.site, turn.until, pause, longest, state, *columns, outcome.seconds, missed
        await self._directory.write(_REPORT, *values)
        await self._directory.write(_PRUNE, turn.client_id, KEPT)

    async def replace(self, site: str) -> str:
        """Have the canary be another client from now on; its id."""
        rows = await self._directory.write(_REPLACED, site, _first_id(site))
        return str(rows[0]["client_id"])

    async def holder(self, number: str) -> str:
        """The client that has a number; empty: none."""
        rows = await self._directory.read("SELECT client_id FROM numbers WHERE number = $1", number)
        return rows[0]["client_id"] if rows else ""

    async def forgotten(self, sites: list[str]) -> list[tuple[str, str, str | None]]:
        """The canaries of other sites than these that nobody looks at any more: site, client, its status."""
        return [tuple(row) for row in await self._directory.read(_FORGOTTEN, sites, FORGOTTEN)]

    async def forget(self, site: str, client_id: str) -> None:
        """Its client is over, or never was."""
        await self._directory.write(_FORGET, site, client_id)


def _first_id(site: str) -> str:
    """At most 63 characters with what is added to it."""
    return f"{PREFIX}{site}"[:58]
