"""What the systems should do, what they were last proven to do, and the patience in between (PRODUCT.md section 5).

Unknown is not off: what a system was never proven to do counts as drift.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from workflows.domain.client import Client
from workflows.domain.lifecycle import Status
from workflows.domain.services import ClientType


class System(StrEnum):
    """What a client's decisions are carried out on. The directory is one more system: unpublished is drift."""

    TELEPHONY = "telephony"
    INTERNET = "internet"
    DIRECTORY = "directory"


SWITCHED = (System.TELEPHONY, System.INTERNET)


class Provisioned(StrEnum):
    """Where provisioning stands, as one word."""

    SETTLED = "settled"
    CHANGING = "changing"
    ATTENTION = "attention"


@dataclass(frozen=True)
class Limits:
    """How long things may take, in seconds. Given at the start of a workflow: replay must see what the first run saw.

    ``attempt`` bounds one attempt on one system, short retries included. Pauses between attempts start at
    ``first_pause``, double, and never exceed ``longest_pause``. ``recent`` command ids are remembered, for
    deduplication. After ``renew_after`` events of history a run is renewed; 0: when the server suggests it.
    """

    attempt: float = 120.0
    first_pause: float = 15.0
    longest_pause: float = 3600.0
    recent: int = 500
    renew_after: int = 0


@dataclass(frozen=True)
class Access:
    """One RADIUS account: rates in Mbit/s, an optional VLAN, and whether it may log in."""

    account: str
    on: bool
    down_mbps: int
    up_mbps: int
    vlan: int | None = None


@dataclass
class Standing:
    """How one system's attempts went. ``wanted_since`` is the revision at which what is wanted last changed."""

    wanted_since: int = 0
    proven_revision: int = 0
    proven_at: datetime | None = None
    attempts: int = 0
    last_error: str = ""
    retry_at: datetime | None = None
    attention: bool = False

    def expect(self, revision: int) -> None:
        """Something else is wanted: what failed before counts no more, and the next attempt is due at once."""
        self.wanted_since, self.attempts, self.retry_at = revision, 0, None

    def succeed(self, revision: int, now: datetime) -> None:
        """What was wanted at that revision is proven."""
        self.proven_revision, self.proven_at = max(revision, self.proven_revision), now
        self.attempts, self.last_error, self.retry_at, self.attention = 0, "", None, False

    def fail(self, error: str, now: datetime, limits: Limits, chance: float) -> None:
        """An attempt failed: the next one comes after a pause that grows and is jittered by ``chance`` (0 to 1)."""
        pause = min(limits.first_pause * 2 ** min(self.attempts, 30), limits.longest_pause)
        self.retry_at = now + timedelta(seconds=pause * (0.75 + 0.25 * chance))
        self.attempts, self.last_error, self.attention = self.attempts + 1, error, True


@dataclass
class Provisioning:
    """Desired and proven state of every system of one client.

    ``lines`` and ``access`` hold what was last proven, by number and by account; what is missing is unknown.
    ``closing`` is true once everything is wanted off for good.
    """

    lines: dict[str, bool] = field(default_factory=dict)
    lines_wanted: dict[str, bool] = field(default_factory=dict)
    access: dict[str, Access] = field(default_factory=dict)
    access_wanted: dict[str, Access] = field(default_factory=dict)
    published: int = 0
    standing: dict[System, Standing] = field(default_factory=lambda: {system: Standing() for system in System})
    closing: bool = False

    # -- wanted ---------------------------------------------------------------------------------------------------

    def follow(self, client: Client) -> None:
        """Want what the client's decisions ask for now."""
        lines_reopened, access_reopened = self._reopen(client)
        lines, access = self._lines_for(client), self._access_for(client)
        if lines_reopened or lines != self.lines_wanted:
            self.lines_wanted = lines
            self.standing[System.TELEPHONY].expect(client.revision)
        if access_reopened or access != self.access_wanted:
            self.access_wanted = access
            self.standing[System.INTERNET].expect(client.revision)
        if client.revision > self.standing[System.DIRECTORY].wanted_since:
            self.standing[System.DIRECTORY].expect(client.revision)

    def _reopen(self, client: Client) -> tuple[bool, bool]:
        """Doubt what was switched off before but is now given up: removed, or ended with the client.

        It is proven off once more, and released by that, also when a suspension had switched it off long ago.
        """
        ending = client.status is Status.DECOMMISSIONED and not self.closing
        self.closing = client.status is Status.DECOMMISSIONED
        lines = [n for n, on in self.lines.items() if not on and (ending or n not in client.services.numbers)]
        access = [a for a, x in self.access.items() if not x.on and (ending or client.services.internet is None)]
        for number in lines:
            self.lines_wanted[number] = self.lines.pop(number)
        for account in access:
            self.access_wanted[account] = self.access.pop(account)
        return bool(lines), bool(access)

    def _lines_for(self, client: Client) -> dict[str, bool]:
        wanted = dict.fromkeys([*self.lines, *self.lines_wanted], False)
        if client.status is not Status.NEW:
            wanted |= {line.number: self._in_service(client, line.protected) for line in client.services.lines}
        return wanted

    @staticmethod
    def _in_service(client: Client, protected: bool) -> bool:
        stays = protected and client.status is Status.SUSPENDED and client.first_active_at is not None
        return client.status is Status.ACTIVE or stays

    def _access_for(self, client: Client) -> dict[str, Access]:
        known = {**self.access_wanted, **self.access}
        wanted = {account: replace(access, on=False) for account, access in known.items()}
        internet = client.services.internet
        if internet is not None and client.status is not Status.NEW:
            account = client.client_id
            on = client.status is Status.ACTIVE and client.services.type is ClientType.RESIDENTIAL
            wanted[account] = Access(account, on, internet.down_mbps, internet.up_mbps, internet.vlan)
        return wanted

    # -- drift ----------------------------------------------------------------------------------------------------

    def drifts(self, system: System, client: Client) -> bool:
        """Whether the system is not proven to do what is wanted, or the directory not to show it."""
        match system:
            case System.TELEPHONY:
                return self.lines != self.lines_wanted
            case System.INTERNET:
                return self.access != self.access_wanted
            case System.DIRECTORY:
                return self.published < client.revision

    def may_attempt(self, system: System, client: Client, now: datetime) -> bool:
        """Whether there is drift whose time has come.

        A conversion ends internet access only after the telephones are proven; nothing else waits for another system.
        """
        retry_at = self.standing[system].retry_at
        return self.drifts(system, client) and not self._waits(system, client) and (retry_at is None or retry_at <= now)

    def _waits(self, system: System, client: Client) -> bool:
        """Only the end of internet access by a conversion waits; a client with nothing in service waits for nothing."""
        ending = system is System.INTERNET and client.services.type is ClientType.VIRTUAL
        proven = self.standing[System.TELEPHONY].proven_revision >= client.converted_revision
        return ending and client.status is Status.ACTIVE and not proven and self.drifts(System.TELEPHONY, client)

    def provisioned(self, client: Client) -> Provisioned:
        """The one word for all systems together."""
        if any(standing.attention for standing in self.standing.values()):
            return Provisioned.ATTENTION
        return self.switched(client)

    def switched(self, client: Client) -> Provisioned:
        """The one word for the systems that are switched, as the directory is told: it cannot show its own absence."""
        if any(self.standing[system].attention for system in SWITCHED):
            return Provisioned.ATTENTION
        return Provisioned.CHANGING if any(self.drifts(s, client) for s in System) else Provisioned.SETTLED

    def next_moment(self, client: Client) -> datetime | None:
        """When the next attempt is due, for what failed before."""
        retries = [
            standing.retry_at
            for system, standing in self.standing.items()
            if standing.retry_at and self.drifts(system, client) and not self._waits(system, client)
        ]
        return min(retries, default=None)

    @property
    def numbers_in_use(self) -> frozenset[str]:
        """Numbers that the telephone system is not proven to have switched off: nobody else may have them yet."""
        return frozenset(n for n in (*self.lines, *self.lines_wanted) if self.lines.get(n) is not False)

    # -- reports --------------------------------------------------------------------------------------------------

    def begin(self, system: System) -> None:
        """An attempt is under way: what it changes is unknown until it is proven, also if it is abandoned."""
        self.standing[system].retry_at = None
        if system is System.TELEPHONY:
            self.lines = {n: on for n, on in self.lines.items() if self.lines_wanted.get(n) is on}
        elif system is System.INTERNET:
            self.access = {a: access for a, access in self.access.items() if self.access_wanted.get(a) == access}

    def lines_proven(self, proven: dict[str, bool], revision: int, now: datetime, contracted: Collection[str]) -> None:
        """The telephone system was seen to do this. Lines that are off and no longer held are forgotten."""
        self.lines = {n: on for n, on in proven.items() if on or n in contracted}
        self.lines_wanted = {n: on for n, on in self.lines_wanted.items() if on or n in contracted or n in self.lines}
        self.standing[System.TELEPHONY].succeed(revision, now)

    def access_proven(
        self, proven: dict[str, Access], revision: int, now: datetime, contracted: Collection[str]
    ) -> None:
        """The network was seen to do this. Accounts that are off and no longer contracted are forgotten."""
        self.access = {a: access for a, access in proven.items() if access.on or a in contracted}
        self.access_wanted = {
            a: access for a, access in self.access_wanted.items() if access.on or a in contracted or a in self.access
        }
        self.standing[System.INTERNET].succeed(revision, now)

    def doubt(self, system: System, revision: int) -> None:
        """Somebody found the system not as it was left: what was proven of it is unknown now."""
        match system:
            case System.TELEPHONY:
                self.lines = {}
            case System.INTERNET:
                self.access = {}
            case System.DIRECTORY:
                self.published = 0
        self.standing[system].expect(revision)
