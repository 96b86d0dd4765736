"""What people do about open matters: assigned, snoozed, acknowledged. Each is a line of the client's history."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal, TypeAlias

from starter.contract.answers import MatterAnswer
from starter.directory.paging import DirectoryDatabase

Verb: TypeAlias = Literal["acknowledge", "assign", "snooze"]

# A row is replaced as a whole: what was done about another occurrence is over. The same command adds one line.
_KEEP = """
WITH kept AS (
  INSERT INTO matter_hands (client_id, matter, about, assigned_to, snoozed_text, snoozed_until, acknowledged_at, by, at)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
  ON CONFLICT (client_id, matter) DO UPDATE SET about = excluded.about, assigned_to = excluded.assigned_to,
    snoozed_text = excluded.snoozed_text, snoozed_until = excluded.snoozed_until,
    acknowledged_at = excluded.acknowledged_at, acknowledged = NULL, by = excluded.by, at = excluded.at),
logged AS (
  INSERT INTO history (client_id, event, at, kind, text, by, reason, command_id, revision, facts)
  SELECT client_id, 'decided', $9, $10, $11, $8, $12, $13, revision, jsonb_build_object('matter', $2::text)
  FROM clients WHERE client_id = $1 AND NOT EXISTS (
    SELECT FROM history h WHERE h.client_id = $1 AND (h.event, h.kind, h.command_id) = ('decided', $10, $13)))
SELECT pg_notify('connect_clients', $1)"""

# Of a matter that its client keeps: whoever acknowledges it is the one who has it from here on.
_BEGIN = """
INSERT INTO matter_hands AS h (client_id, matter, about, assigned_to, by, at) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (client_id, matter) DO UPDATE SET about = excluded.about, assigned_to = excluded.assigned_to,
  snoozed_text = NULL, snoozed_until = NULL, acknowledged_at = NULL, acknowledged = NULL, by = excluded.by,
  at = excluded.at
WHERE h.about <> excluded.about"""

_ACKNOWLEDGED = "UPDATE matter_hands SET acknowledged_at = $3, acknowledged = $4 WHERE (client_id, matter) = ($1, $2)"


async def keep(
    database: DirectoryDatabase,
    row: Mapping[str, Any],
    changed: Mapping[str, Any],
    verb: Verb,
    text: str,
    now: datetime,
    *,
    by: str,
    reason: str,
    command_id: str,
) -> None:
    """Write down what somebody did about a matter, and add it to the history of its client. ``row`` is the matter as it
    was found, ``changed`` what is otherwise of ``assigned_to``, ``snoozed``, ``snoozed_until``, ``acknowledged_at``.
    Raises DirectoryAway."""
    after = {**row, **changed}
    await database.write(
        _KEEP,
        *(row["client_id"], row["matter"], row["about"], after["assigned_to"]),
        *(row["text"] if after["snoozed"] else None, after["snoozed_until"], after["acknowledged_at"]),
        *(by, now, verb, text, reason, command_id),
    )


async def begin_acknowledging(database: DirectoryDatabase, row: Mapping[str, Any], by: str, now: datetime) -> None:
    """Write down which occurrence it is that a client is about to forget. Raises DirectoryAway."""
    await database.write(_BEGIN, row["client_id"], row["matter"], row["about"], row["assigned_to"], by, now)


async def keep_acknowledged(database: DirectoryDatabase, answer: MatterAnswer, now: datetime) -> None:
    """Keep what was answered to who acknowledged a matter that its client forgets. Raises DirectoryAway."""
    await database.write(_ACKNOWLEDGED, answer.client_id, answer.matter, now, answer.model_dump(mode="json"))


async def acknowledged(database: DirectoryDatabase, client_id: str, matter: str) -> dict[str, Any] | None:
    """What was answered to who acknowledged a matter that its client has forgotten since; None where nobody did."""
    query = "SELECT acknowledged FROM matter_hands WHERE (client_id, matter) = ($1, $2)"
    rows = await database.read(query, client_id, matter)
    return rows[0]["acknowledged"] if rows else None
