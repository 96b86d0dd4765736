"""`Connect`: the API as an asynchronous client. What is not answered is sent again with the same key, and done once."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import date, datetime
from typing import Any, Literal, TypedDict, Unpack, cast
from urllib.parse import quote
from uuid import uuid4

import httpx2

from .answers import (
    Attention,
    ClientEvent,
    ClientNote,
    CommandAnswer,
    Credentials,
    HistoryEntry,
    Matter,
    Site,
    SystemState,
)
from .errors import Away, ConnectError, Unreached, answer_with, error_of, malformed
from .given import ClientGiven, InternetGiven, LineGiven, ServiceGiven
from .patience import Patience
from .views import ClientView, PreviewView
from .webhooks import Webhooks

LONGEST_WAIT = 60  # seconds the service waits within one request
LONGEST_PAGE = 500  # items the service gives at once
LONGEST_KEY = 200  # characters
UNFINISHED = ("changing", "attention")  # where provisioning stands while there is something to wait for
UNSENDABLE = (httpx2.InvalidURL, httpx2.UnsupportedProtocol)  # no repeating makes an address of it

Json = dict[str, Any]
Step = Literal["sent", "answered"]
OF_CLIENT = ("client_id",)  # what an answer about a client has


class How(TypedDict, total=False):
    """How a command is sent.

    ``source``: in whose name a hold is placed or lifted. ``key``: the Idempotency-Key, one per intention of the caller,
    such as an invoice's number; made up where it is missing. ``wait``: seconds to wait until the change is proven.
    """

    reason: str
    source: str
    key: str
    wait: float


class When(How, total=False):
    """A command that may be planned: at the end of ``last_day`` in the zone of the client's site, or at an instant."""

    last_day: date | str
    at: datetime | str


def is_finished(client: Mapping[str, Any]) -> bool:
    """Whether there is nothing to wait for: all is proven to be as decided, or a person accepts that it is not."""
    return client.get("provisioning") not in UNFINISHED


class Connect:
    """The API at ``url``, for the holder of ``token``. An asynchronous context manager.

    Every method raises Refused with the problem that the service answered, NotConnect, or, when ``patience`` is over,
    Unreached or Away. A method that changes something is safe to call again with the same ``key``. ``on_step`` is told
    when a request leaves and when it is answered. ``sleep``, ``clock`` and ``transport`` are for tests.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        patience: Patience | None = None,
        on_step: Callable[[Step], None] = lambda _: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        if not (token.strip() and token.isascii() and token.isprintable()):
            raise malformed("token", "is empty or has characters that no token has", "Copy it anew")
        self._url, self._patience = url.rstrip("/"), patience or Patience()
        self._on_step, self._sleep, self._clock = on_step, sleep, clock
        self.webhooks = Webhooks(self)
        self._http = httpx2.AsyncClient(
            headers={"Authorization": f"Bearer {token}"},
            transport=transport,
            trust_env=not self._url.startswith("http://127.0.0.1:"),  # no proxy to this machine
            verify=not self._url.startswith("http://"),  # reading the certificates of this machine takes a while
        )

    async def __aenter__(self) -> "Connect":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    # -- what is there ----------------------------------------------------------------------------------------------

    async def client(self, client_id: str) -> ClientView:
        """One client, as its workflow knows it."""
        return cast("ClientView", await self.request("GET", "clients", client_id, needs=OF_CLIENT))

    def clients(self, *, most: int | None = None, **filters: str | bool | None) -> AsyncIterator[ClientView]:
        """The clients that match, page by page: ``status`` ``type`` ``site`` ``provisioning`` ``q`` ``tag``
        ``external_id`` ``open`` ``inactive`` ``sort``. ``most`` limits how many."""
        return cast("AsyncIterator[ClientView]", self.items("clients", most=most, **filters))

    def history(self, client_id: str) -> AsyncIterator[HistoryEntry]:
        """What was asked, refused, decided, attempted and proven, newest first."""
        return cast("AsyncIterator[HistoryEntry]", self.items("clients", client_id, "history"))

    def notes(self, client_id: str) -> AsyncIterator[ClientNote]:
        """What people had to say about a client, newest first."""
        return cast("AsyncIterator[ClientNote]", self.items("clients", client_id, "notes"))

    async def events(
        self, *, after: int | None = None, wait: int = LONGEST_WAIT, **filters: str | None
    ) -> AsyncIterator[ClientEvent]:
        """What happens to clients (``kind`` ``client`` ``site``), in order, after the event of that number, for ever.

        ``wait=0`` reads what there is and ends. Keep the ``seq`` of the last event that was dealt with: who reads on
        after it misses none.
        """
        in_vain = 0
        while True:
            begun = self._clock()
            query, needs = {**filters, "after": after, "wait": wait}, ("items", "next", "last")
            page = await self.request("GET", "events", query=query, patience=wait, needs=needs)
            for event in page["items"]:
                yield event
            after = page["next"]
            if not wait and page["next"] >= page["last"]:
                return
            in_vain = 0 if page["items"] or self._clock() >= begun + wait else in_vain + 1
            if in_vain:  # it has no place to wait, or is about to stop
                await self._sleep(self._patience.pause(in_vain))

    async def credentials(self, client_id: str) -> Credentials:
        """What the client's telephones and router are configured with. That you looked stands in its history."""
        path = ("clients", client_id, "credentials")
        return cast("Credentials", await self.request("GET", *path, needs=("sip",)))

    async def sites(self) -> list[Site]:
        """Every site."""
        return cast("list[Site]", (await self.request("GET", "sites", needs=("items",)))["items"])

    async def systems(self) -> list[SystemState]:
        """How each instance of a system does."""
        return cast("list[SystemState]", (await self.request("GET", "systems", needs=("items",)))["items"])

    def attention(self, *, most: int | None = None, **filters: str | None) -> AsyncIterator[Attention]:
        """The clients whose systems need a person: ``site`` ``system`` ``skipped``."""
        return cast("AsyncIterator[Attention]", self.items("attention", most=most, **filters))

    def matters(self, *, most: int | None = None, **filters: str | None) -> AsyncIterator[Matter]:
        """Everything that is open: ``site`` ``kind`` ``assigned_to`` ``snoozed``."""
        return cast("AsyncIterator[Matter]", self.items("matters", most=most, **filters))

    # -- commands ---------------------------------------------------------------------------------------------------

    async def create(self, client: ClientGiven, *, key: str = "", wait: float = 0) -> ClientView:
        """Create a client. One key creates one client."""
        answer = await self.send("POST", "clients", body=dict(client), key=key, wait=wait, needs=OF_CLIENT)
        return cast("ClientView", answer)

    async def edit(self, client_id: str, changes: Mapping[str, Any], **how: Unpack[How]) -> CommandAnswer:
        """Change details: name, billing_ref, start_date, end_date, activation, external_ids, tags."""
        return await self._command("PATCH", (client_id,), how, **changes)

    async def activate(self, client_id: str, **how: Unpack[How]) -> CommandAnswer:
        """Provide all contracted services, ahead of the start date if need be."""
        return await self._command("POST", (client_id, "activate"), how)

    async def suspend(self, client_id: str, **how: Unpack[When]) -> CommandAnswer:
        """Place the hold of a source: every service is ceased while one stands."""
        return await self._command("POST", (client_id, "suspend"), how)

    async def unsuspend(self, client_id: str, **how: Unpack[When]) -> CommandAnswer:
        """Lift the hold of a source, or with ``source="all"`` every one."""
        return await self._command("POST", (client_id, "unsuspend"), how)

    async def decommission(self, client_id: str, **how: Unpack[When]) -> CommandAnswer:
        """Cease every service for good, now or at the end of a day."""
        return await self._command("POST", (client_id, "decommission"), how)

    async def cancel_decommission(self, client_id: str, **how: Unpack[How]) -> CommandAnswer:
        """Cancel the planned decommission."""
        return await self._command("POST", (client_id, "cancel-scheduled-decommission"), how)

    async def cancel_planned(self, client_id: str, change: str, **how: Unpack[How]) -> CommandAnswer:
        """Cancel a planned change, by its ``change_id`` or its kind."""
        return await self._command("DELETE", (client_id, "planned", change), how)

    async def convert(
        self,
        client_id: str,
        *,
        to: str,
        lines: list[LineGiven] | None = None,
        offices: list[str] | None = None,
        internet: InternetGiven | None = None,
        **how: Unpack[When],
    ) -> CommandAnswer:
        """Make a residential client virtual, or a virtual one residential."""
        services = {"lines": lines, "offices": offices, "internet": internet}
        return await self._command("POST", (client_id, "convert"), how, to=to, **_without_none(services))

    async def change_services(
        self,
        client_id: str,
        *,
        add_lines: list[LineGiven] | None = None,
        remove_lines: list[str] | None = None,
        internet: InternetGiven | str | None = None,
        add_services: list[ServiceGiven] | None = None,
        remove_services: list[str] | None = None,
        **how: Unpack[When],
    ) -> CommandAnswer:
        """Contract and end services. ``internet="none"`` ends internet access."""
        changes: Json = {"add_lines": add_lines, "remove_lines": remove_lines, "internet": internet}
        changes |= {"add_services": add_services, "remove_services": remove_services}
        return await self._command("POST", (client_id, "services"), how, **_without_none(changes))

    async def rotate_credentials(self, client_id: str, **how: Unpack[How]) -> CommandAnswer:
        """Give every telephone and the router a new password."""
        return await self._command("POST", (client_id, "rotate-credentials"), how)

    async def note(self, client_id: str, text: str, **how: Unpack[How]) -> CommandAnswer:
        """Write down something about a client."""
        return await self._command("POST", (client_id, "notes"), how, text=text)

    async def preview(self, client_id: str, command: str, body: Mapping[str, Any] | None = None) -> PreviewView:
        """What a command would do, by the last part of its route: ``suspend``, ``services``, … Nothing is changed."""
        path = ("clients", client_id, command)
        query, needs = {"dry_run": "true"}, ("changed",)
        return cast("PreviewView", await self.request("POST", *path, body=body or {}, query=query, needs=needs))

    # -- any route --------------------------------------------------------------------------------------------------

    async def send(
        self,
        method: str,
        *path: str,
        body: Mapping[str, Any] | None = None,
        key: str = "",
        wait: float = 0,
        query: Mapping[str, Any] | None = None,
        needs: tuple[str, ...] = (),
    ) -> Json:
        """The answer to a request that changes something, waited for until the client is finished or ``wait`` is over.

        Once it is accepted, its last answer is answered, whatever fails meanwhile; an error has its ``key``. Raises
        Invalid, before anything is sent, for a key that the service would not take.
        """
        if len(key) > LONGEST_KEY or not (key.isascii() and key.isprintable()):
            rule = f"takes at most {LONGEST_KEY} letters, digits and signs of ASCII"
            raise malformed("Idempotency-Key", rule, "Give another")
        key, end = key or uuid4().hex, self._clock() + wait

        async def ask() -> Json:
            left = max(0.0, end - self._clock())
            prefer = {"Prefer": f"wait={min(LONGEST_WAIT, int(left) + 1)}"} if left else {}
            return await self._once(method, path, body, query, {"Idempotency-Key": key, **prefer}, left, needs)

        try:
            answer = await self._answer_of(ask)
        except ConnectError as error:
            error.key = key
            raise
        attempt, failure = 0, None
        while not is_finished(answer) and (left := end - self._clock()) > 0:
            await self._sleep(min(left, self._patience.pause(attempt, failure)))  # it may have no place to wait
            attempt += 1
            try:
                answer, failure = await ask(), None
            except ConnectError as error:
                failure = error
        return answer

    async def items(self, *path: str, most: int | None = None, **query: Any) -> AsyncIterator[Json]:
        """The items of a list, or its first ``most``."""
        async for page in self.pages(*path, most=most, **query):
            for item in page["items"]:
                yield item

    async def pages(self, *path: str, most: int | None = None, **query: Any) -> AsyncIterator[Json]:
        """The pages of a list, or those of its first ``most`` items."""
        cursor, left = None, most
        while True:
            limit = LONGEST_PAGE if left is None else min(LONGEST_PAGE, left)
            of_page = {**query, "limit": limit, "cursor": cursor}
            page = await self.request("GET", *path, query=of_page, needs=("items", "next"))
            yield page
            cursor, left = page["next"], None if left is None else left - len(page["items"])
            if cursor is None or (left is not None and left <= 0):
                return

    async def request(
        self,
        method: str,
        *path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        patience: float = 0,
        needs: tuple[str, ...] = (),
    ) -> Json:
        """The answer of a route below ``/api/v1``. ``patience``: seconds that the service may take by itself;
        ``needs``: fields without which it is none of Connect's."""
        return await self._answer_of(lambda: self._once(method, path, body, query, headers or {}, patience, needs))

    # -- inside -----------------------------------------------------------------------------------------------------

    async def _answer_of(self, ask: Callable[[], Awaitable[Json]]) -> Json:
        """What ``ask`` returns, which is called again for as long as the patience lasts."""
        end, attempt, sent = 0.0, 0, False
        while True:
            try:
                return await ask()
            except ConnectError as error:
                sent = error.sent = sent or error.sent
                pause, now = self._patience.pause(attempt, error), self._clock()
                end = end if attempt else now + self._patience.in_all
                hopeless = not isinstance(error, Unreached | Away) or isinstance(error.__cause__, UNSENDABLE)
                if hopeless or now + pause > end:
                    raise
            attempt += 1
            await self._sleep(pause)

    async def _command(self, method: str, path: tuple[str, ...], how: When | How, **body: Any) -> CommandAnswer:
        options = {name: _text(value) for name, value in how.items() if name not in ("key", "wait")}
        key, wait = how.get("key", ""), how.get("wait", 0)
        body = {**options, **body}
        answer = await self.send(method, "clients", *path, body=body, key=key, wait=wait, needs=OF_CLIENT)
        return cast("CommandAnswer", answer)

    async def _once(
        self,
        method: str,
        path: tuple[str, ...],
        body: Mapping[str, Any] | None,
        query: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        patience: float,
        needs: tuple[str, ...],
    ) -> Json:
        sent = False

        async def trace(event: str, _: object) -> None:
            nonlocal sent
            if event.endswith("send_request_headers.started"):
                sent = True
                self._on_step("sent")

        seconds = min(patience, LONGEST_WAIT) + self._patience.beyond_wait
        try:
            answer = await self._http.request(
                method,
                "/".join([f"{self._url}/api/v1", *(quote(part, safe="") for part in path)]),
                headers=headers,
                params=_without_none(query or {}),
                json=body,
                timeout=httpx2.Timeout(seconds, connect=5),
                extensions={"trace": trace},
            )
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Unreached(self._url, type(error).__name__, sent=sent) from error
        except UnicodeError as error:
            raise malformed("", "What is sent has characters that UTF-8 cannot write", "Leave them out") from error
        try:
            document = answer.json()
        except (ValueError, RecursionError):
            document = None
        if not answer.is_success:
            raise error_of(self._url, answer.status_code, document, answer.headers.get("Retry-After", ""))
        document = answer_with(needs, document, self._url)
        self._on_step("answered")
        return document


def _without_none(fields: Mapping[str, Any]) -> Json:
    return {name: value for name, value in fields.items() if value is not None}


def _text(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value
