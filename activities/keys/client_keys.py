"""The keys of clients: each client's payloads are encrypted with a key of its own, and destroying it erases them."""

import secrets
import time
from collections import OrderedDict
from collections.abc import Collection, Mapping

import asyncpg
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from activities.database import DRIVER_ERRORS, Database
from activities.errors import safe_message, tls_remedy
from activities.keys.operator_keys import LENGTH, KeyMissing, OperatorKeys

NOBODY = "*"
"""Who owns what belongs to no client: other workflows, and messages to clients that there are not."""

CACHED = 20_000
"""Keys in memory, at most: about 20 MB."""

SECONDS = 3600.0
"""A key is read anew after so long, so that one that was destroyed leaves every process."""

_FIND = "SELECT client_id, key_id, wrapped FROM client_keys WHERE client_id = ANY($1)"

# A row that another transaction has just made may not be seen: the caller asks again.
_MAKE = """
WITH made AS (
INSERT INTO client_keys (client_id, key_id, wrapped) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
RETURNING client_id, key_id, wrapped)
TABLE made UNION ALL SELECT client_id, key_id, wrapped FROM client_keys WHERE client_id = $1"""

_DESTROY = """
INSERT INTO client_keys AS k (client_id, key_id, destroyed_at) SELECT id, '', now() FROM unnest($1::text[]) AS w(id)
ON CONFLICT (client_id) DO UPDATE SET wrapped = NULL, destroyed_at = now() WHERE k.wrapped IS NOT NULL"""

_DESTROYED = "SELECT client_id FROM client_keys WHERE wrapped IS NULL"

_OLD = "SELECT client_id, key_id, wrapped FROM client_keys WHERE wrapped IS NOT NULL AND key_id <> $1 LIMIT 500"

_REWRAP = """
UPDATE client_keys k SET key_id = $1, wrapped = w.wrapped
FROM unnest($2::text[], $3::text[], $4::bytea[]) AS w(client_id, key_id, wrapped)
WHERE k.client_id = w.client_id AND k.key_id = w.key_id AND k.wrapped IS NOT NULL"""

IN_USE = """
SELECT key_id, count(*) AS clients FROM client_keys WHERE wrapped IS NOT NULL
GROUP BY key_id ORDER BY key_id"""


class KeysAway(Exception):
    """A client's key cannot be read now: its database does not answer, or the operator's key is missing here. What was
    to be read or written with it waits."""


class KeysMissing(KeysAway):
    """Clients' keys are under keys of the operator that this process does not have. ``used`` counts clients by key."""

    def __init__(self, used: Mapping[str, int]) -> None:
        which = ", ".join(f"{key} ({count} clients)" for key, count in used.items())
        super().__init__(
            f"A key of the operator is missing or wrong: clients are encrypted under {which}. Put it into "
            "CONNECT_ENCRYPTION_KEYS_FILE, behind a newer one if there is one, and start again. Nothing is lost"
        )


class KeyDestroyed(Exception):
    """The client was erased: nothing of it can be read any more."""


class ClientKeys:
    """Makes, reads and destroys the keys of clients, and keeps those in use in memory."""

    def __init__(self, database: Database, operator: OperatorKeys) -> None:
        self._database, self.operator = database, operator
        self._cached: OrderedDict[str, tuple[float, AESGCM]] = OrderedDict()
        self._checked = False

    async def check(self) -> list[str]:
        """Make sure that these operator's keys open every client's. Returns what else an operator should hear of them.
        Raises KeysMissing, or KeysAway."""
        used = await keys_in_use(self._database)
        check_used(used, self.operator)
        self._checked = True
        old = sum(count for key, count in used.items() if key != self.operator.first)
        return [f"{old} clients' keys are under an older key of the operator: run `connect keys rotate`"] if old else []

    def cached(self, owner: str) -> AESGCM | None:
        """A key that is in memory."""
        known = self._cached.get(owner)
        if known is None or known[0] < time.monotonic():
            return None
        self._cached.move_to_end(owner)
        return known[1]

    async def find(self, owner: str) -> AESGCM | None:
        """A client's key; None: it has none (yet). Raises KeysAway, KeyDestroyed."""
        if known := self.cached(owner):
            return known
        rows = await self._query(_FIND, [owner])
        return self._opened(rows[0]) if rows else None

    async def make(self, owner: str) -> AESGCM:
        """A client's key, which is made if there is none. Raises KeysAway, KeyDestroyed, or KeysMissing: who cannot
        read what there is makes nothing that others cannot read."""
        if known := self.cached(owner):
            return known
        if not self._checked:
            await self.check()
        fresh = self.operator.wrap(owner, secrets.token_bytes(LENGTH))
        rows = await self._query(_MAKE, owner, *fresh) or await self._query(_FIND, [owner])
        return self._opened(rows[0])

    async def fresh(self, owners: Collection[str]) -> dict[str, AESGCM]:
        """Keys as they are in the database at this moment, without those that there are not, or not any more. Raises
        KeysAway."""
        rows = await self._query(_FIND, list(owners))
        return {row["client_id"]: self._opened(row) for row in rows if row["wrapped"] is not None}

    async def destroy(self, client_ids: Collection[str]) -> None:
        """Destroy the keys of clients, for good: none is ever made again. Raises KeysAway."""
        await destroy(self._database, client_ids)
        for client_id in client_ids:
            self._cached.pop(client_id, None)

    async def rewrap(self) -> int:
        """Bring every key under the operator's first key. Returns how many there were. Raises KeysAway."""
        count = 0
        while rows := await self._query(_OLD, self.operator.first):
            ids, olds = [row["client_id"] for row in rows], [row["key_id"] for row in rows]
            fresh = [self.operator.wrap(row["client_id"], self._unwrapped(row))[1] for row in rows]
            await self._query(_REWRAP, self.operator.first, ids, olds, fresh)
            count += len(rows)
        return count

    async def _query(self, statement: str, *values: object) -> list[asyncpg.Record]:
        return await query(self._database, statement, *values)

    def _unwrapped(self, row: asyncpg.Record) -> bytes:
        try:
            return self.operator.unwrap(row["client_id"], row["key_id"], row["wrapped"])
        except KeyMissing as missing:
            raise KeysAway(f"{missing}: put it into CONNECT_ENCRYPTION_KEYS_FILE, and start again") from missing

    def _opened(self, row: asyncpg.Record) -> AESGCM:
        owner = row["client_id"]
        if row["wrapped"] is None:
            raise KeyDestroyed(f"Client {owner} was erased")
        key = AESGCM(self._unwrapped(row))
        self._cached[owner] = time.monotonic() + SECONDS, key
        self._cached.move_to_end(owner)
        if len(self._cached) > CACHED:
            self._cached.popitem(last=False)
        return key


def check_used(used: Mapping[str, int], operator: OperatorKeys | None) -> None:
    """Raises KeysMissing unless the operator's keys open those of all clients."""
    if missing := {key: count for key, count in used.items() if operator is None or key not in operator}:
        raise KeysMissing(missing)


async def keys_in_use(database: Database) -> dict[str, int]:
    """How many clients' keys are under each of the operator's. Raises KeysAway."""
    return {row["key_id"]: row["clients"] for row in await query(database, IN_USE)}


async def destroy(database: Database, client_ids: Collection[str]) -> None:
    """Destroy the keys of clients, for good. Raises KeysAway."""
    await query(database, _DESTROY, list(client_ids))


async def destroyed(database: Database) -> set[str]:
    """The clients whose keys were destroyed. Raises KeysAway."""
    return {row["client_id"] for row in await query(database, _DESTROYED)}


async def query(database: Database, statement: str, *values: object) -> list[asyncpg.Record]:
    """The rows of a statement, from where what was just made is seen. Raises KeysAway."""
    try:
        return await database.write(statement, *values)
    except asyncpg.UndefinedTableError as error:
        raise KeysAway(f"The {database} has no table of clients' keys: run `connect migrate`") from error
    except DRIVER_ERRORS as error:
        why = f"{safe_message(error)}. {remedy}" if (remedy := tls_remedy(error, database)) else type(error).__name__
        raise KeysAway(f"The {database} does not give clients' keys: {why}") from error
