"""A system's API as this worker uses it: its requests, how long they may take, and what goes wrong with them."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import httpx2
import structlog
from pydantic import ValidationError
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.errors import SYSTEM_BUSY, SYSTEM_UNAVAILABLE, rejected, stale_revision
from activities.json_http.protocol import LARGEST_ANSWER, LONGEST_WHY, MOST_NAMES, Item, Items, Newer, Taken
from activities.reading import PLAIN, TooLarge, as_json, read_up_to
from activities.settings import Settings
from workflows.domain.systems import System
from workflows.domain.text import safe_text
from workflows.wire.messages import Model

A = TypeVar("A", bound=Model)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Answer:
    """What the system answered, as far as it is read."""

    status: int
    reason: str
    body: bytes


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a client: each line or account as the protocol describes it, and how its secret is derived."""

    client_id: str
    revision: int
    secret_version: int
    things: Mapping[str, Mapping[str, Any]]
    secret_of: Callable[[str], dict[str, str]]
    marks: Mapping[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Api:
    """One system's API. ``things`` is what it switches: the last part of its addresses. ``seconds`` bounds a request,
    ``longest`` all of one activity's work."""

    system: System
    things: str
    url: str
    token: str = field(repr=False)
    seconds: float
    longest: float
    trust: ssl.SSLContext = field(default_factory=ssl.create_default_context, repr=False)

    @classmethod
    def of(cls, settings: Settings, system: System, things: str) -> Self:
        """Raises ValueError when its address or token is not set."""
        url: str = getattr(settings, f"json_{system}_url")
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            raise ValueError(
                f"Set CONNECT_JSON_{system.upper()}_URL to the address of the system's API (http or https)"
            )
        token = settings.read_json_token(system)
        return cls(system, things, url.rstrip("/"), token, settings.statement_seconds, settings.operation_seconds)

    def __str__(self) -> str:
        return f"{self.system} system at {urlsplit(self.url).netloc.rpartition('@')[2]}"

    async def change(self, wanted: Wanted) -> dict[str, str]:
        """Have it as wanted. Answers what was refused, and why. Raises StaleRevision and what ``_ask`` does."""
        async with self._reached() as http:
            taken = await self._put(http, wanted, ())
            if taken.needs_secret:
                taken = await self._put(http, wanted, sorted({*taken.needs_secret} & wanted.things.keys()))
        still = dict.fromkeys(taken.needs_secret, "the system asks for its secret once more, having been given it")
        return {name: safe_text(why, LONGEST_WHY) for name, why in {**still, **taken.refused}.items()}

    async def look(self, names: Sequence[str]) -> dict[str, Item]:
        """What it knows of these."""
        found: dict[str, Item] = {}
        async with self._reached() as http:
            for first in range(0, len(names), MOST_NAMES):
                query = [("name", name) for name in names[first : first + MOST_NAMES]]
                answer = await self._ask(http, "GET", f"/{self.things}", params=query)
                items = self._read(Items, answer).items
                found |= {item.name: item for item in items if item.name in names}
        return found

    async def _put(self, http: httpx2.AsyncClient, wanted: Wanted, secrets: Sequence[str]) -> Taken:
        body = {
            "revision": wanted.revision,
            "secret_version": wanted.secret_version,
            self.things: wanted.things,
            "secrets": {name: wanted.secret_of(name) for name in secrets},
        }
        path = f"/clients/{quote(wanted.client_id, safe='')}/{self.things}"
        answer = await self._ask(http, "PUT", path, json=body)
        if answer.status == httpx2.codes.CONFLICT:
            newest = self._read(Newer, answer).newest
            raise stale_revision(f"The {self}", wanted.client_id, wanted.revision, newest)
        return self._read(Taken, answer)

    # -- requests and what goes wrong with them -----------------------------------------------------------------------

    @asynccontextmanager
    async def _reached(self) -> AsyncIterator[httpx2.AsyncClient]:
        """Requests, for no longer than an operation may take. Raises nothing of the driver's, only our errors."""
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        client = httpx2.AsyncClient(
            base_url=self.url, headers=headers | PLAIN, timeout=self.seconds, verify=self.trust, follow_redirects=False
        )
        try:
            async with asyncio.timeout(self.longest), client as http:
                yield http
        except (httpx2.HTTPError, TimeoutError) as error:
            late = isinstance(error, httpx2.TimeoutException | TimeoutError)
            detail = "no answer in time" if late else str(error) or type(error).__name__
            remedy = "Check that it runs and can be reached from the worker"
            raise self._failure(SYSTEM_UNAVAILABLE, "is unavailable", detail, remedy) from None

    async def _ask(self, http: httpx2.AsyncClient, method: str, path: str, **request: Any) -> Answer:
        """An answer that says something: 200, or 409 to a change. Raises SystemUnavailable, SystemBusy and
        SystemRejected. No more than LARGEST_ANSWER is read of it, and a redirect is not followed."""
        async with http.stream(method, path, **request) as sent:
            try:
                answer = Answer(sent.status_code, sent.reason_phrase, await read_up_to(sent, LARGEST_ANSWER))
            except TooLarge as error:
                remedy = "Ask its vendor: no answer of this protocol is so large"
                raise self._failure(SYSTEM_UNAVAILABLE, "is unavailable", str(error), remedy) from None
        status, name = answer.status, self.system.upper()
        if status == httpx2.codes.OK or (method == "PUT" and status == httpx2.codes.CONFLICT):
            return answer
        detail = f"{method} of {self.things} got {status} {answer.reason}{_why(answer)}"
        if status == httpx2.codes.TOO_MANY_REQUESTS:
            raise self._failure(SYSTEM_BUSY, "is busy", detail, "It is asked more often than it allows")
        if httpx2.codes.is_server_error(status):
            raise self._failure(SYSTEM_UNAVAILABLE, "is unavailable", detail, "See its own log")
        barred = status in (httpx2.codes.UNAUTHORIZED, httpx2.codes.FORBIDDEN)
        remedy = f"Correct CONNECT_JSON_{name}_{'TOKEN' if barred else 'URL'}, or see the log of the system"
        failure = rejected(f"The {self} refused: {safe_text(detail)}. {remedy}")
        log.warning("attempt_failed", system=self.system, type=failure.type, error=failure.message)
        raise failure

    def _read(self, kind: type[A], answer: Answer) -> A:
        try:
            return kind.model_validate_json(answer.body)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "the body"
            detail = f"its answer is not of the protocol ({where}: {first['msg']})"
            remedy = f"Does CONNECT_JSON_{self.system.upper()}_URL lead to it, or to something in between?"
            raise self._failure(SYSTEM_UNAVAILABLE, "is unavailable", detail, remedy) from None

    def _failure(self, kind: str, word: str, detail: str, remedy: str) -> ApplicationError:
        message = f"The {self} {word}: {safe_text(detail)}. {remedy}"
        log.warning("attempt_failed", system=self.system, type=kind, error=message)
        return ApplicationError(message, type=kind, category=ApplicationErrorCategory.BENIGN)


def _why(answer: Answer) -> str:
    """What the body of an error says for operators, if it says it as agreed."""
    try:
        body = as_json(answer.body)
    except ValueError:
        return ""
    why = body.get("why") if isinstance(body, dict) else None
    return f": {safe_text(why, LONGEST_WHY)}" if isinstance(why, str) else ""
