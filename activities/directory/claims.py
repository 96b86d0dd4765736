"""What must be unique: billing references and external ids, in any case, and numbers. One client holds each row.

The first transaction wins: a second one waits for it and then sees its row. They are taken in this order, and each sort
in its own order, so that no deadlock is possible. References and external ids stay with a client that has ended.
"""

from collections.abc import Collection

import asyncpg

from activities.settings import can_exist
from workflows.domain.text import folded
from workflows.ports import Claim, LostClaim

# One that the client has, in whatever case, is its own; another client's stops it, by its key or as it is written.
_TAKE_REF = """
WITH own AS (SELECT key FROM billing_refs WHERE client_id = $2 AND (key = $4 OR billing_ref = $1)), taken AS (
INSERT INTO billing_refs (billing_ref, client_id, generated, key) SELECT $1, $2, $3, $4 WHERE NOT EXISTS (TABLE own)
ON CONFLICT DO NOTHING RETURNING key)
TABLE own UNION ALL TABLE taken"""

_PENDING_REF = """
SELECT billing_ref FROM billing_refs WHERE client_id = $1 AND generated AND billing_ref <> ALL($2) LIMIT 1"""

_TAKE_IDS = """
INSERT INTO external_ids AS x (external_id, client_id) SELECT w.id, $2 FROM unnest($1::text[]) AS w(id) ORDER BY w.id
ON CONFLICT (external_id) DO UPDATE SET client_id = excluded.client_id WHERE x.client_id = excluded.client_id
RETURNING external_id"""

_TAKE_NUMBERS = """
INSERT INTO numbers AS n (number, client_id, revision) SELECT w.number, $2, $3 FROM unnest($1::text[]) AS w(number)
ORDER BY w.number
ON CONFLICT (number) DO UPDATE SET revision = greatest(n.revision, excluded.revision)
WHERE n.client_id = excluded.client_id RETURNING number"""


class Lost(Exception):
    """Another client was first, or the number cannot exist. Carries the refusal."""

    def __init__(self, type_: str, field: str, why: str, remedy: str) -> None:
        super().__init__(why)
        self.claim = LostClaim(type_, field, why, remedy)


class Holdings:
    """What one client claims, in the transaction of one publication at ``revision``, which then lets go of all that it
    does not name."""

    def __init__(self, connection: asyncpg.Connection, client_id: str, revision: int) -> None:
        self._connection, self._client_id, self._revision = connection, client_id, revision

    async def take(self, claim: Claim, known: Collection[str]) -> str | None:
        """Hold the reference of a claim, a generated one if it is empty, none if it is None; its external ids and its
        numbers. Returns the reference. Raises Lost when another client holds one of them, or a number cannot exist.

        ``known`` are the references that the client has. Any other generated one was lost with its answer.
        """
        billing_ref, numbers = claim.billing_ref, claim.numbers
        if impossible := [number for number in numbers if not can_exist(number)]:
            why = f"{impossible[0]} is not a telephone number that can exist"
            remedy = "Give it in E.164 as its numbering plan has it, such as +442079460001"
            raise Lost("NumberNotValid", "lines", why, remedy)
        if billing_ref and not await self._took_ref(billing_ref, generated=False):
            why = f"Billing reference {billing_ref} belongs to another client"
            remedy = "Choose another, or leave it blank to have one generated"
            raise Lost("BillingRefTaken", "billing_ref", why, remedy)
        if billing_ref == "":
            billing_ref = await self._allot_ref(known)
        await self._take_ids(claim.external_ids)
        values = sorted(set(numbers)), self._client_id, self._revision
        rows = await self._connection.fetch(_TAKE_NUMBERS, *values) if numbers else []
        if strangers := sorted({*numbers} - {row["number"] for row in rows}):
            why = f"{', '.join(strangers)} {'belongs' if len(strangers) == 1 else 'belong'} to another client"
            raise Lost("NumberTaken", "lines", why, "Choose another number, or have it ceased there first")
        return billing_ref

    async def _take_ids(self, external_ids: Collection[str]) -> None:
        ids = {folded(name): name for name in external_ids}
        rows = await self._connection.fetch(_TAKE_IDS, sorted(ids), self._client_id) if ids else []
        if strangers := sorted({*ids} - {row["external_id"] for row in rows}):
            names = ", ".join(ids[key] for key in strangers)
            why = f"External id {names} belongs to another client"
            raise Lost("ExternalIdTaken", "external_ids", why, "Choose another, or take it from that client first")

    async def _allot_ref(self, known: Collection[str]) -> str:
        """Hold a generated reference: one that was generated before but whose answer was lost, or else the next free
        one."""
        pending: str | None = await self._connection.fetchval(_PENDING_REF, self._client_id, list(known))
        while pending is None:
            number: int = await self._connection.fetchval("SELECT nextval('billing_ref_numbers')")
            candidate = f"C{number:06d}"
            if await self._took_ref(candidate, generated=True):
                pending = candidate
        return pending

    async def _took_ref(self, billing_ref: str, *, generated: bool) -> bool:
        values = billing_ref, self._client_id, generated, folded(billing_ref)
        return await self._connection.fetchval(_TAKE_REF, *values) is not None
