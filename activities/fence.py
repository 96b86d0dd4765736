"""The fence: no late attempt undoes a later decision, and nobody switches what another client owns.

It is the table ``connect_fence`` (deploy/fence.sql), read and written in the transaction of the change itself.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import asyncpg
import structlog

from activities.database import Database
from activities.errors import OF_A_ROW, stale_revision, translated
from workflows.domain.provisioning.standing import Doubt, Proof
from workflows.domain.systems import System
from workflows.ports import Ensure

T = TypeVar("T")

OWN_SECRET = "its own"  # noqa: S105  # words, not a secret
"""The word in evidence for a secret from before Connect."""

TRIES = 3
"""How often a change is made anew because another order changed the same rows meanwhile."""

EACH_LOCK, ALL_LOCKS = 200, 2000
"""Milliseconds that a line or account which is changed by itself waits for a lock, and all of an order together."""

_LOCKED = (asyncpg.LockNotAvailableError, asyncpg.TransactionRollbackError)

# Everything that a change is decided from, in one round trip: what the client's fence was before and, if it lets the
# order pass, the system's own rows and the owners of what is ordered, locked.
_ENTER = """
WITH passed AS (
  INSERT INTO connect_fence AS f (system, subject, client_id, revision) VALUES ($1, 'client:' || $2, $2, $3)
  ON CONFLICT (system, subject) DO UPDATE SET revision = excluded.revision, changed_at = now()
  WHERE f.revision <= excluded.revision RETURNING revision),
found AS MATERIALIZED ({rows}),
owner AS MATERIALIZED (
  SELECT subject, client_id, secret_version, secret_derived AS derived FROM connect_fence
  WHERE system = $1 AND subject = ANY($4) AND EXISTS (SELECT FROM passed) ORDER BY subject FOR UPDATE)
SELECT EXISTS (SELECT FROM passed) AS passed, f.revision AS newest,
  f.changed_at > now() - interval '1 minute' AS lately, (SELECT jsonb_agg(r) FROM found r) AS rows,
  (SELECT jsonb_agg(o) FROM owner o) AS owners
FROM (VALUES (1)) AS once LEFT JOIN connect_fence f ON f.system = $1 AND f.subject = 'client:' || $2"""

_OWN = """
INSERT INTO connect_fence (system, subject, client_id, revision, secret_version, secret_derived, changed_at)
SELECT $1, w.subject, $2, $3, w.version, w.derived, clock_timestamp()
FROM unnest($4::text[], $5::int[], $6::boolean[]) AS w(subject, version, derived) ORDER BY w.subject
ON CONFLICT (system, subject) DO UPDATE SET client_id = excluded.client_id, revision = excluded.revision,
  secret_version = excluded.secret_version, secret_derived = excluded.secret_derived,
  changed_at = excluded.changed_at"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Owner:
    """The client that owns a line or account, and the secret that it has."""

    client_id: str
    secret_version: int
    derived: bool

    @classmethod
    def of(cls, row: asyncpg.Record) -> "Owner | None":
        """The owner in a row that was read back; None if there is none."""
        return cls(row["client_id"], row["secret_version"], row["secret_derived"]) if row["client_id"] else None


@dataclass(frozen=True)
class SeenLogin:
    """How a line or account was last seen: whether with its ``own`` secret, from before Connect; and ``known_as`` whom,
    where Connect would not have named it so."""

    own: bool
    known_as: tuple[str, ...] = ()

    @classmethod
    def of(cls, secret: str, known_as: str) -> "SeenLogin":
        """The login that evidence describes in these words."""
        return cls(secret == OWN_SECRET, tuple(known_logins(known_as)))


def known_logins(known_as: str) -> list[str]:
    """The logins that ``known_as`` of a finding lists, with commas between; none if it is empty."""
    return known_as.split(", ") if known_as else []


@dataclass(frozen=True)
class Entry:
    """What an order finds when it is let through: the system's own ``rows`` and the ``owners`` of what it names.

    ``lately``: this client was switched within a minute, perhaps by an attempt that died before it was done.
    """

    rows: list[dict[str, Any]]
    owners: Mapping[str, Owner]
    lately: bool


@dataclass(frozen=True)
class Verdict:
    """What an order may do to each line or account.

    ``elsewhere`` are ordered off but belong to another client: they count as off and are left alone. ``touched`` are
    set as ordered, and ``rekeyed`` get their derived secret. What the system does not know and should be off stays
    unknown. ``owners``: of everything touched, from then on.
    """

    elsewhere: frozenset[str]
    touched: frozenset[str]
    rekeyed: frozenset[str]
    owners: dict[str, Owner]


class Fence:
    """The fence of one system, whose ``kind`` of subjects are lines or accounts.

    ``rows`` selects the system's own rows of them and locks these, where a row of ``passed`` says that the order may;
    its parameters begin at $5.
    """

    def __init__(self, system: System, kind: str, rows: str) -> None:
        self._system, self._kind = system, kind
        self._enter = _ENTER.format(rows=rows)

    async def change(
        self,
        database: Database,
        order: Ensure,
        names: Collection[str],
        apply: Callable[[asyncpg.Connection, Sequence[str]], Awaitable[T]],
    ) -> tuple[list[T], dict[str, Doubt]]:
        """Apply an order to these lines or accounts in one transaction; if a row is locked or refused, to each by
        itself, so that it holds up no other.

        Returns the results, and the doubts about those that could not be changed. Raises the first error when none
        could. A change sees one snapshot: what another order changed meanwhile fails it, and it is made anew.
        """
        for again in reversed(range(TRIES)):
            try:
                async with database.transaction(snapshot=True) as connection:
                    return [await apply(connection, sorted(names))], {}
            except asyncpg.SerializationError:
                if not again:
                    raise
            except (*_LOCKED, *OF_A_ROW) as error:
                if len(names) < 2:
                    raise
                first = error
                break
        results, doubts = [], {}
        async with database.transaction(snapshot=True) as connection:
            share = max(1, min(EACH_LOCK, ALL_LOCKS // len(names)))
            await connection.execute(f"SET LOCAL lock_timeout = {share}; SET CONSTRAINTS ALL IMMEDIATE")
            for name in sorted(names):
                try:
                    async with connection.transaction():
                        results.append(await apply(connection, [name]))
                except (*_LOCKED, *OF_A_ROW) as error:
                    proof = Proof.NOT_PROVEN if isinstance(error, _LOCKED) else Proof.FAILED
                    doubts[name] = Doubt(proof, translated(error, database).message)
            if not results:
                raise first
        log.warning("changed_one_by_one", client_id=order.client_id, revision=order.revision, doubts=len(doubts))
        return results, doubts

    async def enter(
        self, connection: asyncpg.Connection, order: Ensure, names: Sequence[str], *values: object
    ) -> Entry:
        """Keep older revisions of this client out from now on. Raises StaleRevision if this order is one.

        Orders of one client wait here for each other until their transactions end. ``values`` are the parameters of
        the system's own rows.
        """
        subjects = [self._subject(name) for name in names]
        row = await connection.fetchrow(self._enter, self._system, order.client_id, order.revision, subjects, *values)
        if not row["passed"]:
            raise stale_revision(f"The {self._system} system", order.client_id, order.revision, row["newest"])
        owners = {o.pop("subject").removeprefix(self._subject("")): Owner(**o) for o in row["owners"] or []}
        return Entry(row["rows"] or [], owners, bool(row["lately"]))

    async def own(
        self, connection: asyncpg.Connection, order: Ensure, before: Mapping[str, Owner], after: Mapping[str, Owner]
    ) -> None:
        """Record the owners of these, and the versions of their secrets, where that is new."""
        if new := {name: owner for name, owner in after.items() if before.get(name) != owner}:
            versions = [owner.secret_version for owner in new.values()]
            derived = [owner.derived for owner in new.values()]
            subjects = [self._subject(name) for name in new]
            await connection.execute(_OWN, self._system, order.client_id, order.revision, subjects, versions, derived)

    def _subject(self, name: str) -> str:
        return f"{self._kind}:{name}"


def judge(order: Ensure, desired: Mapping[str, bool], known: Collection[str], owners: Mapping[str, Owner]) -> Verdict:
    """What an order may do to each line or account, by what the system knows and who owns it.

    Numbers are released only after they were proven off. So an order that switches on what another client owns takes
    it over, and one that switches it off is late and must not cut the other client's service.
    """
    elsewhere, touched, rekeyed, owned = set(), set(), set(), {}
    for name, on in desired.items():
        owner = owners.get(name)
        if not on and owner and owner.client_id != order.client_id:
            elsewhere.add(name)
        elif on or name in known:
            touched.add(name)
            if _needs_secret(order, name in known, owner):
                rekeyed.add(name)
            derived = name in rekeyed or (owner is not None and owner.derived)
            owned[name] = Owner(order.client_id, order.secret_version, derived)
    return Verdict(frozenset(elsewhere), frozenset(touched), frozenset(rekeyed), owned)


def _needs_secret(order: Ensure, known: bool, owner: Owner | None) -> bool:
    """Whether a secret must be set: for a new one, one of another client, and one to be rotated. One from before
    Connect keeps its own."""
    if not known or owner is None:
        return not known
    return owner.client_id != order.client_id or owner.secret_version < order.secret_version


def describe_secret(owner: Owner | None) -> str:
    """The secret of a line or account, as evidence names it."""
    if owner is None:
        return "unknown"
    return f"derived, version {owner.secret_version}" if owner.derived else OWN_SECRET
