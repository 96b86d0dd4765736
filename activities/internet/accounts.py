"""Accounts as they are read back: what FreeRADIUS would answer a router now, and the sessions that could be alive.

Tables of FreeRADIUS: those of rlm_sql for logins (logins.py), and ``radacct``.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Self

import asyncpg

from activities.database import Database
from activities.fence import Owner, describe_secret
from activities.internet import sql
from activities.internet.admission import Admission
from activities.internet.logins import Item, Tables
from activities.internet.nas import Outcome, counted, left_open
from activities.internet.order import OURS, Access, replies_of
from activities.internet.sessions import Session, local, spells
from activities.settings import Settings
from workflows.domain.provisioning.standing import MOST_TOLD, Proof
from workflows.ports import Finding

MARGIN = 1.0
"""Seconds that a session's first accounting may be late."""


@dataclass(frozen=True)
class Account:
    """One account as it was read back. ``login``: what its rows make of a login.

    ``sessions`` could be alive, by ``radacct``. ``secret_since``: a session that began before this Unix time may have
    used another secret than the derived one; None if there was no other. ``planned``: sessions that began before this
    Unix time wait to be changed, by what of them: ``rates``, ``vlan``.
    """

    access: Access
    login: Admission
    sessions: list[Session]
    owner: Owner | None
    secret_since: float | None
    client_id: str
    planned: Mapping[str, float] = field(default_factory=dict)

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
            return self.sessions if self.login.switched_off else []
        if self.elsewhere or self.secret_since is None:
            return []
        return [s for s in self.sessions if s.is_open and s.started is not None and s.started < self.secret_since]

    @property
    def to_change(self) -> dict[str, tuple[Session, frozenset[str]]]:
        """The sessions that began with other rates or another VLAN than the account has now, by their key, with what
        differs."""
        if self.elsewhere or not self.access.on:
            return {}
        ending = {session.key for session in self.to_end}
        found = {}
        for session in self.sessions:
            began = session.started or 0.0
            differs = frozenset(kind for kind, since in self.planned.items() if began < since)
            if differs and session.is_open and session.key not in ending:
                found[session.key] = session, differs
        return found

    @property
    def denied(self) -> bool:
        """Whether every login of this client would fail."""
        return self.elsewhere or not self.login.admits

    @property
    def can_ask(self) -> bool:
        """Whether a login of our own would tell: always when it is off; when it is on, if Connect knows its secret and
        nobody set conditions that our login may not satisfy."""
        if self.elsewhere or not self.access.on:
            return not self.elsewhere
        return self.owner is not None and self.owner.derived and not self.login.conditions

    @property
    def as_ordered(self) -> bool:
        """Whether its own rows admit it with exactly its rates and VLAN, or reject it, as ordered."""
        if self.elsewhere or not self.login.known:
            return not self.access.on
        replies = [(name, ":=", value) for name, value in replies_of(self.access).items()]
        if self.access.rated and sorted(self.login.replies) != sorted(replies):
            return False
        return self.login.keyed and not self.login.has_reject if self.access.on else self.login.rejected

    def finding(
        self, outcomes: Mapping[str, Outcome], changes: Mapping[str, Outcome], *, asked: bool = False
    ) -> Finding:
        """The finding about it, from its rows and the outcomes of ending and changing its sessions. ``asked``: a login
        of our own will say what limits that a server may not look at are worth."""
        name = self.access.account
        seen = self._seen()
        if mine := [outcome for outcome in outcomes.values() if outcome.session.account == name]:
            still = {session.key for session in self.sessions if session.is_open}
            seen["disconnected"] = counted(mine)
            seen["disowned"] = counted([outcome for outcome in mine if outcome.session.key in still])
        if changed := [outcome for outcome in changes.values() if outcome.session.account == name]:
            seen["plan"] = self._describe_change(changed, outcomes)
        if not self.as_ordered:
            return Finding(name, not self.denied, seen, Proof.NOT_PROVEN, self._difference(seen))
        if self.elsewhere:
            return Finding(name, False, seen)
        if wrong := self._wrong(asked):
            return Finding(name, not self.denied, seen, Proof.FAILED, wrong)
        ends = [outcomes.get(s.key) or Outcome(s, Proof.NOT_PROVEN, why=f"{s} began meanwhile") for s in self.to_end]
        ends += [outcomes[key] for key in self.to_change if key in outcomes]
        left = sorted((o for o in ends if not o.gone), key=lambda o: [*Proof].index(o.proof), reverse=True)
        proof = left[0].proof if left else Proof.PROVEN
        return Finding(name, not self.denied, seen, proof, _describe(left_open(left)))

    def _wrong(self, asked: bool) -> str:
        """What others' rows make of it, where that is not as ordered."""
        if not self.access.on:
            return (self.login.way or "its own rows let a login in") if self.login.admits else ""
        return self.login.hindrance or ("" if asked and self.can_ask else next(iter(self.login.limits), ""))

    def _seen(self) -> dict[str, str]:
        if self.elsewhere:
            return {"owner": "another client"}
        seen = {"login": self.login.summary, "open_sessions": str(sum(s.is_open for s in self.sessions))}
        if not self.login.known:
            return seen
        seen["secret"] = describe_secret(self.owner)
        return seen | {attribute: value for attribute, _, value in self.login.replies}

    def _describe_change(self, changed: Sequence[Outcome], outcomes: Mapping[str, Outcome]) -> str:
        """What became of the sessions that had another plan: changed while they lived, or ended, and why."""
        words = [counted(o for o in changed if o.gone)] if any(o.gone for o in changed) else []
        refused = [o for o in changed if not o.gone]
        ended = sum(outcomes[o.session.key].gone for o in refused if o.session.key in outcomes)
        if refused:
            why = _describe(sorted({o.why for o in refused}))
            words.append(f"{ended} of {len(refused)} disconnected instead ({why})")
        return ", ".join(words)

    def _difference(self, seen: Mapping[str, str]) -> str:
        found = ", ".join(f"{name}={value}" for name, value in seen.items())
        return f"it should be {'on' if self.access.on else 'off'}, and reads back as {found}. Somebody else changes it"


def _describe(whys: Sequence[str]) -> str:
    more = f"; and {len(whys) - MOST_TOLD} more" if len(whys) > MOST_TOLD else ""
    return "; ".join(whys[:MOST_TOLD]) + more


@dataclass(frozen=True)
class Reading:
    """Accounts as they were at one moment, by the clock of their database."""

    at: datetime
    accounts: list[Account]


@dataclass(frozen=True)
class Reader:
    """How one FreeRADIUS is read. A session that began within ``margin`` seconds after a secret or plan was set may
    have been admitted before. ``interim``: seconds between two Interim updates where accounting does not say.
    ``realms`` make another spelling of an account; ``profile`` is the account whose groups everybody has."""

    database: Database
    margin: float
    interim: float
    realms: tuple[str, ...]
    profile: str

    @classmethod
    def of(cls, database: Database, settings: Settings) -> Self:
        realms = tuple(filter(None, map(str.strip, settings.radius_realms.lower().split(","))))
        margin = settings.disconnect_pause_seconds + MARGIN
        return cls(database, margin, settings.interim_seconds, realms, settings.radius_default_profile)

    async def accounts(self, wanted: Iterable[tuple[str, Access]]) -> Reading:
        """These accounts, each with the client that asks, as any other connection sees them now. Of any number of
        clients, in one round trip."""
        wanted = sorted(wanted, key=lambda pair: pair[1].account)
        names = sorted({access.account for _, access in wanted})
        (row,) = await self.database.read(sql.READ, names, self.profile, [name.lower() for name in OURS])
        rows = _Rows(
            tables=_tables(row, self.profile),
            fence={entry["subject"]: entry for entry in row["fence"] or []},
            sessions=self._sessions(row),
        )
        return Reading(row["at"], [self._account(rows, row["at"], client, access) for client, access in wanted])

    def _account(self, rows: "_Rows", at: datetime, client_id: str, access: Access) -> Account:
        name, fence = access.account, rows.fence
        spellings = [n for n in rows.spelt.get(local(name), ()) if n != name and spells(name, n, self.realms)]
        twins = [n for n in sorted(spellings) if f"account:{n}" not in fence]
        login = Admission.of(rows.tables, name, twins, replies_of(access), at)
        entry = fence.get(f"account:{name}")
        owner = Owner(entry["client_id"], entry["secret_version"], entry["secret_derived"]) if entry else None
        since = entry["changed_at"] + self.margin if entry and owner and owner.derived else None
        planned = {
            kind: changed_at + self.margin
            for kind in ("rates", "vlan")
            if (changed_at := fence.get(f"{kind}:{name}", {}).get("changed_at")) is not None
        }
        foreign = {n for n in spellings if n not in twins} | login.twins
        sessions = [session for session in rows.sessions.get(name, []) if session.username not in foreign]
        return Account(access, login, sessions, owner, since, client_id, planned)

    async def sessions(self, accounts: Iterable[str]) -> tuple[datetime, dict[str, list[Session]]]:
        """Every session of these accounts, of any number of clients, that could be alive, by account; and the moment,
        by the clock of accounting. One round trip."""
        (row,) = await self.database.read(sql.ALIVE, sorted(set(accounts)), self.profile)
        return datetime.fromtimestamp(row["at"], UTC), self._sessions(row)

    def _sessions(self, row: asyncpg.Record) -> dict[str, list[Session]]:
        interims = row["interims"] or {}
        found: dict[str, list[Session]] = {}
        for entry in row["sessions"] or []:
            account = entry["account"]
            if spells(account, entry["username"] or "", self.realms):
                session = Session.of(entry, account, interims.get(account), self.interim)
                if not session.has_ended:
                    found.setdefault(account, []).append(session)
        return found


@dataclass(frozen=True)
class _Rows:
    """What was read of some accounts."""

    tables: Tables
    fence: Mapping[str, Mapping[str, Any]]
    sessions: Mapping[str, list[Session]]

    @cached_property
    def spelt(self) -> dict[str, set[str]]:
        """The names that there are, by what all spellings of an account have in common."""
        found: dict[str, set[str]] = {}
        for name in {*self.tables.checks, *self.tables.groups}:
            found.setdefault(local(name), set()).add(name)
        return found


def _tables(row: asyncpg.Record, profile: str) -> Tables:
    groups: dict[str, list[tuple[int, str]]] = {}
    for name, priority, group in row["members"] or []:
        groups.setdefault(name, []).append((priority, group))
    items = {
        table: _items(table, row[column])
        for column, table in (
            ("checks", "radcheck"),
            ("replies", "radreply"),
            ("group_checks", "radgroupcheck"),
            ("group_replies", "radgroupreply"),
        )
    }
    return Tables(items["radcheck"], items["radreply"], groups, items["radgroupcheck"], items["radgroupreply"], profile)


def _items(table: str, rows: Sequence[Sequence[Any]] | None) -> dict[str, list[Item]]:
    items: dict[str, list[Item]] = {}
    for number, owner, attribute, op, value in rows or []:
        items.setdefault(owner, []).append(Item(table, number, owner, attribute or "", op or "", value or ""))
    return items
