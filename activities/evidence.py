"""What was proven, taken down in the directory: once per client, system and revision."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, replace

import asyncpg
import structlog

from activities.database import DRIVER_ERRORS, Database
from activities.errors import told
from workflows.domain.provisioning import System
from workflows.ports import Evidence

_PROVE = """
WITH proof AS (
  INSERT INTO proofs (client_id, system, revision, at, method, findings) VALUES ($1, $2, $3, $4, $5, $6)
  ON CONFLICT DO NOTHING RETURNING 1)
INSERT INTO history (client_id, event, at, kind, text, by, revision, facts)
SELECT $1, 'proven', $4, $2, $7, 'connect', $3, $8 WHERE EXISTS (SELECT FROM proof)"""

_SHOW = {
    System.TELEPHONY: "UPDATE clients SET telephony_proven = $2 WHERE client_id = $1 AND telephony_proven < $2",
    System.INTERNET: "UPDATE clients SET internet_proven = $2 WHERE client_id = $1 AND internet_proven < $2",
}

_RELEASE = "DELETE FROM numbers WHERE client_id = $1 AND number = ANY($2) AND revision <= $3"

log = structlog.get_logger(__name__)


class Evidences:
    """The directory's record of proofs. A directory that is away, or slower than ``seconds``, holds up no system."""

    def __init__(self, directory: Database, seconds: float) -> None:
        self._directory, self._seconds = directory, seconds

    async def take_down(self, client_id: str, evidence: Evidence, release: Sequence[str] = ()) -> Evidence:
        """Record what was proven and free the numbers that were proven off. ``recorded`` says whether it worked."""
        try:
            async with asyncio.timeout(self._seconds), self._directory.transaction() as connection:
                await _record(connection, client_id, evidence, release)
        except DRIVER_ERRORS as error:
            log.warning(
                "evidence_not_recorded",
                client_id=client_id,
                system=evidence.system,
                revision=evidence.revision,
                error=told(error),
            )
            return replace(evidence, recorded=False)
        return evidence


async def _record(connection: asyncpg.Connection, client_id: str, evidence: Evidence, release: Sequence[str]) -> None:
    """Clients first, then numbers: the order in which a publication locks them."""
    findings = [asdict(finding) for finding in evidence.findings]
    facts = {finding.subject: "on" if finding.in_service else "off" for finding in evidence.findings}
    on = sum(finding.in_service for finding in evidence.findings)
    text = f"{evidence.system.capitalize()} proven: {on} on, {len(findings) - on} off"
    proof = (client_id, evidence.system, evidence.revision, evidence.at, evidence.method, findings)
    await connection.execute(_SHOW[evidence.system], client_id, evidence.revision)
    await connection.execute(_PROVE, *proof, text, facts)
    if release:
        await connection.execute(_RELEASE, client_id, list(release), evidence.revision)
    await connection.execute("SELECT pg_notify('connect_clients', $1)", client_id)
