"""Errors that keep a request from being carried out, besides a domain Refusal. problems.py has their HTTP codes.

StarterError
├── Away                        something that must answer does not; nothing is known to have happened
│   ├── TemporalAway
│   └── DirectoryAway
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
├── NoSuchSite
└── NoSuchPage                  a cursor that we did not make

SiteIdTaken and InstanceInUse are refusals of the domain like any other.
"""

from collections.abc import Iterable, Sequence

from workflows.domain.errors import Refusal, Taken


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


class DirectoryAway(Away):
    """The directory's database does not answer."""

    part = "The directory's database"


class DirectoryNotWritable(DirectoryAway):
    """The directory's database answers, and does not take what we write. ``why`` says how to mend it."""

    def __init__(self, why: str) -> None:
        StarterError.__init__(self, f"{why}.")
        self.retry_after = 5


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
        super().__init__(f"There is no client {client_id}. GET /api/v1/clients lists those there are.")


class NoSuchSite(StarterError):
    """There is no such site."""

    def __init__(self, site_id: str) -> None:
        super().__init__(f"There is no site {site_id[:80]!r}. GET /api/v1/sites lists those there are.")


class NoSuchPage(StarterError):
    """The cursor belongs to another list, or to another order of it."""

    def __init__(self) -> None:
        super().__init__("This cursor was not given out for this list. Start again without it.")


class SiteIdTaken(Taken):
    """Another site has this id."""


class InstanceInUse(Refusal):
    """Clients of the site have services that another instance of the system serves."""
