"""Accounts as they are read back: what FreeRADIUS would answer a router now, and the open sessions.

Tables of FreeRADIUS: ``radcheck``, ``radreply`` and ``radacct`` (rlm_sql).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from activities.database import Database
from activities.fence import Owner, describe_secret
from activities.internet import sql
from activities.internet.nas import Outcome, Session, disowned, left_open
from activities.internet.order import Access
from workflows.domain.provisioning.standing import MOST_TOLD, Proof
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


@dataclass(frozen=True)
class Account:
    """One account as it was read back. ``known``: ``radcheck`` has a row of it. ``keyed``: it has a password.

    ``sessions`` are open in ``radacct``. ``secret_since``: a session that began before this Unix time may have used
    another secret than the derived one; None if there was no other.
    """

    access: Access
    known: bool
    keyed: bool
    rejected: bool
    barred: bool
    replies: list[list[str]]
    sessions: list[Session]
    owner: Owner | None
    secret_since: float | None
    client_id: str

    @property
    def elsewhere(self) -> bool:
        return self.owner is not None and self.owner.client_id != self.client_id

    @property
    def is_off(self) -> bool:
        """Whether it should be off, and belongs to this client."""
        return not self.access.on and not self.elsewhere

    @property
    def to_end(self) -> list[Session]:
        """The sessions to end: all of an account that is off, otherwise those from before its present secret.

        None if the account is admitted although it should be off: a later decision may have done that.
        """
        if self.is_off:
            return self.sessions if self.denied else []
        if self.elsewhere or self.secret_since is None:
            return []
        return [s for s in self.sessions if s.started is not None and s.started < self.secret_since]

    @property
    def denied(self) -> bool:
        """Whether every login of this client would fail."""
        return self.elsewhere or not self.known or self.rejected

    @property
    def as_ordered(self) -> bool:
        """Whether it is admitted with exactly its rates and VLAN, or certainly rejected, as ordered."""
        if self.elsewhere or not self.known:
            return not self.access.on
        if self.access.on and not self.keyed:
            return False
        replies = sorted([name, ":=", value] for name, value in replies_of(self.access).items())
        as_rated = sorted(self.replies) == replies or not self.access.rated
        return as_rated and (not self.barred if self.access.on else self.rejected)

    def finding(self, outcomes: Mapping[str, Outcome]) -> Finding:
        """The finding about it, from its rows and the outcomes of ending its sessions."""
        name = self.access.account
        seen = self._seen()
        if mine := [outcome for outcome in outcomes.values() if outcome.session.account == name]:
            still = {session.key for session in self.sessions}
            seen["disconnected"] = disowned(mine)
            seen["disowned"] = disowned([outcome for outcome in mine if outcome.session.key in still])
        if not self.as_ordered:
            return Finding(name, not self.denied, seen, Proof.NOT_PROVEN, self._difference(seen))
        ends = [outcomes.get(s.key) or Outcome(s, Proof.NOT_PROVEN, why=f"{s} began meanwhile") for s in self.to_end]
        left = sorted((o for o in ends if not o.gone), key=lambda o: [*Proof].index(o.proof), reverse=True)
        proof = left[0].proof if left else Proof.PROVEN
        return Finding(name, not self.denied, seen, proof, _describe(left_open(left)))

    def _seen(self) -> dict[str, str]:
        if self.elsewhere:
            return {"owner": "another client"}
        open_sessions = str(len(self.sessions))
        if not self.known:
            return {"login": "absent", "open_sessions": open_sessions}
        login = "rejected" if self.rejected else "doubtful" if self.barred or not self.keyed else "accepted"
        seen = {"login": login, "open_sessions": open_sessions, "secret": describe_secret(self.owner)}
        return seen | {attribute: value for attribute, _, value in self.replies}

    def _difference(self, seen: Mapping[str, str]) -> str:
        found = ", ".join(f"{name}={value}" for name, value in seen.items())
        return f"it should be {'on' if self.access.on else 'off'}, and reads back as {found}. Somebody else changes it"


def replies_of(access: Access) -> dict[str, str]:
    """The reply to a router's login: VLAN (RFC 3580), rates in bit/s (WISPr) and as up/down (Mikrotik)."""
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


def _describe(whys: Sequence[str]) -> str:
    more = f"; and {len(whys) - MOST_TOLD} more" if len(whys) > MOST_TOLD else ""
    return "; ".join(whys[:MOST_TOLD]) + more


@dataclass(frozen=True)
class Reading:
    """Accounts as they were at one moment, by the clock of their database."""

    at: datetime
    accounts: list[Account]


async def read_accounts(database: Database, client_id: str, accounts: Sequence[Access], margin: float) -> Reading:
    """These accounts of a client as any other connection sees them now, in one round trip. A session that began within
    ``margin`` seconds after a secret was set may have been admitted before."""
    ordered = {access.account: access for access in accounts}
    rows = await database.read(sql.READ, sorted(ordered), OURS)
    found = []
    for row in rows:
        if row["account"] is None:
            continue
        owner = Owner.of(row)
        since = row["owned_at"] + margin if owner and owner.derived else None
        sessions = [Session(*session) for session in row["sessions"] or []]
        login = row["known"], row["keyed"], row["rejected"], row["barred"], row["replies"]
        found.append(Account(ordered[row["account"]], *login, sessions, owner, since, client_id))
    return Reading(rows[0]["at"], found)
