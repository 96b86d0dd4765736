"""A breaker of one system in one worker: a system that fails for many clients at once is attempted at a limited pace.

    working --(so many clients failed in a row)--> failing --(one succeeds)--> recovering --(nobody waits)--> working
                                                      ^---------(so many failed in a row)-------'

A bucket fills with one token per pace while the system fails, and at the drain's rate while it recovers; an attempt
takes a token. The less urgent an attempt, the more tokens it leaves, so that operators' commands find one first.
No clock, no randomness and no Temporal here: time and chance come in as arguments.
"""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from itertools import takewhile

HORIZON = 30.0
"""Seconds after which an attempt that was not admitted comes again at the latest."""

SOONEST = 0.2
"""Seconds after which it comes again at the earliest."""

_DEPTH = 2.0
"""Seconds of the drain that the bucket holds beyond the first token, which less urgent attempts leave to urgent
ones."""

TIMER, BULK = 3, 5  # Temporal's priority keys, as workflows/domain/state.py gives them; an operator's is 2


class Condition(StrEnum):
    """How a worker finds a system."""

    WORKING = "working"
    FAILING = "failing"
    RECOVERING = "recovering"


class Rank(IntEnum):
    """The order of attempts when not all are admitted."""

    OPERATOR = 0
    TIMER = 1
    BULK = 2
    TRIED = 3  # it had its turn and failed: nothing waits behind it

    @classmethod
    def of(cls, key: int | None) -> "Rank":
        """From Temporal's priority key."""
        key = TIMER if key is None else key
        return cls.OPERATOR if key < TIMER else cls.TIMER if key < BULK else cls.BULK


_SHARE = {Rank.OPERATOR: 0.0, Rank.TIMER: 0.25, Rank.BULK: 0.5, Rank.TRIED: 1.0}
"""The share of the bucket beyond the first token that an attempt of this rank must leave."""


class _Waiting:
    """Clients that were not admitted, or failed, and have not come again, the latest at the end."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[Rank, datetime]] = OrderedDict()
        self._counts = dict.fromkeys(Rank, 0)

    def join(self, client_id: str, rank: Rank, now: datetime) -> None:
        self._known[client_id] = rank, now
        self._counts[rank] += 1

    def leave(self, client_id: str) -> None:
        if known := self._known.pop(client_id, None):
            self._counts[known[0]] -= 1

    def ahead_of(self, rank: Rank) -> int:
        """The number of clients that are as urgent, or more."""
        return sum(count for known, count in self._counts.items() if known <= rank)

    def leave_before(self, moment: datetime) -> list[str]:
        """Remove the clients that last came before that moment, and return them."""
        gone = list(takewhile(lambda client_id: self._known[client_id][1] < moment, self._known))
        for client_id in gone:
            self.leave(client_id)
        return gone


@dataclass(frozen=True)
class Paces:
    """A system is failing when ``clients`` clients fail in a row. Then ``pace`` seconds lie between attempts, and
    ``drain`` attempts a second are admitted when it is back."""

    clients: int
    pace: float
    drain: float


class Breaker:
    """The state of one system. ``since`` is when its condition began; each recovery makes ``recoveries`` grow.

    ``failing_since`` and ``broken_by``, the start of an outage and its first error, stay until it is over.

    ``gave_up`` are the clients whose attempt ran out of time while the system recovered, each with the moment when that
    was known. They pause, for up to an hour, and must be woken, unless another worker served them. So must those in
    ``too_late``: their attempt was carried out, but only after its workflow had stopped waiting for it.
    """

    def __init__(self, paces: Paces, now: datetime) -> None:
        self._paces = paces
        self.condition, self.since = Condition.WORKING, now
        self.last_error = ""
        self.last_failure_at: datetime | None = None
        self.last_success_at: datetime | None = None
        self.failing_since: datetime | None = None
        self.broken_by = ""
        self.recoveries = 0
        self.gave_up: dict[str, datetime] = {}
        self.too_late: dict[str, datetime] = {}
        self._failed: set[str] = set()
        self._waiting = _Waiting()
        self._tokens, self._filled_at, self._turned_away_at = 0.0, now, now

    def admit(self, client_id: str, rank: Rank, now: datetime, chance: float = 0.5) -> timedelta | None:
        """None admits the attempt. Otherwise it must come again after this many seconds.

        ``chance`` (0 to 1) spreads these attempts over the time that those before them will take.
        """
        self.pass_time(now)
        if self.condition is Condition.WORKING:
            return None
        if self._tokens >= self._floor(rank):
            self._tokens -= 1
            self._served(client_id)
            return None
        self._turned_away_at = now
        self._served(client_id)  # so far: it has come again
        ahead = self._waiting.ahead_of(rank)
        self._waiting.join(client_id, rank, now)
        seconds = (self._floor(rank) - self._tokens + ahead * chance) / self._rate + SOONEST * chance
        return timedelta(seconds=min(max(seconds, SOONEST), HORIZON * (0.5 + 0.5 * chance)))

    def give_up(self, client_id: str, now: datetime) -> None:
        """A client that was not admitted has no time left to come again."""
        if self.condition is Condition.RECOVERING:
            self._waiting.leave(client_id)
            self.gave_up[client_id] = now

    def succeeded(self, client_id: str, now: datetime, *, too_late: bool = False) -> None:
        """The system worked for one client; perhaps ``too_late``, when its workflow waited no longer."""
        self.pass_time(now)
        self._failed.clear()
        self._served(client_id)
        if too_late:
            self.too_late[client_id] = now
        self.last_success_at = now
        if self.condition is Condition.FAILING:
            self.recoveries += 1
            self._turned_away_at = now
            self._become(Condition.RECOVERING, now)

    def failed(self, client_id: str, error: str, began: datetime, now: datetime) -> None:
        """The system, not one line, failed. An attempt that began before the system came back does not count."""
        self.pass_time(now)
        if self.condition is not Condition.WORKING:
            self._waiting.leave(client_id)
            self._waiting.join(client_id, Rank.TRIED, now)
        if self.condition is Condition.RECOVERING and began < self.since:
            return
        self.last_error, self.last_failure_at = error, now
        if self.condition is Condition.FAILING:
            return
        self._failed.add(client_id)
        if len(self._failed) >= self._paces.clients:
            self._failed.clear()
            self.failing_since, self.broken_by = now, error
            self._become(Condition.FAILING, now)

    def pass_time(self, now: datetime) -> None:
        """Fill the bucket. A recovering system is working again when every attempt was admitted for a while.

        Who has not come again for so long was served by another worker, or gave up.
        """
        elapsed = max(0.0, (now - self._filled_at).total_seconds())  # a clock that was set back gives nothing
        self._tokens = min(self._tokens + elapsed * self._rate, 1 + self._depth)
        self._filled_at = now
        over = self.condition is Condition.RECOVERING and _seconds(now, self._turned_away_at) > 1.5 * HORIZON
        gone = self._waiting.leave_before(now - timedelta(seconds=0 if over else 2 * HORIZON))
        if self.condition is Condition.RECOVERING:
            self.gave_up |= dict.fromkeys(gone, now)
        if over:
            self._become(Condition.WORKING, now)

    def late(self) -> dict[str, datetime]:
        """The clients that must be woken, each with the moment when that was known."""
        return self.gave_up | self.too_late

    def woken(self, late: Mapping[str, datetime]) -> None:
        """These were woken, unless they are late anew."""
        for known in (self.gave_up, self.too_late):
            for client_id, _ in late.items() & known.items():
                del known[client_id]

    def _served(self, client_id: str) -> None:
        self._waiting.leave(client_id)
        self.gave_up.pop(client_id, None)
        self.too_late.pop(client_id, None)

    # -- the bucket -------------------------------------------------------------------------------------------------

    @property
    def _rate(self) -> float:
        return 1 / self._paces.pace if self.condition is Condition.FAILING else self._paces.drain

    @property
    def _depth(self) -> float:
        return max(1.0, self._rate * _DEPTH)

    def _floor(self, rank: Rank) -> float:
        return 1 + _SHARE[rank] * self._depth

    def _become(self, condition: Condition, now: datetime) -> None:
        self.condition, self.since = condition, now
        self._tokens = 0.0
        if condition is Condition.WORKING:
            self.failing_since, self.broken_by, self._waiting = None, "", _Waiting()
        elif condition is Condition.FAILING:
            self.gave_up.clear()  # the next recovery wakes them with all others


def _seconds(now: datetime, then: datetime) -> float:
    return (now - then).total_seconds()
