"""Keeps true what was proven off: looks at all of it every few seconds, and has what came alive ended again.

A session that was accepted just before its account went off is accounted for later; a router says that it has ended a
session, and sends its next Interim; somebody switches a line on by hand. So each proof of *off* leaves a row in table
``watched``, in the statement that records it, and the row stays until nothing can come of it any more.

For each instance one worker at a time has the turn: who moves ``begun_at`` of its row in ``watch_rounds``. A round is
one statement to the directory, and one look at the system for all clients together (``ServiceSystem.observe``). Only
what is found takes more:

- the client's workflow gets a signal (``report_drift`` with ``alive``), and ends it again; it gets another for as
  long as its proof stands (found_alive.py). Also of what is on and otherwise, as a session with the plan from
  before, which it puts right;
- what no workflow knows any more, because the client is decommissioned and closed, or has given it up, is ended here,
  under the revision that the directory has of the client. The fence keeps us from undoing a later decision. From the
  second time on it is an open matter, too, until it is quiet;
- what cannot be looked at for ten minutes is an open matter of the instance, without a client.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import asyncpg
import structlog
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.background import log_failure
from activities.database import Database
from activities.watch.found_alive import Found, FoundAlive
from workflows.domain.lifecycle import Status
from workflows.domain.provisioning.ledger import Desired
from workflows.domain.provisioning.standing import in_one_line
from workflows.domain.systems import SystemInstance, heading
from workflows.domain.text import safe_text
from workflows.ports import STALE_REVISION, Ensure, Evidence, Life, Observed, ServiceSystem, Watched
from workflows.wire.fields import MOST
from workflows.wire.start import workflow_id

SOURCE = "watch"
BLIND = timedelta(minutes=10)
"""After so long without a whole look at an instance, a person must know."""

MOST_AT_ONCE = 10_000
"""Watched subjects in one look."""

_OF_ONE_CLIENT = (RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.FAILED_PRECONDITION)  # not of Temporal as a whole
_OFTEN = 2  # times that the watch itself ended the same, and from then on a person must know
_EARLY = 0.9  # the part of the pause after which a turn may begin: another worker's clock stood a little otherwise

# Whose turn it is, and what is watched: a row at least for who has it. What a newer decision concerns is being
# switched, was marked as done by hand, or left as it is: it is not watched, unless the client has given it up.
_TURN = """
WITH turn AS (
  INSERT INTO watch_rounds AS r (system, instance, begun_at) VALUES ($1, $2, now())
  ON CONFLICT (system, instance) DO UPDATE SET begun_at = now() WHERE r.begun_at <= now() - $3::interval
  RETURNING blind_since)
SELECT t.blind_since, v.* FROM turn t LEFT JOIN (
  SELECT w.client_id, w.subject, w.since, w.seen
  FROM watched w JOIN client_systems s ON (s.client_id, s.system) = (w.client_id, w.system)
  WHERE w.system = $1 AND w.instance = $2 AND (w.revision >= s.wanted
    OR (s.proven >= s.wanted AND NOT EXISTS (
      SELECT FROM clients c, jsonb_array_elements(c.document->'systems') e
      WHERE c.client_id = w.client_id AND e->>'system' = w.system AND e->'desired' ? w.subject)))
) v ON true"""

# What the directory knows of these clients, and which subjects of the system their workflows know.
_CLIENTS = """
SELECT c.client_id, c.status, c.revision, coalesce((c.document->>'secret_version')::int, 1) AS secret_version,
  ARRAY(SELECT jsonb_object_keys(e->'desired') FROM jsonb_array_elements(c.document->'systems') e
    WHERE e->>'system' = $1) AS known
FROM clients c WHERE c.client_id = ANY($2::text[])"""

# These are watched no longer, unless they were proven anew meanwhile; why, where nothing came to an end, is recorded.
# What was done by hand since goes after a day. Nobody waits for a row here who holds another one.
_DROP = """
WITH ended AS (
  SELECT v.client_id, v.subject, coalesce(e.how, '') AS how
  FROM watched v LEFT JOIN unnest($2::text[], $3::text[], $4::timestamptz[], $5::text[])
    AS e(client_id, subject, since, how) ON (e.client_id, e.subject, e.since) = (v.client_id, v.subject, v.since)
  LEFT JOIN client_systems s ON (s.client_id, s.system) = (v.client_id, v.system)
  WHERE v.system = $1 AND (e.subject IS NOT NULL OR (v.revision < s.wanted AND v.since < now() - interval '1 day'))
  FOR UPDATE OF v SKIP LOCKED),
gone AS (
  DELETE FROM watched w USING ended e WHERE (w.system, w.client_id, w.subject) = ($1, e.client_id, e.subject)),
logged AS (
  INSERT INTO history (client_id, event, at, kind, text, by)
  SELECT client_id, 'proven', now(), $1, $6 || ' watched no longer: ' || subject || ': ' || how, 'connect'
  FROM ended WHERE how <> ''),
mended AS (
  DELETE FROM matters m USING ended e WHERE (m.client_id, m.matter) = (e.client_id, 'alive:' || $1) AND NOT EXISTS (
    SELECT FROM watched w WHERE (w.system, w.client_id) = ($1, m.client_id) AND w.ended > 0
      AND NOT EXISTS (SELECT FROM ended o WHERE (o.client_id, o.subject) = (w.client_id, w.subject)))
  RETURNING m.client_id)
SELECT pg_notify('connect_clients', client_id)
FROM (SELECT client_id FROM ended WHERE how <> '' UNION SELECT client_id FROM mended) changed"""

# The watch itself has ended these, or tried to. The first times are lines of the history; then it is an open matter.
_ENDED = """
WITH counted AS (
  UPDATE watched SET ended = ended + 1 WHERE (system, client_id) = ($2, $1) AND subject = ANY($3) RETURNING ended),
often AS (SELECT max(ended) AS times FROM counted),
logged AS (
  INSERT INTO history (client_id, event, at, kind, text, by, revision)
  SELECT $1, 'attempted', now(), $2, $4, 'connect', $5 FROM often WHERE times <= $7),
matter AS (
  INSERT INTO matters AS m (client_id, matter, kind, system, since, text, remedies)
  SELECT $1, 'alive:' || $2, 'alive_again', $2, now(), $4, $6 FROM often WHERE times >= $7
  ON CONFLICT (client_id, matter) DO UPDATE SET text = excluded.text)
SELECT pg_notify('connect_clients', $1)"""

# Nobody can look at all of an instance, or somebody can again: once that lasts, it is a matter without a client.
_BLIND = """
WITH round AS (
  UPDATE watch_rounds SET blind_since = coalesce(blind_since, now()), trouble = $3
  WHERE (system, instance) = ($1, $2) RETURNING blind_since)
INSERT INTO matters AS m (client_id, matter, kind, system, since, text, remedies)
SELECT '', 'watch:' || $1 || ':' || $2, 'cannot_look', $1, blind_since, $4, $5 FROM round
WHERE blind_since <= now() - $6::interval
ON CONFLICT (client_id, matter) DO UPDATE SET text = excluded.text WHERE m.text <> excluded.text"""

_SIGHTED = """
WITH round AS (UPDATE watch_rounds SET blind_since = NULL, trouble = '' WHERE (system, instance) = ($1, $2))
DELETE FROM matters WHERE (client_id, matter) = ('', 'watch:' || $1 || ':' || $2)"""

log = structlog.get_logger(__name__)

T = TypeVar("T")

Alive = Mapping[str, str]  # by subject: how it shows


@dataclass(frozen=True)
class Known:
    """What the directory knows of a client: also ``subjects`` of the system, which its workflow knows."""

    closed: bool
    revision: int
    secret_version: int
    subjects: frozenset[str]


class ProofWatch:
    """Watches the instances that this worker serves, while ``run`` runs. ``fails`` says whether attempts on one are
    paced now: then it is not asked. ``every``: seconds between two rounds; ``seconds``: for one look."""

    def __init__(
        self,
        client: Client,
        directory: Database,
        adapters: Mapping[SystemInstance, ServiceSystem],
        fails: Callable[[SystemInstance], bool],
        every: float,
        seconds: float,
    ) -> None:
        self._client, self._directory, self._adapters, self._fails = client, directory, adapters, fails
        self._every, self._seconds = every, seconds
        self._doubted = defaultdict[SystemInstance, dict[tuple[str, str], str]](dict)
        self._found = defaultdict[SystemInstance, FoundAlive](FoundAlive)

    async def run(self) -> None:
        """Look at every instance, side by side, for ever. Errors are logged, and the next round may go well."""
        async with asyncio.TaskGroup() as rounds:
            for system in self._adapters:
                rounds.create_task(self._follow(system))

    async def _follow(self, system: SystemInstance) -> None:
        while True:
            with log_failure("proofs_not_watched", system=str(system)):
                await self.round(system)
            await asyncio.sleep(self._every)

    async def round(self, system: SystemInstance) -> None:
        """If it is our turn, look at all that is watched of an instance, and see to what is found.

        Raises the driver's errors of the directory, and RPCError.
        """
        pause = timedelta(seconds=_EARLY * self._every)
        rows = await self._directory.write(_TURN, system.system, system.name, pause)
        watched = [Watched(it["client_id"], it["subject"], it["since"], it["seen"]) for it in rows if it["client_id"]]
        blind_since: datetime | None = rows[0]["blind_since"] if rows else None
        trouble = "" if not watched else "It fails for many clients: attempts on it are paced"
        if rows and not self._fails(system):
            seen = await self._look_at_all(system, watched)
            trouble = seen if watched else ""
        if trouble:
            await self._blind(system, trouble, len(watched))
        elif blind_since:
            await self._directory.write(_SIGHTED, system.system, system.name)
            log.info("proofs_watched_again", system=str(system))

    # -- a look -----------------------------------------------------------------------------------------------------

    async def _look_at_all(self, system: SystemInstance, watched: Sequence[Watched]) -> str:
        """Returns why not everything could be seen, if so."""
        troubles = []
        self._found[system].keep(watched)
        for some in [*_in_parts(watched, MOST_AT_ONCE)] or [[]]:
            observed = await self._observe(system, some)
            troubles.append(observed.trouble)
            await self._act_on(system, some, observed)
        return next(filter(None, troubles), "")

    async def _observe(self, system: SystemInstance, watched: Sequence[Watched]) -> Observed:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._adapters[system].observe(watched)
        except TimeoutError:
            return Observed(trouble="It did not answer in time")
        except ApplicationError as error:
            return Observed(trouble=safe_text(error.message))
        except Exception as error:  # noqa: BLE001  # an adapter may be anybody's: whatever it raises is its own trouble
            return Observed(trouble=safe_text(f"{type(error).__name__}: {error}"))

    async def _act_on(self, system: SystemInstance, watched: Sequence[Watched], observed: Observed) -> None:
        watched_by, found_alive = {(it.client_id, it.subject): it for it in watched}, self._found[system]
        dropped, otherwise = [], dict[tuple[str, str], str]()
        for sighting in observed.sightings:
            it = watched_by.get((sighting.watched.client_id, sighting.watched.subject))
            how = safe_text(sighting.how, 300)
            if it is not None and sighting.life is Life.ALIVE:
                found_alive.note(it, how or "in use", observed.at or datetime.now(UTC))
            elif it is not None and not found_alive.unsignalled(it) and sighting.life in (Life.OVER, Life.SILENT):
                dropped.append((it.client_id, it.subject, it.since, how if sighting.life is Life.SILENT else ""))
            elif sighting.life is Life.OTHERWISE:
                otherwise[sighting.watched.client_id, sighting.watched.subject] = how
        await self._doubt(system, otherwise)
        due = defaultdict[str, list[Found]](list)
        for found in found_alive.due(watched):
            due[found.watched.client_id].append(found)
        if due:
            await self._end(system, due)
        if dropped:
            ended = map(list, zip(*dropped, strict=True))
            await self._directory.write(_DROP, system.system, *ended, heading(system.system))

    async def _blind(self, system: SystemInstance, trouble: str, count: int) -> None:
        log.warning("proofs_not_watched", system=str(system), error=trouble, watched=count)
        text = f"Nobody can see whether what was switched off on {system} stays off ({count} watched). {trouble}"
        remedies = [{"text": "See how the workers find it, and mend it", "command": "connect systems"}]
        await self._directory.write(_BLIND, system.system, system.name, trouble, text, remedies, BLIND)

    async def _doubt(self, system: SystemInstance, otherwise: Mapping[tuple[str, str], str]) -> None:
        """Have each client's workflow put right what is on and otherwise: it gets one signal, as long as that lasts."""
        reported = self._doubted[system]
        news = {key: how for key, how in otherwise.items() if reported.get(key) != how}
        self._doubted[system] = {key: how for key, how in otherwise.items() if key not in news}
        for (client_id, subject), how in news.items():
            await self._signal(system, client_id, {"reason": f"{subject}: {how}"})
            self._doubted[system][client_id, subject] = how

    # -- what is alive ------------------------------------------------------------------------------------------------

    async def _end(self, system: SystemInstance, due: Mapping[str, Sequence[Found]]) -> None:
        """Have each client's workflow end what is alive, or end it here where no workflow knows it."""
        rows, found_alive = await self._directory.read(_CLIENTS, system.system, list(due)), self._found[system]
        for client_id, client in map(_known_of, rows):
            found = due[client_id]
            theirs = [it for it in found if it.watched.subject in client.subjects]
            log.warning("found_alive", system=str(system), client_id=client_id, subjects=len(found))
            reported = await self._report(system, client_id, theirs) if theirs else True
            if not reported and client.closed:
                theirs, reported = [], True
            for it in theirs:
                found_alive.note_signalled(it.watched)
            if not reported:
                log.warning("drift_not_reported", system=str(system), client_id=client_id)  # a matter of its own
            elif unknown := [it for it in found if it not in theirs]:
                await self._end_here(system, client_id, client, {it.watched.subject: it.how for it in unknown})
                for it in unknown:
                    found_alive.forget(it.watched)

    async def _report(self, system: SystemInstance, client_id: str, alive: Sequence[Found]) -> bool:
        """Signal the client's workflow what is alive. Returns whether there is one."""
        seen = defaultdict[datetime, dict[str, str]](dict)
        for it in alive:
            seen[it.at][it.watched.subject] = it.how
        parts = [(at, dict(some)) for at, signs in seen.items() for some in _in_parts([*signs.items()], MOST)]
        return await self._signal(system, client_id, *({"seen_at": at.isoformat(), "alive": it} for at, it in parts))

    async def _signal(self, system: SystemInstance, client_id: str, *reports: Mapping[str, object]) -> bool:
        """Signal the client's workflow, for each report once. Returns whether there is one."""
        handle = self._client.get_workflow_handle(workflow_id(client_id))
        message = {"system": system.system, "source": SOURCE, "by": "connect"}
        try:
            for report in reports:
                await handle.signal("report_drift", {**message, **report})
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            if error.status not in _OF_ONE_CLIENT:
                raise
            log.warning("drift_not_reported", system=str(system), client_id=client_id, error=str(error)[:300])
        return True

    async def _end_here(self, system: SystemInstance, client_id: str, client: Known, alive: Alive) -> None:
        """End what no workflow does any more, record it, and make it a matter when it comes again and again."""
        off = dict.fromkeys(alive, Desired(on=False))
        version, revived = client.secret_version, 1
        order = Ensure(system.system, client_id, client.revision, off, system.name, [], version, [], revived)
        try:
            async with asyncio.timeout(self._seconds):
                outcome = _outcome(await self._adapters[system].ensure(order))
        except TimeoutError:
            outcome = "not ended: no answer in time"
        except ApplicationError as error:
            if error.type == STALE_REVISION:
                return  # its workflow has decided anew; the directory will show it
            outcome = f"not ended: {safe_text(error.message)}"
        text = f"{heading(system.system)} found alive again, {outcome}: {in_one_line(alive)}"
        why = "Find out what switches it on in the system itself, and stop that: Connect ends it whenever it is seen"
        values = client_id, system.system, list(alive), text, client.revision, [{"text": why}], _OFTEN
        await self._directory.write(_ENDED, *values)


def _in_parts(things: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    return (things[first : first + most] for first in range(0, len(things), most))


def _known_of(row: asyncpg.Record) -> tuple[str, Known]:
    closed = row["status"] == Status.DECOMMISSIONED
    return row["client_id"], Known(closed, row["revision"], row["secret_version"], frozenset(row["known"]))


def _outcome(evidence: Evidence) -> str:
    doubts = {finding.subject: finding.why for finding in evidence.findings if finding.why}
    return "and ended" if evidence.complete else f"not ended yet ({in_one_line(doubts)})"
