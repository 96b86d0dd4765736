"""The canaries: how each is, and the rule that keeps them out of every list, count, search and calendar."""

from starter.contract.answers import CanaryState
from starter.directory.paging import DirectoryDatabase
from starter.errors import ClientIdReserved

_STATES = """
WITH known AS (
  SELECT k.*, k.due_at < now() AS overdue FROM canaries k LEFT JOIN clients c USING (client_id)
  WHERE c.status IS DISTINCT FROM 'decommissioned')
SELECT site_id AS site, client_id, CASE WHEN overdue THEN 'red' ELSE state END AS state,
  CASE WHEN overdue THEN 'worker' ELSE stage END AS stage, CASE WHEN overdue THEN '' ELSE system END AS system,
  CASE WHEN overdue THEN '' ELSE instance END AS instance,
  CASE WHEN overdue THEN 'No worker that has this canary in its settings reports of it any more. Is one running?'
    ELSE text END AS text,
  CASE WHEN overdue AND state <> 'red' THEN due_at ELSE since END AS since,
  reported_at AS last_round_at, seconds, rounds, failures, failed_at, failed_stage
FROM known ORDER BY site_id"""

_RESERVED = """
SELECT is_canary($1) AND NOT EXISTS (SELECT FROM canaries WHERE client_id = $1) AS reserved"""


async def canaries(database: DirectoryDatabase) -> list[CanaryState]:
    """Every canary, as the workers last reported it; red where a report is overdue."""
    return [CanaryState(**row) for row in await database.read(_STATES)]


async def check_not_reserved(database: DirectoryDatabase, client_id: str) -> None:
    """Raises ClientIdReserved for an id that only a canary could have, unless it is one's."""
    if (await database.read(_RESERVED, client_id))[0]["reserved"]:
        raise ClientIdReserved(
            f"Client id {client_id} is reserved for canaries",
            "Give another, which does not begin with connect-canary-",
            field="client_id",
        )
