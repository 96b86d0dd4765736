"""The telephone system: Kamailio's tables ``subscriber`` (auth_db) and ``location`` (usrloc), and its memory.

Both switches are in the SELECT that Kamailio makes for every request, so a commit takes effect at once. Deleting its
rows of ``location`` ends a line's registrations (db_mode 3). JSON-RPC ends what servers keep in memory: calls, and
registrations in db_mode 1.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar, Self

import asyncpg
import structlog

from activities.database import DRIVER_ERRORS, Database, Databases
from activities.directory.evidence import Evidences
from activities.errors import attempt_on, safe_message, stale_revision
from activities.fence import Fence, Owner, judge
from activities.instances import Instance
from activities.secrets import ha1, sip_password, sip_username
from activities.telephony import sql
from activities.telephony.alive import CeasedLines
from activities.telephony.kamailio_rpc import RpcFailed, Servers, ServerState
from activities.telephony.observation import Line
from activities.telephony.sip_probe import Probe
from workflows.domain.systems import TELEPHONY, System
from workflows.ports import Ensure, Evidence, Observed, ServiceSystem, Watched

METHOD = "subscriber and location, read back on another connection"

FENCE = Fence(TELEPHONY, "line", sql.KNOWN)

_NO_TROUBLE = ServerState()

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class KamailioTelephony(ServiceSystem):
    """The telephone lines that the Kamailios of one SIP domain serve from one database. ``seconds`` limits an order;
    ``read_back`` of them are reserved for reading it back."""

    system: ClassVar[System] = TELEPHONY

    database: Database
    evidences: Evidences
    master_key: bytes = field(repr=False)
    domain: str
    servers: Servers
    probe: Probe | None
    end_calls: bool
    seconds: float
    read_back: float
    ceased: CeasedLines

    @classmethod
    def of(cls, instance: Instance, databases: Databases, evidences: Evidences) -> Self:
        """The adapter of an instance. Raises ValueError, which names the setting that is wrong."""
        settings, probe = instance.settings, None
        if settings.probe_lines:
            if not settings.sip_server:
                raise ValueError("CONNECT_PROBE_LINES needs CONNECT_SIP_SERVER: host:port where telephones register")
            probe = Probe.of(settings.sip_server, settings.sip_domain, settings.probe_seconds)
        servers = Servers.named(
            settings.sip_rpc_urls.get_secret_value(), settings.sip_domain, settings.read_rpc_secret()
        )
        end_calls = settings.calls_in_progress == "end"
        if end_calls and not servers:
            log.warning("calls_in_progress_are_not_ended", remedy="set CONNECT_SIP_RPC_URLS")
        database = databases.of(*instance.key)
        return cls(
            database,
            evidences,
            settings.read_master_key(),
            settings.sip_domain,
            servers,
            probe,
            end_calls,
            settings.activity_seconds,
            min(settings.statement_seconds, settings.activity_seconds / 3),
            CeasedLines(database, settings.sip_domain, servers, settings.watch_seconds, end_calls=end_calls),
        )

    async def ensure(self, order: Ensure) -> Evidence:
        """Put the lines in service or cease them as ordered, read back, and record the evidence."""
        until = self._until()
        async with attempt_on(self.database, until - self.read_back):
            results, doubts = await FENCE.change(self.database, order, order.subjects, partial(self._switch, order))
        rekeyed = set[str]().union(*results)
        ceased = {number for number, line in order.subjects.items() if not line.on} - doubts.keys()
        servers = await self._cut(order, ceased, rekeyed, until - self.read_back)
        forgotten = [n for n in sorted(rekeyed) if not servers.get(sip_username(n), _NO_TROUBLE).trouble]
        async with attempt_on(self.database, until):
            lines = await self._read(order, rekeyed)
            if forgotten and self.servers:
                subjects = [f"line:{number}" for number in forgotten]
                await self.database.write(sql.TRUST_SECRETS, subjects, order.client_id, order.secret_version)
        lines = [replace(it, doubt=doubts.get(it.number), server=servers.get(sip_username(it.number))) for it in lines]
        lines = await self._probed(lines, until)
        log.info("lines_ensured", client_id=order.client_id, revision=order.revision, lines=len(lines))
        return await self.evidences.record(order.client_id, self._evidence(order.revision, lines), order.release)

    async def observe(self, watched: Sequence[Watched]) -> Observed:
        """Whether ceased lines are in service, registered or in a call again."""
        return await self.ceased.look(watched, self._until())

    def _until(self) -> float:
        """When an order that begins now must end, by the loop's clock."""
        return asyncio.get_running_loop().time() + self.seconds

    # -- changing -------------------------------------------------------------------------------------------------

    async def _switch(self, order: Ensure, connection: asyncpg.Connection, numbers: Sequence[str]) -> set[str]:
        """Switch these lines. Returns those that a telephone may have another secret of.

        A new secret of a known line counts as seen to only when the servers have forgotten who had the old one. Until
        then, whoever comes next makes it anew, the same, and has them forget: also after an answer to COMMIT was lost.
        """
        lines = {number: order.subjects[number].on for number in numbers}
        names = {sip_username(number): number for number in numbers}
        entry = await FENCE.enter(connection, order, numbers, self.domain, list(names))
        known = {names[row["username"]] for row in entry.rows}
        verdict = judge(order, lines, known, entry.owners)
        if verdict.rekeyed:
            secrets = [self._secret(order, number) for number in sorted(verdict.rekeyed)]
            await connection.execute(sql.REKEY, self.domain, *map(list, zip(*secrets, strict=True)))
        touched = sorted(verdict.touched)
        ended = {number for number, on in lines.items() if not on} - verdict.elsewhere
        if touched or ended:
            switches = _usernames(touched), [lines[number] for number in touched]
            await connection.execute(sql.SWITCH, self.domain, *switches, _usernames(ended | verdict.rekeyed))
        rekeyed, owners = verdict.rekeyed & known, verdict.owners
        if self.servers:
            owners |= {n: replace(owners[n], secret_version=order.secret_version - 1) for n in rekeyed}
        await FENCE.own(connection, order, entry.owners, owners)
        return set(rekeyed)

    def _secret(self, order: Ensure, number: str) -> tuple[str, str, str]:
        """The username of a line, and both digests of the secret that is derived for this order."""
        username = sip_username(number)
        password = sip_password(self.master_key, order.client_id, number, order.secret_version)
        with_domain = ha1(f"{username}@{self.domain}", self.domain, password)
        return username, ha1(username, self.domain, password), with_domain

    async def _cut(
        self, order: Ensure, ceased: Collection[str], rekeyed: Collection[str], until: float
    ) -> Mapping[str, ServerState]:
        """End what the servers have in memory of lines that went off or have a new secret. Returns what is left."""
        if not self.servers or not (ceased or rekeyed):
            return {}
        subjects = {sip_username(number): f"line:{number}" for number in order.subjects}

        async def still(usernames: Collection[str]) -> set[str]:
            names = sorted(usernames)
            lines = names, [subjects[name] for name in names]
            values = self.domain, *lines, order.client_id, order.revision, _usernames(rekeyed)
            try:
                return {row["username"] for row in await self.database.read(sql.STILL, *values)}
            except DRIVER_ERRORS as error:
                why = f"the {self.database} does not say what is still to be ended: {safe_message(error)}"
                raise RpcFailed(why) from None

        names = _usernames(ceased), _usernames(set(rekeyed) - set(ceased))
        return await self.servers.cut(*names, still, until, end_calls=self.end_calls)

    # -- seeing ---------------------------------------------------------------------------------------------------

    async def _read(self, order: Ensure, rekeyed: Collection[str] = ()) -> list[Line]:
        """The lines as the tables have them. Those in ``rekeyed`` have the order's secret, also while that is in doubt.

        Raises StaleRevision when a later order was carried out since.
        """
        numbers = sorted(order.subjects)
        rows = await self.database.read(sql.READ, self.domain, numbers, _usernames(numbers), order.client_id)
        newest = max((row["newest"] or 0 for row in rows), default=0)
        if newest > order.revision:
            raise stale_revision(f"The {TELEPHONY} system", order.client_id, order.revision, newest)
        return [self._line(row, order, rekeyed) for row in rows]

    def _line(self, row: asyncpg.Record, order: Ensure, rekeyed: Collection[str]) -> Line:
        number, owner = row["number"], Owner.of(row)
        if owner and owner.client_id == order.client_id and number in rekeyed:
            owner = replace(owner, secret_version=order.secret_version)
        should_be_on, in_service = (
            order.subjects[number].on,
            None if row["in_service"] is None else row["in_service"] == 1,
        )
        protected = should_be_on and number in order.protected
        line = Line(number, in_service, row["registrations"], owner, order.client_id, should_be_on)
        return replace(line, protected=protected, end_calls=self.end_calls)

    async def _probed(self, lines: list[Line], until: float) -> list[Line]:
        """Probe each line whose secret we know, if settings allow it."""
        if self.probe is None:
            return lines
        passwords = {
            sip_username(it.number): sip_password(self.master_key, it.client_id, it.number, it.owner.secret_version)
            for it in lines
            if it.owner and it.owner.derived and not (it.doubt or it.absent or it.elsewhere)
        }
        codes = await self.probe.answers(passwords, until)
        names = [(it, sip_username(it.number)) for it in lines]
        return [replace(it, probing=True, probed=name in codes, code=codes.get(name)) for it, name in names]

    def _evidence(self, revision: int, lines: list[Line]) -> Evidence:
        method = METHOD
        if any(not line.should_be_on and not line.elsewhere for line in lines):
            lookups = f"calls and registrations asked of {len(self.servers)} Kamailio by JSON-RPC"
            method += f"; {lookups}" if self.servers else "; calls were not looked up"
        if any(line.probed for line in lines):
            method += "; a REGISTER without Contact"
        findings = [line.finding() for line in lines]
        return Evidence(TELEPHONY, revision, datetime.now(UTC), method, findings)


def _usernames(numbers: Collection[str]) -> list[str]:
    return [sip_username(number) for number in sorted(numbers)]
