"""The network: FreeRADIUS's tables ``radcheck`` and ``radreply`` (rlm_sql), as they stand when a router logs in.

Off is one row ``Auth-Type := Reject``. Password and rates stay, and PAP and CHAP are refused at once; the access gear
ends the sessions that are open then. It works with and without constraints on these tables (FreeRADIUS's own schema has
none), because orders of one client wait at the fence.
"""

import asyncio
from collections.abc import Collection
from dataclasses import replace
from typing import Self

import asyncpg
import structlog

from activities.database import Database, Databases
from activities.directory.evidence import Evidences
from activities.errors import BUSY, UNAVAILABLE, attempt_on, translated
from activities.fence import Fence, Verdict, judge
from activities.internet import sql
from activities.internet.accounts import OURS, Account, Reading, read_accounts, replies_of
from activities.internet.nas import NasFleet, Outcome
from activities.internet.order import Access, AccessOrder
from activities.internet.radius_probe import NOT_ASKED, RadiusProbe
from activities.secrets import radius_password
from activities.settings import Settings
from workflows.domain.provisioning.standing import Doubt, Proof
from workflows.domain.systems import INTERNET
from workflows.ports import Ensure, Evidence, Finding, Observe, ServiceSystem

METHOD = "radcheck, radreply and radacct, read back on another connection"
ENDING = "sessions ended with Disconnect-Requests"
PROBING = "a login of our own"
MARGIN = 1.0
"""Seconds that a session's first accounting may be late."""

log = structlog.get_logger(__name__)


class RadiusInternet(ServiceSystem):
    """Internet accounts, as one FreeRADIUS serves them. ``pause``: seconds between rounds of Disconnect-Requests;
    ``within``: seconds after which no answer is waited for."""

    system = INTERNET

    def __init__(
        self,
        database: Database,
        evidences: Evidences,
        master_key: bytes,
        fleet: NasFleet,
        pause: float,
        within: float,
        probe: RadiusProbe | None = None,
    ) -> None:
        self._database, self._evidences, self._master_key = database, evidences, master_key
        self._fleet, self._pause, self._within, self._probe = fleet, pause, within, probe
        self._fence = Fence(INTERNET, "account")

    @classmethod
    def of(cls, settings: Settings, databases: Databases, evidences: Evidences) -> Self:
        """The adapter by these settings. Raises ValueError when one is wrong."""
        return cls(
            databases.internet,
            evidences,
            settings.read_master_key(),
            NasFleet.of(settings),
            settings.disconnect_pause_seconds,
            settings.disconnecting_seconds,
            RadiusProbe.of(settings),
        )

    async def ensure(self, order: Ensure) -> Evidence:
        """Admit or reject the accounts as ordered, end sessions that may not go on, read back, and record the
        evidence."""
        return await self._ensure(AccessOrder.of(order))

    async def _ensure(self, order: AccessOrder) -> Evidence:
        until = asyncio.get_running_loop().time() + self._within
        async with attempt_on(self._database):
            cut, doubts = await self._change(order)
            reading = await self._read(order)
        reading, outcomes = await self._end_sessions(order, reading, cut, until)
        findings = [self._finding(account, outcomes, doubts) for account in reading.accounts]
        if self._probe:
            findings = await asyncio.gather(*map(self._probed, reading.accounts, findings))
        method = ", ".join([METHOD, *([ENDING] if outcomes else []), *([PROBING] if self._probe else [])])
        evidence = Evidence(INTERNET, order.revision, reading.at, method, findings)
        log.info(
            "access_ensured",
            client_id=order.client_id,
            revision=order.revision,
            accounts=len(findings),
            disconnected=sum(outcome.gone for outcome in outcomes.values()),
            complete=evidence.complete,
        )
        return await self._evidences.record(order.client_id, evidence)

    async def observe(self, order: Observe) -> Evidence:
        """Check whether accounts that are off are admitted again, or have had a live session since."""
        async with attempt_on(self._database):
            reading = await self._read(AccessOrder.to_look(order))
        findings = [account.looked_at(order.since) for account in reading.accounts]
        evidence = Evidence(INTERNET, order.revision, reading.at, METHOD, findings, look=True)
        return await self._evidences.record(order.client_id, evidence)

    # -- the rows -------------------------------------------------------------------------------------------------

    async def _change(self, order: AccessOrder) -> tuple[frozenset[str], dict[str, Doubt]]:
        """Set all accounts in one transaction; if that fails, each in its own, so that one failure holds up no other.

        Returns the accounts that were cut, and the doubts."""
        try:
            return await self._change_together(order), {}
        except asyncpg.PostgresError as error:
            if len(order.accounts) == 1 or isinstance(error, UNAVAILABLE):
                raise
            cut, doubts = await self._change_one_by_one(order)
            if len(doubts) == len(order.accounts):
                raise
            return cut, doubts

    async def _change_one_by_one(self, order: AccessOrder) -> tuple[frozenset[str], dict[str, Doubt]]:
        cut: frozenset[str] = frozenset()
        doubts = {}
        for access in order.accounts:
            try:
                cut |= await self._change_together(replace(order, accounts=[access]))
            except asyncpg.PostgresError as error:
                if isinstance(error, UNAVAILABLE):
                    raise
                proof = Proof.NOT_PROVEN if isinstance(error, BUSY) else Proof.FAILED
                doubts[access.account] = Doubt(proof, translated(error, self._database).message)
        return cut, doubts

    async def _change_together(self, order: AccessOrder) -> frozenset[str]:
        """Set all accounts in one transaction. Returns those that were cut: logins that were admitted before and are
        not now."""
        off = {access.account for access in order.accounts if not access.on}
        async with self._database.transaction() as connection:
            lately = await connection.fetchval(sql.LATELY, order.client_id) if off else False
            await self._fence.pass_through(connection, order.client_id, order.revision)
            verdict, barred = await self._set(connection, order)
        return (verdict.touched & (off if lately else off - barred)) | (verdict.rekeyed & verdict.owners.keys())

    async def _set(self, connection: asyncpg.Connection, order: AccessOrder) -> tuple[Verdict, frozenset[str]]:
        """Switch and rekey under locks. Returns the verdict, and which accounts were rejected before.

        Rows are locked in one order everywhere: the system's first, then the owners'. An account with rows but without
        a password counts as known when it should be off, because it may be admitted otherwise, and as unknown when it
        should be on, because it then needs one.
        """
        wanted = {access.account: access for access in order.accounts}
        rows = await connection.fetch(sql.LOCK, sorted(wanted))
        known = {row["username"] for row in rows if row["secret"] or not wanted[row["username"]].on}
        barred = {row["username"] for row in rows if row["bar"]}
        barred -= {row["username"] for row in rows if row["way"] and not row["bar"]}
        owners = await self._fence.owners(connection, wanted)
        switches = {account: access.on for account, access in wanted.items()}
        verdict = judge(order.client_id, order.secret_version, switches, known, owners)
        await self._rekey(connection, order, verdict)
        touched = [wanted[account] for account in sorted(verdict.touched)]
        if touched:
            await self._switch(connection, touched)
        await self._fence.own(connection, order.client_id, order.revision, order.secret_version, verdict)
        return verdict, frozenset(barred)

    async def _switch(self, connection: asyncpg.Connection, touched: list[Access]) -> None:
        """Admit or reject these accounts, and correct their replies where they differ."""
        on, off = [a.account for a in touched if a.on], [a.account for a in touched if not a.on]
        rows = await connection.fetch(sql.SWITCH, on, off, list(OURS))
        replies = [(a.account, name, value) for a in touched for name, value in replies_of(a).items()]
        if sorted(map(tuple, rows)) != sorted((account, name, ":=", value) for account, name, value in replies):
            columns = [[reply[i] for reply in replies] for i in range(3)]
            await connection.execute(sql.REPLY, *columns, [a.account for a in touched], list(OURS))

    async def _rekey(self, connection: asyncpg.Connection, order: AccessOrder, verdict: Verdict) -> None:
        """Set the derived secret of new accounts, accounts of another client and rotated ones."""
        accounts = sorted(verdict.rekeyed)
        if not accounts:
            return
        passwords = [radius_password(self._master_key, order.client_id, a, order.secret_version) for a in accounts]
        await connection.execute(sql.FORGET_SECRETS, accounts)
        await connection.execute(sql.SET_SECRETS, accounts, passwords)

    async def _read(self, order: AccessOrder) -> Reading:
        """These accounts as any other client of the database sees them now."""
        margin = self._pause + MARGIN
        return await read_accounts(self._database, order.client_id, order.accounts, margin)

    # -- the sessions -----------------------------------------------------------------------------------------------

    async def _end_sessions(
        self, order: AccessOrder, reading: Reading, cut: Collection[str], until: float
    ) -> tuple[Reading, dict[str, Outcome]]:
        """End the sessions that may not go on, in two rounds: a session that was accepted just before the change may
        show in accounting only after the first round (measured: 14 of 40; after the second round none). If nothing was
        cut and nothing is open, there is nothing to wait for.

        Returns the accounts as they are then, and the outcome of each session.
        """
        if not cut and not any(account.to_end for account in reading.accounts):
            return reading, {}
        believed = not order.revived
        early = [session for account in reading.accounts for session in account.to_end]
        # the first round leaves the second its time
        first_until = until - self._pause - self._fleet.seconds
        outcomes = await self._fleet.disconnect(early, first_until, believed=believed)
        await asyncio.sleep(self._pause)
        async with attempt_on(self._database):
            reading = await self._read(order)
        open_now = [session for account in reading.accounts for session in account.to_end]
        if late := [s for s in open_now if s.key not in outcomes or not outcomes[s.key].gone]:
            outcomes |= await self._fleet.disconnect(late, until, believed=believed)
            async with attempt_on(self._database):
                reading = await self._read(order)
        return reading, outcomes

    # -- the proof ------------------------------------------------------------------------------------------------

    def _finding(self, account: Account, outcomes: dict[str, Outcome], doubts: dict[str, Doubt]) -> Finding:
        finding = account.finding(outcomes)
        doubt = doubts.get(account.wanted.account)
        return replace(finding, proof=doubt.proof, why=doubt.why) if doubt else finding

    async def _probed(self, account: Account, finding: Finding) -> Finding:
        """The finding, confirmed by a login of our own if its rows prove it."""
        if self._probe is None or finding.proof is not Proof.PROVEN or account.elsewhere:
            return finding
        name, owner = account.wanted.account, account.owner
        version = owner.secret_version if owner else 1
        password = radius_password(self._master_key, account.client_id, name, version)
        if not account.wanted.on:
            answer = await self._probe.is_rejected(name, password)
        elif owner is None or not owner.derived:
            answer = NOT_ASKED
        else:
            answer = await self._probe.is_accepted(name, password, replies_of(account.wanted))
        seen = finding.seen | {"probe": answer.summary}
        admitted = finding.in_service if answer.admitted is None else answer.admitted
        return Finding(name, admitted, seen, answer.proof, answer.why)
