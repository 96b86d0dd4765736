"""Requests that are done once under their Idempotency-Key, and answered again: those that are no command to a client.

What is asked for and its answer are written in one transaction, so whoever asks again, after a lost answer too, hears
the first verdict. A request that could not be judged (something is away, or what it is about does not exist) leaves no
trace, and is judged anew.

Commands (answers.py) claim their keys in the same table, so that a key is one request of its caller, of whatever kind.
It has digests of the keys: callers may have put anything into them.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import BaseModel

from starter.directory.paging import DirectoryDatabase
from starter.directory.reads import DirectoryReads
from starter.errors import NoSuchClient, key_reused, refusal_again
from workflows.domain.errors import Refusal

A = TypeVar("A", bound=BaseModel)

_CLAIM = """
INSERT INTO request_answers (caller, client_id, key, fingerprint) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING RETURNING key"""


def claim_of(*values: str) -> str:
    """A statement by which a key is a request's from now on, unless it is another's. It answers whose it is, and what
    that was answered; it waits while a transaction decides so. ``values`` are the parameters: those of a request's
    place, and its fingerprint."""
    return f"""
INSERT INTO request_answers AS r (caller, client_id, key, fingerprint) VALUES ({", ".join(values)})
ON CONFLICT (caller, client_id, key) DO UPDATE SET fingerprint = r.fingerprint
RETURNING fingerprint, answer, refusal"""  # noqa: S608  # names of parameters


_HAVE = claim_of("$1", "$2", "$3", "$4")

_FIND = "SELECT fingerprint, answer, refusal FROM request_answers WHERE (caller, client_id, key) = ($1, $2, $3)"

_KEEP = "UPDATE request_answers SET answer = $4, refusal = $5 WHERE (caller, client_id, key) = ($1, $2, $3)"

_KEEP_FIRST = """
INSERT INTO request_answers AS r (caller, client_id, key, fingerprint, answer, refusal) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (caller, client_id, key) DO UPDATE SET answer = excluded.answer, refusal = excluded.refusal
WHERE r.answer IS NULL AND r.refusal IS NULL AND r.fingerprint = excluded.fingerprint"""


def digest_of_key(command_id: str) -> str:
    """What is kept of a key, by the ``command_id`` that it is: 64 letters and digits."""
    return hashlib.sha256(command_id.encode()).hexdigest()


@dataclass(frozen=True)
class KeyedRequest:
    """One request of a caller about a client, or about none, and the fingerprint of its route and body. ``fresh``:
    nobody used this key before. ``command_id``: what the key is, with whose it is."""

    caller: str
    client_id: str
    key: str
    command_id: str
    fingerprint: str
    fresh: bool

    @property
    def place(self) -> tuple[str, str, str]:
        """Where it is kept."""
        return self.caller, self.client_id, digest_of_key(self.command_id)


async def once(
    directory: DirectoryReads,
    request: KeyedRequest,
    answer: type[A],
    work: Callable[[DirectoryReads], Awaitable[A]],
    again: Callable[[A], Refusal] | None = None,
) -> A:
    """The answer of ``work``, which is done with the directory as one transaction has it; or, to the same request
    again, its first answer, which was written in the same transaction. ``again`` makes the refusal that the same
    request meets instead, where an answer may not be kept.

    Raises the Refusal that it met, then and again; CommandIdReused for another request under the key; NoSuchClient,
    DirectoryAway.
    """

    async def answer_once(database: DirectoryDatabase) -> A | Refusal:
        key = request.place
        if request.fresh:
            return await work(_with(directory, database))
        if not await database.write(_CLAIM, *key, request.fingerprint):  # waits while another request has the key
            return await _again(database, request, answer)
        try:
            result = await database.as_a_whole(lambda nested: work(_with(directory, nested)))
        except Refusal as refusal:
            await database.write(_KEEP, *key, None, refusal.typed_facts)
            return refusal
        columns = (None, again(result).typed_facts) if again else (result.model_dump(mode="json"), None)
        await database.write(_KEEP, *key, *columns)
        return result

    outcome = await directory.database.as_a_whole(answer_once)
    if isinstance(outcome, Refusal):
        raise outcome
    return outcome


async def once_answered(
    directory: DirectoryReads, request: KeyedRequest, answer: type[A], work: Callable[[], Awaitable[A]]
) -> A:
    """As ``once``, for work that does nothing more and has the same answer when it is done again: no connection is
    held meanwhile. A refusal is kept, too."""
    if request.fresh:
        return await work()
    row = (await directory.database.write(_HAVE, *request.place, request.fingerprint))[0]
    if row["fingerprint"] != request.fingerprint or row["answer"] is not None or row["refusal"] is not None:
        return _first_answer(row, request, answer)
    try:
        result = await work()
    except Refusal as refusal:
        await directory.database.write(_KEEP_FIRST, *request.place, request.fingerprint, None, refusal.typed_facts)
        raise
    await directory.database.write(
        _KEEP_FIRST, *request.place, request.fingerprint, result.model_dump(mode="json"), None
    )
    return result


async def _again(database: DirectoryDatabase, request: KeyedRequest, answer: type[A]) -> A:
    rows = await database.read(_FIND, *request.place)
    if not rows:  # the key is this caller's, but its client is none of those that it sees now
        raise NoSuchClient(request.client_id)
    return _first_answer(rows[0], request, answer)


def _first_answer(row: Mapping[str, Any], request: KeyedRequest, answer: type[A]) -> A:
    if row["fingerprint"] != request.fingerprint:
        raise key_reused(request.key)
    if row["refusal"] is not None:
        raise refusal_again(row["refusal"])
    return answer.model_validate(row["answer"])


def _with(directory: DirectoryReads, database: DirectoryDatabase) -> DirectoryReads:
    """The same reads and writes, by this database."""
    other = copy(directory)
    other.database = database
    return other
