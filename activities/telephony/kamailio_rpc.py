"""Looks up and ends, by JSON-RPC, what Kamailio keeps in memory: calls, and registrations in usrloc db_mode 1.

Modules jsonrpcs and xhttp (one POST a command; batches are not understood), usrloc (``ul.*``) and dialog (``dlg.*``) as
tried on Kamailio 5.6. ``dlg.list_match`` knows the keys ruri, furi and turi, and does not answer the ruri. A call that
only rings cannot be ended: dialog does not support it, and ``tm.cancel`` lets go of its transaction twice.

Anybody who reaches this can end every call. So the path of an address ends in a secret, and our messages name a server
by scheme, host and port, without the path. ``deploy/kamailio/kamailio.cfg`` accepts a command only if its body is,
octet for octet, what ``_question`` makes. Change both together.
"""

import asyncio
import functools
import json
import re
import ssl
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import httpx2

from activities.reading import PLAIN, TooLarge, as_json, read_up_to
from workflows.domain.text import safe_text

Still = Callable[[Collection[str]], Awaitable[Collection[str]]]
"""The lines of these that are still as the order left them. Raises RpcFailed."""

T = TypeVar("T")
R = TypeVar("R")

ANSWER = 2.0
"""Seconds for a server to answer one command."""

ORDER = 15.0
"""Seconds for a server to answer all commands of one order."""

HANG_UP = 2.0
"""Seconds for both telephones to confirm the end of a call."""

LARGEST_ANSWER = 8 * 1024 * 1024
"""Bytes of an answer that are read: room for many thousands of calls."""

LONGEST_MESSAGE = 300

_PAUSE = 0.05
_AT_ONCE = 4  # commands under way at one server: they keep its one TCP worker busy, not waiting
_NUMBERS_AT_ONCE = 100  # in one question about calls
_KEYS = ("furi", "turi", "ruri")  # caller, callee as dialled, callee as routed
_RINGING, _TALKING = (1, 2), (3, 4)  # dialog's states; 5: over, and not forgotten yet
_NOBODY = "not found"  # "AOR not found in location table" of usrloc, "Not found" of dialog
_METHOD_UNKNOWN = "method not found"
_JSON = {"Content-Type": "application/json"}
_NOT_FOR_US = (401, 403, 404)  # HTTP
_FIT_FOR_A_PATTERN = re.compile(r"[0-9A-Za-z]+")
_FIT_FOR_A_PATH = re.compile(r"[A-Za-z0-9._~-]{16,}")  # RFC 3986 section 2.3, unreserved


class RpcFailed(Exception):
    """A server did not answer. The message names it, and the reason."""


class RpcRefused(RpcFailed):
    """A server refused a command; ``message`` is its own text."""

    def __init__(self, server: str, method: str, message: str) -> None:
        remedy = f". Load the module of {method} there" if message.lower() == _METHOD_UNKNOWN else ""
        super().__init__(f"{server} refused {method}: {safe_text(message, LONGEST_MESSAGE)}{remedy}")
        self.message = message


@dataclass(frozen=True)
class ServerState:
    """What the servers know of one line. ``trouble``: servers that did not answer, so that the rest is incomplete."""

    registrations: int = 0
    calls: int = 0
    ringing: int = 0
    trouble: str = ""

    def __add__(self, other: "ServerState") -> "ServerState":
        return ServerState(
            self.registrations + other.registrations,
            self.calls + other.calls,
            self.ringing + other.ringing,
            "; ".join(filter(None, (self.trouble, other.trouble))),
        )


@dataclass(frozen=True)
class Call:
    """A call that is set up (``talking``) or rings: its key in dialog's table, and the numbers of our lines in it."""

    key: tuple[int, int]
    talking: bool
    numbers: frozenset[str]


class Servers:
    """Every Kamailio that serves some lines, by the URL where it takes commands, with its name for messages. There may
    be none with JSON-RPC."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = names

    def __len__(self) -> int:
        return len(self._names)

    @classmethod
    def named(cls, urls: str, secret: str = "") -> Self:
        """The servers of CONNECT_SIP_RPC_URLS, with the secret at the end of each. Raises ValueError for an invalid
        address or secret, without quoting it."""
        addresses = list(dict.fromkeys(url.strip() for url in urls.split(",") if url.strip()))
        if addresses and secret and not _FIT_FOR_A_PATH.fullmatch(secret):
            raise ValueError("CONNECT_SIP_RPC_SECRET must be 16 letters, digits, - or _ or more: it ends an address")
        names = [_name(url) for url in addresses]
        if None in names:
            which = f"address {names.index(None) + 1} of {len(addresses)}"
            raise ValueError(f"CONNECT_SIP_RPC_URLS: {which} is no address such as http://10.0.0.1:8090/RPC")
        whole = [f"{url.rstrip('/')}/{secret}" if secret else url for url in addresses]
        return cls({url: name for url, name in zip(whole, names, strict=True) if name})

    async def look(self, lines: Mapping[str, Collection[str]], until: float) -> Mapping[str, ServerState]:
        """The state of these lines, by number, whose addresses-of-record are these. Nothing is changed. ``until`` is by
        the loop's clock."""

        async def none(_: Collection[str]) -> Collection[str]:
            return ()

        return await self.end(lines, (), none, until, end_calls=False)

    async def end(
        self,
        lines: Mapping[str, Collection[str]],
        ceased: Collection[str],
        still: Still,
        until: float,
        *,
        end_calls: bool,
    ) -> Mapping[str, ServerState]:
        """End the registrations of these lines, by number with their addresses-of-record, and the calls of the ceased
        ones. Returns their state then.

        A line is cut only while it is ``still`` as ordered: a later order may have switched it on again meanwhile.
        """
        end = min(until, asyncio.get_running_loop().time() + ORDER)
        talking = sorted(ceased) if end_calls else []

        async def one(url: str, name: str) -> Mapping[str, ServerState]:
            try:
                async with asyncio.timeout_at(end):
                    return await _Server(url, name, client, lines, still).end(talking)
            except RpcFailed as failure:
                trouble = str(failure)
            except TimeoutError:
                trouble = f"{name} did not answer everything in time"
            return dict.fromkeys(lines, ServerState(trouble=trouble))

        async with httpx2.AsyncClient(timeout=ANSWER, trust_env=False, verify=_tls(), headers=PLAIN) as client:
            answers = await asyncio.gather(*(one(*server) for server in self._names.items()))
        return {number: sum((states[number] for states in answers), ServerState()) for number in lines}


class _Server:
    """One Kamailio, during one order. Every method raises RpcFailed."""

    def __init__(
        self, url: str, name: str, client: httpx2.AsyncClient, lines: Mapping[str, Collection[str]], still: Still
    ) -> None:
        self._url, self._name, self._client, self._lines, self._still = url, name, client, lines, still
        self._turns = asyncio.Semaphore(_AT_ONCE)
        users = {number: {_user(f"sip:{aor}") for aor in aors} for number, aors in lines.items()}
        self._users = {number: sorted(filter(_FIT_FOR_A_PATTERN.fullmatch, its)) for number, its in users.items()}
        self._numbers = {user: number for number, its in self._users.items() for user in its}

    async def end(self, talking: Sequence[str]) -> Mapping[str, ServerState]:
        """End the registrations of the lines, and the calls of those that are ``talking``. Returns their state then."""
        numbers = sorted(self._lines)
        registrations = await self._each(self._unregister, numbers)
        if talking:
            await self._end_calls(talking)
        calls = await self._calls(numbers)
        states = {}
        for number, count in zip(numbers, registrations, strict=True):
            theirs = [call.talking for call in calls if number in call.numbers]
            states[number] = ServerState(count, theirs.count(True), theirs.count(False))
        return states

    async def _end_calls(self, numbers: Sequence[str]) -> None:
        """Send BYE to both telephones of each call, once. One that does not answer keeps its call for half a minute.

        However slowly a server says which calls there are, those are ended."""
        clock, ended = asyncio.get_running_loop().time, set[tuple[int, int]]()
        end = clock() + HANG_UP
        while talking := [call for call in await self._calls(numbers) if call.talking]:
            if ended and clock() >= end:
                return
            ours = set(await self._still(numbers))
            ending = {call.key for call in talking if call.numbers & ours}
            if not ending:
                return
            await self._each(self._end, sorted(ending - ended))
            ended |= ending
            await asyncio.sleep(_PAUSE)

    async def _end(self, key: tuple[int, int]) -> None:
        with suppress(RpcRefused):  # it has ended by itself; we look again
            await self._invoke("dlg.end_dlg", *key)

    async def _unregister(self, number: str) -> int:
        """End registrations, and return those that remain. Mostly there is none, which takes one round."""
        aors = sorted(self._lines[number])
        there = await self._each(self._registrations, aors)
        if not any(there) or number not in await self._still([number]):
            return sum(there)
        alive = [aor for aor, many in zip(aors, there, strict=True) if many]
        for aor in alive:
            await self._invoke("ul.rm", "location", aor)
        return sum(await self._each(self._registrations, alive))

    async def _registrations(self, aor: str) -> int:
        found = await self._find("ul.lookup", "location", aor)
        with self._understanding("ul.lookup"):
            contacts = [contact["Contact"] for contact in (found or {}).get("Contacts", [])]
            return sum(contact["Expires"] not in ("deleted", "expired") for contact in contacts)

    async def _calls(self, numbers: Sequence[str]) -> list[Call]:
        """Calls from or to these lines. The telephones set both addresses, except the ruri."""
        calls: dict[tuple[int, int], Call] = {}
        for start in range(0, len(numbers), _NUMBERS_AT_ONCE):
            for key in _KEYS:
                for call in await self._matching(key, numbers[start : start + _NUMBERS_AT_ONCE]):
                    known = calls.get(call.key, call)
                    calls[call.key] = replace(call, numbers=known.numbers | call.numbers)
        return list(calls.values())

    async def _matching(self, key: str, numbers: Sequence[str]) -> list[Call]:
        users = "|".join(user for number in numbers for user in self._users[number])
        found = await self._find("dlg.list_match", key, "re", f"^(sips?|tel):[+]?({users})([@;]|$)", 0)
        with self._understanding("dlg.list_match"):
            talking = [dialog for dialog in found or [] if dialog["state"] in (*_RINGING, *_TALKING)]
            calls = [_call(dialog, self._numbers, numbers) for dialog in talking]
        if all(call.numbers for call in calls) or len(numbers) == 1:
            return [replace(call, numbers=call.numbers or frozenset(numbers)) for call in calls]
        return [call for it in numbers for call in await self._matching(key, [it])]  # routed to another than dialled

    async def _find(self, method: str, *values: str | int) -> Any:
        """The answer; None when the name is unknown."""
        try:
            return await self._invoke(method, *values)
        except RpcRefused as refused:
            if _NOBODY in refused.message.lower() and refused.message.lower() != _METHOD_UNKNOWN:
                return None
            raise

    async def _each(self, do: Callable[[T], Coroutine[Any, Any, R]], things: Sequence[T]) -> list[R]:
        """Run for all of them. The first failure cancels the others, and is raised."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(do(thing)) for thing in things]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return [task.result() for task in tasks]

    @contextmanager
    def _understanding(self, method: str) -> Iterator[None]:
        try:
            yield
        except (KeyError, TypeError, AttributeError) as error:
            raise RpcFailed(f"{self._name} answered {method} with something that we do not understand") from error

    async def _invoke(self, method: str, *values: str | int) -> Any:
        question = _question(method, values)
        async with self._turns:
            try:
                async with (
                    asyncio.timeout(ANSWER),
                    self._client.stream("POST", self._url, content=question, headers=_JSON) as reply,
                ):
                    answer = as_json(await read_up_to(reply, LARGEST_ANSWER))
            except (httpx2.HTTPError, TimeoutError) as error:
                raise RpcFailed(f"{self._name} did not answer") from error
            except TooLarge as error:
                raise RpcFailed(f"{self._name} answered {method}: {error}") from error
            except ValueError as error:
                if reply.status_code in _NOT_FOR_US:
                    raise RpcFailed(
                        f"{self._name} does not take {method} from us (HTTP {reply.status_code}). Check the path "
                        "of its address, CONNECT_SIP_RPC_SECRET at its end, and SIP_RPC_HOST there"
                    ) from error
                raise RpcFailed(f"{self._name} answered {method} with something else than JSON") from error
        if not isinstance(answer, dict) or not {"result", "error"} & answer.keys():
            raise RpcFailed(f"{self._name} answered {method} with something else than JSON-RPC")
        if "error" in answer:
            refusal = answer["error"]
            message = refusal.get("message", refusal) if isinstance(refusal, dict) else refusal
            raise RpcRefused(self._name, method, str(message))
        return answer["result"]


def _name(url: str) -> str | None:
    """The scheme, host and port of a URL, without the secret path; None for an invalid one."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        return None
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _call(dialog: Mapping[str, Any], whose: Mapping[str, str], numbers: Sequence[str]) -> Call:
    parties = {whose.get(_user(dialog[uri])) for uri in ("from_uri", "to_uri")}
    ours = frozenset(number for number in numbers if number in parties)
    return Call((dialog["h_entry"], dialog["h_id"]), dialog["state"] in _TALKING, ours)


def _user(uri: str) -> str:
    """The username of an address: the number without the plus."""
    return uri.partition(":")[2].partition("@")[0].partition(";")[0].removeprefix("+")


def _question(method: str, values: Sequence[str | int]) -> bytes:
    """The body of one command, in the only form that our kamailio.cfg accepts."""
    question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": values}
    return json.dumps(question, separators=(",", ":"), ensure_ascii=True).encode()


@functools.cache
def _tls() -> ssl.SSLContext:
    """The TLS context. It is made once, because that takes longer than a whole order."""
    return ssl.create_default_context()
