"""Systems that have an API instead of a database: both ports over a plain JSON HTTP protocol, as the example adapter.

    CONNECT_TELEPHONY_ADAPTER=activities.json_http.adapter:JsonHttpTelephony   CONNECT_JSON_TELEPHONY_URL=https://pbx.example/v1
    CONNECT_INTERNET_ADAPTER=activities.json_http.adapter:JsonHttpInternet     CONNECT_JSON_INTERNET_URL=https://aaa.example/v1

Every request has ``Authorization: Bearer …`` (CONNECT_JSON_TELEPHONY_TOKEN_FILE, CONNECT_JSON_INTERNET_TOKEN_FILE).

**A change** states all that is wanted of one client; twice is once.

    PUT {url}/clients/{client_id}/lines
        {"revision": 7, "secret_version": 1, "lines": {"+442079460001": {"in_service": true, "protected": false}},
         "secrets": {}}
    PUT {url}/clients/{client_id}/accounts
        {"revision": 7, "secret_version": 1, "secrets": {},
         "accounts": {"acme": {"in_service": true, "down_mbps": 100, "up_mbps": 20, "vlan": 110}}}

    200 {"refused": {"+442079460001": "why, for an operator"}, "needs_secret": ["+442079460001"]}
    409 {"newest": 8}     a later revision of this client was obeyed; this one changed nothing

Off means denied *and* ended: registrations, calls and sessions go. What is wanted off and is unknown, or belongs to
another client, is left alone; what is wanted on belongs to this client from then on. What is wanted on and has no
secret of this client and version yet is named in ``needs_secret`` and stays as it is: the same PUT comes again with
``"secrets": {"+442079460001": {"username": "442079460001", "password": "…"}}``. So secrets travel only to be set. One
that the system had before Connect may keep its own until the version rises.

**Proof** is read back in a request of its own, with up to 50 names. What an answer does not mention is not proven.

    GET {url}/lines?name=%2B442079460001&name=…
    GET {url}/accounts?name=acme

    200 {"items": [{"name": "+442079460001", "in_service": true, "client_id": "acme", "alive": 1, "secret_version": 1},
                   {"name": "acme", "in_service": true, "client_id": "acme", "alive": 1, "secret_version": 1,
                    "down_mbps": 100, "up_mbps": 20, "vlan": 110},
                   {"name": "+442079460002", "known": false}]}

``alive`` counts registrations and calls, or open sessions; null: the system cannot say, which is not a proof of off.
``secret_version`` is null for a secret from before Connect. Members that are not named here are ignored.

**Trouble**: 401, 403 and other 4xx mean that a person must look (SystemRejected); 429 is SystemBusy; 5xx, silence and
answers that are not this protocol are SystemUnavailable, and are tried again. A ``why`` in the body of an error is
shown to operators, like each ``why`` in ``refused``: none may contain a secret, and 300 characters of it are kept. An
answer has at most 1 MiB, is not packed (Content-Encoding), and is no redirect.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated, Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import httpx
import structlog
from pydantic import Field, ValidationError
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.database import Databases
from activities.directory.evidence import Evidences
from activities.errors import SYSTEM_BUSY, SYSTEM_UNAVAILABLE, rejected, stale_revision
from activities.reading import PLAIN, TooLarge, as_json, read_up_to
from activities.secrets import radius_password, sip_password, sip_username
from activities.settings import Settings
from workflows.domain.provisioning.ledger import Access
from workflows.domain.provisioning.standing import Proof
from workflows.domain.systems import System
from workflows.domain.text import safe_text
from workflows.ports import (
    EnsureAccess,
    EnsureLines,
    Evidence,
    Finding,
    Internet,
    ObserveAccess,
    ObserveLines,
    Telephony,
)
from workflows.wire.messages import Model

METHOD = "JSON HTTP, read back in a request of its own"
AT_ONCE = 50  # names in one GET: far below what servers take as an address
LONGEST_WHY = 300
LARGEST_ANSWER = 1024 * 1024  # bytes: a refusal, with a reason, of every line that a client can have
_PLAN = ("down_mbps", "up_mbps", "vlan")

A = TypeVar("A", bound=Model)

Count = Annotated[int, Field(ge=0, lt=2**53)]  # what every JSON library and every database can hold

log = structlog.get_logger(__name__)


class Taken(Model):
    """The answer to a change."""

    refused: dict[str, str] = Field(default_factory=dict)
    needs_secret: list[str] = Field(default_factory=list)


class Newer(Model):
    """The answer to a change that came too late."""

    newest: Count


class Item(Model):
    """One line or account, as the system says that it is."""

    name: str
    known: bool = True
    in_service: bool = False
    client_id: str | None = None
    alive: Count | None = None
    secret_version: Count | None = None
    down_mbps: Count | None = None
    up_mbps: Count | None = None
    vlan: Count | None = None


class Items(Model):
    """The answer to a look."""

    items: list[Item]


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
    def of(cls, settings: Settings, system: System, things: str, url: str) -> Self:
        """Raises ValueError when its address or token is not set."""
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
            for first in range(0, len(names), AT_ONCE):
                asked = [("name", name) for name in names[first : first + AT_ONCE]]
                answer = await self._ask(http, "GET", f"/{self.things}", params=asked)
                items = self._read(Items, answer).items
                found |= {item.name: item for item in items if item.name in names}
        return found

    async def _put(self, http: httpx.AsyncClient, wanted: Wanted, secrets: Sequence[str]) -> Taken:
        body = {
            "revision": wanted.revision,
            "secret_version": wanted.secret_version,
            self.things: wanted.things,
            "secrets": {name: wanted.secret_of(name) for name in secrets},
        }
        path = f"/clients/{quote(wanted.client_id, safe='')}/{self.things}"
        answer = await self._ask(http, "PUT", path, json=body)
        if answer.status == httpx.codes.CONFLICT:
            newest = self._read(Newer, answer).newest
            raise stale_revision(f"The {self}", wanted.client_id, wanted.revision, newest)
        return self._read(Taken, answer)

    # -- requests and what goes wrong with them -----------------------------------------------------------------------

    @asynccontextmanager
    async def _reached(self) -> AsyncIterator[httpx.AsyncClient]:
        """Requests, for no longer than an operation may take. Raises nothing of the driver's, only our errors."""
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        client = httpx.AsyncClient(
            base_url=self.url, headers=headers | PLAIN, timeout=self.seconds, verify=self.trust, follow_redirects=False
        )
        try:
            async with asyncio.timeout(self.longest), client as http:
                yield http
        except (httpx.HTTPError, TimeoutError) as error:
            late = isinstance(error, httpx.TimeoutException | TimeoutError)
            told = "no answer in time" if late else str(error) or type(error).__name__
            remedy = "Check that it runs and can be reached from the worker"
            raise self._failure(SYSTEM_UNAVAILABLE, "is unavailable", told, remedy) from None

    async def _ask(self, http: httpx.AsyncClient, method: str, path: str, **request: Any) -> Answer:
        """An answer that says something: 200, or 409 to a change. Raises SystemUnavailable, SystemBusy and
        SystemRejected. No more than LARGEST_ANSWER is read of it, and a redirect is not followed."""
        async with http.stream(method, path, **request) as sent:
            try:
                answer = Answer(sent.status_code, sent.reason_phrase, await read_up_to(sent, LARGEST_ANSWER))
            except TooLarge as error:
                remedy = "Ask its vendor: no answer of this protocol is so large"
                raise self._failure(SYSTEM_UNAVAILABLE, "is unavailable", str(error), remedy) from None
        status, name = answer.status, self.system.upper()
        if status == httpx.codes.OK or (method == "PUT" and status == httpx.codes.CONFLICT):
            return answer
        told = f"{method} of {self.things} got {status} {answer.reason}{_why(answer)}"
        if status == httpx.codes.TOO_MANY_REQUESTS:
            raise self._failure(SYSTEM_BUSY, "is busy", told, "It is asked more often than it allows")
        if httpx.codes.is_server_error(status):
            raise self._failure(SYSTEM_UNAVAILABLE, "is unavailable", told, "See its own log")
        barred = status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN)
        remedy = f"Correct CONNECT_JSON_{name}_{'TOKEN' if barred else 'URL'}, or see the log of the system"
        failure = rejected(f"The {self} refused: {safe_text(told)}. {remedy}")
        log.warning("attempt_failed", system=self.system, type=failure.type, error=failure.message)
        raise failure

    def _read(self, kind: type[A], answer: Answer) -> A:
        try:
            return kind.model_validate_json(answer.body)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "the body"
            told = f"its answer is not of the protocol ({where}: {first['msg']})"
            remedy = f"Does CONNECT_JSON_{self.system.upper()}_URL lead to it, or to something in between?"
            raise self._failure(SYSTEM_UNAVAILABLE, "is unavailable", told, remedy) from None

    def _failure(self, kind: str, word: str, told: str, remedy: str) -> ApplicationError:
        message = f"The {self} {word}: {safe_text(told)}. {remedy}"
        log.warning("attempt_failed", system=self.system, type=kind, error=message)
        return ApplicationError(message, type=kind, category=ApplicationErrorCategory.BENIGN)


class _JsonHttp:
    """What both systems have in common."""

    def __init__(self, api: Api, evidences: Evidences, master_key: bytes) -> None:
        self._api, self._evidences, self._master_key = api, evidences, master_key

    async def _ensure(self, wanted: Wanted, release: Sequence[str] = ()) -> Evidence:
        refused = await self._api.change(wanted)
        items = await self._api.look(sorted(wanted.things))
        findings = [_finding(wanted, name, items.get(name), refused.get(name, "")) for name in sorted(wanted.things)]
        evidence = Evidence(self._api.system, wanted.revision, datetime.now(UTC), METHOD, findings)
        doubts = sum(finding.proof is not Proof.PROVEN for finding in findings)
        log.info(f"{self._api.things}_ensured", client_id=wanted.client_id, revision=wanted.revision, doubts=doubts)
        return await self._evidences.record(wanted.client_id, evidence, release)

    async def _observe(self, client_id: str, revision: int, names: Sequence[str]) -> Evidence:
        items = await self._api.look(sorted(names))
        findings = [_second_finding(client_id, name, items.get(name)) for name in sorted(names)]
        evidence = Evidence(self._api.system, revision, datetime.now(UTC), METHOD, findings, look=True)
        return await self._evidences.record(client_id, evidence)


class JsonHttpTelephony(_JsonHttp, Telephony):
    """Telephone lines of a system with an API."""

    @classmethod
    def of(cls, settings: Settings, databases: Databases, evidences: Evidences) -> Self:
        """As the settings say. Raises ValueError for one that is not set."""
        api = Api.of(settings, System.TELEPHONY, "lines", settings.json_telephony_url)
        return cls(api, evidences, settings.read_master_key())

    @activity.defn(name="ensure_lines")
    async def ensure_lines(self, order: EnsureLines) -> Evidence:
        """Have the lines in service or ceased as ordered, see that it is so, and tell the directory."""

        def secret_of(number: str) -> dict[str, str]:
            password = sip_password(self._master_key, order.client_id, number, order.secret_version)
            return {"username": sip_username(number), "password": password}

        lines = {n: {"in_service": on, "protected": n in order.protected} for n, on in order.lines.items()}
        marks = {number: {"protected": "left in service"} for number in order.protected}
        wanted = Wanted(order.client_id, order.revision, order.secret_version, lines, secret_of, marks)
        return await self._ensure(wanted, order.release)

    @activity.defn(name="observe_lines")
    async def observe_lines(self, order: ObserveLines) -> Evidence:
        """Look whether ceased lines are in service, registered or in a call again."""
        return await self._observe(order.client_id, order.revision, order.lines)


class JsonHttpInternet(_JsonHttp, Internet):
    """Internet accounts of a network with an API."""

    @classmethod
    def of(cls, settings: Settings, databases: Databases, evidences: Evidences) -> Self:
        """As the settings say. Raises ValueError for one that is not set."""
        api = Api.of(settings, System.INTERNET, "accounts", settings.json_internet_url)
        return cls(api, evidences, settings.read_master_key())

    @activity.defn(name="ensure_access")
    async def ensure_access(self, order: EnsureAccess) -> Evidence:
        """Have the accounts admitted or rejected as ordered, see that it is so, and tell the directory."""

        def secret_of(account: str) -> dict[str, str]:
            password = radius_password(self._master_key, order.client_id, account, order.secret_version)
            return {"username": account, "password": password}

        accounts = {access.account: {"in_service": access.on, **_plan(access)} for access in order.accounts}
        return await self._ensure(Wanted(order.client_id, order.revision, order.secret_version, accounts, secret_of))

    @activity.defn(name="observe_access")
    async def observe_access(self, order: ObserveAccess) -> Evidence:
        """Look whether accounts that are off are admitted, or in use, again."""
        return await self._observe(order.client_id, order.revision, order.accounts)


def _plan(access: Access) -> dict[str, int | None]:
    return {"down_mbps": access.down_mbps, "up_mbps": access.up_mbps, "vlan": access.vlan}


def _finding(wanted: Wanted, name: str, item: Item | None, refused: str) -> Finding:
    """What was read back of one, and whether that is what was wanted."""
    thing, seen = wanted.things[name], _seen(wanted.client_id, item)
    on = _in_service(wanted.client_id, item)
    if refused:
        return Finding(name, on, seen, Proof.FAILED, f"the system refused: {refused}")
    if not thing["in_service"]:
        why = _life(wanted.client_id, item)
        return Finding(name, on, seen, Proof.NOT_PROVEN if why else Proof.PROVEN, why)
    if not on or item is None:
        told = ", ".join(f"{key} {value}" for key, value in seen.items())
        return Finding(name, on, seen, Proof.NOT_PROVEN, f"should be in service and reads back as {told}")
    if item.secret_version is not None and item.secret_version < wanted.secret_version:
        told = f"version {item.secret_version} instead of {wanted.secret_version}"
        return Finding(name, on, seen, Proof.NOT_PROVEN, f"reads back with the secret of {told}")
    if different := [key for key, value in thing.items() if key in _PLAN and getattr(item, key) != value]:
        told = ", ".join(f"{key} {getattr(item, key)} instead of {thing[key]}" for key in different)
        return Finding(name, on, seen, Proof.NOT_PROVEN, f"reads back with {told}")
    return Finding(name, on, seen | wanted.marks.get(name, {}))


def _second_finding(client_id: str, name: str, item: Item | None) -> Finding:
    """Of what is looked at again because it is off: is it alive? What the system cannot say is not seen."""
    why, unseen = _life(client_id, item), item is None or (not item.in_service and item.alive is None)
    proof = Proof.PROVEN if not why else Proof.NOT_PROVEN if unseen else Proof.FAILED
    return Finding(name, _in_service(client_id, item), _seen(client_id, item), proof, why)


def _life(client_id: str, item: Item | None) -> str:
    """Why it is not proven off; empty when it is."""
    if item is None:
        return "the system's answer does not mention it"
    if not item.known or _elsewhere(client_id, item):
        return ""
    if item.in_service:
        return "it is in service"
    if item.alive is None:
        return "the system cannot say whether it is still in use"
    return f"it is off, but {item.alive} registrations, calls or sessions of it go on" if item.alive else ""


def _in_service(client_id: str, item: Item | None) -> bool:
    return item is not None and item.in_service and not _elsewhere(client_id, item)


def _elsewhere(client_id: str, item: Item) -> bool:
    return item.client_id is not None and item.client_id != client_id


def _seen(client_id: str, item: Item | None) -> dict[str, str]:
    """In plain words. Nothing of another client's."""
    if item is None:
        return {"in_service": "unknown"}
    if not item.known:
        return {"in_service": "absent"}
    if _elsewhere(client_id, item):
        return {"owner": "another client"}
    alive = "unknown" if item.alive is None else str(item.alive)
    secret = "its own" if item.secret_version is None else f"derived, version {item.secret_version}"
    plan = {key: str(getattr(item, key)) for key in _PLAN if getattr(item, key) is not None}
    return {"in_service": "1" if item.in_service else "0", "alive": alive, "secret": secret, **plan}


def _why(answer: Answer) -> str:
    """What the body of an error says for operators, if it says it as agreed."""
    try:
        body = as_json(answer.body)
    except ValueError:
        return ""
    why = body.get("why") if isinstance(body, dict) else None
    return f": {safe_text(why, LONGEST_WHY)}" if isinstance(why, str) else ""
