"""Whether rejected accounts are admitted again or have a live session: one statement for those of all clients.

A session is told by its rows in ``radacct``: open ones, and closed ones that were updated after their Stop. It lives if
its row is new, or was written to, since the look before. That compares access gear's times with its own earlier ones,
so that no clock need be right. Only the first look after a proof goes by the moment of the proof.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from activities.database import Database
from activities.errors import attempt_on
from workflows.ports import Life, Observed, Sighting, Watched

# What there is to say of these accounts: which another client has, whose login is accepted, and the sessions that may
# live. The three are put together here, not there: no plan of the database can then go wrong. The condition on radacct
# is that of an index of ours (deploy/freeradius/schema.sql), which has no other rows, however many there are.
ALIVE = """
SELECT now() AS at, 'elsewhere' AS what, w.client_id, w.account AS name, NULL::text AS key, NULL::text AS session,
  NULL::text AS nas, NULL::timestamptz AS heard, NULL::timestamptz AS stopped, NULL::bigint AS interval
FROM unnest($1::text[], $2::text[]) AS w(client_id, account)
JOIN connect_fence f ON f.system = 'internet' AND f.subject = 'account:' || w.account AND f.client_id <> w.client_id
UNION ALL
SELECT now(), 'admitted', NULL, username, NULL, NULL, NULL, NULL, NULL, NULL
FROM radcheck WHERE username = ANY($2) GROUP BY username
HAVING bool_and((op, value) = (':=', 'Reject')) FILTER (WHERE attribute = 'Auth-Type') IS NOT true
UNION ALL
SELECT now(), 'session', NULL, username, acctuniqueid, acctsessionid, host(nasipaddress),
  coalesce(acctupdatetime, acctstarttime), acctstoptime, acctinterval
FROM radacct WHERE (acctstoptime IS NULL OR acctupdatetime > acctstoptime) AND lower(username) = ANY($3)
UNION ALL
SELECT now(), 'looked', NULL, '', NULL, NULL, NULL, NULL, NULL, NULL"""

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
    name: str
    session: str
    nas: str
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
        clients, accounts = [it.client_id for it in watched], [it.subject for it in watched]
        async with attempt_on(self.database):
            rows = await self.database.read(ALIVE, clients, accounts, sorted({name.lower() for name in accounts}))
        now: datetime = rows[0]["at"]
        elsewhere = {(row["client_id"], row["name"]) for row in rows if row["what"] == "elsewhere"}
        admitted = {row["name"] for row in rows if row["what"] == "admitted"}
        found = defaultdict[str, list[Row]](list)
        for row in rows:
            if row["what"] == "session":
                found[row["name"].lower()].append(Row(*(row[name] for name in Row.__match_args__)))
        sightings, seen = [], dict[_Key, dict[str, datetime | None]]()
        for it in watched:
            sessions = found.get(it.subject.lower(), [])
            seen[_key(it)] = {row.key: row.heard for row in sessions}
            if (it.client_id, it.subject) in elsewhere:
                sightings.append(Sighting(it, Life.OVER))
            elif signs := self._signs(it, it.subject in admitted, sessions, now):
                sightings.append(Sighting(it, Life.ALIVE, signs))
            elif now - it.since > self._patience(sessions):
                silent = [row for row in sessions if row.stopped is None]
                how = f"{silent[0]} went silent, without a Stop" if silent else ""
                sightings.append(Sighting(it, Life.SILENT if silent else Life.OVER, how))
        lately = now - 2 * self._patience(())
        self._before = {key: marks for key, marks in self._before.items() if key[2] > lately} | seen
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
    if row.stopped is None and row.name == it.subject and it.seen.get("open_sessions") == "0":
        return True
    return row.heard is not None and it.since < row.heard <= now + AHEAD
