"""What the systems should do, and what they were last proven to do (PRODUCT.md section 5).

Unknown is not off: what a system was never proven to do counts as drift.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from workflows.domain.client.client import Client
from workflows.domain.lifecycle import Status
from workflows.domain.provisioning.standing import Found, Limits, Proof, Standing
from workflows.domain.services import ClientType, Line
from workflows.domain.systems import SWITCHED, System


class Provisioned(StrEnum):
    """Where provisioning stands, as one word."""

    SETTLED = "settled"
    CHANGING = "changing"
    ATTENTION = "attention"


@dataclass(frozen=True)
class Access:
    """One RADIUS account: rates in Mbit/s, an optional VLAN, and whether it may log in."""

    account: str
    on: bool
    down_mbps: int
    up_mbps: int
    vlan: int | None = None


@dataclass
class Provisioning:
    """Desired and proven state of every system of one client.

    ``lines`` and ``access`` hold what was last proven, by number and by account; what is missing is unknown.
    ``look_lines`` and ``look_access`` were proven off and wait for their second look. ``secret_version`` is that of the
    secrets that are wanted. ``closing`` is true once everything is wanted off for good.
    """

    lines: dict[str, bool] = field(default_factory=dict)
    lines_wanted: dict[str, bool] = field(default_factory=dict)
    access: dict[str, Access] = field(default_factory=dict)
    access_wanted: dict[str, Access] = field(default_factory=dict)
    published: int = 0
    standing: dict[System, Standing] = field(default_factory=lambda: {system: Standing() for system in System})
    closing: bool = False
    look_lines: list[str] = field(default_factory=list)
    look_access: list[Access] = field(default_factory=list)
    secret_version: int = 1

    # -- wanted ---------------------------------------------------------------------------------------------------

    def follow(self, client: Client) -> None:
        """Want what the client's decisions ask for now."""
        lines_reopened, access_reopened = self._reopen(client)
        if client.secret_version != self.secret_version:
            self.secret_version = client.secret_version
            lines_reopened, access_reopened = bool(self.lines_wanted), bool(self.access_wanted)
            self.lines, self.access = {}, {}
        lines, access = self._lines_for(client), self._access_for(client)
        if lines_reopened or lines != self.lines_wanted:
            self.lines_wanted = lines
            self.standing[System.TELEPHONY].expect(client.revision)
        if access_reopened or access != self.access_wanted:
            self.access_wanted = access
            self.standing[System.INTERNET].expect(client.revision)
        if client.revision > self.standing[System.DIRECTORY].wanted_since:
            self.standing[System.DIRECTORY].expect(client.revision)
        for system, subjects in self.to_look_at.items():
            if not subjects and self.standing[system].look_at is not None:
                self.forget_look(system)

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
            wanted |= {line.number: self._in_service(client, line) for line in client.services.lines}
        return wanted

    def _in_service(self, client: Client, line: Line) -> bool:
        """While active; protected lines stay, but do not come into service, while suspended."""
        stays = line.protected and client.status is Status.SUSPENDED and self.lines_wanted.get(line.number, False)
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

    def differs(self, system: System, client: Client) -> bool:
        """Whether the system is not proven to do what is wanted, or the directory not to show it."""
        match system:
            case System.TELEPHONY:
                return self.lines != self.lines_wanted
            case System.INTERNET:
                return self.access != self.access_wanted
            case System.DIRECTORY:
                return self.published < client.revision

    def drifts(self, system: System, client: Client) -> bool:
        """Whether there is a difference that nobody has accepted."""
        return self.standing[system].skipped is None and self.differs(system, client)

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

    def lines_found(
        self, ordered: Mapping[str, bool], found: Found, contracted: Collection[str], limits: Limits, chance: float
    ) -> None:
        """The telephone system was seen to do what was ordered, but for what is in doubt.

        Lines that are off and no longer held are forgotten.
        """
        proven = {n: on for n, on in ordered.items() if n not in found.doubts}
        ended = [n for n, on in proven.items() if not on and self.lines.get(n) is not False]
        self.lines = {n: on for n, on in proven.items() if on or n in contracted}
        self.lines_wanted = {
            n: on
            for n, on in self.lines_wanted.items()
            if on or n in contracted or n in self.lines or n in found.doubts
        }
        standing = self._concluded(System.TELEPHONY, list(self.lines), list(self.lines_wanted), found, limits, chance)
        if ended and limits.second_look:
            still_off = [n for n in self.look_lines if not proven.get(n, False)]
            self.look_lines = sorted({*still_off, *ended})
            standing.look_at, standing.looks_failed = found.at + timedelta(seconds=limits.second_look), 0

    def access_found(
        self,
        ordered: Mapping[str, Access],
        found: Found,
        contracted: Collection[str],
        limits: Limits,
        chance: float,
    ) -> None:
        """The network was seen to do what was ordered, but for what is in doubt.

        Accounts that are off and no longer contracted are forgotten.
        """
        proven = {a: access for a, access in ordered.items() if a not in found.doubts}
        ended = {a: x for a, x in proven.items() if not x.on and ((was := self.access.get(a)) is None or was.on)}
        self.access = {a: access for a, access in proven.items() if access.on or a in contracted}
        self.access_wanted = {
            a: access
            for a, access in self.access_wanted.items()
            if access.on or a in contracted or a in self.access or a in found.doubts
        }
        standing = self._concluded(System.INTERNET, list(self.access), list(self.access_wanted), found, limits, chance)
        if ended and limits.second_look:
            on = {a for a, access in proven.items() if access.on}
            still_off = {x.account: x for x in self.look_access if x.account not in on}
            self.look_access = list({**still_off, **ended}.values())
            standing.look_at, standing.looks_failed = found.at + timedelta(seconds=limits.second_look), 0

    def _concluded(
        self, system: System, seen: list[str], kept: list[str], found: Found, limits: Limits, chance: float
    ) -> Standing:
        standing = self.standing[system]
        standing.see(seen, found.seen, kept)
        if found.doubts:
            standing.fall_short(found, limits, chance)
        else:
            standing.succeed(found.revision, found.seen, method=found.method)
        return standing

    def by_hand(
        self, system: System, revision: int, now: datetime, by: str, note: str, contracted: Collection[str]
    ) -> None:
        """Somebody says that the system does what is wanted, having seen to it: what is wanted counts as proven.

        Their ``note`` is the evidence. Nothing is looked at again: it is done by hand where we cannot see.
        """
        standing = self.standing[system]
        standing.expect(revision)
        if system is System.TELEPHONY:
            self.lines = {n: on for n, on in self.lines_wanted.items() if on or n in contracted}
            self.lines_wanted = dict(self.lines)
            standing.see(self.lines, now, self.lines)
        elif system is System.INTERNET:
            self.access = {a: x for a, x in self.access_wanted.items() if x.on or a in contracted}
            self.access_wanted = dict(self.access)
            standing.see(self.access, now, self.access)
        standing.succeed(revision, now, method="by hand", by=by, note=note)
        self.forget_look(system)

    def doubt(self, system: System, revision: int) -> None:
        """Somebody found the system not as it was left: what was proven of it is unknown now."""
        match system:
            case System.TELEPHONY:
                self.lines = {}
            case System.INTERNET:
                self.access = {}
            case System.DIRECTORY:
                self.published = 0
        self.standing[system].distrust(revision)

    # -- the second look --------------------------------------------------------------------------------------------

    def next_look(self, client: Client, busy: Collection[System] = ()) -> datetime | None:
        """When something that was proven off is looked at again. What drifts, or is ``busy``, is done first."""
        looks = [self.standing[s].look_at for s in SWITCHED if s not in busy and not self.drifts(s, client)]
        return min((at for at in looks if at is not None), default=None)

    def may_look(self, system: System, client: Client, now: datetime) -> bool:
        """Whether the second look at a system is due."""
        at = self.standing[system].look_at
        return at is not None and at <= now and not self.drifts(system, client)

    @property
    def to_look_at(self) -> dict[System, list[str]]:
        """What was proven off, is still to be off, and was not looked at since."""
        lines = [n for n in self.look_lines if not self.lines_wanted.get(n, False)]
        on = {account for account, access in self.access_wanted.items() if access.on}
        return {
            System.TELEPHONY: lines,
            System.INTERNET: [x.account for x in self.look_access if x.account not in on],
        }

    def looked(self, system: System, found: Found, limits: Limits, chance: float) -> None:
        """A second look was taken. What could not be seen is looked at again after a pause."""
        standing = self.standing[system]
        if found.doubts:
            standing.look_later(found.summary, found.at, limits, chance)
            return
        wanted = self.lines_wanted if system is System.TELEPHONY else self.access_wanted
        standing.see([name for name in self.to_look_at[system] if name in wanted], found.seen, wanted)
        self.forget_look(system)

    def alive_again(self, system: System, found: Found, revision: int, limits: Limits, chance: float) -> None:
        """What was proven off is not: it is wanted off once more, also what was forgotten since."""
        subjects = [name for name, doubt in found.doubts.items() if doubt.proof is Proof.FAILED]
        if system is System.TELEPHONY:
            self.lines_wanted |= dict.fromkeys(subjects, False)
            self.lines = {n: on for n, on in self.lines.items() if n not in subjects}
        else:
            ended = {x.account: x for x in self.look_access if x.account in subjects}
            self.access_wanted = {**ended, **self.access_wanted}
            self.access = {a: access for a, access in self.access.items() if a not in subjects}
        standing = self.standing[system]
        standing.distrust(revision)
        standing.revive(found.summary, found.at, limits, chance)
        standing.look_at, standing.looks_failed = None, 0

    def forget_look(self, system: System) -> None:
        """Nothing of this system is to be looked at again."""
        if self.standing[system].look_at is not None or self.standing[system].revived:
            self.standing[system].looked()
        if system is System.TELEPHONY:
            self.look_lines = []
        else:
            self.look_access = []
