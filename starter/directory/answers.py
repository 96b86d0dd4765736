"""What commands were answered, kept by the directory: the first verdict on an Idempotency-Key stands.

What clients obeyed and recorded is written there by their publications (activities/directory/publish.py); a refusal
that no workflow has a trace of is written here before it is answered.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from starter.directory.paging import DirectoryDatabase
from workflows.domain.answers import CREATE, Answer, refused
from workflows.domain.errors import CommandIdReused, Refusal, refusal_of

_FIND = """
SELECT client_id, command_id, fingerprint, kind, changed, message, refusal FROM answers
WHERE command_id = $2 AND (client_id = $1 OR ($3 AND kind = 'create' AND refusal IS NULL))
ORDER BY client_id <> $1 LIMIT 1"""

_KEEP = """
INSERT INTO answers (client_id, command_id, fingerprint, kind, changed, message, refusal)
VALUES ($1, $2, $3, $4, false, $5, $6) ON CONFLICT DO NOTHING"""


@dataclass(frozen=True)
class Key:
    """One command to one client, and the fingerprint of its content."""

    client_id: str
    command_id: str
    fingerprint: str
    kind: str


class Answers:
    """The verdicts. Its methods raise DirectoryAway when the database does not answer."""

    def __init__(self, database: DirectoryDatabase) -> None:
        self._database = database

    async def find(self, key: Key) -> Answer | None:
        """What this very command was answered, if it was obeyed; None: nothing is known of it.

        Raises the refusal that it met, or CommandIdReused where the key was used for something else.
        """
        rows = await self._database.read(_FIND, key.client_id, key.command_id, key.kind == CREATE)
        return _verdict(rows[0], key) if rows else None

    async def keep(self, key: Key, refusal: Refusal) -> Answer | None:
        """Have a refusal stand, unless there is a verdict already; then it is as ``find`` has it."""
        answer = refused(key.command_id, key.fingerprint, key.kind, refusal)
        values = (key.client_id, key.command_id, key.fingerprint, key.kind, answer.message, answer.refusal)
        await self._database.write(_KEEP, *values)
        try:
            return await self.find(key)
        except type(refusal):
            return None


def _verdict(row: Mapping[str, Any], key: Key) -> Answer:
    if (row["client_id"], row["fingerprint"]) != (key.client_id, key.fingerprint):
        other = f", to create client {row['client_id']}" if row["client_id"] != key.client_id else ""
        raise CommandIdReused(
            f"Idempotency-Key {key.command_id} was used before, for another request{other}",
            "Use a new one for each request",
            field="Idempotency-Key",
        )
    if row["refusal"] is not None:
        raise refusal_of(row["refusal"]["type"], row["refusal"])
    return Answer(key.command_id, key.fingerprint, row["changed"], row["message"], row["kind"])
