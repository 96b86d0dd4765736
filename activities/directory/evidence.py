"""Records proofs in the directory, once per client, system, revision and kind of proof."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, replace

import structlog

from activities.bounds import bounded
from activities.database import DRIVER_ERRORS, Database
from activities.errors import safe_message
from workflows.domain.provisioning.standing import Proof
from workflows.domain.systems import heading
from workflows.ports import Evidence

# One statement, so one round trip. All of it hangs on the client's row, which is therefore locked first, and numbers
# after it: the order in which a publication locks them. No row: the directory does not know the client (yet).
_RECORD = """
WITH client AS (SELECT client_id FROM clients WHERE client_id = $1 FOR NO KEY UPDATE),
proven AS (
  INSERT INTO client_systems AS s (client_id, system, proven) SELECT client_id, $2, $3 FROM client WHERE $10 = 'change'
  ON CONFLICT (client_id, system) DO UPDATE SET proven = excluded.proven WHERE s.proven < excluded.proven),
proof AS (
  INSERT INTO proofs (client_id, system, revision, at, method, findings, kind)
  SELECT client_id, $2, $3, $4, $5, $6, $10 FROM client ON CONFLICT DO NOTHING RETURNING client_id),
line AS (
  INSERT INTO history (client_id, event, at, kind, text, by, revision, facts)
  SELECT client_id, 'proven', $4, $2, $7, 'connect', $3, $8 FROM proof WHERE $10 <> 'part'),
released AS (
  DELETE FROM numbers n USING client c WHERE n.client_id = c.client_id AND n.number = ANY($9) AND n.revision <= $3),
found AS (
  SELECT client_id, subject, in_service, seen
  FROM client, jsonb_to_recordset($6) AS f(subject text, in_service boolean, proof text, seen jsonb)
  WHERE proof = 'proven'),
kept AS (
  INSERT INTO watched AS w (system, client_id, subject, instance, revision, since, seen)
  SELECT $2, f.client_id, subject, coalesce(s.instance, 'main'), $3, $4, seen
  FROM found f LEFT JOIN client_systems s ON (s.client_id, s.system) = (f.client_id, $2)
  WHERE NOT in_service ORDER BY subject
  ON CONFLICT (system, client_id, subject) DO UPDATE
  SET instance = excluded.instance, revision = excluded.revision, since = excluded.since, seen = excluded.seen
  WHERE w.revision <= excluded.revision),
left_alone AS (
  DELETE FROM watched w USING found f WHERE f.in_service AND w.revision <= $3
    AND (w.system, w.client_id, w.subject) = ($2, f.client_id, f.subject))
SELECT pg_notify('connect_clients', client_id) FROM client"""

log = structlog.get_logger(__name__)


class Evidences:
    """The directory's record of proofs. A directory that is away, or slower than ``seconds``, holds up no system."""

    def __init__(self, directory: Database, seconds: float) -> None:
        self._directory, self._seconds = directory, seconds

    async def record(self, client_id: str, evidence: Evidence, release: Sequence[str] = ()) -> Evidence:
        """Record what was proven and free the numbers that were proven off. ``recorded`` says whether it worked.

        Incomplete evidence is kept as well; the workflow writes it to the history. What was proven off is watched from
        then on (activities/watch/proofs.py), what was proven on no more.
        """
        evidence = bounded(evidence)
        try:
            async with asyncio.timeout(self._seconds):
                known = await self._directory.write(_RECORD, *_parameters(client_id, evidence, release))
            failure = "" if known else "the directory does not know the client"
        except DRIVER_ERRORS as error:
            failure = safe_message(error)
        if not failure:
            return evidence
        log.warning(
            "evidence_not_recorded",
            client_id=client_id,
            system=evidence.system,
            revision=evidence.revision,
            error=failure,
        )
        return replace(evidence, recorded=False)


def _parameters(client_id: str, evidence: Evidence, release: Sequence[str]) -> tuple[object, ...]:
    findings = [asdict(finding) for finding in evidence.findings]
    facts = {finding.subject: "on" if finding.in_service else "off" for finding in evidence.findings}
    kind = "change" if evidence.complete else "part"
    off = {f.subject for f in evidence.findings if f.proof is Proof.PROVEN and not f.in_service}
    proof = (client_id, evidence.system, evidence.revision, evidence.at, evidence.method, findings)
    return (*proof, _describe(evidence), facts, [number for number in release if number in off], kind)


def _describe(evidence: Evidence) -> str:
    on = sum(finding.in_service for finding in evidence.findings)
    off = len(evidence.findings) - on
    protected = sum("protected" in finding.seen for finding in evidence.findings)
    left = f", {protected} of them protected and left in service" if protected else ""
    return f"{heading(evidence.system)} proven: {on} on{left}, {off} off"
