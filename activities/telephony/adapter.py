"""The telephone system: Kamailio's tables ``subscriber`` (auth_db) and ``location`` (usrloc), and its memory.

Both switches are in the SELECT that Kamailio makes for every request, so a commit takes effect at once. Deleting its
rows of ``location`` ends a line's registrations (db_mode 3). JSON-RPC ends what servers keep in memory: calls, and
registrations in db_mode 1 and 2.

A line is every row whose username spells its number, in any domain (spelling.py). Where such a row was there before, it
is the line and keeps its secret; a second one is never made beside it.
"""

import asyncio
from collections import defaultdict
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
from activities.fence import Fence, judge
from activities.instances import Instance
from activities.secrets import ha1, sip_password, sip_username
from activities.telephony import sql
from activities.telephony.alive import CeasedLines
from activities.telephony.kamailio_rpc import RpcFailed, Servers, ServerState
from activities.telephony.observation import LineObservation, LineRow, doubt_of_new
from activities.telephony.sip_probe import Probe
from activities.telephony.spelling import Forms, forms_of
from activities.telephony.tables import DesiredLine, LineTables
from workflows.domain.provisioning.standing import Doubt
from workflows.domain.systems import TELEPHONY, System
from workflows.ports import Ensure, Evidence, Observed, ServiceSystem, Watched

METHOD = "subscriber and location, read back on another connection"

FENCE = Fence(TELEPHONY, "line", sql.KNOWN)

_NO_TROUBLE = ServerState()

Login = tuple[str, str]
"""The username and domain of a row of subscriber: what a telephone logs in as."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Switched:
    """What a change did: the lines that got another secret, those that were ``refused``, and whom servers may have
    registered of each line, by address-of-record."""

    rekeyed: set[str]
    refused: dict[str, Doubt]
    aors: dict[str, set[str]]


@dataclass(frozen=True)
class KamailioTelephony(ServiceSystem):
    """The telephone lines that the Kamailios of one SIP domain serve from one database. ``seconds`` limits an order;
    ``read_back`` of them are reserved for reading it back."""

    system: ClassVar[System] = TELEPHONY

    database: Database
    evidences: Evidences
    master_key: bytes = field(repr=False)
    tables: LineTables
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
        servers = Servers.named(settings.sip_rpc_urls.get_secret_value(), settings.read_rpc_secret())
        end_calls = settings.calls_in_progress == "end"
        if end_calls and not servers:
            log.warning("calls_in_progress_are_not_ended", remedy="set CONNECT_SIP_RPC_URLS")
        database = databases.of(*instance.key)
        tables = LineTables(database, settings.sip_domain, settings.sip_country)
        return cls(
            database,
            evidences,
            settings.read_master_key(),
            tables,
            servers,
            probe,
            end_calls,
            settings.activity_seconds,
            min(settings.statement_seconds, settings.activity_seconds / 3),
            CeasedLines(tables, servers, settings.watch_seconds, end_calls=end_calls),
        )

    async def ensure(self, order: Ensure) -> Evidence:
        """Put the lines in service or cease them as ordered, read back, and record the evidence."""
        until = self._until()
        async with attempt_on(self.database, until - self.read_back):
            results, doubts = await FENCE.change(self.database, order, order.subjects, partial(self._switch, order))
        rekeyed = set[str]().union(*(it.rekeyed for it in results))
        doubts |= {number: doubt for it in results for number, doubt in it.refused.items()}
        aors = {number: names for it in results for number, names in it.aors.items()}
        ceased = {number for number, line in order.subjects.items() if not line.on} - doubts.keys()
        servers = await self._end_in_memory(order, ceased, rekeyed, aors, until - self.read_back)
        forgotten = [number for number in sorted(rekeyed) if not servers.get(number, _NO_TROUBLE).trouble]
        async with attempt_on(self.database, until):
            lines = await self._read(order, rekeyed)
            if forgotten and self.servers:
                subjects = [f"line:{number}" for number in forgotten]
                await self.database.write(sql.TRUST_SECRETS, subjects, order.client_id, order.secret_version)
        lines = [replace(it, doubt=doubts.get(it.number), server=servers.get(it.number)) for it in lines]
        lines = await self._probed(lines, until)
        log.info("lines_ensured", client_id=order.client_id, revision=order.revision, lines=len(lines))
        return await self.evidences.record(order.client_id, self._evidence(order.revision, lines), order.release)

    async def observe(self, watched: Sequence[Watched]) -> Observed:
        """Whether ceased lines are in service, registered or in a call again."""
        return await self.ceased.look(watched, self._until()) if watched else Observed()

    def _until(self) -> float:
        """When an order that begins now must end, by the loop's clock."""
        return asyncio.get_running_loop().time() + self.seconds

    # -- changing -------------------------------------------------------------------------------------------------

    async def _switch(self, order: Ensure, connection: asyncpg.Connection, numbers: Sequence[str]) -> Switched:
        """Switch these lines. Those ``rekeyed`` are lines that a telephone may have another secret of.

        A new secret of a known line counts as seen to only when the servers have forgotten who had the old one. Until
        then, whoever comes next makes it anew, the same, and has them forget: also after an answer to COMMIT was lost.
        """
        entry = await FENCE.enter(connection, order, numbers, *self._forms(numbers))
        logins, doubtful = defaultdict[str, list[Login]](list), defaultdict[str, list[LineRow]](list)
        for row in entry.rows:
            login = row["username"], row["domain"]
            if row["certain"]:
                logins[row["number"]].append(login)
            else:
                doubtful[row["number"]].append(LineRow(*login, in_service=True, certain=False))
        known = frozenset(logins)
        refusals = await self._refusals(order, connection, [n for n in numbers if n not in known], doubtful)
        lines = {number: order.subjects[number].on for number in numbers if number not in refusals}
        verdict = judge(order, lines, known, entry.owners)
        for number in verdict.touched - known:
            logins[number].append((sip_username(number), self.tables.domain))
        if verdict.rekeyed:
            secrets = [self._secret(order, number, *it) for number in sorted(verdict.rekeyed) for it in logins[number]]
            await connection.execute(sql.REKEY, *map(list, zip(*secrets, strict=True)))
        ended = {number for number, on in lines.items() if not on} - verdict.elsewhere
        aors = {number: self.tables.aors(number, ("@".join(it) for it in logins[number])) for number in lines}
        if verdict.touched or ended:
            switches = [(*it, lines[number]) for number in sorted(verdict.touched) for it in logins[number]]
            columns = map(list, zip(*switches, strict=True)) if switches else ([], [], [])
            for row in await connection.fetch(sql.SWITCH, *columns, *self._forms(ended | verdict.rekeyed)):
                aors[row["number"]] |= self.tables.aors(row["number"], [f"{row['username']}@{row['domain'] or ''}"])
        rekeyed, owners = verdict.rekeyed & known, verdict.owners
        if self.servers:
            owners |= {n: replace(owners[n], secret_version=order.secret_version - 1) for n in rekeyed}
        await FENCE.own(connection, order, entry.owners, owners)
        return Switched(set(rekeyed), refusals, aors)

    async def _refusals(
        self,
        order: Ensure,
        connection: asyncpg.Connection,
        unknown: Sequence[str],
        doubtful: Mapping[str, Sequence[LineRow]],
    ) -> dict[str, Doubt]:
        """Why lines that have no row are not created: what is there may be the line already."""
        created = [number for number in unknown if order.subjects[number].on]
        if not created:
            return {}
        tables = [row["name"] for row in await connection.fetch(sql.NAMES_THERE)]
        names = await self.tables.other_names(connection, tables, created)
        doubts = {number: doubt_of_new(doubtful.get(number, ()), names.get(number, ())) for number in created}
        return {number: doubt for number, doubt in doubts.items() if doubt}

    def _secret(self, order: Ensure, number: str, username: str, domain: str) -> tuple[str, str, str, str]:
        """A login of a line, and both digests of the secret that is derived for this order."""
        realm = domain or self.tables.domain
        password = sip_password(self.master_key, order.client_id, number, order.secret_version)
        return username, domain, ha1(username, realm, password), ha1(f"{username}@{realm}", realm, password)

    def _forms(self, numbers: Collection[str]) -> Forms:
        return forms_of(numbers, self.tables.country)

    async def _end_in_memory(
        self,
        order: Ensure,
        ceased: Collection[str],
        rekeyed: Collection[str],
        aors: Mapping[str, Collection[str]],
        until: float,
    ) -> Mapping[str, ServerState]:
        """End what the servers have in memory of lines that went off or have a new secret. Returns what is left."""
        if not self.servers or not (ceased or rekeyed):
            return {}

        async def still(numbers: Collection[str]) -> set[str]:
            values = sorted(numbers), order.client_id, order.revision, sorted(rekeyed), *self._forms(numbers)
            try:
                return {row["number"] for row in await self.database.read(sql.STILL, *values)}
            except DRIVER_ERRORS as error:
                why = f"the {self.database} does not say what is still to be ended: {safe_message(error)}"
                raise RpcFailed(why) from None

        lines = {number: aors.get(number) or self.tables.aors(number) for number in {*ceased, *rekeyed}}
        return await self.servers.end(lines, ceased, still, until, end_calls=self.end_calls)

    # -- seeing ---------------------------------------------------------------------------------------------------

    async def _read(self, order: Ensure, rekeyed: Collection[str]) -> list[LineObservation]:
        """The lines as the tables have them. Those in ``rekeyed`` have the order's secret, also while that is in doubt.

        Raises StaleRevision when a later order was carried out since.
        """
        desired = [DesiredLine(number, order.client_id, line.on) for number, line in sorted(order.subjects.items())]
        lines, newest = await self.tables.read(desired)
        if (revision := newest.get(order.client_id, 0)) > order.revision:
            raise stale_revision(f"The {TELEPHONY} system", order.client_id, order.revision, revision)
        return [self._line(line, order, rekeyed) for line in lines]

    def _line(self, line: LineObservation, order: Ensure, rekeyed: Collection[str]) -> LineObservation:
        owner = line.owner
        if owner and owner.client_id == order.client_id and line.number in rekeyed:
            owner = replace(owner, secret_version=order.secret_version)
        protected = line.should_be_on and line.number in order.protected
        return replace(line, owner=owner, protected=protected, end_calls=self.end_calls)

    async def _probed(self, lines: list[LineObservation], until: float) -> list[LineObservation]:
        """Probe each line whose secret we know, if settings allow it."""
        if self.probe is None:
            return lines
        passwords, names = dict[str, str](), dict[str, str]()
        for it in lines:
            ours = [row.username for row in it.own if row.domain == self.tables.domain]
            if ours and it.owner and it.owner.derived and not (it.doubt or it.elsewhere):
                names[it.number] = ours[0]
                version = it.owner.secret_version
                passwords[ours[0]] = sip_password(self.master_key, it.client_id, it.number, version)
        codes = await self.probe.answers(passwords, until)
        return [
            replace(it, probing=True, probed=names.get(it.number) in codes, code=codes.get(names.get(it.number, "")))
            for it in lines
        ]

    def _evidence(self, revision: int, lines: list[LineObservation]) -> Evidence:
        method = METHOD
        if any(not line.should_be_on and not line.elsewhere for line in lines):
            lookups = f"calls and registrations asked of {len(self.servers)} Kamailio by JSON-RPC"
            method += f"; {lookups}" if self.servers else "; calls were not looked up"
        if any(line.probed for line in lines):
            method += "; a REGISTER without Contact"
        findings = [line.finding() for line in lines]
        return Evidence(TELEPHONY, revision, datetime.now(UTC), method, findings)
