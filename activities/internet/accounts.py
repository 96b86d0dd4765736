"""Accounts as they are read back: what FreeRADIUS would answer a router now, and the sessions that could be alive.

Tables of FreeRADIUS: those of rlm_sql for logins (logins.py), and ``radacct``.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property, partial
from typing import Any, Self

import asyncpg

from activities.database import Database
from activities.fence import Owner, describe_secret
from activities.internet import sql
from activities.internet.admission import Admission
from activities.internet.logins import Tables
from activities.internet.nas import Outcome, counts_text, left_open
from activities.internet.off import Off, spelt_alike
from activities.internet.order import KINDS, OURS, Access, replies_of
from activities.internet.sessions import SAME, Session, local, spells
from activities.settings import Settings
from workflows.domain.provisioning.standing import MOST_TOLD, Proof
from workflows.domain.systems import INTERNET
from workflows.ports import Finding

MARGIN = 1.0
"""Seconds that a session's first accounting may be late."""

REPEATED = 5.0
"""Seconds for which a RADIUS server answers a repeated Access-Request as it did the first time (RFC 5080 section 2.2.2;
``cleanup_delay`` of FreeRADIUS): a login that was accepted before a change may begin so much later."""

LATELY = 60.0
"""Seconds for which a session that began within REPEATED of a new secret, or nobody knows when, may have the old one:
for longer than that, what goes on is not ended for it."""


ENDED = tuple(f"ended{n}" for n in range(1, 5))
"""The sessions of an account that were ended last because it has another plan or secret, while their rows are open."""


@dataclass(frozen=True)
class Cutoff:
    """What became of sessions that began before ``since``, a Unix time: they were changed, or ended for a new secret,
    as far as they were known: up to the ``row`` of the account in ``radacct`` with that number. Of one that was ENDED:
    its own row."""

    since: float
    row: int

    def overlooked(self, session: Session) -> bool:
        """Whether a session began before, and was accounted for afterwards."""
        return session.number > self.row and (session.started or 0.0) < self.since

    def contradicted_by(self, session: Session) -> bool:
        """Whether this is the session that its NAS said it has ended, and was heard of since."""
        alive = session.is_open and (session.updated or 0.0) > self.since + SAME
        return alive and session.number == self.row and (session.started or 0.0) < self.since


@dataclass(frozen=True)
class Account:
    """One account as it was read back. ``login``: what its rows make of a login.

    ``sessions`` could be alive, by ``radacct``. ``secret_since``: a session that began before this Unix time may have
    used another secret than the derived one; None if there was no other. ``rekeyed``: it was rotated lately.
    ``planned``: sessions that began before this Unix time wait to be changed, by what of them (KINDS). ``cutoffs``:
    what was changed lately, by what of them, with ``account`` for a new secret; and what was ended then (ENDED).
    """

    access: Access
    login: Admission
    sessions: list[Session]
    owner: Owner | None
    secret_since: float | None
    client_id: str
    rekeyed: bool = False
    planned: Mapping[str, float] = field(default_factory=dict)
    cutoffs: Mapping[str, Cutoff] = field(default_factory=dict)

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
        return [] if self.elsewhere else [session for session in self.sessions if self._has_old_secret(session)]

    def _has_old_secret(self, session: Session) -> bool:
        if self.secret_since is None:
            return False
        if "account" in self.cutoffs and self.cutoffs["account"].overlooked(session):
            return True
        return self.rekeyed if session.started is None else session.started < self.secret_since

    @property
    def to_change(self) -> dict[str, tuple[Session, frozenset[str]]]:
        """The sessions that began with other rates or another VLAN than the account has now, by their key, with what
        differs. None if the account reads back otherwise: a later decision may have done that."""
        if self.elsewhere or not self.access.on or not self.as_ordered:
            return {}
        ending = {session.key for session in self.to_end}
        return {
            session.key: (session, differs)
            for session in self.sessions
            if session.key not in ending and (differs := frozenset(filter(partial(self._differs, session), KINDS)))
        }

    def _differs(self, session: Session, kind: str) -> bool:
        began, cutoff = session.started or 0.0, self.cutoffs.get(kind)
        if began < self.planned.get(kind, 0.0):
            return True
        return cutoff is not None and (cutoff.overlooked(session) or (began < cutoff.since and self.lives_on(session)))

    def lives_on(self, session: Session) -> bool:
        """Whether its NAS said that it has ended a session, or does not know it, and it was heard of since."""
        return any(self.cutoffs[kind].contradicted_by(session) for kind in ENDED if kind in self.cutoffs)

    @property
    def waits(self) -> bool:
        """Whether it is on, and nobody has looked yet whether a session has another plan."""
        return self.access.on and bool(self.planned)

    @property
    def changed_lately(self) -> bool:
        """Whether sessions may live that have another plan, or another secret of the same account."""
        return bool(self.planned or self.cutoffs or self.rekeyed)

    def settled(self, gone: Collection[str]) -> bool:
        """Whether nothing of it waits any more, once the sessions with these keys are changed or gone."""
        waiting = {session.key for session in self.to_end} | self.to_change.keys()
        return not self.elsewhere and self.as_ordered and waiting <= {*gone}

    @property
    def denied(self) -> bool:
        """Whether every login of this client would fail."""
        return self.elsewhere or not self.login.admits

    @property
    def can_probe(self) -> bool:
        """Whether a login of our own would prove anything: always when it is off; when it is on, if Connect knows its
        secret and nobody set conditions that our login may not satisfy."""
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
        self, outcomes: Mapping[str, Outcome], changes: Mapping[str, Outcome], *, probed: bool = False
    ) -> Finding:
        """The finding about it, from its rows and the outcomes of ending and changing its sessions. ``probed``: a login
        of our own will say what limits that a server may not look at are worth."""
        name = self.access.account
        seen = self._state()
        if mine := [outcome for outcome in outcomes.values() if outcome.session.account == name]:
            still = {session.key for session in self.sessions if session.is_open}
            seen["disconnected"] = counts_text(mine)
            seen["disowned"] = counts_text([outcome for outcome in mine if outcome.session.key in still])
        if changed := [outcome for outcome in changes.values() if outcome.session.account == name]:
            seen["plan"] = self._describe_change(changed, outcomes)
        if not self.as_ordered:
            return Finding(name, not self.denied, seen, Proof.NOT_PROVEN, self._difference(seen))
        if self.elsewhere:
            return Finding(name, False, seen)
        if wrong := self._wrong(probed):
            return Finding(name, not self.denied, seen, Proof.FAILED, wrong)
        ends = [outcomes.get(s.key) or Outcome(s, Proof.NOT_PROVEN, why=f"{s} began meanwhile") for s in self.to_end]
        plans = (outcomes.get(key) or changes.get(key) for key in self.to_change)
        ends += [outcome for outcome in plans if outcome]
        left = sorted((o for o in ends if not o.gone), key=lambda o: [*Proof].index(o.proof), reverse=True)
        proof = left[0].proof if left else Proof.PROVEN
        return Finding(name, not self.denied, seen, proof, _describe(left_open(left)))

    def _wrong(self, probed: bool) -> str:
        """What others' rows make of it, where that is not as ordered."""
        if not self.access.on:
            return (self.login.other_row or "its own rows let a login in") if self.login.admits else ""
        return self.login.hindrance or ("" if probed and self.can_probe else next(iter(self.login.limits), ""))

    def _state(self) -> dict[str, str]:
        if self.elsewhere:
            return {"owner": "another client"}
        seen = {"login": self.login.summary, "open_sessions": str(sum(s.is_open for s in self.sessions))}
        if not self.login.known:
            return seen
        seen["secret"] = describe_secret(self.owner)
        return seen | {attribute: value for attribute, _, value in self.login.replies}

    def _describe_change(self, changed: Sequence[Outcome], outcomes: Mapping[str, Outcome]) -> str:
        """What became of the sessions that had another plan: changed while they lived, or ended, and why."""
        words = [counts_text(o for o in changed if o.gone)] if any(o.gone for o in changed) else []
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
    ``patience``: seconds for which a session may be accounted for late. ``realms`` make another spelling of an account;
    ``profile`` is the account whose groups everybody has."""

    database: Database
    margin: float
    interim: float
    patience: float
    realms: tuple[str, ...]
    profile: str

    @classmethod
    def of(cls, database: Database, settings: Settings) -> Self:
        realms = tuple(filter(None, map(str.strip, settings.radius_realms.lower().split(","))))
        margin = settings.disconnect_pause_seconds + MARGIN
        usual = settings.interim_seconds, settings.watch_seconds
        return cls(database, margin, *usual, realms, settings.radius_default_profile)

    async def accounts(self, accesses: Iterable[tuple[str, Access]]) -> Reading:
        """These accounts, each with the client that asks, as any other connection sees them now. Of any number of
        clients, in one round trip."""
        accesses = sorted(accesses, key=lambda pair: pair[1].account)
        names = sorted({access.account for _, access in accesses})
        (row,) = await self.database.read(sql.READ, names, self.profile, [name.lower() for name in OURS])
        rows = _Rows(
            tables=Tables.of(row, self.profile),
            fence={entry["subject"]: entry for entry in row["fence"] or [] if entry["system"] == INTERNET},
            cutoffs={entry["subject"]: entry for entry in row["fence"] or [] if entry["system"] == sql.LOOKED_AT},
            sessions=self._sessions(row),
        )
        return Reading(row["at"], [self._account(rows, row["at"], client, access) for client, access in accesses])

    def _account(self, rows: "_Rows", at: datetime, client_id: str, access: Access) -> Account:
        name, fence = access.account, rows.fence
        spellings = [n for n in rows.spelt.get(local(name), ()) if n != name and spells(name, n, self.realms)]
        twins = [n for n in sorted(spellings) if f"account:{n}" not in fence]
        login = Admission.of(rows.tables, name, twins, replies_of(access), at)
        entry = fence.get(f"account:{name}")
        owner = Owner(entry["client_id"], entry["secret_version"], entry["secret_derived"]) if entry else None
        since = entry["changed_at"] if entry and owner and owner.derived else None
        rotated = owner is not None and owner.secret_version > 1
        rekeyed = rotated and since is not None and at.timestamp() - since < LATELY
        if since is not None:
            since += self.margin + (REPEATED if rekeyed else 0.0)
        planned = {kind: moment + self.late for kind in KINDS if (moment := _moment(fence, f"{kind}:{name}"))}
        cutoffs = {
            kind: self.cutoff_of(rows.cutoffs[f"{kind}:{name}"])
            for kind in ("account", *KINDS, *ENDED)
            if at.timestamp() - (_moment(rows.cutoffs, f"{kind}:{name}") or 0.0) < self.patience
        }
        foreign = {n for n in spellings if n not in twins} | login.twins
        sessions = [session for session in rows.sessions.get(name, []) if session.username not in foreign]
        return Account(access, login, sessions, owner, since, client_id, rekeyed, planned, cutoffs)

    @property
    def late(self) -> float:
        """Seconds after a new plan, in which a session may still begin with the old one."""
        return self.margin + REPEATED

    def cutoff_of(self, row: Mapping[str, Any]) -> Cutoff:
        """What a row of the fence says of sessions that were changed, or ended."""
        ended = row["subject"].startswith(ENDED)
        return Cutoff(row["changed_at"] + (0.0 if ended else self.late), row["revision"])

    async def sessions(self, accounts: Iterable[str]) -> tuple[datetime, dict[str, list[Session]]]:
        """Every session of these accounts, of any number of clients, that could be alive, by account; and the moment,
        by the clock of accounting. One round trip."""
        (row,) = await self.database.read(sql.ALIVE, sorted(set(accounts)), self.profile)
        return datetime.fromtimestamp(row["at"], UTC), self._sessions(row)

    async def off(self, accounts: Sequence[str]) -> Off:
        """What there is to say of accounts that should be off, of any number of clients. One round trip."""
        folds = sorted({local(name) for name in accounts})
        (row,) = await self.database.read(sql.WATCH, accounts, self.profile, folds, timedelta(seconds=self.patience))
        sessions, cutoffs = row["sessions"] or [], row["looked"] or []
        return Off(row["at"], row["owners"] or {}, sessions, Tables.of(row, self.profile), self.realms, cutoffs)

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
    cutoffs: Mapping[str, Mapping[str, Any]]
    sessions: Mapping[str, list[Session]]

    @cached_property
    def spelt(self) -> dict[str, set[str]]:
        return spelt_alike({*self.tables.checks, *self.tables.groups})


def _moment(fence: Mapping[str, Mapping[str, Any]], subject: str) -> float | None:
    """The Unix time that the fence has of a subject."""
    return fence[subject]["changed_at"] if subject in fence else None
