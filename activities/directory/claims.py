"""What must be unique: billing references and numbers. One client holds each row of their tables.

The first transaction wins: a second one waits for it and then sees its row. References are taken before numbers, and
numbers in sorted order, so that no deadlock is possible.
"""

from collections.abc import Collection, Iterable

import asyncpg
import phonenumbers

from workflows.ports import LostClaim

_TAKE_REF = """
INSERT INTO billing_refs AS r (billing_ref, client_id, generated) VALUES ($1, $2, $3)
ON CONFLICT (billing_ref) DO UPDATE SET client_id = excluded.client_id WHERE r.client_id = excluded.client_id
RETURNING billing_ref"""

_PENDING_REF = """
SELECT billing_ref FROM billing_refs WHERE client_id = $1 AND generated AND billing_ref <> ALL($2) LIMIT 1"""

# The same round trip returns what else the client holds: the SELECTs see what was there before.
_TAKE_NUMBERS = """
WITH taken AS (
  INSERT INTO numbers AS n (number, client_id, revision) SELECT w.number, $2, $3 FROM unnest($1::text[]) AS w(number)
  ORDER BY w.number
  ON CONFLICT (number) DO UPDATE SET revision = greatest(n.revision, excluded.revision)
  WHERE n.client_id = excluded.client_id RETURNING number)
SELECT ARRAY(SELECT number FROM taken) AS taken,
  ARRAY(SELECT number FROM numbers WHERE client_id = $2) AS numbers,
  ARRAY(SELECT billing_ref FROM billing_refs WHERE client_id = $2) AS refs"""

_RELEASE_REFS = "DELETE FROM billing_refs WHERE client_id = $1 AND billing_ref <> ALL($2)"

_RELEASE_NUMBERS = "DELETE FROM numbers WHERE client_id = $1 AND number <> ALL($2) AND revision <= $3"


class Lost(Exception):
    """Another client was first, or the number cannot exist. Carries the refusal."""

    def __init__(self, claim: LostClaim) -> None:
        super().__init__(claim.why)
        self.claim = claim


class Holdings:
    """What one client holds, in the transaction of one publication at ``revision``.

    ``keep`` releases everything that is not named to it. Call ``take_numbers`` or ``missing_numbers`` first, even
    without numbers: they read what the client holds. Nobody else changes it meanwhile, because that needs the client's
    row lock.
    """

    def __init__(self, connection: asyncpg.Connection, client_id: str, revision: int) -> None:
        self._connection, self._client_id, self._revision = connection, client_id, revision
        self._refs: set[str] = set()
        self._numbers: set[str] = set()

    async def take_ref(self, billing_ref: str) -> None:
        """Hold this reference. Raises Lost when another client does."""
        if billing_ref not in self._refs and not await self._took_ref(billing_ref, generated=False):
            raise Lost(
                LostClaim(
                    "BillingRefTaken",
                    "billing_ref",
                    f"Billing reference {billing_ref} belongs to another client",
                    "Choose another, or leave it blank to have one generated",
                )
            )

    async def allot_ref(self, shown: Collection[str]) -> str:
        """Hold a generated reference: one that was generated before but whose answer was lost, or else the next free
        one.

        ``shown`` are the references that the client knows. Any other generated one was lost with its answer.
        """
        pending: str | None = await self._connection.fetchval(_PENDING_REF, self._client_id, list(shown))
        while pending is None:
            number: int = await self._connection.fetchval("SELECT nextval('billing_ref_numbers')")
            candidate = f"C{number:06d}"
            if await self._took_ref(candidate, generated=True):
                pending = candidate
        return pending

    async def take_numbers(self, numbers: Collection[str]) -> None:
        """Hold these numbers. Raises Lost when another client holds one."""
        if strangers := await self.missing_numbers(numbers):
            raise Lost(
                LostClaim(
                    "NumberTaken",
                    "lines",
                    f"{', '.join(strangers)} {'belongs' if len(strangers) == 1 else 'belong'} to another client",
                    "Choose another number, or have it ceased there first",
                )
            )

    async def missing_numbers(self, numbers: Collection[str]) -> list[str]:
        """Hold the free ones of these numbers, and return the others."""
        unique = sorted(set(numbers))
        row = await self._connection.fetchrow(_TAKE_NUMBERS, unique, self._client_id, self._revision)
        self._numbers.update(row["numbers"], row["taken"])
        self._refs.update(row["refs"])
        return sorted(set(unique).difference(row["taken"]))

    async def keep(self, refs: Collection[str], numbers: Collection[str]) -> None:
        """Release everything else, except numbers that a later revision took."""
        if not self._refs <= set(refs):
            await self._connection.execute(_RELEASE_REFS, self._client_id, list(refs))
        if not self._numbers <= set(numbers):
            await self._connection.execute(_RELEASE_NUMBERS, self._client_id, list(numbers), self._revision)

    async def _took_ref(self, billing_ref: str, *, generated: bool) -> bool:
        taken = await self._connection.fetchval(_TAKE_REF, billing_ref, self._client_id, generated)
        if taken is not None:
            self._refs.add(billing_ref)
        return taken is not None


def not_valid(numbers: Iterable[str]) -> LostClaim | None:
    """The refusal of the first number that is in no country's numbering plan, if there is one."""
    for number in numbers:
        if not _valid(number):
            return LostClaim(
                "NumberNotValid",
                "lines",
                f"{number} is not a telephone number that can exist",
                "Give it in E.164 as its numbering plan has it, such as +442079460001",
            )
    return None


def _valid(number: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False
