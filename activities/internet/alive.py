"""Whether rejected accounts are admitted again or have a live session: one statement for those of all clients.

An account is admitted by whatever could let it in, as a change sees it: not by its own rows alone (logins.py).

A session is known by its rows in ``radacct``: open ones, and closed ones that were updated after their Stop. It lives
if its row is new, or was written to, since the look before. That compares access gear's times with its own earlier
ones, so that no clock need be right. Only the first look after a proof goes by the moment of the proof.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from activities.internet.admission import LetIn
from activities.internet.off import Off
from workflows.ports import Life, Sighting, Watched

LATE = timedelta(seconds=60)
"""How much later than its event an accounting row may be written: packets are repeated, and gear queues them while the
server is away."""

AHEAD = timedelta(seconds=2)
"""How far ahead of the database's clock a time may be that the first look believes."""

_Key = tuple[str, str, datetime]  # client, account, and when it was proven off


@dataclass(frozen=True)
class Row:
    """A row of ``radacct`` of a session that may live: ``updated`` is the time that it was given last, a Unix time."""

    key: str
    name: str
    session: str
    nas: str
    updated: float | None
    is_open: bool
    interval: int | None

    def __str__(self) -> str:
        return f"session {self.session} on NAS {self.nas}"


@dataclass
class RejectedAccounts:
    """The accounts that one instance has rejected. They are watched for ``seconds`` after their proof, or for an
    Interim interval that their rows show to be longer: what has written nothing in that time is over."""

    seconds: float
    _before: dict[_Key, dict[str, float | None]] = field(default_factory=dict)

    def look(self, watched: Sequence[Watched], off: Off) -> list[Sighting]:
        """Which are admitted again, or have a session that lives. It remembers what it saw, for the next look."""
        sightings, seen, now = [], dict[_Key, dict[str, float | None]](), off.at
        for it in watched:
            sessions = [Row(*row) for row in off.living(it.subject)]
            seen[_key(it)] = {row.key: row.updated for row in sessions}
            if off.owners.get(it.subject, it.client_id) != it.client_id:
                sightings.append(Sighting(it, Life.OVER))
            elif signs := self._signs(it, off.let_in(it.subject), sessions, now):
                sightings.append(Sighting(it, Life.ALIVE, signs))
            elif now - it.since > self._patience(sessions):
                silent = [row for row in sessions if row.is_open]
                how = f"{silent[0]} went silent, without a Stop" if silent else ""
                sightings.append(Sighting(it, Life.SILENT if silent else Life.OVER, how))
        lately = now - 2 * self._patience(())
        self._before = {key: marks for key, marks in self._before.items() if key[2] > lately} | seen
        return sightings

    def _signs(self, it: Watched, let_in: LetIn, sessions: Sequence[Row], now: datetime) -> str:
        """How it shows that an account is alive; empty when it does not."""
        before = self._before.get(_key(it))
        alive = [str(row) for row in sessions if _lives(row, it, before, now)]
        sentence = f"{', '.join(alive[:3])} {'goes' if len(alive) == 1 else 'go'} on" if alive else ""
        admitted = let_in.other_row or "its login is accepted" if let_in.at_all else ""
        return "; ".join(filter(None, [admitted, sentence]))

    def _patience(self, sessions: Sequence[Row]) -> timedelta:
        return LATE + timedelta(seconds=max([self.seconds, *(row.interval or 0 for row in sessions)]))


def _key(it: Watched) -> _Key:
    return it.client_id, it.subject, it.since


def _lives(row: Row, it: Watched, before: Mapping[str, float | None] | None, now: datetime) -> bool:
    """Whether a session has shown itself since the proof, or since the look before."""
    if before is not None:
        return row.key not in before or row.updated != before[row.key]
    if row.is_open and row.name == it.subject and it.seen.get("open_sessions") == "0":
        return True
    return row.updated is not None and it.since.timestamp() < float(row.updated) <= (now + AHEAD).timestamp()
