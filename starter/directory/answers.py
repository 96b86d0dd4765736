"""What commands were answered, kept by the directory: the first verdict on an Idempotency-Key stands.

What clients obeyed and recorded is written there by their publications (activities/directory/publish.py); a refusal
that no workflow has a trace of is written here before it is answered.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from starter.directory.paging import DirectoryDatabase
from starter.errors import DirectoryAway, key_reused, refusal_again
from workflows.domain.answers import CREATE, Answer, Caution, answer_of_refusal
from workflows.domain.errors import Refusal
from workflows.wire.previews import WarningView
from workflows.wire.views import ClientView, CommandAnswer

View = TypeVar("View", bound=ClientView)
log = structlog.get_logger(__name__)

_FIND = """
SELECT client_id, command_id, fingerprint, kind, changed, message, refusal, warnings FROM answers
WHERE command_id = $2 AND (client_id = $1 OR ($3 AND kind = 'create' AND refusal IS NULL))
ORDER BY client_id <> $1 LIMIT 1"""

_KEEP = """
INSERT INTO answers (client_id, command_id, fingerprint, kind, changed, message, refusal)
VALUES ($1, $2, $3, $4, false, $5, $6) ON CONFLICT DO NOTHING"""

# The client's publication may come before this or after: what it then finds stays.
_WARN = """
INSERT INTO answers AS k (client_id, command_id, fingerprint, kind, changed, message, warnings)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (client_id, command_id) DO UPDATE SET warnings = excluded.warnings
WHERE (k.fingerprint, k.refusal IS NULL) = (excluded.fingerprint, true)"""


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
        answer = answer_of_refusal(key.command_id, key.fingerprint, key.kind, refusal)
        values = (key.client_id, key.command_id, key.fingerprint, key.kind, answer.message, answer.refusal)
        await self._database.write(_KEEP, *values)
        try:
            return await self.find(key)
        except type(refusal):
            return None

    async def with_warnings(self, view: View, more: Sequence[WarningView], key: Key | None) -> View:
        """The answer to what was obeyed, with more warnings than the client's own. Those are kept under its key, if it
        may come again. While the directory is away, they are not."""
        if not more:
            return view
        view = view.model_copy(update={"warnings": [*view.warnings, *more]})
        if key is not None:
            verdict = (view.changed, view.message) if isinstance(view, CommandAnswer) else (True, "")
            warnings = [warning.model_dump(mode="json") for warning in view.warnings]
            try:
                values = (key.client_id, key.command_id, key.fingerprint, key.kind)
                await self._database.write(_WARN, *values, *verdict, warnings)
            except DirectoryAway as away:
                log.warning("warnings_not_kept", client_id=key.client_id, command=key.kind, error=str(away))
        return view


def with_warnings(view: ClientView, known: Answer) -> ClientView:
    """The client, with the warnings of what was answered then."""
    warnings = [WarningView(code=caution.code, text=caution.text) for caution in known.warnings]
    return view.model_copy(update={"warnings": warnings})


def _verdict(row: Mapping[str, Any], key: Key) -> Answer:
    if (row["client_id"], row["fingerprint"]) != (key.client_id, key.fingerprint):
        other = f", to create client {row['client_id']}" if row["client_id"] != key.client_id else ""
        raise key_reused(key.command_id, other)
    if row["refusal"] is not None:
        raise refusal_again(row["refusal"])
    warnings = tuple(Caution(warning["code"], warning["text"]) for warning in row["warnings"])
    return Answer(key.command_id, key.fingerprint, row["changed"], row["message"], row["kind"], warnings=warnings)
