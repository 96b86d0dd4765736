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
class Line:
    """Everything that was seen of a line that its order puts in service (``should_be_on``) or ceases.

    From the tables: ``in_service`` is None for a line the system does not know. ``server`` is what the servers say of
    it, None where they were not asked. ``probed`` says whether a REGISTER was sent, ``code`` what it was answered.
    ``doubt`` is why it could not be switched. ``end_calls``: no call may go on.
    """

    number: str
    in_service: bool | None
    registrations: int
    owner: Owner | None
    client_id: str
    should_be_on: bool
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

    @property
    def absent(self) -> bool:
        return self.in_service is None

    @property
    def as_ordered(self) -> bool:
        """Whether it is in service for this client; or, if ceased, can neither register nor is registered."""
        if self.should_be_on:
            return self.in_service is True and not self.elsewhere
        return self.elsewhere or (not self.in_service and self.registrations == 0)

    def finding(self) -> Finding:
        """The finding about it."""
        doubt = self._doubt() or _NONE
        return Finding(self.number, bool(self.in_service) and not self.elsewhere, self._seen, doubt.proof, doubt.why)

    @property
    def _seen(self) -> dict[str, str]:
        """The state in the tables, in an operator's words, then what servers and the probe say."""
        if self.elsewhere:
            return {"owner": "another client"}
        word = {None: "absent", True: "1", False: "0"}[self.in_service]
        seen = {"in_service": word, "registrations": str(self.registrations)}
        seen |= {} if self.absent else {"secret": describe_secret(self.owner)}
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
        if server.trouble and not self.absent:
            return Doubt(Proof.NOT_PROVEN, f"calls and registrations unknown: {server.trouble}")
        if not self.probed or self.code == ANSWERS[self.should_be_on]:
            return None
        if self.code is None:
            return Doubt(Proof.NOT_PROVEN, "nobody answered our REGISTER in time: is CONNECT_SIP_SERVER right, and up?")
        why = f"a REGISTER was answered {self.code} instead of {ANSWERS[self.should_be_on]}"
        return Doubt(Proof.NOT_PROVEN if self.code in _AWAY else Proof.FAILED, why)


_NONE = Doubt(Proof.PROVEN, "")
