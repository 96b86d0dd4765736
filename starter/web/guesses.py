"""Wrong tokens, by where they come from: whoever tries many is told to wait. A right one always goes through, so nobody
who guesses keeps out who shares his address: a proxy, an office.
"""

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from starter.errors import ExpiredToken
from starter.web.problems import ProblemResponse, problem, response_to

log = structlog.get_logger(__name__)

MOST, SECONDS = 10, 300.0
REMEMBERED = 10_000
"""So many sources at most; the one that was quiet for longest is forgotten first."""

NO_GUESS = "connect.no_guess"  # in the scope of a request
NETWORK = 64  # bits of an IPv6 address that are one subscriber's
TOO_MANY = (
    "This is not a valid token, and too many were tried from your address. Nothing was done. A valid token is "
    "taken at once; every wrong one is answered so before Retry-After is over"
)


class Guesses:
    """How many wrong tokens came from where: after ``most`` in ``seconds``, the next one counts only when the first is
    that old. In the memory of one process."""

    def __init__(
        self,
        most: int = MOST,
        seconds: float = SECONDS,
        clock: Callable[[], float] = time.monotonic,
        event: str = "tokens_guessed",
    ) -> None:
        """``event``: what the log calls it when an address has so many."""
        self.most, self.seconds, self.clock, self._event = most, seconds, clock, event
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def wrong(self, address: str) -> int:
        """A wrong token came from this address. Seconds until it may try another one; 0: this one counted as tried."""
        source, now = source_of(address), self.clock()
        times = self._wrong.setdefault(source, deque(maxlen=self.most))
        self._wrong.move_to_end(source)
        if len(self._wrong) > REMEMBERED:
            self._wrong.popitem(last=False)
        if len(times) == self.most and (left := times[0] + self.seconds - now) > 0:
            return math.ceil(left)
        times.append(now)
        if len(times) == self.most and now - times[0] < self.seconds:
            log.warning(self._event, address=source, wrong=self.most, seconds=self.seconds)
        return 0

    def right(self, address: str) -> None:
        """What counted last from this address was no guess."""
        if times := self._wrong.get(source_of(address)):
            times.pop()


def source_of(address: str) -> str:
    """Who that is, as far as an address says: of IPv6 the network, in which one caller has as many as he likes."""
    try:
        ip: IPv4Address | IPv6Address = ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, IPv6Address):
        ip = ip.ipv4_mapped or ip
    return f"{ip_network((ip, NETWORK), strict=False)}" if isinstance(ip, IPv6Address) else f"{ip}"


def sender_of(scope: Scope) -> str:
    """Where a request comes from, as far as trusted proxies say."""
    return (scope.get("client") or ("",))[0]


def response_to_caller(scope: Scope, error: Exception) -> ProblemResponse:
    """The answer to a caller whose token is refused with an error, which may say that he guesses nothing."""
    if isinstance(error, ExpiredToken):
        scope[NO_GUESS] = True
    return response_to(error)


class GuessLimit:
    """Answers 429 instead of 401 to who sent too many wrong tokens, at whatever route. One of the OpenID provider's own
    that has expired is none: its owner hears 401, and renews it."""

    def __init__(self, app: ASGIApp, guesses: Guesses) -> None:
        self._app, self._guesses = app, guesses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or "Authorization" not in Headers(scope=scope):
            await self._app(scope, receive, send)
            return
        refused = False

        async def counted(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] == 401 and not scope.get(NO_GUESS):
                seconds = self._guesses.wrong(sender_of(scope))
                if seconds:
                    refused = True
                    await _too_many(message, seconds, send)
            if not refused:
                await send(message)

        await self._app(scope, receive, counted)


async def _too_many(start: Message, seconds: int, send: Send) -> None:
    """The answer that begins so, as a 429: with its security headers."""
    answer = ProblemResponse(problem(429, f"{TOO_MANY}."), {"Retry-After": str(seconds)})
    headers = MutableHeaders(raw=list(start["headers"]))
    del headers["WWW-Authenticate"]
    headers.update(answer.headers)
    await send({**start, "status": answer.status_code, "headers": headers.raw})
    await send({"type": "http.response.body", "body": answer.body})
