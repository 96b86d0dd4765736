"""Paces attempts on the systems: an interceptor around the activities. Adapters know nothing of it.

An attempt that is not admitted fails at once, as ``SystemPaced`` with the delay after which the server sends it again:
it takes no slot of the worker while it waits.

Trouble of a system, as opposed to a line, is an error in ``TROUBLE``, except for a row that was refused, and evidence
that proves nothing and refutes nothing, because nobody answered. Only complete evidence counts as success.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from activities.errors import SYSTEM_BUSY, SYSTEM_REJECTED, SYSTEM_UNAVAILABLE, benign, is_of_a_row
from activities.pacing.breaker import Breaker, Condition, Paces, Rank
from activities.settings import Settings
from workflows.domain.journal import shortened
from workflows.domain.provisioning.standing import Proof
from workflows.domain.systems import SystemInstance
from workflows.ports import STALE_REVISION, Ensure, Evidence

SYSTEM_PACED = "SystemPaced"

TROUBLE = (SYSTEM_UNAVAILABLE, SYSTEM_BUSY, SYSTEM_REJECTED)
"""Types of errors of a system, for whichever client. If it refuses a row, that is the client's trouble."""

ANSWERED = (STALE_REVISION,)
"""Types of errors that prove that a system works."""

LONGEST_WHY = 200

_ON_THE_WAY = timedelta(seconds=1)
"""The time that an answer and the next try may need between the server and us."""

log = structlog.get_logger(__name__)


class Pacing(Interceptor):
    """One breaker for each instance that one worker serves. ``clock`` and ``chance`` (0 to 1) are parameters for
    tests."""

    def __init__(
        self,
        paces: Paces,
        served: Iterable[SystemInstance],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.clock, self.chance = clock, chance
        self.breakers: Mapping[SystemInstance, Breaker] = {key: Breaker(paces, clock()) for key in served}
        self._changed: list[asyncio.Event] = []

    @classmethod
    def of(cls, settings: Settings, served: Iterable[SystemInstance]) -> "Pacing":
        paces = Paces(settings.breaker_clients, settings.breaker_pace_seconds, settings.breaker_drain_per_second)
        return cls(paces, served)

    def changed(self) -> asyncio.Event:
        """An event that is set whenever the condition of an instance has changed. Clear it before looking."""
        event = asyncio.Event()
        self._changed.append(event)
        return event

    def condition(self, system: SystemInstance) -> Condition:
        """The condition of the instance now: the time since the last attempt has been counted."""
        with self._watched(system) as breaker:
            breaker.pass_time(self.clock())
        return breaker.condition

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002  # the SDK's name
        return _Paced(next, self)

    def admit(self, order: Ensure) -> None:
        """Return when the attempt may begin. Raises SystemPaced when it is turned away."""
        info, system = activity.info(), order.served_by
        rank = Rank.of(info.priority.priority_key)
        with self._watched(system) as breaker:
            delay = breaker.admit(order.client_id, rank, self.clock(), self.chance())
        if delay is not None:
            raise paced(system, breaker, self._within(breaker, order.client_id, delay, info))

    def succeeded(self, system: SystemInstance, client_id: str, *, too_late: bool = False) -> None:
        with self._watched(system) as breaker:
            breaker.succeeded(client_id, self.clock(), too_late=too_late)

    def failed(self, system: SystemInstance, client_id: str, error: str, began: datetime) -> None:
        with self._watched(system) as breaker:
            breaker.failed(client_id, error, began, self.clock())

    async def attempt(self, order: Ensure, carry_out: Callable[[Any], Awaitable[Evidence]]) -> Evidence:
        """Carry out an order, and learn from how it ends. Raises SystemPaced when it is turned away.

        What another worker serves is not ours to pace.
        """
        system, client_id = order.served_by, order.client_id
        if system not in self.breakers:
            return await carry_out(order)
        self.admit(order)
        began = self.clock()
        try:
            evidence = await carry_out(order)
        except ApplicationError as error:
            if error.type in TROUBLE and not is_of_a_row(error):
                self.failed(system, client_id, f"{error.type}: {error.message}", began)
            elif error.type in ANSWERED:
                self.succeeded(system, client_id)
            raise
        except asyncio.CancelledError:
            why = activity.cancellation_details()
            if why is not None and why.timed_out:
                self.failed(system, client_id, "did not answer in time", began)
            raise
        if evidence.complete:
            self.succeeded(system, client_id, too_late=self._too_late(activity.info()))
        elif doubt := silence(evidence):
            self.failed(system, client_id, f"not proven: {doubt}", began)
        return evidence

    def _too_late(self, info: activity.Info) -> bool:
        """Whether the time of the attempt is over before an answer is at the server, which then gives it to nobody."""
        limit = info.schedule_to_close_timeout
        return limit is not None and info.scheduled_time + limit <= self.clock() + _ON_THE_WAY

    def _within(self, breaker: Breaker, client_id: str, delay: timedelta, info: activity.Info) -> timedelta:
        """Come again within the rest of the attempt, if there is enough of it. If not, the workflow makes a pause."""
        if info.schedule_to_close_timeout is None:
            return delay
        left = info.scheduled_time + info.schedule_to_close_timeout - self.clock()
        if delay >= left:
            delay = max(left * self.chance(), timedelta(seconds=1))
        if delay + _ON_THE_WAY >= left:
            breaker.give_up(client_id, self.clock())
        return delay

    @contextmanager
    def _watched(self, system: SystemInstance) -> Iterator[Breaker]:
        """The breaker of the instance. If its condition changes meanwhile, that is logged, and the events are set."""
        breaker, before = self.breakers[system], self.breakers[system].condition
        yield breaker
        if breaker.condition is not before:
            write = log.info if breaker.condition is Condition.WORKING else log.warning
            state, why = breaker.condition, breaker.last_error
            write("system_changed", system=str(system), state=state, was=before, last_error=why)
            for changed in self._changed:
                changed.set()


class _Paced(ActivityInboundInterceptor):
    """Admit each attempt on a system, and learn from how it ends."""

    def __init__(self, next: ActivityInboundInterceptor, pacing: Pacing) -> None:  # noqa: A002  # the SDK's name
        super().__init__(next)
        self._pacing = pacing

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  # the SDK's name
        order = input.args[0] if input.args else None
        if isinstance(order, Ensure):
            return await self._pacing.attempt(order, lambda _: super(_Paced, self).execute_activity(input))
        return await super().execute_activity(input)


def silence(evidence: Evidence) -> str:
    """Why nothing of a client could be proven or refuted; empty when something was.

    It is shown for every client that waits for the system, so it is short and names no line or account.
    """
    if not evidence.findings or any(finding.proof is not Proof.NOT_PROVEN for finding in evidence.findings):
        return ""
    why = evidence.findings[0].why or "nobody answered"
    for finding in evidence.findings:
        why = why.replace(finding.subject.removeprefix("+"), "…")
    return shortened(why, LONGEST_WHY)


def paced(system: SystemInstance, breaker: Breaker, delay: timedelta) -> ApplicationError:
    """The error of an attempt that was not admitted, and comes again after ``delay``.

    The text stays the same for as long as the system is failing: each new error of a client is a line of its history.
    """
    since = f"{breaker.failing_since or breaker.since:%Y-%m-%d %H:%M:%S} UTC"
    if breaker.condition is Condition.FAILING:
        state = f"The {system} system fails for many clients since {since}: attempts on it are paced, operators' first"
    else:
        state = f"The {system} system failed from {since} and has come back: what waited is let in gradually"
    return benign(f"{state}. It began with {breaker.broken_by}", type=SYSTEM_PACED, next_retry_delay=delay)


async def wait_changed(changed: asyncio.Event, seconds: float) -> None:
    """Wait until the condition of a system has changed, but no longer than this; the event is clear afterwards."""
    with suppress(TimeoutError):
        await asyncio.wait_for(changed.wait(), seconds)
    changed.clear()
