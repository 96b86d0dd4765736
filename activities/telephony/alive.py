"""Whether ceased lines are in service, registered or in a call again: one statement for the lines of all clients."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from activities.errors import attempt_on
from activities.fence import known_logins
from activities.telephony.kamailio_rpc import Servers, ServerState
from activities.telephony.observation import LineObservation
from activities.telephony.tables import DesiredLine, LineTables
from workflows.ports import Life, Observed, Sighting, Watched

MOST_LOOKED_UP = 100
"""Lines that the servers are asked about in one look: each takes a command for each name. The others' turn comes in the
next ones."""


@dataclass
class CeasedLines:
    """The lines that one instance has ceased. They are watched for ``seconds`` after their proof: a telephone that has
    not come back by then, is refused."""

    tables: LineTables
    servers: Servers
    seconds: float
    end_calls: bool
    _looked_up: dict[Watched, int] = field(default_factory=dict)  # in which look the servers were asked last
    _looks: int = 0

    async def look(self, watched: Sequence[Watched], until: float) -> Observed:
        """What is in service, registered or in a call, by any spelling of its number. ``until`` is the end, by the
        loop's clock."""
        async with attempt_on(self.tables.database, until):
            lines, _ = await self.tables.read(
                [DesiredLine(it.subject, it.client_id, on=False) for it in watched], alive=True
            )
        now, found = datetime.now(UTC), {(line.client_id, line.number): line for line in lines}
        elsewhere = {key for key, line in found.items() if line.elsewhere}
        states = await self._server_states(watched, elsewhere, until)
        sightings = []
        for it in watched:
            key = it.client_id, it.subject
            line, state = found.get(key), states.get(it.subject)
            if key in elsewhere:
                sightings.append(Sighting(it, Life.OVER))
            elif signs := "; ".join(self._signs(line, state)):
                sightings.append(Sighting(it, Life.ALIVE, signs))
            elif state and state.trouble:
                sightings.append(Sighting(it, Life.UNSEEN, state.trouble))
            elif now - it.since > timedelta(seconds=self.seconds) and (state or not self.servers):
                sightings.append(Sighting(it, Life.OVER))
        unseen = (sighting.how for sighting in sightings if sighting.life is Life.UNSEEN)
        return Observed(sightings, now, next(unseen, ""))

    def _signs(self, line: LineObservation | None, state: ServerState | None) -> Iterator[str]:
        yield from line.signs if line else ()
        if state and state.registrations:
            yield f"registered in the memory of a server ({state.registrations})"
        if state and state.calls and self.end_calls:
            yield f"in a call ({state.calls})"

    async def _server_states(
        self, watched: Sequence[Watched], elsewhere: set[tuple[str, str]], until: float
    ) -> Mapping[str, ServerState]:
        """What the servers have in memory, of those that were asked about longest ago."""
        if not self.servers:
            return {}
        ours = [it for it in watched if (it.client_id, it.subject) not in elsewhere]
        self._looks += 1
        oldest = sorted(ours, key=lambda it: self._looked_up.get(it, 0))[:MOST_LOOKED_UP]
        before = {it: self._looked_up[it] for it in ours if it in self._looked_up}
        self._looked_up = before | dict.fromkeys(oldest, self._looks)
        names = {it.subject: self.tables.aors(it.subject, known_logins(it.seen.get("known_as", ""))) for it in oldest}
        return await self.servers.look(names, until) if oldest else {}
