"""The network: FreeRADIUS's tables ``radcheck`` and ``radreply`` (rlm_sql), as they stand when a router logs in.

Off is one row ``Auth-Type := Reject``. Password and rates stay, and PAP and CHAP are refused at once; the access gear
ends the sessions that are open then. It works with and without constraints on these tables (FreeRADIUS's own schema has
none), because orders of one client wait at the fence.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar, Self

import asyncpg
import structlog

from activities.database import Database, Databases
from activities.directory.evidence import Evidences
from activities.errors import attempt_on
from activities.fence import Fence, judge
from activities.instances import Instance
from activities.internet import sql
from activities.internet.accounts import OURS, Account, Reading, read_accounts, replies_of
from activities.internet.alive import RejectedAccounts
from activities.internet.nas import NasFleet, Outcome
from activities.internet.order import Access
from activities.internet.radius_probe import NOT_ASKED, RadiusProbe
from activities.secrets import radius_password
from workflows.domain.provisioning.standing import Doubt, Proof
from workflows.domain.systems import INTERNET, System
from workflows.ports import Ensure, Evidence, Finding, Observed, ServiceSystem, Watched

METHOD = "radcheck, radreply and radacct, read back on another connection"
ENDING = "sessions ended with Disconnect-Requests"
PROBING = "a login of our own"
FENCE = Fence(INTERNET, "account", sql.KNOWN)
MARGIN = 1.0
"""Seconds that a session's first accounting may be late."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class RadiusInternet(ServiceSystem):
    """Internet accounts, as one FreeRADIUS serves them. ``pause``: seconds between rounds of Disconnect-Requests;
    ``within``: seconds after which no answer is waited for."""

    system: ClassVar[System] = INTERNET

    database: Database
    evidences: Evidences
    master_key: bytes = field(repr=False)
    fleet: NasFleet
    pause: float
    within: float
    probe: RadiusProbe | None
    rejected: RejectedAccounts

    @classmethod
    def of(cls, instance: Instance, databases: Databases, evidences: Evidences) -> Self:
        """The adapter of an instance. Raises ValueError when one of its settings is wrong."""
        settings, database = instance.settings, databases.of(*instance.key)
        return cls(
            database,
            evidences,
            settings.read_master_key(),
            NasFleet.of(settings),
            settings.disconnect_pause_seconds,
            settings.disconnecting_seconds,
            RadiusProbe.of(settings),
            RejectedAccounts(database, settings.watch_seconds),
        )

    async def ensure(self, order: Ensure) -> Evidence:
        """Admit or reject the accounts as ordered, end sessions that may not go on, read back, and record the
        evidence."""
        until = asyncio.get_running_loop().time() + self.within
        accounts = [Access.of(*subject) for subject in order.subjects.items()]
        async with attempt_on(self.database):
            results, doubts = await FENCE.change(self.database, order, order.subjects, partial(self._switch, order))
            reading = await self._read(order.client_id, accounts)
        reading, outcomes = await self._end_sessions(order, reading, frozenset().union(*results), until)
        findings = [self._finding(account, outcomes, doubts) for account in reading.accounts]
        if self.probe:
            findings = await asyncio.gather(*map(self._probed, reading.accounts, findings))
        method = ", ".join([METHOD, *([ENDING] if outcomes else []), *([PROBING] if self.probe else [])])
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
        """Whether accounts that are off are admitted again, or have a live session."""
        return await self.rejected.look(watched)

    # -- the rows -------------------------------------------------------------------------------------------------

    async def _switch(self, order: Ensure, connection: asyncpg.Connection, names: Sequence[str]) -> frozenset[str]:
        """Admit or reject these accounts, and set their replies. Returns those that were cut: logins that were admitted
        before and are not now.

        An account without a password counts as unknown if it should be on, because it then needs one.
        """
        ordered = {name: Access.of(name, order.subjects[name]) for name in names}
        switches = {account: access.on for account, access in ordered.items()}
        entry = await FENCE.enter(connection, order, names, names)
        known = {row["username"] for row in entry.rows if row["secret"] or not switches[row["username"]]}
        barred = {row["username"] for row in entry.rows if row["bar"]}
        barred -= {row["username"] for row in entry.rows if row["way"] and not row["bar"]}
        verdict = judge(order, switches, known, entry.owners)
        if touched := sorted(verdict.touched):
            derived = partial(radius_password, self.master_key, order.client_id, version=order.secret_version)
            passwords = [derived(name) if name in verdict.rekeyed else None for name in touched]
            admitted = [switches[name] for name in touched]
            rows = await connection.fetch(sql.SWITCH, touched, admitted, passwords, OURS)
            replies = [
                (name, attribute, ":=", value)
                for name in touched
                for attribute, value in replies_of(ordered[name]).items()
                if ordered[name].rated
            ]
            if replies and sorted(map(tuple, rows)) != sorted(replies):
                accounts, attributes, _, values = map(list, zip(*replies, strict=True))
                await connection.execute(sql.REPLY, accounts, attributes, values, sorted({*accounts}), OURS)
        await FENCE.own(connection, order, entry.owners, verdict.owners)
        off = {account for account, on in switches.items() if not on} & verdict.touched
        return frozenset((off if entry.lately else off - barred) | (verdict.rekeyed & entry.owners.keys()))

    async def _read(self, client_id: str, accounts: Sequence[Access]) -> Reading:
        """These accounts as any other client of the database sees them now."""
        async with attempt_on(self.database):
            return await read_accounts(self.database, client_id, accounts, self.pause + MARGIN)

    # -- the sessions -----------------------------------------------------------------------------------------------

    async def _end_sessions(
        self, order: Ensure, reading: Reading, cut: Collection[str], until: float
    ) -> tuple[Reading, dict[str, Outcome]]:
        """End the sessions that may not go on, in two rounds: a session that was accepted just before the change may
        show in accounting only after the first round (measured: 14 of 40; after the second round none). If nothing was
        cut and nothing is open, there is nothing to wait for.

        Returns the accounts as they are then, and the outcome of each session.
        """
        if not cut and not any(account.to_end for account in reading.accounts):
            return reading, {}
        believed, accounts = not order.revived, [account.access for account in reading.accounts]
        early = [session for account in reading.accounts for session in account.to_end]
        # the first round leaves the second its time
        first_until = until - self.pause - self.fleet.seconds
        outcomes = await self.fleet.disconnect(early, first_until, believed=believed)
        await asyncio.sleep(self.pause)
        reading = await self._read(order.client_id, accounts)
        open_now = [session for account in reading.accounts for session in account.to_end]
        if late := [s for s in open_now if s.key not in outcomes or not outcomes[s.key].gone]:
            outcomes |= await self.fleet.disconnect(late, until, believed=believed)
            reading = await self._read(order.client_id, accounts)
        return reading, outcomes

    # -- the proof ------------------------------------------------------------------------------------------------

    def _finding(self, account: Account, outcomes: dict[str, Outcome], doubts: dict[str, Doubt]) -> Finding:
        finding = account.finding(outcomes)
        doubt = doubts.get(account.access.account)
        return replace(finding, proof=doubt.proof, why=doubt.why) if doubt else finding

    async def _probed(self, account: Account, finding: Finding) -> Finding:
        """The finding, confirmed by a login of our own if its rows prove it."""
        if self.probe is None or finding.proof is not Proof.PROVEN or account.elsewhere:
            return finding
        name, owner = account.access.account, account.owner
        if account.access.on and (owner is None or not owner.derived):
            answer = NOT_ASKED
        else:
            version = owner.secret_version if owner else 1
            password = radius_password(self.master_key, account.client_id, name, version)
            answer = await self.probe.ask(name, password, replies_of(account.access) if account.access.on else None)
        seen = finding.seen | {"probe": answer.summary}
        admitted = finding.in_service if answer.admitted is None else answer.admitted
        return Finding(name, admitted, seen, answer.proof, answer.why)
