"""Errors that keep a request from being carried out, besides a domain Refusal. problems.py has their HTTP codes.

StarterError
├── Away                        something that must answer does not; nothing is known to have happened
│   ├── TemporalAway
│   │   ├── TemporalBusy        Temporal has too much to do just now
│   │   └── KeysUnreadable      clients' keys, with which Temporal's answers are read, cannot be had
│   ├── DirectoryAway
│   └── ProviderAway            the OpenID provider, whose keys or answer are needed
├── NotReady                    this process cannot work: something is away, or lacks what it must have
├── NotDecided                  accepted, but not decided in time: the same request will answer
├── NoMasterKey                 this process has no key that secrets derive from
├── TemporalRefused             Temporal answered, and refused
├── Malfunction                 Connect's own mistake, reported by the workflow
├── NotRunning                  no workflow of that client takes commands (anymore, or yet)
├── WorkflowMissing             the directory has a living client, and Temporal runs no workflow of it
├── WorkflowStuck               the client's workflow is there, and cannot do anything
├── SearchAttributeMissing      Temporal lacks what every new client is listed by
├── NoSuchClient
│   └── ClientErased            it was there
├── NoSuchSite
├── NoSuchMatter
├── NoSuchToken
├── InvalidToken                a token of the OpenID provider breaks a rule
│   └── ExpiredToken            it is the provider's own, and its time is over
├── NotAllowed                  the caller's role, or its sites, do not go so far
├── NoSuchWebhook
├── EventsForgotten             the events after that one are no longer all kept
└── NoSuchPage                  a cursor that we did not make

SiteIdTaken, TokenNameTaken, ClientIdReserved, InstanceInUse, NotAcknowledged and NotErasable are refusals of the domain
like any other.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from workflows.domain.errors import ClientIdTaken, CommandIdReused, Refusal, Taken, refusal_of


class StarterError(Exception):
    """``str()`` is a sentence for the caller."""


class Away(StarterError):
    """Something that must answer does not. ``part`` names it; ``retry_after`` is in seconds."""

    part = "a part of Connect"

    def __init__(self, detail: str = "", remedy: str = "Try again shortly", retry_after: int = 5) -> None:
        why = f": {detail}" if detail else ""
        super().__init__(f"{self.part} cannot be reached{why}. {remedy}.")
        self.retry_after = retry_after


class TemporalAway(Away):
    """Temporal, or the worker behind it, does not answer."""

    part = "Temporal"


class TemporalBusy(TemporalAway):
    """Temporal has too much to do just now, with one client or as a whole: the same request may do later."""

    def __init__(self, answer: str) -> None:
        StarterError.__init__(self, f"Temporal is busy: {answer}. Repeat the request.")
        self.retry_after = 5


class KeysUnreadable(TemporalAway):
    """What Temporal has of clients cannot be read or written: their keys are away. ``why`` says how to mend it."""

    part = "The database of clients' keys"

    def __init__(self, why: str) -> None:
        StarterError.__init__(self, f"{why}.")
        self.retry_after = 5


class DirectoryAway(Away):
    """The directory's database does not answer."""

    part = "The directory's database"


class DirectoryNotWritable(DirectoryAway):
    """The directory's database answers, and does not take what we write. ``why`` says how to mend it."""

    def __init__(self, why: str) -> None:
        StarterError.__init__(self, f"{why}.")
        self.retry_after = 5


class ProviderAway(Away):
    """The OpenID provider does not answer, or not as one. What it published before goes on to count."""

    part = "The OpenID provider"


class NotReady(StarterError):
    """Something this process needs does not answer, or lacks what this process needs."""

    def __init__(self, causes: Iterable[StarterError]) -> None:
        super().__init__(" ".join(map(str, causes)))


class NotDecided(StarterError):
    """Accepted, but the directory could not decide on it in time."""

    retry_after = 5

    def __init__(self, client_id: str, command_id: str) -> None:
        super().__init__(
            "Accepted, but the directory has not decided on it yet. It will be carried out when the directory is back; "
            f"for the answer, repeat the same request for client {client_id} with Idempotency-Key {command_id}."
        )
        self.client_id = client_id
        self.command_id = command_id


class NoMasterKey(StarterError):
    """This API process has no key that secrets derive from."""

    def __init__(self) -> None:
        super().__init__(
            "This API process cannot show credentials: it has no master key. "
            "Set CONNECT_MASTER_KEY_FILE to the workers' key file, and start it again."
        )


class TemporalRefused(StarterError):
    """Temporal refused the request: one of its limits, or a request that it cannot read."""

    def __init__(self, answer: str) -> None:
        super().__init__(f"Temporal refused: {answer}. Its log and its dynamic configuration say which limit this is.")


class Malfunction(StarterError):
    """The workflow's answer is neither a result nor a refusal."""


class NotRunning(StarterError):
    """The client's workflow is not running: it is closed, or there never was one."""

    def __init__(self, client_id: str) -> None:
        super().__init__(f"No workflow of client {client_id} is running")
        self.client_id = client_id


class CannotRun(StarterError):
    """The client's workflow cannot do anything. ``remedies``: what to do about it, and the command that does it."""

    def __init__(self, client_id: str, text: str, remedies: Sequence[tuple[str, str]] = ()) -> None:
        ways = " ".join(f"{way}: {command}." if command else f"{way}." for way, command in remedies)
        super().__init__(f"Client {client_id} cannot be changed now. {text} {ways}".strip())
        self.client_id, self.text = client_id, text


class WorkflowMissing(CannotRun):
    """The client is alive in the directory, but its workflow does not run, so nothing can be done to it."""


class WorkflowStuck(CannotRun):
    """The client's workflow is there, but it fails, stands still or is paused, so nothing can be done to it."""


class SearchAttributeMissing(StarterError):
    """Temporal lacks a search attribute that every new client is listed by, so nobody can be created."""


class NoSuchClient(StarterError):
    """There is no such client."""

    def __init__(self, client_id: str) -> None:
        self.client_id = client_id
        super().__init__(f"There is no client {client_id}. Look for it in the list of clients.")


class ClientErased(NoSuchClient):
    """The client was erased: who it was is not known any more."""

    def __init__(self, client_id: str, at: datetime) -> None:
        StarterError.__init__(
            self,
            f"Client {client_id} was erased on {at:%d %B %Y}. Its history still has the times, and what was proven.",
        )
        self.client_id = client_id


class NoSuchSite(StarterError):
    """There is no such site."""

    def __init__(self, site_id: str) -> None:
        super().__init__(f"There is no site {site_id[:80]!r}. Look for it in the list of sites.")


class NoSuchMatter(StarterError):
    """Nothing of that name is open: it was mended, or never was."""

    def __init__(self, matter: str) -> None:
        super().__init__(f"There is no open matter {matter[:80]!r} here. GET /api/v1/matters lists those there are.")


class NoSuchToken(StarterError):
    """There is no such token."""

    def __init__(self, token_id: str) -> None:
        super().__init__(f"There is no token {token_id[:80]!r}. GET /api/v1/tokens lists those there are.")


class InvalidToken(StarterError):
    """A token of the OpenID provider breaks a rule. ``rule`` is the claim or the header that does; nothing of the token
    is repeated. ``headers`` say the same as RFC 6750 has it."""

    def __init__(self, rule: str, why: str) -> None:
        super().__init__(
            f"The token is not valid: {why} ({rule}). Send one that the provider has just issued for this."
        )
        self.rule, self.why = rule, why
        self.headers = {"WWW-Authenticate": f'Bearer error="invalid_token", error_description="{rule}: {why}"'}


class ExpiredToken(InvalidToken):
    """It is the provider's own, and its time is over. Whoever comes with it guesses nothing."""


class NotAllowed(StarterError):
    """Nothing was done: the caller's role does not allow it, or it is limited to some sites."""


class NoSuchPage(StarterError):
    """The cursor belongs to another list, or to another order of it."""

    def __init__(self) -> None:
        super().__init__("This cursor was not given out for this list. Start again without it.")


class NoSuchWebhook(StarterError):
    """There is no such webhook."""

    def __init__(self, webhook_id: str) -> None:
        super().__init__(f"There is no webhook {webhook_id[:80]!r}. GET /api/v1/webhooks lists those there are.")


class EventsForgotten(StarterError):
    """Events that are asked for are no longer kept."""

    def __init__(self, after: int, forgotten: int) -> None:
        super().__init__(
            f"Not every event after {after} is kept any more: those up to {forgotten} are gone. Read every client "
            "anew, and go on with the oldest that is kept: leave after out. CONNECT_EVENTS_DAYS says how long they are."
        )


class ClientIdReserved(Taken):
    """Only a canary of Connect's own may have this id: no list would show the client."""


class SiteIdTaken(Taken):
    """Another site has this id."""


class TokenNameTaken(Taken):
    """Another token that is not revoked has this name."""


class SiteInUse(Refusal):
    """Living clients of the site keep it from being retired, or given another time zone."""


class InstanceInUse(Refusal):
    """Clients of the site have services that another instance of the system serves."""


class NotAcknowledged(Refusal):
    """The matter cannot be acknowledged: it is open until it is mended."""


class NotErasable(Refusal):
    """The client cannot be erased: it is not decommissioned and proven off, or not for long enough."""


class ShownOnce(Refusal):
    """The same request was done before, and its answer had a secret that is never shown again."""


def id_taken(client_id: str) -> ClientIdTaken:
    """Nobody has the id of another, nor that of one who was erased."""
    return ClientIdTaken(f"There is, or was, a client {client_id}", "Choose another id", field="client_id")


def key_reused(key: str, other: str = "") -> CommandIdReused:
    """An Idempotency-Key names another request: ``other`` says which, if that may be said."""
    why = f"Idempotency-Key {key} was used before, for another request{other}"
    return CommandIdReused(why, "Use a new one for each request", field="Idempotency-Key")


def refusal_again(facts: Mapping[str, Any]) -> Refusal:
    """A refusal that was kept, of whichever kind: those of this module are unknown to the domain."""
    same, kinds = refusal_of(facts["type"], facts), [Refusal]
    for kind in kinds:
        kinds.extend(kind.__subclasses__())
    kind = next((it for it in kinds if it.__name__ == facts["type"]), Refusal)
    return kind(same.why, same.remedy, same.field, same.situation)
