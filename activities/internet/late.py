"""Sessions that were accounted for only after the sessions of their account were changed, or ended for a new secret.

A login that was accepted just before the change, a Start that was lost and repeated, an answer that the RADIUS server
repeats: such a session has the plan or secret from before, and nobody could know of it at the proof. Nor of one that
its NAS said it has ended, and let live. The fence says up to which row of ``radacct`` sessions were looked at
(``sql.LOOKED``); what came later and began before, or is heard of again, is found here, with one statement where
anything was changed lately.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from activities.errors import attempt_on
from activities.internet.accounts import ENDED, Reader
from activities.internet.nas import NasFleet
from activities.internet.order import KINDS
from activities.internet.sessions import Session
from workflows.ports import Life, Sighting, Watched


@dataclass(frozen=True)
class LateSessions:
    """Those of one instance."""

    reader: Reader
    fleet: NasFleet

    async def look(self, rows: Sequence[Mapping[str, Any]]) -> list[Sighting]:
        """Which of these accounts, by what the fence says of them, have such a session."""
        if not rows or not self.fleet:
            return []
        async with attempt_on(self.reader.database):
            at, sessions = await self.reader.sessions(row["subject"].partition(":")[2] for row in rows)
        found = dict[str, Sighting]()
        for row in rows:
            kind, _, name = row["subject"].partition(":")
            if how := next(filter(None, (self._fault(s, kind, row) for s in sessions.get(name, []))), ""):
                found[name] = Sighting(Watched(row["client_id"], name, at), Life.OTHERWISE, how)
        return [*found.values()]

    def _fault(self, session: Session, kind: str, row: Mapping[str, Any]) -> str:
        """How a session is not as it should be; empty if it is."""
        cutoff = self.reader.cutoff_of(row)
        if kind in ENDED:
            again = cutoff.contradicted_by(session)
            return f"{session} was said to have ended, and was heard of afterwards" if again else ""
        late = cutoff.overlooked(session) and (kind not in KINDS or self.fleet.takes(session))
        return f"{session} began before the change, and was accounted for after it" if late else ""
