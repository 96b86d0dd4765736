"""What can go wrong with a request.

```
ConnectError
├── Unreached             nobody answered; `sent` says whether the request may have arrived
├── NotConnect            what answers there is not Connect
└── Refused               a problem document (RFC 9457), in `problem`
    ├── Unauthorized      401  no token, or one that the service does not know
    ├── Forbidden         403  the token's role may not
    ├── NotFound          404
    ├── Conflict          409  not allowed in this status, or taken
    ├── PreconditionFailed 412 the client has changed since
    ├── Invalid           422  malformed; `field` names what
    └── Away              429, 502, 503, 504  nothing was judged: the same may be sent again
        └── Undecided     503  accepted, and not answered yet: the same key brings the answer
```
"""

from collections.abc import Mapping
from typing import Any


class ConnectError(Exception):
    """Every error of this package."""


class Unreached(ConnectError):
    """Nobody answered. ``sent``: the request may have arrived, and ``key`` repeats it without doing it twice."""

    def __init__(self, url: str, why: str, *, sent: bool, key: str = "") -> None:
        super().__init__(f"Connect cannot be reached at {url} ({why})")
        self.url, self.sent, self.key = url, sent, key


class NotConnect(ConnectError):
    """What answers is something else: a proxy's page, another service."""

    def __init__(self, url: str) -> None:
        super().__init__(f"What answers at {url} is not Connect")
        self.url = url


class Refused(ConnectError):
    """The service said no. ``str()`` is its sentence for people; ``status`` the HTTP status code."""

    def __init__(self, status: int, problem: Mapping[str, Any], retry_after: float | None = None) -> None:
        super().__init__(str(problem["detail"]))
        self.status, self.problem, self.retry_after = status, problem, retry_after

    @property
    def field(self) -> str:
        """The field that is wrong; empty where none is named."""
        return self.problem.get("field") or ""

    @property
    def allowed(self) -> list[str]:
        """The commands that are possible in the client's status; empty where that is not what is wrong."""
        return list(self.problem.get("allowed") or ())


class Unauthorized(Refused): ...


class Forbidden(Refused): ...


class NotFound(Refused): ...


class Conflict(Refused): ...


class PreconditionFailed(Refused): ...


class Invalid(Refused): ...


class Away(Refused):
    """Nothing was judged. ``retry_after``: in seconds, where the service says when to try again."""


class Undecided(Away):
    """The command is accepted and not decided yet. The same key brings its answer."""


_OF_STATUS: dict[int, type[Refused]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: PreconditionFailed,
    422: Invalid,
    **dict.fromkeys((429, 502, 503, 504), Away),
}


def refusal(status: int, problem: Mapping[str, Any], retry_after: str = "") -> Refused:
    """The error of an answer. ``retry_after`` is the header: only seconds are understood, as this service says them."""
    kind = Undecided if status == 503 and "command_id" in problem else _OF_STATUS.get(status, Refused)
    return kind(status, problem, float(retry_after) if retry_after.isdecimal() else None)
