"""Sessions as accounting has them: what could be alive, and by which names its NAS knows it."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from typing import Any, Self

LATE = timedelta(seconds=60)
"""How much later than its event an accounting row may be written: packets are repeated, and gear queues them while the
server is away, then sends them with the time of the event (Event-Timestamp, or an Acct-Delay-Time)."""

SAME = 2.0
"""Seconds between two columns that one accounting packet wrote."""

SHORTEST_GAP, LONGEST_GAP = 60.0, 3600.0
"""Seconds between two updates that are no Interim interval: less (RFC 2869 section 5.16 forbids it) is an update for
another reason, as an address that has come, and more is accounting that was away."""

CAUSES = frozenset(
    {"", "user-request", "lost-carrier", "lost-service", "idle-timeout", "session-timeout", "admin-reset"}
    | {"admin-reboot", "port-error", "nas-error", "nas-request", "nas-reboot", "port-unneeded", "port-preempted"}
    | {"port-suspended", "service-unavailable", "callback", "user-error", "host-request", "supplicant-restart"}
    | {"reauthentication-failure", "port-reinit", "port-disabled", "port-reinitialized"}
    | {"port-administratively-disabled", "lost-power"}
)
"""What a NAS gives as Acct-Terminate-Cause in its Stop (RFC 2866 section 5.10, RFC 3580 section 2.2), or nothing. A
row that is closed without the column, or with another word, was closed by somebody else, as by a clean-up job."""

NO_REALM = frozenset({"", "null", "local", "default"})
"""What FreeRADIUS writes as the realm of a name without one, or of its own realms."""

IDENTITY = {
    "Acct-Multi-Session-Id": "acctmultisessionid",
    "Framed-IP-Address": "framedipaddress",
    "Framed-IPv6-Prefix": "framedipv6prefix",
    "Framed-IPv6-Address": "framedipv6address",
    "Calling-Station-Id": "callingstationid",
    "NAS-Identifier": "nasidentifier",
}
"""What identifies a session beside its name and id, and the column of ``radacct`` that has it, where there is one (RFC
5176 section 3; RFC 6911 section 3.1 for Framed-IPv6-Address)."""


@dataclass(frozen=True)
class Session:
    """A row of ``radacct`` that could be of a living session. ``key`` is unique, ``session`` is the NAS's id,
    ``username`` the name as it accounts it; times are Unix times. ``started``: None, too, where only updates have
    arrived that do not say for how long it goes on. ``interim``: seconds after which a living session is heard of
    again. ``more``: RADIUS attributes that identify it, beside these. ``number``: a row that came later has a higher
    one."""

    key: str
    session: str
    account: str
    nas: str
    started: float | None
    updated: float | None
    username: str = ""
    realm: str = ""
    stopped: float | None = None
    cause: str | None = None
    interim: float = 0.0
    number: int = 0
    more: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, row: Mapping[str, Any], account: str, interim: float | None, usual: float) -> Self:
        """The session of a row of ``sql.ALIVE``. Its Interim interval is the one that its NAS is told, or the gap that
        was observed if that is longer, or else the ``usual`` one."""
        gap = float(row["gap"] or 0)
        observed = gap if SHORTEST_GAP <= gap <= LONGEST_GAP else 0.0
        columns = {name: row["row"].get(column) for name, column in IDENTITY.items()}
        more = {name: value for name, value in columns.items() if value not in (None, "", "0.0.0.0", "::")}
        undated = all(row["row"].get(column, 0) is None for column in ("connectinfo_start", "acctsessiontime"))
        return cls(
            *(row["key"], row["session"], account, row["nas"], None if undated else row["started"], row["updated"]),
            username=row["username"] or account,
            realm=row["row"].get("realm") or "",
            stopped=row["stopped"],
            cause=row["row"].get("acctterminatecause"),
            interim=max(interim or 0.0, observed) or usual,
            number=row["row"].get("radacctid") or 0,
            more=more,
        )

    def last_seen(self, at: float) -> float:
        """When it was last heard of, as far as its times are believed: none that are yet to come."""
        times = [time for time in (self.started, self.updated) if time is not None and time <= at + SAME]
        return max(times, default=0.0)

    @property
    def is_open(self) -> bool:
        """Whether it was heard of since it was closed, if it was closed at all: an id that is used again, or a row
        closed by a clean-up job. What trails a Stop by little is no sign of life."""
        if self.stopped is None:
            return True
        began = self.started is not None and self.started > self.stopped + SAME
        return began or (self.updated is not None and self.updated > self.stopped + LATE.total_seconds())

    @property
    def has_ended(self) -> bool:
        """Whether its NAS said so: closed by its Stop, or its Accounting-On or -Off, and not heard of since."""
        if self.is_open or self.stopped is None or self.cause is None or self.cause.lower() not in CAUSES:
            return False
        return self.updated is None or self.updated >= self.stopped - SAME or self.cause.lower() == "nas-reboot"

    def updated_since(self, earlier: "Session") -> bool:
        """Whether accounting has heard of it since it was read earlier, and not of its end."""
        return self.is_open and (self.updated or 0.0) > (earlier.updated or 0.0)

    def stale(self, at: float) -> bool:
        """Whether a living session would have been heard of: one Interim interval has passed, and a tenth for its way.
        That somebody closed its row is not enough."""
        return at - self.last_seen(at) > self.interim * 1.1

    def identities(self) -> list[dict[str, str]]:
        """By what its NAS may know it, likeliest first. Everything that is named must match (RFC 5176 section 3), and
        an address may have changed since: so the last ones name no more than who, which and where."""
        name = as_sent(self.username or self.account)
        names = [name]
        if self.realm.lower() not in NO_REALM and "@" not in name:
            names.insert(0, f"{name}@{self.realm}")
        where = "NAS-IP-Address" if ip_address(self.nas).version == 4 else "NAS-IPv6-Address"
        bare = [{"User-Name": n, "Acct-Session-Id": as_sent(self.session), where: self.nas} for n in names]
        more = {key: as_sent(value) for key, value in self.more.items()}
        return [bare[0] | more, *bare] if more else bare

    def __str__(self) -> str:
        return f"session {self.session} on NAS {self.nas}"


def as_sent(text: str) -> str:
    """A text as the NAS wrote it: rlm_sql stores octets other than its ``safe_characters`` as =XX."""
    octets = re.sub(rb"=([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), text.encode())
    return octets.decode("utf-8", "surrogateescape")


_REALM = re.compile(r"^(?:(?P<before>.*)(?:/|\\|=5C))?(?P<name>.*?)(?:(?:@|%|=25)(?P<after>.*))?$", re.DOTALL)


def local(name: str) -> str:
    """A name without realm, case and blanks at its ends: what all spellings of one account have in common (as
    ``sql.FOLD``)."""
    return _parts(name)[0]


def spells(account: str, username: str, realms: Sequence[str] = ("*",)) -> bool:
    """Whether somebody may mean this account by a name: without regard to case and blanks at its ends, and with one of
    these realms (``*``: any) where the account has none. Two names with different realms are different accounts."""
    (one, of_one), (other, of_other) = map(_parts, (account, username))
    known = not of_other or "*" in realms or of_other in realms
    return one == other and (known if not of_one else of_other in ("", of_one))


def _parts(name: str) -> tuple[str, str]:
    found = _REALM.match(name)
    assert found
    realm = found["after"] or found["before"] or ""
    return found["name"].strip(" ").lower(), realm.strip(" ").lower()
