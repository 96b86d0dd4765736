"""The network: FreeRADIUS's tables (rlm_sql), as they stand when a router logs in.

Off is one row ``Auth-Type := Reject``. Password and rates stay, and PAP and CHAP are refused at once; the access gear
ends the sessions that are open then. It works with and without constraints on these tables (FreeRADIUS's own schema has
none), because orders of one client wait at the fence.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar, Self
from weakref import WeakValueDictionary

import asyncpg
import structlog

from activities.database import Database, Databases
from activities.directory.evidence import Evidences
from activities.errors import attempt_on
from activities.fence import Fence, judge
from activities.instances import Instance
from activities.internet import sql
from activities.internet.accounts import ENDED, Account, Reader, Reading
from activities.internet.alive import RejectedAccounts
from activities.internet.late import LateSessions
from activities.internet.nas import NasFleet, Outcome
from activities.internet.order import KINDS, OURS, Access, replies_of
from activities.internet.radius_probe import NOT_ASKED, Answer, RadiusProbe
from activities.internet.sessions import Session
from activities.secrets import radius_password
from workflows.domain.provisioning.standing import Doubt, Proof
from workflows.domain.systems import INTERNET, System
from workflows.ports import Ensure, Evidence, Finding, Observed, ServiceSystem, Watched

METHOD = "radcheck, radreply, groups and radacct, read back on another connection"
ENDING = "sessions ended with Disconnect-Requests"
CHANGING = "sessions changed with CoA-Requests"
PROBING = "a login of our own"
FENCE = Fence(INTERNET, "account", sql.KNOWN)
OURS_FOLDED = [name.lower() for name in OURS]

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class RadiusInternet(ServiceSystem):
    """Internet accounts, as one FreeRADIUS serves them. ``pause``: seconds between rounds of Disconnect-Requests;
    ``within``: seconds after which no answer is waited for."""

    system: ClassVar[System] = INTERNET

    database: Database
    evidences: Evidences
    master_key: bytes = field(repr=False)
    reader: Reader
    fleet: NasFleet
    pause: float
    within: float
    probe: RadiusProbe | None
    rejected: RejectedAccounts
    late: LateSessions
    _turns: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    @classmethod
    def of(cls, instance: Instance, databases: Databases, evidences: Evidences) -> Self:
        """The adapter of an instance. Raises ValueError when one of its settings is wrong."""
        settings, database = instance.settings, databases.of(*instance.key)
        reader, fleet = Reader.of(database, settings), NasFleet.of(settings)
        return cls(
            database,
            evidences,
            settings.read_master_key(),
            reader,
            fleet,
            settings.disconnect_pause_seconds,
            settings.disconnecting_seconds,
            RadiusProbe.of(settings),
            RejectedAccounts(settings.watch_seconds),
            LateSessions(reader, fleet),
        )

    async def ensure(self, order: Ensure) -> Evidence:
        """Admit or reject the accounts as ordered, end sessions that may not go on, read back, and record the
        evidence."""
        until = asyncio.get_running_loop().time() + self.within
        accounts = [Access.of(*subject) for subject in order.subjects.items()]
        async with attempt_on(self.database):
            results, doubts = await FENCE.change(self.database, order, order.subjects, partial(self._switch, order))
        async with self._turn(order):
            reading = await self._read(order.client_id, accounts)
            reading, outcomes, changes = await self._settle_sessions(order, reading, frozenset().union(*results), until)
        probed = self.probe is not None
        findings = [self._finding(a, a.finding(outcomes, changes, probed=probed), doubts) for a in reading.accounts]
        if self.probe:
            findings = await asyncio.gather(*map(self._probe, reading.accounts, findings))
        methods = {ENDING: outcomes, CHANGING: changes, PROBING: self.probe}
        method = ", ".join([METHOD, *(name for name, used in methods.items() if used)])
        evidence = Evidence(INTERNET, order.revision, reading.at, method, findings)
        log.info(
            "access_ensured",
            client_id=order.client_id,
            revision=order.revision,
            accounts=len(findings),
            disconnected=sum(outcome.gone for outcome in outcomes.values()),
            complete=evidence.complete,
        )
        return await self.evidences.record(order.client_id, evidence)

    async def observe(self, watched: Sequence[Watched]) -> Observed:
        """Whether accounts that are off are admitted again, or have a live session; and whether those that are on have
        one from before their plan or secret, which was accounted for late."""
        async with attempt_on(self.database):
            off = await self.reader.off([it.subject for it in watched])
        late = await self.late.look(off.cutoffs)
        return Observed([*self.rejected.look(watched, off), *late], off.at)

    # -- the rows -------------------------------------------------------------------------------------------------

    async def _switch(self, order: Ensure, connection: asyncpg.Connection, names: Sequence[str]) -> frozenset[str]:
        """Admit or reject these accounts, and set their replies. Returns those whose sessions may not go on as they
        are: logins that were admitted before and are not now, or with another plan.

        An account without a password counts as unknown if it should be on, because it then needs one.
        """
        ordered = {name: Access.of(name, order.subjects[name]) for name in names}
        switches = {account: access.on for account, access in ordered.items()}
        entry = await FENCE.enter(connection, order, names, names)
        known = {row["username"] for row in entry.rows if row["secret"] or not switches[row["username"]]}
        barred = {row["username"] for row in entry.rows if row["bar"]}
        barred -= {row["username"] for row in entry.rows if row["auth_type"] and not row["bar"]}
        verdict = judge(order, switches, known, entry.owners)
        replanned: frozenset[str] = frozenset()
        if touched := sorted(verdict.touched):
            derived = partial(radius_password, self.master_key, order.client_id, version=order.secret_version)
            passwords = [derived(name) if name in verdict.rekeyed else None for name in touched]
            admitted = [switches[name] for name in touched]
            rows = await connection.fetch(sql.SWITCH, touched, admitted, passwords, OURS_FOLDED)
            replies = [
                (name, attribute, ":=", value)
                for name in touched
                for attribute, value in replies_of(ordered[name]).items()
                if ordered[name].rated
            ]
            if replies and sorted(map(tuple, rows)) != sorted(replies):
                accounts, attributes, _, values = map(list, zip(*replies, strict=True))
                await connection.execute(sql.REPLY, accounts, attributes, values, sorted({*accounts}), OURS_FOLDED)
                replanned = self._notes_of_plans(rows, replies, known)
                if replanned:
                    await connection.execute(sql.PLANNED, sorted(replanned), order.client_id, order.revision)
        await FENCE.own(connection, order, entry.owners, verdict.owners)
        off = {account for account, on in switches.items() if not on} & verdict.touched
        changed = {name for subject in replanned if switches[name := subject.partition(":")[2]]}
        return frozenset((off if entry.lately else off - barred) | (verdict.rekeyed & entry.owners.keys()) | changed)

    def _notes_of_plans(
        self, before: Collection[asyncpg.Record], after: Collection[tuple[str, ...]], known: Collection[str]
    ) -> frozenset[str]:
        """What the fence notes of accounts with another plan, where some gear can change living sessions:
        ``rates:NAME``, ``vlan:NAME``. Also of those that are or were off: what lives there still, may be on again."""
        if not self.fleet.changes:
            return frozenset()
        differing = set(map(tuple, before)) ^ set(after)
        return frozenset(
            f"{kind}:{name}"
            for name, attribute, *_ in differing
            for kind, attributes in KINDS.items()
            if attribute in attributes and name in known
        )

    def _turn(self, order: Ensure) -> AbstractAsyncContextManager[object]:
        """One order of a client after the other changes living sessions, or an older one could change them last."""
        if not self.fleet.changes or not any(desired.on for desired in order.subjects.values()):
            return nullcontext()
        return self._turns.setdefault(order.client_id, asyncio.Lock())

    async def _read(self, client_id: str, accounts: Sequence[Access]) -> Reading:
        """These accounts as any other client of the database sees them now."""
        async with attempt_on(self.database):
            return await self.reader.accounts([(client_id, access) for access in accounts])

    # -- the sessions -----------------------------------------------------------------------------------------------

    async def _settle_sessions(
        self, order: Ensure, reading: Reading, off: Collection[str], until: float
    ) -> tuple[Reading, dict[str, Outcome], dict[str, Outcome]]:
        """End the sessions that may not go on, and change those that may with another plan, in two rounds: a session
        that was accepted just before the change may show in accounting only after the first round (measured: 14 of 40;
        after the second round none). If nothing was cut and nothing is open, there is nothing to wait for.

        Returns the accounts as they are then, and the outcomes of ending and of changing sessions, by their keys.
        """
        if not off and not any(a.to_end or a.waits or self._changeable(a) for a in reading.accounts):
            return reading, {}, {}
        accounts = [account.access for account in reading.accounts]
        ended: dict[str, Outcome] = {}
        changed: dict[str, Outcome] = {}
        # the first round leaves the second its time
        await self._round(order, reading, ended, changed, until - self.pause - self.fleet.seconds)
        await asyncio.sleep(self.pause)
        reading = await self._read_again(order, accounts, ended)
        if await self._round(order, reading, ended, changed, until):
            reading = await self._read_again(order, accounts, ended)
        for account in reading.accounts:
            for key, (session, _) in self._changeable(account).items():
                changed.setdefault(key, Outcome(session, Proof.NOT_PROVEN, why=f"{session} began meanwhile"))
        await self._note_cutoffs(order, reading, ended, changed)
        return reading, ended, changed

    async def _read_again(self, order: Ensure, accounts: Sequence[Access], ended: dict[str, Outcome]) -> Reading:
        """The accounts as they are now. What accounting has heard of since its NAS said that it is gone, is not."""
        reading = await self._read(order.client_id, accounts)
        for session in (session for account in reading.accounts for session in account.sessions):
            outcome = ended.get(session.key)
            if outcome and outcome.gone and session.updated_since(outcome.session):
                ended[session.key] = outcome.alive_afterwards()
        return reading

    async def _round(
        self, order: Ensure, reading: Reading, ended: dict[str, Outcome], changed: dict[str, Outcome], until: float
    ) -> bool:
        """Ask about every session that is not settled yet; one that its NAS does not change is ended. Answers if there
        was any."""
        to_change = {
            key: (session, self._changes_of(account, session, kinds))
            for account in reading.accounts
            for key, (session, kinds) in self._changeable(account).items()
            if not (key in changed and changed[key].gone) and not (key in ended and ended[key].gone)
        }
        able = {key: (session, changes) for key, (session, changes) in to_change.items() if changes}
        changed |= await self.fleet.change(able, until)
        for key, (session, changes) in to_change.items():
            if not changes:
                why = f"NAS {session.nas} takes no CoA-Request for all of it"
                changed[key] = Outcome(session, Proof.FAILED, why=why)
        sessions = [session for account in reading.accounts for session in account.to_end]
        sessions += [session for key, (session, _) in to_change.items() if not changed[key].gone]
        to_end = [s for s in sessions if s.key not in ended or not ended[s.key].gone]
        doubted = {s.key for s in to_end if order.revived or (s.key in ended and ended[s.key].how)}
        doubted |= {s.key for account in reading.accounts for s in account.sessions if account.lives_on(s)}
        ended |= await self.fleet.disconnect(to_end, until, reading.at.timestamp(), doubted)
        return bool(to_end or to_change)

    def _changeable(self, account: Account) -> dict[str, tuple[Session, frozenset[str]]]:
        """The sessions of an account that have another plan, on gear that can change some of it. On all other gear a
        session keeps its plan until it logs in again."""
        return {key: it for key, it in account.to_change.items() if self.fleet.takes(it[0])}

    def _changes_of(self, account: Account, session: Session, kinds: Collection[str]) -> dict[str, str]:
        """The reply attributes to change on a session; none, if its NAS does not take all that has to change."""
        takes = self.fleet.takes(session)
        replies = {name: text for name, text in replies_of(account.access).items() if name.partition(":")[0] in takes}
        return replies if all(KINDS[kind] & replies.keys() for kind in kinds) else {}

    async def _note_cutoffs(
        self, order: Ensure, reading: Reading, ended: Mapping[str, Outcome], changed: Mapping[str, Outcome]
    ) -> None:
        """Note of which accounts no session waits any more."""
        gone = {key for outcomes in (ended, changed) for key, outcome in outcomes.items() if outcome.gone}
        for account in reading.accounts:
            gone |= {key for key, (session, _) in account.to_change.items() if not self.fleet.takes(session)}
        settled = [account for account in reading.accounts if account.changed_lately and account.settled(gone)]
        cutoffs, still_open, over = dict[str, int](), dict[str, int](), list[str]()
        for account in settled:
            name, known = account.access.account, account.sessions if account.access.on else []
            last = max((session.number for session in known), default=0)
            kinds = {f"{kind}:{name}": last for kind in ("account", *KINDS)}
            open_rows = [session.number for session in known if session.is_open and session.key in ended]
            still_open |= dict(zip((f"{kind}:{name}" for kind in ENDED), open_rows[-len(ENDED) :], strict=False))
            cutoffs |= kinds if account.access.on else {}
            over += [subject for subject in kinds if not account.access.on]
            over += [subject for kind in ENDED if (subject := f"{kind}:{name}") not in still_open]
        if settled and self.fleet:
            values = [*cutoffs], order.revision, order.client_id, [*cutoffs.values()], over
            async with attempt_on(self.database):
                await self.database.write(sql.LOOKED, *values, [*still_open], reading.at, [*still_open.values()])

    # -- the proof ------------------------------------------------------------------------------------------------

    def _finding(self, account: Account, finding: Finding, doubts: dict[str, Doubt]) -> Finding:
        doubt = doubts.get(account.access.account)
        return replace(finding, proof=doubt.proof, why=doubt.why) if doubt else finding

    async def _probe(self, account: Account, finding: Finding) -> Finding:
        """The finding, confirmed by a login of our own if its rows prove it."""
        if self.probe is None or finding.proof is not Proof.PROVEN or account.elsewhere:
            return finding
        name, owner = account.access.account, account.owner
        if account.can_probe:
            version = owner.secret_version if owner else 1
            password = radius_password(self.master_key, account.client_id, name, version)
            answer = await self.probe.log_in(name, password, replies_of(account.access) if account.access.on else None)
        elif account.login.conditions:
            answer = Answer(f"not asked: has check items of its own ({', '.join(account.login.conditions)})")
        else:
            answer = NOT_ASKED
        seen = finding.seen | {"probe": answer.summary}
        admitted = finding.in_service if answer.admitted is None else answer.admitted
        return Finding(name, admitted, seen, answer.proof, answer.why)
