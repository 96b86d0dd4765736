"""What commands were answered, kept by the directory: the first verdict on an Idempotency-Key stands.

What clients obeyed and recorded is written there by their publications (activities/directory/publish.py); a refusal
that no workflow has a trace of is written here before it is answered.

Before anything is done under a key, its caller's other requests are asked after (once.py): a key is one request.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from starter.directory.once import claim_of, digest_of_key
from starter.directory.paging import DirectoryDatabase
from starter.errors import DirectoryAway, DirectoryNotWritable, key_reused, refusal_again
from workflows.domain.answers import CREATE, Answer, Caution, answer_of_refusal, fingerprint
from workflows.domain.errors import Refusal
from workflows.wire.messages import AnyMessage
from workflows.wire.previews import WarningView
from workflows.wire.views import ClientView, CommandAnswer

View = TypeVar("View", bound=ClientView)
log = structlog.get_logger(__name__)

# $4 is the command_id as refusals are kept under it.
_FIND = """
SELECT client_id, fingerprint, kind, changed, message, refusal, warnings FROM answers
WHERE (client_id = $1 AND command_id IN ($2, $4)) OR ($3 AND command_id = $2 AND kind = 'create' AND refusal IS NULL)
ORDER BY client_id <> $1, refusal IS NOT NULL LIMIT 1"""

_CLAIM_AND_FIND = f"""
WITH claim AS ({claim_of("$5", "$6", "$7", "$8")})
SELECT claim.fingerprint AS claimed, known.* FROM claim LEFT JOIN ({_FIND}) known ON true"""  # noqa: S608  # statements of ours

_KEEP = """
INSERT INTO answers (client_id, command_id, fingerprint, kind, changed, message, refusal)
SELECT $1, $7, $3, $4, false, $5, $6 WHERE NOT EXISTS (SELECT FROM answers WHERE (client_id, command_id) = ($1, $2))
ON CONFLICT DO NOTHING"""

# The client's publication may come before this or after: what it then finds stays.
_WARN = """
INSERT INTO answers AS k (client_id, command_id, fingerprint, kind, changed, message, warnings)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (client_id, command_id) DO UPDATE SET warnings = excluded.warnings
WHERE (k.fingerprint, k.refusal IS NULL) = (excluded.fingerprint, true)"""


@dataclass(frozen=True)
class Key:
    """One command of a caller to one client, and the fingerprint of its content."""

    client_id: str
    command_id: str
    fingerprint: str
    kind: str
    by: str

    @classmethod
    def of(cls, client_id: str, message: AnyMessage) -> "Key":
        """That of a command."""
        return cls(client_id, message.command_id, fingerprint(message.command()), message.kind, message.by)

    @property
    def kept_as(self) -> str:
        """What a refusal is kept under: that of a new client may be of an id which no client ever has, and so is never
        erased."""
        return digest_of_key(self.command_id) if self.kind == CREATE else self.command_id

    @property
    def claim(self) -> tuple[str, str, str, str]:
        """What the key is claimed by, among all requests of the caller."""
        about = "" if self.kind == CREATE else self.client_id
        return self.by, about, digest_of_key(self.command_id), self.fingerprint


class Answers:
    """The verdicts. Its methods raise DirectoryAway when the database does not answer."""

    def __init__(self, database: DirectoryDatabase) -> None:
        self._database = database

    async def find(self, key: Key) -> Answer | None:
        """What this very command was answered, if it was obeyed; None: nothing is known of it.

        Raises the refusal that it met, or CommandIdReused where the key was used for something else.
        """
        rows = await self._database.read(_FIND, *_places(key))
        return _verdict(rows[0], key) if rows else None

    async def claim(self, key: Key) -> Answer | None:
        """As ``find``; from now on the key is this command's, and other requests under it are refused."""
        try:
            row = (await self._database.write(_CLAIM_AND_FIND, *_places(key), *key.claim))[0]
        except DirectoryNotWritable:
            return await self.find(key)
        if row["client_id"] is not None:
            return _verdict(row, key)
        if row["claimed"] != key.fingerprint:
            raise key_reused(key.command_id)
        return None

    async def keep(self, key: Key, refusal: Refusal) -> Answer | None:
        """Have a refusal stand, unless there is a verdict already; then it is as ``find`` has it."""
        answer = answer_of_refusal(key.command_id, key.fingerprint, key.kind, refusal)
        values = (key.client_id, key.command_id, key.fingerprint, key.kind, answer.message, answer.refusal)
        await self._database.write(_KEEP, *values, key.kept_as)
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


def _places(key: Key) -> tuple[object, ...]:
    return key.client_id, key.command_id, key.kind == CREATE, key.kept_as


def _verdict(row: Mapping[str, Any], key: Key) -> Answer:
    if (row["client_id"], row["fingerprint"]) != (key.client_id, key.fingerprint):
        other = f", to create client {row['client_id']}" if row["client_id"] != key.client_id else ""
        raise key_reused(key.command_id, other)
    if row["refusal"] is not None:
        raise refusal_again(row["refusal"])
    warnings = tuple(Caution(warning["code"], warning["text"]) for warning in row["warnings"])
    return Answer(key.command_id, key.fingerprint, row["changed"], row["message"], row["kind"], warnings=warnings)
