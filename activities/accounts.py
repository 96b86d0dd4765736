"""Accounts as they are read back: what a router would be told now, and the sessions that are open.

Tables of FreeRADIUS: ``radcheck``, ``radreply``, ``radacct`` and, where we may read it, ``radpostauth`` (rlm_sql).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from activities.access_gear import Outcome, Session, disconnected
from activities.database import Database
from activities.fence import Owner, secret_told
from activities.radius_probe import NAME
from workflows.domain.provisioning import Access
from workflows.domain.standing import MOST_TOLD, Proof
from workflows.ports import Finding

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

_READ = """
SELECT w.account, f.client_id, f.secret_version, f.secret_derived, extract(epoch FROM f.changed_at)::float8 AS owned_at,
  EXISTS (SELECT FROM radcheck c WHERE c.username = w.account AND c.attribute ILIKE '%password%') AS known,
  coalesce((SELECT bool_and((c.op, c.value) = (':=', 'Reject')) FROM radcheck c
    WHERE c.username = w.account AND c.attribute = 'Auth-Type'), false) AS rejected,
  EXISTS (SELECT FROM radcheck c
    WHERE c.username = w.account AND c.attribute = 'Auth-Type' AND c.value = 'Reject') AS barred,
  ARRAY(SELECT ARRAY[r.attribute::text, r.op::text, r.value::text] FROM radreply r
    WHERE r.username = w.account AND r.attribute = ANY($2) ORDER BY r.id) AS replies,
  (SELECT jsonb_agg(jsonb_build_array(a.acctuniqueid, a.acctsessionid, a.username, host(a.nasipaddress),
      extract(epoch FROM a.acctstarttime)::float8, extract(epoch FROM a.acctupdatetime)::float8) ORDER BY a.radacctid)
    FROM radacct a WHERE a.username = w.account AND a.acctstoptime IS NULL) AS sessions,
  {used_lately} AS used_lately
FROM unnest($1::text[]) AS w(account)
LEFT JOIN connect_fence f ON f.system = 'internet' AND f.subject = 'account:' || w.account"""

# Our own probes are no sign of life.
_USED_LATELY = f"""EXISTS (SELECT FROM radpostauth p
    WHERE p.username = w.account AND p.reply = 'Access-Accept' AND p.authdate > now() - interval '1 minute'
    AND p.callingstationid IS DISTINCT FROM '{NAME}')"""  # noqa: S608  # NAME is ours

# A server that notes no logins, or does not show them to us, does not say that nobody logged in.
_UNTOLD = (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.InsufficientPrivilegeError)


@dataclass(frozen=True)
class Account:
    """One account as it was read back. ``known``: it has a password. ``sessions`` are open in ``radacct``.

    ``used_lately``: somebody logged in within a minute, or nobody can tell. ``secret_since``: Unix time until when a
    session may have begun with another secret than the derived one; None where there was no other.
    """

    wanted: Access
    known: bool
    rejected: bool
    barred: bool
    replies: list[list[str]]
    sessions: list[Session]
    used_lately: bool
    owner: Owner | None
    secret_since: float | None
    client_id: str

    @property
    def elsewhere(self) -> bool:
        return self.owner is not None and self.owner.client_id != self.client_id

    @property
    def is_off(self) -> bool:
        """Wanted off, and ours to switch."""
        return not self.wanted.on and not self.elsewhere

    @property
    def to_end(self) -> list[Session]:
        """Sessions that may not go on: all of an account that is off, else those from before its present secret.

        None of one that is admitted although it should be off: a later decision may have seen to that.
        """
        if self.is_off:
            return self.sessions if self.denied else []
        if self.elsewhere or self.secret_since is None:
            return []
        return [s for s in self.sessions if s.started is not None and s.started < self.secret_since]

    @property
    def denied(self) -> bool:
        """Whether no login of this client comes off."""
        return self.elsewhere or not self.known or self.rejected

    @property
    def as_wanted(self) -> bool:
        """Admitted with exactly its rates and VLAN, or sure to be rejected."""
        if self.elsewhere or not self.known:
            return not self.wanted.on
        replies = sorted([name, ":=", value] for name, value in replies_of(self.wanted).items())
        return sorted(self.replies) == replies and (not self.barred if self.wanted.on else self.rejected)

    def finding(self, outcomes: Mapping[str, Outcome]) -> Finding:
        """What is proven of it, given what came of ending its sessions."""
        name = self.wanted.account
        seen = self._seen(len([s for s in self.sessions if s.key not in outcomes or not outcomes[s.key].gone]))
        if mine := [outcome for outcome in outcomes.values() if outcome.session.account == name]:
            seen["disconnected"] = disconnected(mine)
        if not self.as_wanted:
            return Finding(name, not self.denied, seen, Proof.NOT_PROVEN, self._difference(seen))
        ends = [outcomes.get(s.key) or Outcome(s, Proof.NOT_PROVEN, why=f"{s} began meanwhile") for s in self.to_end]
        left = [outcome for outcome in ends if not outcome.gone]
        proof = max((outcome.proof for outcome in left), key=[*Proof].index, default=Proof.PROVEN)
        return Finding(name, not self.denied, seen, proof, _told([outcome.why for outcome in left]))

    def looked_at(self, since: datetime) -> Finding:
        """What a second look finds of an account that was proven off then. Nothing is expected of another client's."""
        alive = [] if self.elsewhere else [s for s in self.sessions if s.alive_after(since.timestamp())]
        seen = self._seen(len(alive))
        found = [*([] if self.denied else ["it is admitted again"]), *(f"{s} was alive since" for s in alive)]
        proof = Proof.FAILED if found else Proof.PROVEN
        return Finding(self.wanted.account, not self.denied or bool(alive), seen, proof, _told(found))

    def _seen(self, open_sessions: int) -> dict[str, str]:
        if self.elsewhere:
            return {"owner": "another client"}
        if not self.known:
            return {"login": "absent", "open_sessions": str(open_sessions)}
        login = "rejected" if self.rejected else "doubtful" if self.barred else "accepted"
        seen = {"login": login, "open_sessions": str(open_sessions), "secret": secret_told(self.owner)}
        return seen | {attribute: value for attribute, _, value in self.replies}

    def _difference(self, seen: Mapping[str, str]) -> str:
        told = ", ".join(f"{name}={value}" for name, value in seen.items())
        return f"it should be {'on' if self.wanted.on else 'off'}, and reads back as {told}. Somebody else changes it"


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


def _told(whys: Sequence[str]) -> str:
    more = f"; and {len(whys) - MOST_TOLD} more" if len(whys) > MOST_TOLD else ""
    return "; ".join(whys[:MOST_TOLD]) + more


async def read_accounts(database: Database, client_id: str, accounts: Sequence[Access], margin: float) -> list[Account]:
    """These accounts of a client as anybody else sees them now, in one round trip. A session that began within
    ``margin`` seconds after a secret was set may have been let in before."""
    wanted = {access.account: access for access in accounts}
    try:
        rows = await database.read(_READ.format(used_lately=_USED_LATELY), sorted(wanted), list(OURS))
    except _UNTOLD:
        rows = await database.read(_READ.format(used_lately="true"), sorted(wanted), list(OURS))
    return [_account(row, wanted[row["account"]], client_id, margin) for row in rows]


def _account(row: asyncpg.Record, wanted: Access, client_id: str, margin: float) -> Account:
    owner = Owner(row["client_id"], row["secret_version"], row["secret_derived"]) if row["client_id"] else None
    return Account(
        wanted,
        row["known"],
        row["rejected"],
        row["barred"],
        row["replies"],
        [Session(*session) for session in row["sessions"] or []],
        row["used_lately"],
        owner,
        row["owned_at"] + margin if owner and owner.derived else None,
        client_id,
    )
