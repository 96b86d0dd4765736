"""The telephone system: Kamailio's tables ``subscriber`` (auth_db) and ``location`` (usrloc, db_mode 3).

Both switches ride in the SELECT that Kamailio makes for every request, so what is committed counts at once; deleting
its rows of ``location`` ends a line's registrations.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

import asyncpg
import structlog
from temporalio import activity

from activities.database import Database
from activities.errors import attempt_on, not_proven
from activities.evidence import Evidences
from activities.fence import Fence, Owner, Verdict, judge, secret_told
from activities.secrets import ha1, sip_password, sip_username
from workflows.domain.standing import Proof
from workflows.domain.systems import System
from workflows.ports import EnsureLines, Evidence, Finding, ObserveLines, Telephony

METHOD = "subscriber and location, read back on another connection"

_KNOWN = "SELECT username FROM subscriber WHERE domain = $1 AND username = ANY($2) ORDER BY username FOR UPDATE"

_REKEY = """
INSERT INTO subscriber (username, domain, password, ha1, ha1b)
SELECT w.username, $1, '', w.ha1, w.ha1b
FROM unnest($2::text[], $3::text[], $4::text[]) AS w(username, ha1, ha1b) ORDER BY w.username
ON CONFLICT (username, domain) DO UPDATE SET password = '', ha1 = excluded.ha1, ha1b = excluded.ha1b"""

# The registrations of what ended go in the same round trip.
_SWITCH = """
WITH unregistered AS (DELETE FROM location WHERE coalesce(domain, '') IN ($1, '') AND username = ANY($4))
UPDATE subscriber s SET in_service = w.wanted::int
FROM unnest($2::text[], $3::boolean[]) AS w(username, wanted)
WHERE s.domain = $1 AND s.username = w.username AND s.in_service IS DISTINCT FROM w.wanted::int"""

_READ = """
SELECT w.number, s.in_service, f.client_id, f.secret_version, f.secret_derived,
  (SELECT count(*) FROM location l
    WHERE l.username = w.username AND coalesce(l.domain, '') IN ($1, '')) AS registrations
FROM unnest($2::text[], $3::text[]) AS w(number, username)
LEFT JOIN subscriber s ON s.domain = $1 AND s.username = w.username
LEFT JOIN connect_fence f ON f.system = 'telephony' AND f.subject = 'line:' || w.number"""


log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Line:
    """One line as it was read back. ``in_service`` is None for a line the system does not know."""

    number: str
    in_service: bool | None
    registrations: int
    owner: Owner | None
    client_id: str

    @property
    def elsewhere(self) -> bool:
        return self.owner is not None and self.owner.client_id != self.client_id

    def is_as(self, wanted: bool) -> bool:
        """In service for this client, or neither able to register nor registered."""
        if wanted:
            return self.in_service is True and not self.elsewhere
        return self.elsewhere or (not self.in_service and self.registrations == 0)

    @property
    def finding(self) -> Finding:
        if self.elsewhere:
            return Finding(self.number, False, {"owner": "another client"})
        word = {None: "absent", True: "1", False: "0"}[self.in_service]
        seen = {"in_service": word, "registrations": str(self.registrations)}
        if self.in_service is not None:
            seen["secret"] = secret_told(self.owner)
        return Finding(self.number, bool(self.in_service), seen)


class KamailioTelephony(Telephony):
    """Telephone lines, as one Kamailio serves them in one SIP domain."""

    def __init__(self, database: Database, evidences: Evidences, master_key: bytes, sip_domain: str) -> None:
        self._database, self._evidences = database, evidences
        self._master_key, self._domain = master_key, sip_domain
        self._fence = Fence(System.TELEPHONY, "line")

    @activity.defn(name="ensure_lines")
    async def ensure_lines(self, order: EnsureLines) -> Evidence:
        """Have the lines in service or ceased as ordered, see that it is so, and tell the directory."""
        async with attempt_on(self._database):
            async with self._database.transaction() as connection:
                await self._fence.pass_through(connection, order.client_id, order.revision)
                await self._set(connection, order)
            lines = await self._read(order)
        if differences := [_difference(line, order) for line in lines if not line.is_as(order.lines[line.number])]:
            raise not_proven(self._database, differences)
        findings = [line.finding for line in lines]
        evidence = Evidence(System.TELEPHONY, order.revision, datetime.now(UTC), METHOD, findings)
        log.info("lines_ensured", client_id=order.client_id, revision=order.revision, lines=len(lines))
        return await self._evidences.take_down(order.client_id, evidence, order.release)

    @activity.defn(name="observe_lines")
    async def observe_lines(self, order: ObserveLines) -> Evidence:
        """Look whether ceased lines are in service, or registered, again."""
        ceased = EnsureLines(order.client_id, order.revision, dict.fromkeys(order.lines, False))
        async with attempt_on(self._database):
            lines = await self._read(ceased)
        findings = [
            replace(
                line.finding, proof=Proof.PROVEN if line.is_as(False) else Proof.FAILED, why=_difference(line, ceased)
            )
            for line in lines
        ]
        evidence = Evidence(System.TELEPHONY, order.revision, datetime.now(UTC), METHOD, findings, look=True)
        return await self._evidences.take_down(order.client_id, evidence)

    async def _set(self, connection: asyncpg.Connection, order: EnsureLines) -> None:
        """Rows are locked in one order for everybody: those of the system first, then those that say whose they are."""
        names = {sip_username(number): number for number in sorted(order.lines)}
        rows = await connection.fetch(_KNOWN, self._domain, sorted(names))
        known = {names[row["username"]] for row in rows}
        owners = await self._fence.owners(connection, order.lines)
        verdict = judge(order.client_id, order.secret_version, order.lines, known, owners)
        await self._rekey(connection, order, verdict)
        touched = sorted(verdict.touched)
        ended = {n for n, on in order.lines.items() if not on} - verdict.elsewhere | verdict.rekeyed
        if touched or ended:
            switches = [sip_username(n) for n in touched], [order.lines[n] for n in touched]
            await connection.execute(_SWITCH, self._domain, *switches, [sip_username(n) for n in sorted(ended)])
        await self._fence.own(connection, order.client_id, order.revision, order.secret_version, verdict)

    async def _rekey(self, connection: asyncpg.Connection, order: EnsureLines, verdict: Verdict) -> None:
        """Give new lines, lines of another client and rotated ones their derived secret."""
        usernames, plain, with_domain = [], [], []
        for number in sorted(verdict.rekeyed):
            username = sip_username(number)
            password = sip_password(self._master_key, order.client_id, number, order.secret_version)
            usernames.append(username)
            plain.append(ha1(username, self._domain, password))
            with_domain.append(ha1(f"{username}@{self._domain}", self._domain, password))
        if usernames:
            await connection.execute(_REKEY, self._domain, usernames, plain, with_domain)

    async def _read(self, order: EnsureLines) -> list[Line]:
        numbers = sorted(order.lines)
        rows = await self._database.read(_READ, self._domain, numbers, [sip_username(n) for n in numbers])
        return [
            Line(
                row["number"],
                None if row["in_service"] is None else row["in_service"] == 1,
                row["registrations"],
                row["client_id"] and Owner(row["client_id"], row["secret_version"], row["secret_derived"]),
                order.client_id,
            )
            for row in rows
        ]


def _difference(line: Line, order: EnsureLines) -> str:
    seen = ", ".join(f"{name}={value}" for name, value in line.finding.seen.items())
    return f"line {line.number} should be {'in service' if order.lines[line.number] else 'ceased'} and is {seen}"
