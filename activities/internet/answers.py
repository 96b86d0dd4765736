"""What an answer of a NAS to a request of ours means (RFC 5176). docs/systems.md has the same table, for operators."""

from dataclasses import dataclass

from workflows.domain.provisioning.standing import Proof

ERROR_CAUSE = 101  # the attribute, RFC 5176 section 3.5
SESSION_NOT_FOUND = 503


@dataclass(frozen=True)
class Answer:
    """What it proves of a session that is to end, its name in the RFC and the section, and what to do about it.

    ``again``: the NAS may have minded how the session was named, so it is named by less (``Session.identities``).
    """

    name: str
    rfc: str
    proof: Proof
    remedy: str = ""
    again: bool = False


_NO, _UNKNOWN, _GONE = Proof.FAILED, Proof.NOT_PROVEN, Proof.PROVEN
ACK = Answer("Disconnect-ACK", "2.1", _GONE)
SILENCE = Answer(
    "no answer", "2.3, 3.4, 6.3", _UNKNOWN, "Check its secret, its clock and that it takes requests of ours"
)
FOREIGN = Answer("an answer of another kind", "2.1", _UNKNOWN, "Something else listens there")
NO_CAUSE = Answer("Disconnect-NAK without an Error-Cause", "3.5", _NO, "Its log says why", again=True)
NOT_OF_THE_RFC = Answer("not of RFC 5176", "3.5", _NO, "Its manual says what it means")

ERROR_CAUSES = {
    401: Answer("Unsupported Attribute", "3.5", _NO, "It cannot find a session by what we know of it", again=True),
    402: Answer("Missing Attribute", "3.5", _NO, "Have it account what it wants to find a session by"),
    403: Answer("NAS Identification Mismatch", "3.5", _NO, "It calls itself otherwise in accounting"),
    404: Answer("Invalid Request", "3.5", _NO, "Its log says what it minds", again=True),
    405: Answer("Unsupported Service", "3.5", _NO, "It does not do this for this kind of session"),
    406: Answer("Unsupported Extension", "3.5", _NO, "Have it take Disconnect-Requests (RFC 5176)"),
    407: Answer("Invalid Attribute Value", "3.5", _NO, "Its log says which value", again=True),
    501: Answer("Administratively Prohibited", "3.5", _NO, "Allow us there to end sessions"),
    502: Answer("Request Not Routable", "3.5", _UNKNOWN, "A proxy on the way does not know it"),
    503: Answer("Session Context Not Found", "3.5", _GONE, again=True),
    504: Answer("Session Context Not Removable", "3.5", _NO, "End it there"),
    505: Answer("Other Proxy Processing Error", "3.5", _UNKNOWN, "A proxy on the way is in trouble"),
    506: Answer("Resources Unavailable", "3.5", _UNKNOWN, "It is too busy"),
    507: Answer("Request Initiated", "3.2, 3.5", _UNKNOWN, "It asks the RADIUS server first, which refuses"),
    508: Answer("Multiple Session Selection Unsupported", "3.5", _NO, "It has several sessions of this id"),
}
"""By Error-Cause. 503 is no proof while the session is heard of: not until an Interim interval has passed without."""


def meaning_of(cause: int | None) -> Answer:
    """What a NAK with this Error-Cause means; None: it has none."""
    return NO_CAUSE if cause is None else ERROR_CAUSES.get(cause, NOT_OF_THE_RFC)
