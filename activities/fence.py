"""The fence: no late attempt undoes a later decision, and nobody switches what another client owns.

It is the table ``connect_fence`` (deploy/fence.sql), read and written in the transaction of the change itself.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import asyncpg

from activities.errors import stale_revision
from workflows.domain.systems import System

OWN_SECRET = "its own"  # noqa: S105  # words, not a secret
"""The word in evidence for a secret from before Connect."""

_ADVANCE = """
INSERT INTO connect_fence AS f (system, subject, client_id, revision) VALUES ($1, 'client:' || $2, $2, $3)
ON CONFLICT (system, subject) DO UPDATE SET revision = excluded.revision, changed_at = now()
WHERE f.revision <= excluded.revision RETURNING f.revision"""

_NEWEST = "SELECT revision FROM connect_fence WHERE system = $1 AND subject = 'client:' || $2"

_OWNERS = """
SELECT subject, client_id, secret_version, secret_derived FROM connect_fence
WHERE system = $1 AND subject = ANY($2) ORDER BY subject FOR UPDATE"""

_OWN = """
INSERT INTO connect_fence AS f
  (system, subject, client_id, revision, secret_version, secret_derived, changed_at)
SELECT $1, w.subject, $2, $3, $4, w.derived, clock_timestamp()
FROM unnest($5::text[], $6::boolean[]) AS w(subject, derived) ORDER BY w.subject
ON CONFLICT (system, subject) DO UPDATE SET client_id = excluded.client_id, revision = excluded.revision,
  secret_version = excluded.secret_version, secret_derived = excluded.secret_derived, changed_at = excluded.changed_at
WHERE (f.client_id, f.secret_version, f.secret_derived)
  IS DISTINCT FROM (excluded.client_id, excluded.secret_version, excluded.secret_derived)"""


@dataclass(frozen=True)
class Owner:
    """The client that owns a line or account, and the secret that it has."""

    client_id: str
    secret_version: int
    derived: bool


@dataclass(frozen=True)
class Verdict:
    """What an order may do to each line or account.

    ``elsewhere`` are ordered off but belong to another client: they count as off and are left alone. ``touched`` are
    set as ordered, and ``rekeyed`` get their derived secret. What the system does not know and should be off stays
    unknown. ``owned``: for everything touched, whether its secret is then a derived one. ``owners``: who owned it
    before.
    """

    elsewhere: frozenset[str]
    touched: frozenset[str]
    rekeyed: frozenset[str]
    owned: Mapping[str, bool]
    owners: Mapping[str, Owner]


class Fence:
    """The fence of one system, whose ``kind`` of subjects are lines or accounts."""

    def __init__(self, system: System, kind: str) -> None:
        self._system, self._kind = system, kind

    async def pass_through(self, connection: asyncpg.Connection, client_id: str, revision: int) -> None:
        """Keep older revisions of this client out from now on. Raises StaleRevision if this order is one.

        Orders of one client wait here for each other until their transactions end.
        """
        if await connection.fetchval(_ADVANCE, self._system, client_id, revision) is None:
            newest = await connection.fetchval(_NEWEST, self._system, client_id)
            raise stale_revision(f"The {self._system} system", client_id, revision, newest)

    async def owners(self, connection: asyncpg.Connection, names: Collection[str]) -> dict[str, Owner]:
        """The owners of these lines or accounts. Call it after locking the system's own rows: a transaction that
        changed those has written here, too."""
        rows = await connection.fetch(_OWNERS, self._system, [self._subject(name) for name in sorted(names)])
        return {
            row["subject"].removeprefix(self._subject("")): Owner(
                row["client_id"], row["secret_version"], row["secret_derived"]
            )
            for row in rows
        }

    async def own(
        self, connection: asyncpg.Connection, client_id: str, revision: int, version: int, verdict: Verdict
    ) -> None:
        """Record the owner of these, and that their secrets have this version, where that is new."""
        owned = verdict.owned
        if all(verdict.owners.get(name) == Owner(client_id, version, derived) for name, derived in owned.items()):
            return
        subjects = [self._subject(name) for name in owned]
        await connection.execute(_OWN, self._system, client_id, revision, version, subjects, list(owned.values()))

    def _subject(self, name: str) -> str:
        return f"{self._kind}:{name}"


def judge(
    client_id: str, version: int, wanted: Mapping[str, bool], known: Collection[str], owners: Mapping[str, Owner]
) -> Verdict:
    """What an order of a client may do to each line or account, by what the system knows and who owns it.

    Numbers are released only after they were proven off. So an order that switches on what another client owns takes
    it over, and one that switches it off is late and must not cut the other client's service.
    """
    elsewhere, touched, rekeyed, owned = set(), set(), set(), {}
    for name, on in wanted.items():
        owner = owners.get(name)
        if not on and owner and owner.client_id != client_id:
            elsewhere.add(name)
        elif on or name in known:
            touched.add(name)
            if _needs_secret(name in known, owner, client_id, version):
                rekeyed.add(name)
            owned[name] = name in rekeyed or (owner is not None and owner.derived)
    return Verdict(frozenset(elsewhere), frozenset(touched), frozenset(rekeyed), owned, owners)


def _needs_secret(known: bool, owner: Owner | None, client_id: str, version: int) -> bool:
    """Whether a secret must be set: for a new one, one of another client, and one to be rotated. One from before
    Connect keeps its own."""
    if not known or owner is None:
        return not known
    return owner.client_id != client_id or owner.secret_version < version


def describe_secret(owner: Owner | None) -> str:
    """The secret of a line or account, as evidence names it."""
    if owner is None:
        return "unknown"
    return f"derived, version {owner.secret_version}" if owner.derived else OWN_SECRET
