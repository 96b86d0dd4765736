"""Whether rejected accounts are admitted again or have a live session: one statement for those of all clients.

A session is told by its rows in ``radacct``: open ones, and closed ones that were updated after their Stop. It lives if
its row is new, or was written to, since the look before. That compares access gear's times with its own earlier ones,
so that no clock need be right. Only the first look after a proof goes by the moment of the proof.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby

from activities.database import Database
from activities.errors import attempt_on
from workflows.ports import Life, Observed, Sighting, Watched

# The few accounts that there is something to say of. The condition on radacct is that of its index of ours
# (deploy/freeradius/schema.sql), which has no other rows, however many there are.
_ALIVE = """
SELECT now() AS at, a.* FROM (VALUES (1)) once LEFT JOIN (
  SELECT w.client_id, w.account, f.client_id AS owner, c.admitted, r.key, r.session, r.nas, r.exact, r.heard, r.stopped,
    r.interval
  FROM unnest($1::text[], $2::text[]) AS w(client_id, account)
  LEFT JOIN connect_fence f ON f.system = 'internet' AND f.subject = 'account:' || w.account
  CROSS JOIN LATERAL (
    SELECT count(*) > 0 AND bool_and((op, value) = (':=', 'Reject')) FILTER (WHERE attribute = 'Auth-Type')
      IS NOT true AS admitted
    FROM radcheck WHERE username = w.account) c
  LEFT JOIN (
    SELECT lower(username) AS name, acctuniqueid AS key, acctsessionid AS session, host(nasipaddress) AS nas,
      coalesce(acctupdatetime, acctstarttime) AS heard, acctstoptime AS stopped, acctinterval AS interval,
      username = ANY($2::text[]) AS exact
    FROM radacct
    WHERE (acctstoptime IS NULL OR acctupdatetime > acctstoptime)
      AND lower(username) IN (SELECT lower(n) FROM unnest($2::text[]) AS n)) r ON r.name = lower(w.account)
  WHERE f.client_id <> w.client_id OR c.admitted OR r.key IS NOT NULL) a ON true
ORDER BY a.client_id, a.account"""

LATE = timedelta(seconds=60)
"""How much later than its event an accounting row may be written: packets are repeated, and gear queues them while the
server is away."""

AHEAD = timedelta(seconds=2)
"""How far ahead of the database's clock a time may be that the first look believes."""

_Key = tuple[str, str, datetime]  # client, account, and when it was proven off


@dataclass(frozen=True)
class Row:
    """A row of ``radacct`` of a session that may live: ``heard`` is the time that access gear gave it last."""

    key: str
    session: str
    nas: str
    exact: bool
    heard: datetime | None
    stopped: datetime | None
    interval: int | None

    def __str__(self) -> str:
        return f"session {self.session} on NAS {self.nas}"


@dataclass
class RejectedAccounts:
    """The accounts that one instance has rejected. They are watched for ``seconds`` after their proof, or for an
    Interim interval that their rows show to be longer: what has written nothing in that time is over."""

    database: Database
    seconds: float
    _before: dict[_Key, dict[str, datetime | None]] = field(default_factory=dict)

    async def look(self, watched: Sequence[Watched]) -> Observed:
        """Which are admitted again, or have a session that lives. It remembers what it saw, for the next look."""
        async with attempt_on(self.database):
            names = [it.client_id for it in watched], [it.subject for it in watched]
            rows = await self.database.read(_ALIVE, *names)
        now: datetime = rows[0]["at"]
        found = {
            key: list(theirs)
            for key, theirs in groupby(rows, key=lambda row: (row["client_id"], row["account"]))
            if key[0] is not None
        }
        sightings, seen = [], dict[_Key, dict[str, datetime | None]]()
        for it in watched:
            theirs = found.get((it.client_id, it.subject), [])
            sessions = [Row(*(row[name] for name in Row.__match_args__)) for row in theirs if row["key"] is not None]
            seen[_key(it)] = {row.key: row.heard for row in sessions}
            if theirs and theirs[0]["owner"] not in (None, it.client_id):
                sightings.append(Sighting(it, Life.OVER))
            elif signs := self._signs(it, theirs[0]["admitted"] if theirs else False, sessions, now):
                sightings.append(Sighting(it, Life.ALIVE, signs))
            elif now - it.since > self._patience(sessions):
                silent = [row for row in sessions if row.stopped is None]
                how = f"{silent[0]} went silent, without a Stop" if silent else ""
                sightings.append(Sighting(it, Life.SILENT if silent else Life.OVER, how))
        self._before = seen
        return Observed(sightings, now)

    def _signs(self, it: Watched, admitted: bool, sessions: Sequence[Row], now: datetime) -> str:
        """How it shows that an account is alive; empty when it does not."""
        before = self._before.get(_key(it))
        alive = [str(row) for row in sessions if _lives(row, it, before, now)]
        accounted = f"{', '.join(alive[:3])} {'goes' if len(alive) == 1 else 'go'} on" if alive else ""
        return "; ".join(filter(None, ["its login is accepted" if admitted else "", accounted]))

    def _patience(self, sessions: Sequence[Row]) -> timedelta:
        return LATE + timedelta(seconds=max([self.seconds, *(row.interval or 0 for row in sessions)]))


def _key(it: Watched) -> _Key:
    return it.client_id, it.subject, it.since


def _lives(row: Row, it: Watched, before: Mapping[str, datetime | None] | None, now: datetime) -> bool:
    """Whether a session has shown itself since the proof, or since the look before."""
    if before is not None:
        return row.key not in before or row.heard != before[row.key]
    if row.stopped is None and row.exact and it.seen.get("open_sessions") == "0":
        return True
    return row.heard is not None and it.since < row.heard <= now + AHEAD
