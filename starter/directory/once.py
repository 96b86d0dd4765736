"""Requests that are done once under their Idempotency-Key, and answered again: those that are no command to a client.

What is asked for and its answer are written in one transaction, so whoever asks again, after a lost answer too, hears
the first verdict. A request that could not be judged (something is away, or what it is about does not exist) leaves no
trace, and is judged anew.
"""

from collections.abc import Awaitable, Callable
from copy import copy
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel

from starter.directory.paging import DirectoryDatabase
from starter.directory.reads import DirectoryReads
from starter.errors import NoSuchClient, key_reused, refusal_again
from workflows.domain.errors import Refusal

A = TypeVar("A", bound=BaseModel)

_CLAIM = """
INSERT INTO request_answers (caller, client_id, key, fingerprint) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING RETURNING key"""

_FIND = "SELECT fingerprint, answer, refusal FROM request_answers WHERE (caller, client_id, key) = ($1, $2, $3)"

_KEEP = "UPDATE request_answers SET answer = $4, refusal = $5 WHERE (caller, client_id, key) = ($1, $2, $3)"


@dataclass(frozen=True)
class KeyedRequest:
    """One request of a caller about a client, or about none, and the fingerprint of its route and body. ``fresh``:
    nobody used this key before."""

    caller: str
    client_id: str
    key: str
    fingerprint: str
    fresh: bool


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
        key = (request.caller, request.client_id, request.key)
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


async def _again(database: DirectoryDatabase, request: KeyedRequest, answer: type[A]) -> A:
    rows = await database.read(_FIND, request.caller, request.client_id, request.key)
    if not rows:  # the key is this caller's, but its client is none of those that it sees now
        raise NoSuchClient(request.client_id)
    row = rows[0]
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
