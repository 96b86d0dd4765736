"""How much each role may take with tokens, and how often a token may ask: the least important is turned away first.

A request is let in while fewer are worked on, of whatever roles, than the share of its own role: what a flood of
services leaves is always there for operators. Whoever waits for the effect of a command (Prefer) gives no work and is
counted apart, by the same shares; where no more may wait, the answer comes at once, without the wait.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from starter.contract.callers import Caller, Role

SHARES: Mapping[Role, float] = {Role.VIEWER: 0.4, Role.SERVICE: 0.7, Role.OPERATOR: 1.0, Role.ADMIN: 1.0}
"""Of all that is worked on, or waited for, at once: how much there may be when another request of a role comes."""

RATED = frozenset({Role.VIEWER, Role.SERVICE})
"""Roles whose tokens may ask only so often."""

RETRY_AFTER = 1
BURST = 2.0  # seconds of its rate that a token may use at once
MOST_RATES = 10_000  # tokens whose rates are remembered


@dataclass(frozen=True)
class AdmissionLimits:
    """``working``: requests that are worked on at once; ``waiting``: those that wait for an effect besides;
    ``per_second``: requests of one token, on average; 0: any number."""

    working: int = 200
    waiting: int = 500
    per_second: float = 100.0


class Admission:
    """What is worked on and waited for now, and how often each token asked."""

    def __init__(self, limits: AdmissionLimits | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits or AdmissionLimits(), clock
        self._rates: dict[str, tuple[float, float]] = {}
        self.working = self.waiting = 0

    def retry_after(self, caller: Caller) -> int:
        """Seconds after which this caller may ask again; 0: now, and that is counted."""
        if self.working >= SHARES[caller.role] * self._limits.working:
            return RETRY_AFTER
        rated = caller.role in RATED and self._limits.per_second > 0
        return self._over_rate(caller.token_id or caller.name) if rated else 0

    def may_wait(self, role: Role) -> bool:
        """Whether another request of this role may wait for an effect."""
        return self.waiting < SHARES[role] * self._limits.waiting

    def _over_rate(self, token: str) -> int:
        """As a bucket that fills by ``per_second``, and of which each request takes one."""
        now, rate = self._clock(), self._limits.per_second
        if token not in self._rates and len(self._rates) >= MOST_RATES:
            self._rates = {one: it for one, it in self._rates.items() if now - it[1] < BURST}
        most = max(1.0, BURST * rate)
        left, before = self._rates.get(token, (most, now))
        left = min(most, left + (now - before) * rate)
        over = left < 1
        self._rates[token] = (left if over else left - 1, now)
        return math.ceil((1 - left) / rate) if over else 0


class Place:
    """A request that was let in."""

    def __init__(self, admission: Admission, role: Role) -> None:
        self._admission, self._role = admission, role

    @contextmanager
    def working(self) -> Iterator[None]:
        """Counted while it is worked on."""
        self._admission.working += 1
        try:
            yield
        finally:
            self._admission.working -= 1

    @contextmanager
    def waiting(self) -> Iterator[bool]:
        """Whether it may wait meanwhile, in which case it is not worked on."""
        if not self._admission.may_wait(self._role):
            yield False
            return
        self._admission.working -= 1
        self._admission.waiting += 1
        try:
            yield True
        finally:
            self._admission.waiting -= 1
            self._admission.working += 1
