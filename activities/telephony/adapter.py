"""The telephone system: Kamailio's tables ``subscriber`` (auth_db) and ``location`` (usrloc), and its memory.

Both switches are in the SELECT that Kamailio makes for every request, so a commit takes effect at once. Deleting its
rows of ``location`` ends a line's registrations (db_mode 3). JSON-RPC ends what servers keep in memory: calls, and
registrations in db_mode 1.
"""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Self

import asyncpg
import structlog

from activities.database import DRIVER_ERRORS, Database, Databases
from activities.directory.evidence import Evidences
from activities.errors import attempt_on, safe_message, stale_revision
from activities.fence import Fence, Owner, Verdict, judge
from activities.secrets import ha1, sip_password, sip_username
from activities.settings import Settings
from activities.telephony import sql
from activities.telephony.kamailio_rpc import RpcFailed, Servers, ServerState
from activities.telephony.observation import LineObservation, LineRow
from activities.telephony.order import LineOrder
from activities.telephony.sip_probe import Login, Probe
from workflows.domain.provisioning.standing import Doubt, Proof
from workflows.domain.systems import TELEPHONY
from workflows.ports import Ensure, Evidence, Finding, Observe, ServiceSystem

METHOD = "subscriber and location, read back on another connection"

LOCKED = (asyncpg.LockNotAvailableError, asyncpg.TransactionRollbackError)
REFUSED = (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError, asyncpg.RaiseError)
OF_ONE_LINE = (*LOCKED, *REFUSED)
"""Errors that may concern a single row: it is locked, or a CHECK or a trigger refuses it."""

_NO_TROUBLE = ServerState()

log = structlog.get_logger(__name__)


@dataclass
class Switched:
    """The effect of an order on the tables: ``ended`` lines are off, ``rekeyed`` ones have a new secret, and ``doubts``
    are those that could not be switched.
    """

    ended: set[str] = field(default_factory=set)
    rekeyed: set[str] = field(default_factory=set)
    doubts: dict[str, Doubt] = field(default_factory=dict)

    def add(self, other: "Switched") -> None:
        self.ended |= other.ended
        self.rekeyed |= other.rekeyed


class KamailioTelephony(ServiceSystem):
    """The telephone lines that the Kamailios of one SIP domain serve from one database."""

    system = TELEPHONY

    def __init__(
        self,
        database: Database,
        evidences: Evidences,
        master_key: bytes,
        sip_domain: str,
        servers: Servers,
        probe: Probe | None,
        *,
        end_calls: bool,
        seconds: float,
        read_back: float,
    ) -> None:
        """``seconds`` limits an order; ``read_back`` of them are reserved for reading it back."""
        self._database, self._evidences = database, evidences
        self._seconds, self._read_back = seconds, read_back
        self._master_key, self._domain = master_key, sip_domain
        self._servers, self._probe, self._end_calls = servers, probe, end_calls
        self._fence = Fence(TELEPHONY, "line")

    @classmethod
    def of(cls, settings: Settings, databases: Databases, evidences: Evidences) -> Self:
        """The adapter by these settings. Raises ValueError, which names the setting that is wrong."""
        probe = None
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
        return cls(
            databases.telephony,
            evidences,
            settings.read_master_key(),
            settings.sip_domain,
            servers,
            probe,
            end_calls=end_calls,
            seconds=settings.activity_seconds,
            read_back=min(settings.statement_seconds, settings.activity_seconds / 3),
        )

    async def ensure(self, order: Ensure) -> Evidence:
        """Put the lines in service or cease them as ordered, read back, and record the evidence."""
        return await self._ensure(LineOrder.of(order))

    async def _ensure(self, order: LineOrder) -> Evidence:
        until = self._until()
        async with attempt_on(self._database, until - self._read_back):
            switched = await self._switched(order)
        servers = await self._cut(order, switched, until - self._read_back)
        forgotten = [n for n in switched.rekeyed if not servers.get(sip_username(n), _NO_TROUBLE).trouble]
        async with attempt_on(self._database, until):
            lines = await self._read(order, switched.rekeyed)
            await self._trust_secrets(order, forgotten)
        observations = await self._probed([self._observation(line, order, switched, servers) for line in lines], until)
        evidence = self._evidence(order.revision, [it.finding() for it in observations], observations)
        log.info("lines_ensured", client_id=order.client_id, revision=order.revision, lines=len(lines))
        return await self._evidences.record(order.client_id, evidence, order.release)

    async def observe(self, order: Observe) -> Evidence:
        """Check whether ceased lines are in service, registered or in a call again."""
        ceased, until = LineOrder.to_look(order), self._until()
        async with attempt_on(self._database, until):
            lines = await self._read(ceased, look=True)
        ours = {sip_username(line.number) for line in lines if not line.elsewhere}
        servers = await self._servers.look(ours, until) if self._servers and ours else {}
        observations = [self._observation(line, ceased, Switched(), servers) for line in lines]
        evidence = self._evidence(order.revision, [it.finding(look=True) for it in observations], observations)
        return await self._evidences.record(order.client_id, replace(evidence, look=True))

    def _until(self) -> float:
        """When an order that begins now must end, by the loop's clock."""
        return asyncio.get_running_loop().time() + self._seconds

    # -- changing -------------------------------------------------------------------------------------------------

    async def _switched(self, order: LineOrder) -> Switched:
        """Switch all lines in one transaction, or each by itself if one of them fails."""
        passed = False
        try:
            async with self._database.transaction() as connection:
                await self._fence.pass_through(connection, order.client_id, order.revision)
                passed = True
                return await self._set(connection, order)
        except OF_ONE_LINE as error:
            if not passed or len(order.lines) < 2:
                raise
            return await self._switched_singly(order, error)

    async def _switched_singly(self, order: LineOrder, first: asyncpg.PostgresError) -> Switched:
        """Switch every line that can be switched, behind the same fence. Raises the ``first`` error when none can."""
        async with self._database.transaction() as connection:
            await self._fence.pass_through(connection, order.client_id, order.revision)
            await connection.execute(sql.HASTEN)
            done = Switched()
            locked = Doubt(Proof.NOT_PROVEN, "somebody else has a lock on this line: see pg_stat_activity")
            done.doubts = dict.fromkeys(await self._locked(connection, order), locked)
            for number in sorted(order.lines.keys() - done.doubts.keys()):
                try:
                    async with connection.transaction():
                        done.add(await self._set(connection, replace(order, lines={number: order.lines[number]})))
                except LOCKED:
                    done.doubts[number] = locked
                except REFUSED as error:
                    done.doubts[number] = Doubt(Proof.FAILED, f"the {self._database} refused: {safe_message(error)}")
            if done.doubts.keys() >= order.lines.keys():
                raise first
        log.warning("lines_isolated", client_id=order.client_id, revision=order.revision, lines=len(done.doubts))
        return done

    async def _locked(self, connection: asyncpg.Connection, order: LineOrder) -> set[str]:
        """Lock the lines' rows, in the usual order. Returns the lines whose rows another transaction has locked."""
        names = {sip_username(number): number for number in sorted(order.lines)}
        subjects = {f"line:{number}": number for number in sorted(order.lines)}
        free = {names[row["username"]] for row in await connection.fetch(sql.FREE, self._domain, sorted(names))}
        known = {names[row["username"]] for row in await connection.fetch(sql.ALL, self._domain, sorted(names))}
        free_owned = {subjects[row["subject"]] for row in await connection.fetch(sql.FREE_OWNED, sorted(subjects))}
        owned = {subjects[row["subject"]] for row in await connection.fetch(sql.OWNED, sorted(subjects))}
        return (known - free) | (owned - free_owned)

    async def _set(self, connection: asyncpg.Connection, order: LineOrder) -> Switched:
        """Switch lines. Rows are locked in one order everywhere: the system's first, then the owners'."""
        names = {sip_username(number): number for number in sorted(order.lines)}
        rows = await connection.fetch(sql.KNOWN, self._domain, sorted(names))
        known = {names[row["username"]] for row in rows}
        owners = await self._fence.owners(connection, order.lines)
        verdict = judge(order.client_id, order.secret_version, order.lines, known, owners)
        await self._rekey(connection, order, verdict)
        touched = sorted(verdict.touched)
        ended = {n for n, on in order.lines.items() if not on} - verdict.elsewhere
        if touched or ended:
            switches = [sip_username(n) for n in touched], [order.lines[n] for n in touched]
            unregistered = [sip_username(n) for n in sorted(ended | verdict.rekeyed)]
            await connection.execute(sql.SWITCH, self._domain, *switches, unregistered)
        await self._fence.own(connection, order.client_id, order.revision, order.secret_version, verdict)
        rekeyed = verdict.rekeyed & known
        if rekeyed and self._servers:
            await connection.execute(sql.DOUBT_SECRETS, _subjects(rekeyed), order.client_id, order.secret_version)
        return Switched(set(ended), set(rekeyed))

    async def _rekey(self, connection: asyncpg.Connection, order: LineOrder, verdict: Verdict) -> None:
        """Set the derived secret of new lines, lines of another client and rotated ones."""
        usernames, plain, with_domain = [], [], []
        for number in sorted(verdict.rekeyed):
            username = sip_username(number)
            password = sip_password(self._master_key, order.client_id, number, order.secret_version)
            usernames.append(username)
            plain.append(ha1(username, self._domain, password))
            with_domain.append(ha1(f"{username}@{self._domain}", self._domain, password))
        if usernames:
            await connection.execute(sql.REKEY, self._domain, usernames, plain, with_domain)

    async def _cut(self, order: LineOrder, switched: Switched, until: float) -> Mapping[str, ServerState]:
        """End what the servers have in memory of lines that went off or have a new secret. Returns what is left."""
        ceased, rekeyed = _usernames(switched.ended), _usernames(switched.rekeyed - switched.ended)
        if not self._servers or not (ceased or rekeyed):
            return {}

        subjects = {sip_username(number): f"line:{number}" for number in order.lines}

        async def still(usernames: Collection[str]) -> set[str]:
            names = sorted(usernames)
            asked = [subjects[name] for name in names]
            values = self._domain, names, asked, order.client_id, order.revision, sorted(rekeyed)
            try:
                return {row["username"] for row in await self._database.read(sql.STILL, *values)}
            except DRIVER_ERRORS as error:
                raise RpcFailed(
                    f"the {self._database} does not say what is still to be ended: {safe_message(error)}"
                ) from None

        return await self._servers.cut(ceased, rekeyed, still, until, end_calls=self._end_calls)

    async def _trust_secrets(self, order: LineOrder, numbers: list[str]) -> None:
        """Record that no server has a telephone with an old secret of these lines any more."""
        if numbers and self._servers:
            await self._database.write(sql.TRUST_SECRETS, _subjects(numbers), order.client_id, order.secret_version)

    # -- seeing ---------------------------------------------------------------------------------------------------

    async def _read(self, order: LineOrder, rekeyed: Collection[str] = (), *, look: bool = False) -> list[LineRow]:
        """The lines as the tables have them. Those in ``rekeyed`` have the order's secret, also while that is in doubt.

        Raises StaleRevision when a later order was carried out since, unless it is only to ``look``.
        """
        numbers = sorted(order.lines)
        usernames = [sip_username(number) for number in numbers]
        rows = await self._database.read(sql.READ, self._domain, numbers, usernames, order.client_id)
        newest = max((row["newest"] or 0 for row in rows), default=0)
        if newest > order.revision and not look:
            raise stale_revision(f"The {TELEPHONY} system", order.client_id, order.revision, newest)
        return [
            LineRow(
                row["number"],
                None if row["in_service"] is None else row["in_service"] == 1,
                row["registrations"],
                _owner(row, order, rekeyed),
                order.client_id,
            )
            for row in rows
        ]

    def _observation(
        self, line: LineRow, order: LineOrder, switched: Switched, servers: Mapping[str, ServerState]
    ) -> LineObservation:
        wanted = order.lines[line.number]
        return LineObservation(
            line,
            wanted,
            servers.get(sip_username(line.number)),
            protected=wanted and line.number in order.protected,
            doubt=switched.doubts.get(line.number),
            end_calls=self._end_calls,
        )

    async def _probed(self, observations: list[LineObservation], until: float) -> list[LineObservation]:
        """Probe each line whose secret we know, if settings allow it."""
        if self._probe is None:
            return observations
        logins = {it.line.number: login for it in observations if (login := self._login(it))}
        codes = await self._probe.answers(list(logins.values()), until)
        return [
            replace(it, probing=True, probed=True, code=codes[logins[it.line.number].username])
            if it.line.number in logins
            else replace(it, probing=True)
            for it in observations
        ]

    def _login(self, observation: LineObservation) -> Login | None:
        line, owner = observation.line, observation.line.owner
        if observation.doubt or line.absent or line.elsewhere or owner is None or not owner.derived:
            return None
        password = sip_password(self._master_key, owner.client_id, line.number, owner.secret_version)
        return Login(sip_username(line.number), password)

    def _evidence(self, revision: int, findings: list[Finding], observations: list[LineObservation]) -> Evidence:
        method = METHOD
        if any(not it.wanted and not it.line.elsewhere for it in observations):
            asked = f"calls and registrations asked of {len(self._servers)} Kamailio by JSON-RPC"
            method += f"; {asked}" if self._servers else "; calls were not looked up"
        if any(it.probed for it in observations):
            method += "; a REGISTER without Contact"
        return Evidence(TELEPHONY, revision, datetime.now(UTC), method, findings)


def _owner(row: asyncpg.Record, order: LineOrder, rekeyed: Collection[str]) -> Owner | None:
    if row["client_id"] is None:
        return None
    ours = row["client_id"] == order.client_id and row["number"] in rekeyed
    version = order.secret_version if ours else row["secret_version"]
    return Owner(row["client_id"], version, row["secret_derived"])


def _subjects(numbers: Collection[str]) -> list[str]:
    return [f"line:{number}" for number in sorted(numbers)]


def _usernames(numbers: Collection[str]) -> set[str]:
    return {sip_username(number) for number in numbers}
