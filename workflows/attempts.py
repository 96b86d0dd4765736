"""One attempt is one activity on one system, for the revision it was begun at."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority, RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, TimeoutType
from temporalio.exceptions import TimeoutError as TimedOut

from workflows.domain.lifecycle import Status
from workflows.domain.state import ClientState
from workflows.domain.systems import SWITCHED, System
from workflows.ports import (
    STALE_REVISION,
    Claim,
    Directory,
    EnsureAccess,
    EnsureLines,
    Evidence,
    Internet,
    ObserveAccess,
    ObserveLines,
    Publish,
    Published,
    Telephony,
)
from workflows.wire.views import ClientView

Look = ObserveLines | ObserveAccess
Order = EnsureLines | EnsureAccess | Look | Publish
Report = Evidence | Published


# A publication stays far below Temporal's 2 MiB for one payload; what is left is published next.
MOST_ENTRIES = 200

FARTHEST = 2**53
"""No revision is as high: neither JSON nor a bigint of PostgreSQL may lose count."""


@dataclass
class Attempt:
    """An order on its way."""

    order: Order
    handle: workflow.ActivityHandle[Report]


class Attempts:
    """The attempts under way, one per system at most.

    ``report`` is told each outcome, in the order in which they come; an abandoned attempt is never heard of again.
    """

    def __init__(self, state: ClientState, report: Callable[[System, Order, Report | ActivityError], None]) -> None:
        self._state, self._report = state, report
        self._under_way: dict[System, Attempt] = {}

    def __bool__(self) -> bool:
        return bool(self._under_way)

    @property
    def busy(self) -> frozenset[System]:
        """The systems that an attempt is under way on."""
        return frozenset(self._under_way)

    def abandon_outdated(self) -> None:
        """A newer decision abandons what was begun for an older one; the systems' fences make that safe."""
        for system in SWITCHED:
            attempt = self._under_way.get(system)
            if attempt and self._outdated(system, attempt):
                del self._under_way[system]
                attempt.handle.cancel()

    def _outdated(self, system: System, attempt: Attempt) -> bool:
        return system in SWITCHED and attempt.order.revision < self._state.provisioning.standing[system].wanted_since

    def abandon(self) -> None:
        """Leave every attempt to itself; what it was for is attempted again."""
        for attempt in self._under_way.values():
            attempt.handle.cancel()
        self._under_way.clear()

    def begin(self) -> None:
        """Attempt all there is to do, side by side."""
        now = workflow.now()
        idle = [system for system in System if system not in self._under_way]
        due = [system for system in idle if self._state.may_attempt(system, now)]
        for system in due:
            order = order_for(self._state, system)
            self._state.provisioning.begin(system)
            self._send(system, order)
        for system in idle:
            if system not in due and self._state.may_look(system, now):
                self._send(system, look_for(self._state, system))

    def _send(self, system: System, order: Order) -> None:
        attempt = Attempt(order, self._start(system, order))
        self._under_way[system] = attempt
        asyncio.create_task(self._follow(system, attempt))  # noqa: RUF006  # the workflow's loop keeps its tasks

    def _start(self, system: System, order: Order) -> workflow.ActivityHandle[Report]:
        limit = self._state.limits.attempt
        options = workflow.ActivityConfig(
            activity_id=f"r{order.revision}:{system}{':look' if isinstance(order, Look) else ''}",
            summary=order.summary,
            schedule_to_close_timeout=timedelta(seconds=limit),
            start_to_close_timeout=timedelta(seconds=limit / 4),
            retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=30)),
            priority=Priority(priority_key=self._state.priority),
        )
        match order:
            case EnsureLines():
                return workflow.start_activity_method(Telephony.ensure_lines, order, **options)
            case EnsureAccess():
                return workflow.start_activity_method(Internet.ensure_access, order, **options)
            case ObserveLines():
                return workflow.start_activity_method(Telephony.observe_lines, order, **options)
            case ObserveAccess():
                return workflow.start_activity_method(Internet.observe_access, order, **options)
            case Publish():
                return workflow.start_activity_method(Directory.publish, order, **options)

    async def _follow(self, system: System, attempt: Attempt) -> None:
        try:
            outcome: Report | ActivityError = await attempt.handle
        except ActivityError as failure:
            outcome = failure
        if self._under_way.get(system) is attempt:  # else it was abandoned
            del self._under_way[system]
            if not self._outdated(system, attempt):  # one that ended in the very task that brought a newer decision
                self._report(system, attempt.order, outcome)


def order_for(state: ClientState, system: System) -> Order:
    """What a system is to do now."""
    client, provisioning = state.client, state.provisioning
    match system:
        case System.TELEPHONY:
            held = client.numbers_held
            return EnsureLines(
                client.client_id,
                client.revision,
                dict(provisioning.lines_wanted),
                [n for n, on in provisioning.lines_wanted.items() if not on and n not in held],
                client.secret_version,
                _left_on(state),
                provisioning.standing[system].revived,
            )
        case System.INTERNET:
            return EnsureAccess(
                client.client_id,
                client.revision,
                list(provisioning.access_wanted.values()),
                client.secret_version,
                provisioning.standing[system].revived,
            )
        case System.DIRECTORY:
            return _publication(state)


def look_for(state: ClientState, system: System) -> Look:
    """What is looked at a second time."""
    client, standing = state.client, state.provisioning.standing[system]
    subjects, since = state.provisioning.to_look_at[system], standing.proven_at or client.created_at
    look = ObserveLines if system is System.TELEPHONY else ObserveAccess
    return look(client.client_id, client.revision, subjects, since)


def _left_on(state: ClientState) -> list[str]:
    """Protected lines that a suspension leaves in service."""
    if state.client.status is not Status.SUSPENDED:
        return []
    return [n for n, on in state.provisioning.lines_wanted.items() if on]


def failure_text(failure: ActivityError) -> str:
    """Why an attempt failed, for an operator."""
    cause = failure.cause
    while isinstance(cause, TimedOut) and isinstance(cause.cause, ApplicationError):
        cause = cause.cause
    match cause:
        case ApplicationError():
            return f"{cause.type}: {cause.message}" if cause.type else cause.message
        case TimedOut():
            late = "did not answer in time"
            return "no worker took the work" if cause.type is TimeoutType.SCHEDULE_TO_START else late
        case _:
            return str(cause or failure)


def newer_revision(failure: ActivityError) -> int | None:
    """The revision a system has obeyed already, when it refused ours as too old."""
    if isinstance(failure.cause, ApplicationError) and failure.cause.type == STALE_REVISION:
        details = failure.cause.details
        newest = int(details[0]["newest"]) if details else 0
        return newest if newest < FARTHEST else None  # nobody has decided so often: it is a failure like others
    return None


def _publication(state: ClientState) -> Publish:
    client, needs, standing = state.client, state.needs, state.provisioning.standing
    registering = not state.registered
    word = state.provisioning.switched(client)
    claim = Claim(needs.billing_ref, list(needs.numbers)) if state.claims else None  # one that needs nothing is won
    return Publish(
        client.client_id,
        state.incarnation,
        client.revision,
        ClientView.of(state, workflow.now()).model_copy(update={"provisioning": word}),
        {system: standing[system].wanted_since for system in SWITCHED},
        sorted(state.numbers),
        state.journal.waiting[:MOST_ENTRIES],
        state.journal.first,
        {s: standing[s].proven_revision if state.drifts(s) else standing[s].wanted_since for s in SWITCHED},
        register=registering,
        claim=Claim(client.billing_ref, sorted(state.numbers)) if registering else claim,
        priority=state.priority,
        answers=state.answers_to_publish(state.journal.first + MOST_ENTRIES - 1),
    )
