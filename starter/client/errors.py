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
    └── Away              429, 502, 503, 504  not judged, or a proxy has no answer: the same may be sent again
        └── Undecided     503  accepted, and not answered yet: the same key brings the answer
```
"""

from collections.abc import Mapping
from typing import Any


class ConnectError(Exception):
    """Every error of this package. ``sent``: the request may have arrived without being judged. ``key`` is that of a
    request that changes something: with it the same may be sent again, and is done once."""

    sent: bool = False
    key: str = ""


class Unreached(ConnectError):
    """Nobody answered."""

    def __init__(self, url: str, why: str, *, sent: bool) -> None:
        super().__init__(f"Connect cannot be reached at {url} ({why})")
        self.url, self.sent = url, sent


class NotConnect(ConnectError):
    """What answers is something else: another service, or a proxy that says no more than that it failed."""

    sent = True

    def __init__(self, url: str, why: str = "") -> None:
        super().__init__(f"What answers at {url} is not Connect{why and f': {why}'}")
        self.url = url


class Refused(ConnectError):
    """The service said no. ``str()`` is its sentence for people; ``status`` the HTTP status code."""

    def __init__(self, status: int, problem: Mapping[str, Any], retry_after: float | None = None) -> None:
        super().__init__(str(problem["detail"]))
        self.status, self.problem, self.retry_after = status, problem, retry_after
        self.sent = status >= 500  # a verdict has another status

    @property
    def field(self) -> str:
        """The field that is wrong; empty where none is named."""
        return self.problem.get("field") or ""

    @property
    def allowed(self) -> list[str]:
        """The commands that are possible in the client's status; empty where that is not what is wrong."""
        allowed = self.problem.get("allowed")
        return list(allowed) if isinstance(allowed, list) else []


class Unauthorized(Refused): ...


class Forbidden(Refused): ...


class NotFound(Refused): ...


class Conflict(Refused): ...


class PreconditionFailed(Refused): ...


class Invalid(Refused): ...


class Away(Refused):
    """There is no verdict, from the service or from a proxy before it, whatever the proxy's words. ``retry_after``: in
    seconds, where the service says when to try again."""


class Undecided(Away):
    """The command is accepted and not decided yet. The same key brings its answer."""


PASSING = (429, 502, 503, 504)
_OF_STATUS: dict[int, type[Refused]] = {
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    412: PreconditionFailed,
    422: Invalid,
    **dict.fromkeys(PASSING, Away),
}


def error_of(url: str, status: int, document: Any, retry_after: str = "") -> ConnectError:
    """The error of an answer. ``retry_after`` is the header: only seconds are understood, as this service says them."""
    if not isinstance(document, dict) or "detail" not in document:
        if status not in PASSING:
            return NotConnect(url)
        detail = f"{url} answers {status}, not in the words of Connect: what stands before it does not reach it now."
        document = {"type": "about:blank", "title": "Away", "status": status, "detail": detail}
    kind = Undecided if status == 503 and "command_id" in document else _OF_STATUS.get(status, Refused)
    return kind(status, document, float(retry_after) if retry_after.isdecimal() else None)


def answer_with(needs: tuple[str, ...], document: Any, url: str) -> dict[str, Any]:
    """What was answered, if it is an object with these fields. Raises NotConnect: a proxy, or another service, answers
    in JSON of its own."""
    if not isinstance(document, dict):
        raise NotConnect(url, "its answer is no JSON object")
    for name in needs:
        if name not in document:
            raise NotConnect(url, f"its answer has no {name}")
        if name == "items" and not isinstance(document[name], list):
            raise NotConnect(url, "the items of its answer are no list")
    return document


def malformed(field: str, why: str, remedy: str) -> Invalid:
    """The error of what the service would refuse: nothing is sent."""
    problem = {"type": "about:blank", "title": "Malformed request", "status": 422, "field": field}
    return Invalid(422, {**problem, "detail": f"{field} {why}. {remedy}.".lstrip()})
