"""What was seen of a telephone line, and whether it proves the order."""

from dataclasses import dataclass

from activities.fence import OWN_SECRET, Owner, describe_secret
from activities.telephony.kamailio_rpc import ServerState
from workflows.domain.provisioning.standing import Doubt, Proof
from workflows.ports import Finding

SILENT = "no answer"
NOT_LOOKED_UP = "not looked up"
ANSWERS = {True: 200, False: 403}
"""The answer to a REGISTER of a line in service, and of a ceased one (deploy/kamailio/kamailio.cfg)."""

_AWAY = (500, 503, 504)  # of the server, not of the line: Kamailio's database is away


@dataclass(frozen=True)
class LineRow:
    """One line as it was read back. ``in_service`` is None for a line the system does not know."""

    number: str
    in_service: bool | None
    registrations: int
    owner: Owner | None
    client_id: str

    @property
    def elsewhere(self) -> bool:
        return self.owner is not None and self.owner.client_id != self.client_id

    @property
    def absent(self) -> bool:
        return self.in_service is None

    def is_as(self, wanted: bool) -> bool:
        """Whether it is in service for this client; or, if ceased, can neither register nor is registered."""
        if wanted:
            return self.in_service is True and not self.elsewhere
        return self.elsewhere or (not self.in_service and self.registrations == 0)

    @property
    def seen(self) -> dict[str, str]:
        """The state in the tables, in an operator's words."""
        if self.elsewhere:
            return {"owner": "another client"}
        word = {None: "absent", True: "1", False: "0"}[self.in_service]
        seen = {"in_service": word, "registrations": str(self.registrations)}
        return seen if self.absent else seen | {"secret": describe_secret(self.owner)}


@dataclass(frozen=True)
class LineObservation:
    """Everything that was seen of a line that should be in service (``wanted``) or ceased.

    ``server`` is what the servers say of it, None where they were not asked. ``probed`` says whether a REGISTER was
    sent, ``code`` what it was answered. ``doubt`` is why it could not be switched. ``end_calls``: no call may go on.
    """

    line: LineRow
    wanted: bool
    server: ServerState | None = None
    probed: bool = False
    code: int | None = None
    probing: bool = False
    protected: bool = False
    doubt: Doubt | None = None
    end_calls: bool = True

    def finding(self, *, look: bool = False) -> Finding:
        """The finding. In a second look a living line is *failed*; otherwise it may only be *not proven* yet."""
        doubt = self._of_order or self._of_tables(look) or self._of_memory(look) or self._of_probe() or _NONE
        in_service = bool(self.line.in_service) and not self.line.elsewhere
        return Finding(self.line.number, in_service, self._seen, doubt.proof, doubt.why)

    @property
    def _seen(self) -> dict[str, str]:
        seen = self.line.seen
        if self.line.elsewhere:
            return seen
        if self.server is not None and not self.server.trouble:
            seen |= {"registrations_by_rpc": str(self.server.registrations), "calls": str(self.server.calls)}
            seen |= {"ringing": str(self.server.ringing)} if self.server.ringing else {}
        elif not self.wanted:
            seen |= {"calls": NOT_LOOKED_UP if self.server is None else "unknown"}
        if self.probed:
            seen |= {"register": SILENT if self.code is None else str(self.code)}
        elif self.probing and seen.get("secret") == OWN_SECRET:
            seen |= {"register": "not tried: the line has a secret of its own"}
        return seen | ({"protected": "left in service"} if self.protected else {})

    @property
    def _of_order(self) -> Doubt | None:
        """The doubt of the order, but none for a line that another client has by now."""
        return None if self.line.elsewhere and not self.wanted else self.doubt

    def _of_tables(self, look: bool) -> Doubt | None:
        if self.line.is_as(self.wanted):
            return None
        return Doubt(Proof.FAILED if look else Proof.NOT_PROVEN, self._describe)

    @property
    def _describe(self) -> str:
        seen = ", ".join(f"{name}={value}" for name, value in self._seen.items())
        should = "in service" if self.wanted else "ceased"
        return f"should be {should} and is {seen}; if this stays, somebody else changes it: look there"

    def _of_memory(self, look: bool) -> Doubt | None:
        """The doubt from servers' memory. A line in service needs none, unless its secret is new: then old telephones
        must be gone."""
        server = self.server
        if server is None or self.line.elsewhere:
            return None
        alive = Proof.FAILED if look else Proof.NOT_PROVEN
        if not self.wanted and server.registrations:
            return Doubt(alive, "should be ceased and is still registered, in the memory of a server")
        if not self.wanted and self.end_calls and server.calls:
            return Doubt(alive, f"should be ceased and is in a call ({server.calls}): a telephone has not said goodbye")
        if not self.wanted and self.end_calls and server.ringing:
            return Doubt(Proof.NOT_PROVEN, "a call from before still rings: it can be ended when it is answered")
        if server.trouble and not self.line.absent:
            return Doubt(Proof.NOT_PROVEN, f"calls and registrations unknown: {server.trouble}")
        return None

    def _of_probe(self) -> Doubt | None:
        if not self.probed or self.code == ANSWERS[self.wanted]:
            return None
        if self.code is None:
            return Doubt(Proof.NOT_PROVEN, "nobody answered our REGISTER in time: is CONNECT_SIP_SERVER right, and up?")
        why = f"a REGISTER was answered {self.code} instead of {ANSWERS[self.wanted]}"
        return Doubt(Proof.NOT_PROVEN if self.code in _AWAY else Proof.FAILED, why)


_NONE = Doubt(Proof.PROVEN, "")
