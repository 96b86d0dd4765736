"""A system's API as this worker uses it: its requests, how long they may take, and what goes wrong with them."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx2
import structlog
from pydantic import ValidationError
from temporalio.exceptions import ApplicationError

from activities.errors import busy, rejected, stale_revision, unavailable
from activities.instances import Instance
from activities.json_http.protocol import LARGEST_ANSWER, LONGEST_WHY, MOST_NAMES, Accepted, Item, Items, Newer
from activities.reading import PLAIN, TooLarge, as_json, read_up_to
from workflows.domain.text import safe_text
from workflows.ports import Ensure
from workflows.wire.messages import Model

Things = Mapping[str, Mapping[str, Any]]

_Failure = Callable[[str], ApplicationError]
_WORDS: dict[_Failure, str] = {busy: "is busy", unavailable: "is unavailable", rejected: "refused"}

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Api:
    """One system's API. ``things`` is what it switches: the last part of its addresses. ``seconds`` bounds a request,
    ``longest`` all of one activity's work."""

    instance: Instance
    things: str
    url: str
    token: str = field(repr=False)
    seconds: float
    longest: float
    trust: ssl.SSLContext = field(default_factory=ssl.create_default_context, repr=False)

    @classmethod
    def of(cls, instance: Instance, things: str) -> Self:
        """Raises ValueError when its address or token is not set."""
        settings = instance.settings
        try:
            parts = urlsplit(instance.url)
            usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:  # no address, or no port, that there can be
            usable = False
        if not usable:
            raise ValueError(f"Set {instance.setting('url')} to the address of the system's API (http or https)")
        address, token = instance.url.rstrip("/"), instance.read_token()
        return cls(instance, things, address, token, settings.statement_seconds, settings.operation_seconds)

    def __str__(self) -> str:
        return f"{self.instance.key} system at {urlsplit(self.url).netloc.rpartition('@')[2]}"

    async def change(self, order: Ensure, things: Things, secret_of: Callable[[str], dict[str, str]]) -> dict[str, str]:
        """Have each line, account or service as the protocol describes it. Returns what was refused, and why. Raises
        StaleRevision and what ``_request`` does."""
        async with self._session() as http:
            accepted = await self._send_order(http, order, things, {})
            if wanting := sorted({*accepted.needs_secret} & things.keys()):
                accepted = await self._send_order(http, order, things, {name: secret_of(name) for name in wanting})
        still = dict.fromkeys(accepted.needs_secret, "the system asks for its secret once more, having been given it")
        return {name: safe_text(why, LONGEST_WHY) for name, why in {**still, **accepted.refused}.items()}

    async def look(self, names: Sequence[str], client_id: str = "") -> dict[str, Item]:
        """What it knows of these; of this client's, where other clients may have some of the same names."""
        found: dict[str, Item] = {}
        async with self._session() as http:
            for first in range(0, len(names), MOST_NAMES):
                query = [("name", name) for name in names[first : first + MOST_NAMES]]
                query += [("client_id", client_id)] if client_id else []
                answer: Items = await self._request(http, {200: Items}, "GET", f"/{self.things}", params=query)
                found |= {item.name: item for item in answer.items if item.name in names}
        return found

    async def _send_order(
        self, http: httpx2.AsyncClient, order: Ensure, things: Things, secrets: Mapping[str, dict[str, str]]
    ) -> Accepted:
        versions = {"revision": order.revision, "secret_version": order.secret_version}
        path = f"/clients/{quote(order.client_id, safe='')}/{self.things}"
        body = {**versions, self.things: things, "secrets": secrets}
        answer: Accepted | Newer = await self._request(http, {200: Accepted, 409: Newer}, "PUT", path, json=body)
        if isinstance(answer, Newer):
            raise stale_revision(f"The {self}", order.client_id, order.revision, answer.newest)
        return answer

    # -- requests and what goes wrong with them -----------------------------------------------------------------------

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[httpx2.AsyncClient]:
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
            raise self._failure(unavailable, detail, remedy) from None

    async def _request(
        self, http: httpx2.AsyncClient, answers: Mapping[int, type[Model]], method: str, path: str, **request: Any
    ) -> Any:
        """The answer, if its status is one of ``answers``. Raises SystemUnavailable, SystemBusy and SystemRejected. No
        more than LARGEST_ANSWER is read of it, and a redirect is not followed."""
        async with http.stream(method, path, **request) as sent:
            try:
                body = await read_up_to(sent, LARGEST_ANSWER)
            except TooLarge as error:
                remedy = "Ask its vendor: no answer of this protocol is so large"
                raise self._failure(unavailable, str(error), remedy) from None
        status = sent.status_code
        if status in answers:
            try:
                return answers[status].model_validate_json(body)
            except ValidationError as error:
                first = error.errors(include_input=False, include_url=False)[0]
                where = ".".join(map(str, first["loc"])) or "the body"
                detail = f"its answer is not of the protocol ({where}: {first['msg']})"
                remedy = f"Does {self.instance.setting('url')} lead to it, or to something in between?"
                raise self._failure(unavailable, detail, remedy) from None
        detail = f"{method} of {self.things} got {status} {sent.reason_phrase}{_reason_in(body)}"
        if status == httpx2.codes.TOO_MANY_REQUESTS:
            raise self._failure(busy, detail, "It is asked more often than it allows")
        if httpx2.codes.is_server_error(status):
            raise self._failure(unavailable, detail, "See its own log")
        unauthorized = status in (httpx2.codes.UNAUTHORIZED, httpx2.codes.FORBIDDEN)
        remedy = f"Correct {self.instance.setting('token' if unauthorized else 'url')}, or see the log of the system"
        raise self._failure(rejected, detail, remedy)

    def _failure(self, kind: _Failure, detail: str, remedy: str) -> ApplicationError:
        error = kind(f"The {self} {_WORDS[kind]}: {safe_text(detail)}. {remedy}")
        log.warning("attempt_failed", system=str(self.instance.key), type=error.type, error=error.message)
        return error


def _reason_in(body: bytes) -> str:
    """What the body of an error says for operators, if it says it as agreed."""
    try:
        content = as_json(body)
    except ValueError:
        return ""
    why = content.get("why") if isinstance(content, dict) else None
    return f": {safe_text(why, LONGEST_WHY)}" if isinstance(why, str) else ""
