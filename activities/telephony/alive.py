"""Whether ceased lines are in service, registered or in a call again: one statement for the lines of all clients."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from activities.database import Database
from activities.errors import attempt_on
from activities.secrets import sip_username
from activities.telephony.kamailio_rpc import Servers, ServerState
from workflows.ports import Life, Observed, Sighting, Watched

# The few lines that there is something to say of. Index of Kamailio's: location (username, domain, contact).
_ALIVE = """
SELECT w.client_id, w.number, f.client_id AS owner, s.in_service, l.registrations
FROM unnest($2::text[], $3::text[], $4::text[]) AS w(client_id, number, username)
LEFT JOIN subscriber s ON s.domain = $1 AND s.username = w.username
LEFT JOIN connect_fence f ON f.system = 'telephony' AND f.subject = 'line:' || w.number
CROSS JOIN LATERAL (SELECT count(*) AS registrations FROM location l
  WHERE l.username = w.username AND coalesce(l.domain, '') IN ($1, '')) l
WHERE f.client_id <> w.client_id OR s.in_service = 1 OR l.registrations > 0"""

MOST_LOOKED_UP = 200
"""Lines that the servers are asked about in one look: each takes a command. The others' turn comes in the next ones."""


@dataclass
class CeasedLines:
    """The lines that one instance has ceased. They are watched for ``seconds`` after their proof: a telephone that has
    not come back by then, is refused."""

    database: Database
    domain: str
    servers: Servers
    seconds: float
    end_calls: bool
    _looked_up: dict[Watched, int] = field(default_factory=dict)  # in which look the servers were asked last
    _looks: int = 0

    async def look(self, watched: Sequence[Watched], until: float) -> Observed:
        """What is in service, registered or in a call. ``until`` is the end, by the loop's clock."""
        names = [it.subject for it in watched], [sip_username(it.subject) for it in watched]
        async with attempt_on(self.database, until):
            rows = await self.database.read(_ALIVE, self.domain, [it.client_id for it in watched], *names)
        now, found = datetime.now(UTC), {(row["client_id"], row["number"]): row for row in rows}
        elsewhere = {key for key, row in found.items() if row["owner"] not in (None, key[0])}
        states = await self._ask(watched, elsewhere, until)
        sightings = []
        for it in watched:
            key = it.client_id, it.subject
            row, state = found.get(key), states.get(it.subject)
            if key in elsewhere:
                sightings.append(Sighting(it, Life.OVER))
            elif signs := "; ".join(self._signs(row and dict(row), state)):
                sightings.append(Sighting(it, Life.ALIVE, signs))
            elif state and state.trouble:
                sightings.append(Sighting(it, Life.UNSEEN, state.trouble))
            elif now - it.since > timedelta(seconds=self.seconds) and (state or not self.servers):
                sightings.append(Sighting(it, Life.OVER))
        unseen = (sighting.how for sighting in sightings if sighting.life is Life.UNSEEN)
        return Observed(sightings, now, next(unseen, ""))

    def _signs(self, row: Mapping[str, int] | None, state: ServerState | None) -> Iterator[str]:
        if row and row["in_service"]:
            yield "in service"
        if row and row["registrations"]:
            yield f"registered ({row['registrations']})"
        if state and state.registrations:
            yield f"registered in the memory of a server ({state.registrations})"
        if state and state.calls and self.end_calls:
            yield f"in a call ({state.calls})"

    async def _ask(
        self, watched: Sequence[Watched], elsewhere: set[tuple[str, str]], until: float
    ) -> Mapping[str, ServerState]:
        """What the servers have in memory, of those that were asked about longest ago."""
        if not self.servers:
            return {}
        ours = [it for it in watched if (it.client_id, it.subject) not in elsewhere]
        self._looks += 1
        asked = sorted(ours, key=lambda it: self._looked_up.get(it, 0))[:MOST_LOOKED_UP]
        before = {it: self._looked_up[it] for it in ours if it in self._looked_up}
        self._looked_up = before | dict.fromkeys(asked, self._looks)
        states = await self.servers.look({sip_username(it.subject) for it in asked}, until) if asked else {}
        return {it.subject: states[sip_username(it.subject)] for it in asked}
