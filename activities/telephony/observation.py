"""What was seen of a telephone line, and whether it proves the order."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from activities.fence import OWN_SECRET, Owner, describe_secret
from activities.telephony.kamailio_rpc import ServerState
from workflows.domain.provisioning.standing import MOST_TOLD, Doubt, Proof
from workflows.ports import Finding

SILENT = "no answer"
NOT_LOOKED_UP = "not looked up"
ANSWERS = {True: 200, False: 403}
"""The answer to a REGISTER of a line in service, and of a ceased one (deploy/kamailio/kamailio.cfg)."""

_AWAY = (500, 503, 504)  # of the server, not of the line: Kamailio's database is away


@dataclass(frozen=True)
class LineRow:
    """A row of ``subscriber`` whose username spells the line's number: ``certain``, unless it may be another number."""

    username: str
    domain: str
    in_service: bool
    certain: bool

    def __str__(self) -> str:
        return f"{self.username}@{self.domain}"


@dataclass(frozen=True)
class Registration:
    """A row of ``location`` under a spelling of the line's number."""

    username: str
    domain: str
    certain: bool

    def __str__(self) -> str:
        return f"{self.username}@{self.domain}"


@dataclass(frozen=True)
class OtherName:
    """A row of ``source`` by which another subscriber, who is in service, is called by a spelling of the number, or may
    use it as his own."""

    source: str
    name: str
    target: str

    def __str__(self) -> str:
        return f"{self.source} gives {self.name} to {self.target}, which is in service"


@dataclass(frozen=True)
class LineObservation:
    """Everything that was seen of a line that its order puts in service (``should_be_on``) or ceases.

    ``usual`` is how Connect would name it. ``unread``: tables that could not be looked at. ``server`` is what the
    servers say of it, None where they were not asked. ``probed`` says whether a REGISTER was sent, ``code`` what it was
    answered. ``doubt`` is why it could not be switched. ``end_calls``: no call may go on.
    """

    number: str
    usual: str
    rows: Sequence[LineRow]
    registered: Sequence[Registration]
    owner: Owner | None
    client_id: str
    should_be_on: bool
    other_names: Sequence[OtherName] = ()
    unread: Sequence[str] = ()
    server: ServerState | None = None
    probed: bool = False
    code: int | None = None
    probing: bool = False
    protected: bool = False
    doubt: Doubt | None = None
    end_calls: bool = True

    @property
    def elsewhere(self) -> bool:
        return self.owner is not None and self.owner.client_id != self.client_id

    @cached_property
    def own(self) -> list[LineRow]:
        """The rows that are certainly the line's: each is a login."""
        return [row for row in self.rows if row.certain]

    @property
    def absent(self) -> bool:
        return not self.own

    @property
    def in_service(self) -> bool:
        """Whether it can register or call by one of its logins."""
        return any(row.in_service for row in self.own)

    @property
    def known_as(self) -> str:
        """Its logins, where they are not just the one that Connect would have made."""
        logins = [str(row) for row in self.own]
        return "" if logins == [self.usual] else ", ".join(logins)

    @property
    def registrations(self) -> int:
        return sum(it.certain for it in self.registered)

    @property
    def as_ordered(self) -> bool:
        """Whether it is in service for this client; or, if ceased, can neither register nor is registered."""
        if self.should_be_on:
            return bool(self.own) and all(row.in_service for row in self.own) and not self.elsewhere
        return self.elsewhere or (not self.in_service and self.registrations == 0)

    def finding(self) -> Finding:
        """What is found of the line: whether it is in service, whether that is proven, and if not, why."""
        doubt = self._doubt() or _NONE
        return Finding(self.number, self.in_service and not self.elsewhere, self._seen, doubt.proof, doubt.why)

    @property
    def signs(self) -> list[str]:
        """What the tables say of its life, if it should be off."""
        names = [str(row) for row in self.own if row.in_service and str(row) != self.usual]
        found = [f"in service{f' as {_list(names)}' if names else ''}"] if self.in_service else []
        found += [f"registered ({self.registrations})"] if self.registrations else []
        doubt = self._doubt_of_others()
        return found + ([doubt.why] if doubt and doubt.proof is Proof.FAILED else [])

    @property
    def _seen(self) -> dict[str, str]:
        """The state in the tables, in an operator's words, then what servers and the probe say."""
        if self.elsewhere:
            return {"owner": "another client"}
        on = sum(row.in_service for row in self.own)
        word = "absent" if self.absent else f"{on} of {len(self.own)}" if len(self.own) > 1 else str(on)
        seen = {"in_service": word, "registrations": str(self.registrations)}
        seen |= {} if self.absent else {"secret": describe_secret(self.owner)}
        seen |= {"known_as": self.known_as} if self.known_as else {}
        if self.server is not None and not self.server.trouble:
            seen |= {"registrations_by_rpc": str(self.server.registrations), "calls": str(self.server.calls)}
            seen |= {"ringing": str(self.server.ringing)} if self.server.ringing else {}
        elif not self.should_be_on:
            seen |= {"calls": NOT_LOOKED_UP if self.server is None else "unknown"}
        if self.probed:
            seen |= {"register": SILENT if self.code is None else str(self.code)}
        elif self.probing and seen.get("secret") == OWN_SECRET:
            seen |= {"register": "not tried: the line has a secret of its own"}
        return seen | ({"protected": "left in service"} if self.protected else {})

    def _doubt(self) -> Doubt | None:
        """Why it is not proven.

        A line that another client has by now is off. Of one in service, servers' memory matters only when its secret is
        new: then old telephones must be gone.
        """
        if self.doubt and (self.should_be_on or not self.elsewhere):
            return self.doubt
        if not self.as_ordered:
            seen = ", ".join(f"{name}={value}" for name, value in self._seen.items())
            should = f"should be {'in service' if self.should_be_on else 'ceased'} and is {seen}"
            return Doubt(Proof.NOT_PROVEN, f"{should}; if this stays, somebody else changes it: look there")
        if not self.should_be_on and not self.elsewhere and (doubt := self._doubt_of_others()):
            return doubt
        server = ServerState() if self.server is None or self.elsewhere else self.server
        if not self.should_be_on and server.registrations:
            return Doubt(Proof.NOT_PROVEN, "should be ceased and is still registered, in the memory of a server")
        if not self.should_be_on and self.end_calls and server.calls:
            return Doubt(
                Proof.NOT_PROVEN,
                f"should be ceased and is in a call ({server.calls}): a telephone has not said goodbye",
            )
        if not self.should_be_on and self.end_calls and server.ringing:
            return Doubt(Proof.NOT_PROVEN, "a call from before still rings: it can be ended when it is answered")
        if server.trouble and (not self.absent or self.owner):
            return Doubt(Proof.NOT_PROVEN, f"calls and registrations unknown: {server.trouble}")
        if not self.probed or self.code == ANSWERS[self.should_be_on]:
            return None
        if self.code is None:
            return Doubt(Proof.NOT_PROVEN, "nobody answered our REGISTER in time: is CONNECT_SIP_SERVER right, and up?")
        why = f"a REGISTER was answered {self.code} instead of {ANSWERS[self.should_be_on]}"
        return Doubt(Proof.NOT_PROVEN if self.code in _AWAY else Proof.FAILED, why)

    def _doubt_of_others(self) -> Doubt | None:
        """Why a ceased line may be let in by what is not its own."""
        rows = [str(row) for row in self.rows if not row.certain and row.in_service]
        registered = Counter(str(it) for it in self.registered if not it.certain)
        if rows or registered:
            found = [f"subscriber has {row} in service" for row in rows]
            found += [f"{name} is registered" for name in registered if name not in rows]
            return Doubt(Proof.FAILED, f"{_list(found)}, which may be this line. {DOUBTFUL}")
        if self.other_names:
            return Doubt(Proof.FAILED, f"{_list(map(str, self.other_names))}. Delete the row, or cease that one, too")
        if self.unread:
            tables = ", ".join(self.unread)
            why = f"{tables} cannot be read, and may let it in. GRANT SELECT ON {tables} to our role"
            return Doubt(Proof.NOT_PROVEN, why)
        return None


DOUBTFUL = (
    "Set CONNECT_SIP_COUNTRY (sip_country of the instance) to the country of the system's national numbers, or delete "
    "the row"
)
"""The remedy for a username that may be a line's number in national form."""

_NONE = Doubt(Proof.PROVEN, "")


def doubt_of_new(rows: Sequence[LineRow], names: Sequence[OtherName]) -> Doubt | None:
    """Why a line that has no row of its own is not created: what is there may be that line, and would get a twin."""
    if rows:
        there = _list([str(row) for row in rows])
        return Doubt(Proof.FAILED, f"not created: subscriber has {there}, which may be this line. {DOUBTFUL}")
    if names:
        remedy = "Delete that row, or have the line keep its number elsewhere"
        return Doubt(Proof.FAILED, f"not created: {_list([str(name) for name in names])}. {remedy}")
    return None


def _list(things: "Sequence[str] | map[str]") -> str:
    found = list(things)
    more = f", and {len(found) - MOST_TOLD} more" if len(found) > MOST_TOLD else ""
    return ", ".join(found[:MOST_TOLD]) + more
