"""The network: FreeRADIUS's tables ``radcheck`` and ``radreply`` (rlm_sql), as they stand when a router logs in.

Off is one row ``Auth-Type := Reject``: password and rates stay, PAP and CHAP are refused at once. Works with and
without constraints on these tables (FreeRADIUS's own schema has none): orders of one client wait at the fence.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

import asyncpg
import structlog
from temporalio import activity

from activities.database import Database
from activities.errors import attempt_on, not_proven
from activities.evidence import Evidences
from activities.fence import Fence, Owner, Verdict, judge, secret_told
from activities.secrets import radius_password
from workflows.domain.provisioning import Access
from workflows.domain.systems import System
from workflows.ports import EnsureAccess, Evidence, Finding, Internet, ObserveAccess

METHOD = "radcheck, radreply and radacct, read back on another connection"

OURS = (
    "Tunnel-Type:1",
    "Tunnel-Medium-Type:1",
    "Tunnel-Private-Group-Id:1",
    "Tunnel-Type",  # without a tag it would be a second VLAN beside ours: never set, only removed
    "Tunnel-Medium-Type",
    "Tunnel-Private-Group-Id",
    "WISPr-Bandwidth-Max-Down",
    "WISPr-Bandwidth-Max-Up",
    "Mikrotik-Rate-Limit",
)
"""Reply attributes that Connect sets or removes. All others of an account are left alone."""

_LOCK = """
SELECT username, attribute ILIKE '%password%' AS secret FROM radcheck
WHERE username = ANY($1) ORDER BY username, id FOR UPDATE"""

_FORGET_SECRETS = "DELETE FROM radcheck WHERE username = ANY($1) AND attribute ILIKE '%password%'"

_SET_SECRETS = """
INSERT INTO radcheck (username, attribute, op, value)
SELECT w.username, 'Cleartext-Password', ':=', w.value FROM unnest($1::text[], $2::text[]) AS w(username, value)"""

# Admit $1 and reject $2, in one round trip, which also tells what routers are told about all of them. The parts see the
# tables as they were before: what is deleted here is never the one row that the insertion looks for.
_SWITCH = """
WITH cleared AS (
  DELETE FROM radcheck WHERE attribute = 'Auth-Type' AND (
    (username = ANY($1) AND value = 'Reject') OR (username = ANY($2) AND (op, value) <> (':=', 'Reject')))),
rejected AS (
  INSERT INTO radcheck (username, attribute, op, value) SELECT w.username, 'Auth-Type', ':=', 'Reject'
  FROM unnest($2::text[]) AS w(username) WHERE NOT EXISTS (SELECT FROM radcheck c
    WHERE (c.username, c.attribute, c.op, c.value) = (w.username, 'Auth-Type', ':=', 'Reject')))
SELECT username, attribute, op, value FROM radreply WHERE username = ANY($1 || $2::text[]) AND attribute = ANY($3)"""

# Drop what should not be there, and every copy but the first of what should; add what is not there in any copy.
_REPLY = """
WITH dropped AS (
  DELETE FROM radreply r WHERE r.username = ANY($4) AND r.attribute = ANY($5) AND (
    NOT EXISTS (SELECT FROM unnest($1::text[], $2::text[], $3::text[]) AS w(username, attribute, value)
      WHERE (w.username, w.attribute, ':=', w.value) = (r.username, r.attribute, r.op, r.value))
    OR EXISTS (SELECT FROM radreply e
      WHERE (e.username, e.attribute, e.op, e.value) = (r.username, r.attribute, r.op, r.value) AND e.id < r.id)))
INSERT INTO radreply (username, attribute, op, value)
SELECT w.username, w.attribute, ':=', w.value
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS w(username, attribute, value, position)
WHERE NOT EXISTS (SELECT FROM radreply r
  WHERE (r.username, r.attribute, r.op, r.value) = (w.username, w.attribute, ':=', w.value))
ORDER BY w.position"""

_READ = """
SELECT w.account, f.client_id, f.secret_version, f.secret_derived,
  EXISTS (SELECT FROM radcheck c WHERE c.username = w.account AND c.attribute ILIKE '%password%') AS known,
  coalesce((SELECT bool_and((c.op, c.value) = (':=', 'Reject')) FROM radcheck c
    WHERE c.username = w.account AND c.attribute = 'Auth-Type'), false) AS rejected,
  EXISTS (SELECT FROM radcheck c
    WHERE c.username = w.account AND c.attribute = 'Auth-Type' AND c.value = 'Reject') AS barred,
  ARRAY(SELECT ARRAY[r.attribute::text, r.op::text, r.value::text] FROM radreply r
    WHERE r.username = w.account AND r.attribute = ANY($2) ORDER BY r.id) AS replies,
  (SELECT count(*) FROM radacct a WHERE a.username = w.account AND a.acctstoptime IS NULL) AS sessions
FROM unnest($1::text[]) AS w(account)
LEFT JOIN connect_fence f ON f.system = 'internet' AND f.subject = 'account:' || w.account"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Account:
    """One account as it was read back. ``known``: it has a password."""

    wanted: Access
    known: bool
    rejected: bool
    barred: bool
    replies: list[list[str]]
    sessions: int
    owner: Owner | None
    client_id: str

    @property
    def elsewhere(self) -> bool:
        return self.owner is not None and self.owner.client_id != self.client_id

    @property
    def proven(self) -> bool:
        """Admitted with exactly its rates and VLAN, or sure to be rejected."""
        if self.elsewhere:
            return not self.wanted.on
        if not self.known:
            return not self.wanted.on
        as_wanted = sorted(self.replies) == sorted(
            [name, ":=", value] for name, value in replies_of(self.wanted).items()
        )
        return as_wanted and (not self.barred if self.wanted.on else self.rejected)

    @property
    def finding(self) -> Finding:
        name = self.wanted.account
        if self.elsewhere:
            return Finding(name, False, {"owner": "another client"})
        if not self.known:
            return Finding(name, False, {"login": "absent", "open_sessions": str(self.sessions)})
        replies = {attribute: value for attribute, _, value in self.replies}
        login = "rejected" if self.rejected else "doubtful" if self.barred else "accepted"
        seen = {"login": login, "open_sessions": str(self.sessions), "secret": secret_told(self.owner)}
        return Finding(name, login != "rejected", seen | replies)


class RadiusInternet(Internet):
    """Internet accounts, as one FreeRADIUS serves them."""

    def __init__(self, database: Database, evidences: Evidences, master_key: bytes) -> None:
        self._database, self._evidences, self._master_key = database, evidences, master_key
        self._fence = Fence(System.INTERNET, "account")

    @activity.defn(name="ensure_access")
    async def ensure_access(self, order: EnsureAccess) -> Evidence:
        """Have the accounts admitted or rejected as ordered, see that it is so, and tell the directory."""
        async with attempt_on(self._database):
            async with self._database.transaction() as connection:
                await self._fence.pass_through(connection, order.client_id, order.revision)
                await self._set(connection, order)
            accounts = await self._read(order)
        if differences := [_difference(account) for account in accounts if not account.proven]:
            raise not_proven(self._database, differences)
        findings = [account.finding for account in accounts]
        evidence = Evidence(System.INTERNET, order.revision, datetime.now(UTC), METHOD, findings)
        log.info("access_ensured", client_id=order.client_id, revision=order.revision, accounts=len(accounts))
        return await self._evidences.take_down(order.client_id, evidence)

    @activity.defn(name="observe_access")
    async def observe_access(self, order: ObserveAccess) -> Evidence:
        """Look whether accounts that are off are admitted again."""
        raise NotImplementedError

    async def _set(self, connection: asyncpg.Connection, order: EnsureAccess) -> None:
        """Rows are locked in one order for everybody: those of the system first, then those that say whose they are."""
        wanted = {access.account: access for access in order.accounts}
        rows = await connection.fetch(_LOCK, sorted(wanted))
        known = {row["username"] for row in rows if row["secret"]}
        owners = await self._fence.owners(connection, wanted)
        switches = {account: access.on for account, access in wanted.items()}
        verdict = judge(order.client_id, order.secret_version, switches, known, owners)
        await self._rekey(connection, order, verdict)
        touched = [wanted[account] for account in sorted(verdict.touched)]
        if touched:
            await self._switch(connection, touched)
        await self._fence.own(connection, order.client_id, order.revision, order.secret_version, verdict)

    async def _switch(self, connection: asyncpg.Connection, touched: list[Access]) -> None:
        """Admit or reject these accounts, and have their replies as they should be, which they mostly are."""
        on, off = [a.account for a in touched if a.on], [a.account for a in touched if not a.on]
        rows = await connection.fetch(_SWITCH, on, off, list(OURS))
        replies = [(a.account, name, value) for a in touched for name, value in replies_of(a).items()]
        if sorted(map(tuple, rows)) != sorted((account, name, ":=", value) for account, name, value in replies):
            columns = [[reply[i] for reply in replies] for i in range(3)]
            await connection.execute(_REPLY, *columns, [a.account for a in touched], list(OURS))

    async def _rekey(self, connection: asyncpg.Connection, order: EnsureAccess, verdict: Verdict) -> None:
        """Give new accounts, accounts of another client and rotated ones their derived secret, and no other."""
        accounts = sorted(verdict.rekeyed)
        if not accounts:
            return
        passwords = [radius_password(self._master_key, order.client_id, a, order.secret_version) for a in accounts]
        await connection.execute(_FORGET_SECRETS, accounts)
        await connection.execute(_SET_SECRETS, accounts, passwords)

    async def _read(self, order: EnsureAccess) -> list[Account]:
        wanted = {access.account: access for access in order.accounts}
        return [
            Account(
                wanted[row["account"]],
                row["known"],
                row["rejected"],
                row["barred"],
                row["replies"],
                row["sessions"],
                row["client_id"] and Owner(row["client_id"], row["secret_version"], row["secret_derived"]),
                order.client_id,
            )
            for row in await self._database.read(_READ, sorted(wanted), list(OURS))
        ]


def replies_of(access: Access) -> dict[str, str]:
    """What a router is told when it logs in: VLAN (RFC 3580), rates in bit/s (WISPr) and as up/down (Mikrotik)."""
    vlan = {
        "Tunnel-Type:1": "VLAN",
        "Tunnel-Medium-Type:1": "IEEE-802",
        "Tunnel-Private-Group-Id:1": str(access.vlan),
    }
    return (vlan if access.vlan is not None else {}) | {
        "WISPr-Bandwidth-Max-Down": str(access.down_mbps * 1_000_000),
        "WISPr-Bandwidth-Max-Up": str(access.up_mbps * 1_000_000),
        "Mikrotik-Rate-Limit": f"{access.up_mbps}M/{access.down_mbps}M",
    }


def _difference(account: Account) -> str:
    seen = ", ".join(f"{name}={value}" for name, value in account.finding.seen.items())
    return f"account {account.wanted.account} should be {'on' if account.wanted.on else 'off'} and is {seen}"
