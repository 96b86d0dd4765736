"""One attempt is one order to one system, for the revision it was begun at.

What a person waits for is attempted at once: one activity orders all systems side by side, and is begun by the worker
that has just taken the command, without a way through the queue. Everything else, and what fails there, is an activity
of its own for each system, which the server repeats and the worker paces.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutType
from temporalio.exceptions import TimeoutError as TimedOut

from workflows.domain.client.labels import keys_of
from workflows.domain.lifecycle import Status
from workflows.domain.provisioning.provisioning import kind_of
from workflows.domain.state import OPERATOR_FIRST, ClientState
from workflows.domain.systems import DIRECTORY, System
from workflows.ports import (
    STALE_REVISION,
    AtOnce,
    Batch,
    BatchAnswers,
    Claim,
    Directory,
    Ensure,
    Evidence,
    Failed,
    Publish,
    Published,
    ServiceSystem,
)
from workflows.waiting import Beside
from workflows.wire.start import queue_of
from workflows.wire.views import ClientView

Order = Ensure | Publish
Report = Evidence | Published


# A publication stays far below Temporal's 2 MiB for one payload; what is left is published next.
MOST_ENTRIES = 200

BEYOND = 1.0
"""Seconds beyond the limit of attempts at once, for their answer to arrive."""

FARTHEST = 2**53
"""No revision is as high: neither JSON nor a bigint of PostgreSQL may lose count."""


@dataclass
class Attempt:
    """An order on its way, ``at_once`` with others or by itself. ``cancel`` leaves it to itself."""

    order: Order
    cancel: Callable[[], object]
    at_once: bool = False


class Attempts:
    """The attempts under way, one per system at most.

    ``report`` is told each outcome, in the order in which they come; an abandoned attempt is never heard of again.
    """

    def __init__(
        self, state: ClientState, beside: Beside, report: Callable[[System, Order, Report | ActivityError], None]
    ) -> None:
        self._state, self._beside, self._report = state, beside, report
        self._under_way: dict[System, Attempt] = {}
        self._waited = set[System]()

    def __bool__(self) -> bool:
        return bool(self._under_way)

    def abandon_outdated(self) -> None:
        """A newer decision abandons what was begun for an older one; the systems' fences make that safe."""
        for system, attempt in list(self._under_way.items()):
            if self._outdated(system, attempt):
                del self._under_way[system]
                attempt.cancel()

    def _outdated(self, system: System, attempt: Attempt) -> bool:
        return system != DIRECTORY and attempt.order.revision < self._state.provisioning.standing[system].wanted_since

    def abandon(self) -> None:
        """Leave every attempt to itself; what it was for is attempted again."""
        for attempt in self._under_way.values():
            attempt.cancel()
        self._under_way.clear()

    def begin(self) -> None:
        """Attempt all there is to do, side by side."""
        now = workflow.now()
        waiting = {s for s in self._state.provisioning if self._state.waits(s)}
        self._waited = (self._waited | waiting) & {s for s in self._state.provisioning if self._state.drifts(s)}
        idle = [system for system in self._state.provisioning if system not in self._under_way]
        orders: dict[System, Ensure | Publish] = {}
        for system in (system for system in idle if self._state.may_attempt(system, now)):
            orders[system] = order_for(self._state, system)
            self._state.provisioning.begin(system)
        together = {system: order for system, order in orders.items() if self._may_be_at_once(system)}
        if together:
            self._send_together(together)
        for system, order in orders.items():
            if system not in together:
                self._send(system, order)

    @property
    def at_once(self) -> bool:
        """Whether attempts are under way that a caller may wait for."""
        return any(attempt.at_once for attempt in self._under_way.values())

    def _may_be_at_once(self, system: System) -> bool:
        """What a person waits for is attempted at once, the first time.

        Bulk work and due plans, which come in crowds, what waited for another system, and what has failed are attempts
        of their own, which are paced.
        """
        state, standing = self._state, self._state.provisioning.standing[system]
        fresh = not standing.attempts and not standing.attention and not standing.short_since
        waited_for = state.priority == OPERATOR_FIRST and system not in self._waited
        return state.limits.at_once > 0 and waited_for and fresh

    def _send_together(self, orders: dict[System, Ensure | Publish]) -> None:
        seconds = self._state.limits.at_once
        handle = workflow.start_activity_method(
            AtOnce.at_once,
            Batch(list(orders.values()), seconds),
            activity_id=f"r{self._state.client.revision}:{'+'.join(orders)}",
            summary=", ".join(order.summary for order in orders.values()),
            schedule_to_close_timeout=timedelta(seconds=seconds + BEYOND),
            retry_policy=RetryPolicy(maximum_attempts=1),
            priority=Priority(priority_key=self._state.priority),
        )
        attempts = {system: Attempt(order, handle.cancel, at_once=True) for system, order in orders.items()}
        self._under_way |= attempts
        self._beside.begin(self._follow_together(attempts, handle))

    async def _follow_together(
        self, attempts: dict[System, Attempt], handle: workflow.ActivityHandle[BatchAnswers]
    ) -> None:
        """Hear the answers. What has failed is attempted by itself at once, and is then repeated and paced."""
        try:
            answers: Sequence[Evidence | Published | Failed] = (await handle).answers
        except ActivityError as failure:
            answers = [Failed(type(failure).__name__, str(failure))] * len(attempts)
        if len(answers) != len(attempts):
            answers = [Failed("Answers", "not one for each order")] * len(attempts)
        for (system, attempt), answer in zip(attempts.items(), answers, strict=True):
            if self._under_way.get(system) is not attempt:
                continue  # it was abandoned
            del self._under_way[system]
            if self._outdated(system, attempt):
                continue
            if isinstance(answer, Failed):
                self._send(system, attempt.order)
            else:
                self._report(system, attempt.order, answer)

    def _send(self, system: System, order: Order) -> None:
        handle = self._start(system, order)
        attempt = self._under_way[system] = Attempt(order, handle.cancel)
        self._beside.begin(self._follow(system, attempt, handle))

    def _start(self, system: System, order: Order) -> workflow.ActivityHandle[Report]:
        limit = self._state.limits.attempt
        options = workflow.ActivityConfig(
            activity_id=f"r{order.revision}:{system}",
            summary=order.summary,
            schedule_to_close_timeout=timedelta(seconds=limit),
            start_to_close_timeout=timedelta(seconds=limit / 4),
            retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=30)),
            priority=Priority(priority_key=self._state.priority),
        )
        if isinstance(order, Publish):
            return workflow.start_activity_method(Directory.publish, order, **options)
        options["task_queue"] = queue_of(*order.served_by, workflow.info().task_queue)
        return workflow.start_activity_method(ServiceSystem.ensure, order, **options)

    async def _follow(self, system: System, attempt: Attempt, handle: workflow.ActivityHandle[Report]) -> None:
        try:
            outcome: Report | ActivityError = await handle
        except ActivityError as failure:
            outcome = failure
        if self._under_way.get(system) is attempt:  # else it was abandoned
            del self._under_way[system]
            if not self._outdated(system, attempt):  # one that ended in the very task that brought a newer decision
                self._report(system, attempt.order, outcome)


def order_for(state: ClientState, system: System) -> Ensure | Publish:
    """What a system is to do now."""
    if system == DIRECTORY:
        return _publication(state)
    client, ledger = state.client, state.provisioning.systems[system]
    held, on = kind_of(system).held(client), [subject for subject, desired in ledger.wanted.items() if desired.on]
    return Ensure(
        system,
        client.client_id,
        client.revision,
        dict(ledger.wanted),
        ledger.instance,
        [subject for subject, desired in ledger.wanted.items() if not desired.on and subject not in held],
        client.secret_version,
        on if client.status is Status.SUSPENDED else [],
        ledger.standing.revived,
    )


def failure_text(failure: ActivityError, order: Order) -> str:
    """Why an attempt failed, for an operator."""
    cause = failure.cause
    while isinstance(cause, TimedOut) and isinstance(cause.cause, ApplicationError):
        cause = cause.cause
    match cause:
        case ApplicationError():
            return f"{cause.type}: {cause.message}" if cause.type else cause.message
        case TimedOut(type=TimeoutType.SCHEDULE_TO_START):
            if isinstance(order, Publish):
                return "no worker took the work"
            served = f"{order.system} {order.instance}"
            return f"no worker serves {served}: start one that its settings name, or correct what they say of it"
        case TimedOut():
            return "did not answer in time"
        case _:
            return str(cause or failure)


def record_of(failure: ActivityError) -> str:
    """What Temporal recorded of a failure, without a word of ours or of the SDK's: one is told from another by it."""
    cause = failure.cause
    while isinstance(cause, TimedOut) and isinstance(cause.cause, ApplicationError):
        cause = cause.cause
    match cause:
        case ApplicationError():
            return f"{cause.type}: {cause.message}"
        case TimedOut():
            return f"timeout {cause.type.name if cause.type else ''}"
        case _:
            return type(cause).__name__


def newer_revision(failure: ActivityError) -> int | None:
    """The revision a system has obeyed already, when it refused ours as too old."""
    if isinstance(failure.cause, ApplicationError) and failure.cause.type == STALE_REVISION:
        match failure.cause.details:
            case []:
                return 0
            case [{"newest": int(newest)}, *_] if newest < FARTHEST:
                return newest  # nobody has decided more often: all else is a failure like others
    return None


def _publication(state: ClientState) -> Publish:
    client, needs, systems = state.client, state.needs, state.provisioning.systems
    registering = not state.registered
    word = state.provisioning.switched(client)
    claim = Claim(client.billing_ref, sorted(state.numbers), [*keys_of(client.external_ids).values()])
    if not registering:
        claim = Claim(needs.billing_ref, list(needs.numbers), list(needs.external_ids))  # one that needs nothing is won
    return Publish(
        client.client_id,
        state.incarnation,
        client.revision,
        ClientView.of(state, workflow.now()).model_copy(update={"provisioning": word}),
        {system: ledger.standing.wanted_since for system, ledger in systems.items()},
        sorted(state.numbers),
        state.journal.waiting[:MOST_ENTRIES],
        state.journal.first,
        {
            system: ledger.standing.proven_revision if state.drifts(system) else ledger.standing.wanted_since
            for system, ledger in systems.items()
        },
        register=registering,
        claim=claim if registering or state.claims else None,
        priority=state.priority,
        answers=state.answers_to_publish(state.journal.first + MOST_ENTRIES - 1),
    )
