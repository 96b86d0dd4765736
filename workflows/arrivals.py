"""Commands in the order in which they came, each with its day as an instant before it is decided.

What a client decides must come out the same in every replay, under whatever zone rules the worker has then. The API
resolves a day when it takes a command and sends the instant with it. What comes without one, by signal say, waits here
for a recorded step: an activity that says the instants of all days that wait. At a renewal the same step resolves the
days of what is planned, in case the rules have changed; until then nothing is decided and no time passes.

It is no local activity: a query in the same workflow task has the SDK (1.35) deliver the answer of a local one a task
later than any replay does, and the client then never runs again.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from temporalio import workflow
from temporalio.common import Priority
from temporalio.exceptions import ActivityError

from workflows.domain.client.planning import unresolved_day
from workflows.domain.commands import AnyCommand, Edit, Plannable
from workflows.domain.dates import NamedDay, ResolvedDay, resolve  # noqa: TID251  # for what no replay repeats
from workflows.domain.day_plans import days_ahead, take_over_days
from workflows.domain.errors import InvalidField
from workflows.domain.state import OPERATOR_FIRST, ClientState
from workflows.ports import Calendar, ResolveDays
from workflows.waiting import Beside, wait_until

LIMIT = timedelta(seconds=10)


@dataclass(eq=False)
class Arrival:
    """A command that came in, and the day that is yet to be resolved."""

    command: AnyCommand
    day: NamedDay | None


class Arrivals:
    """What came in and is not decided yet. ``look_again`` is called whenever the loop should look again."""

    def __init__(self, state: ClientState, beside: Beside, look_again: Callable[[], None], *, renewed: bool) -> None:
        self._state, self._beside, self._look_again = state, beside, look_again
        self._waiting: list[Arrival] = []
        self._resolving = False
        self.renewing = renewed and bool(days_ahead(state))

    def __bool__(self) -> bool:
        """Whether anything waits to be decided, or resolved anew."""
        return self.renewing or bool(self._waiting)

    @asynccontextmanager
    async def turn(self, command: AnyCommand) -> AsyncIterator[AnyCommand]:
        """Wait until everything that came before is decided, and the command's day is an instant; then decide it."""
        arrival = Arrival(command, unresolved_day(command, self._state.client.timezone))
        self._waiting.append(arrival)
        try:
            if not self._is_next(arrival):
                self._look_again()
                await wait_until(lambda: self._is_next(arrival), deadline=None)
            yield arrival.command
        finally:
            self._waiting.remove(arrival)

    def _is_next(self, arrival: Arrival) -> bool:
        return not self.renewing and self._waiting[0] is arrival and arrival.day is None

    def begin(self) -> None:
        """Resolve all days that wait, in one step."""
        arrivals = [arrival for arrival in self._waiting if arrival.day]
        if not self._resolving and (arrivals or self.renewing):
            self._resolving = True
            self._beside.begin(self._resolve(arrivals))

    async def _resolve(self, arrivals: list[Arrival]) -> None:
        state = self._state
        ahead = days_ahead(state) if self.renewing else []
        named = list(dict.fromkeys([*ahead, *(arrival.day for arrival in arrivals if arrival.day)]))
        days = await _resolve_days(named, state.client.timezone)
        if self.renewing:
            take_over_days(state, days, workflow.now())
        for arrival in arrivals:
            if arrival.day:
                arrival.command = _with_day(arrival.command, days.get(arrival.day))
                arrival.day = None
        self._resolving = self.renewing = False
        self._look_again()


async def _resolve_days(days: list[NamedDay], timezone: str) -> dict[NamedDay, ResolvedDay]:
    """The days that the worker's zone rules can tell. Without an instant plans stay, and commands are refused."""
    try:
        found = await workflow.execute_activity_method(
            Calendar.resolve_days,
            ResolveDays(timezone, days),
            start_to_close_timeout=LIMIT,
            priority=Priority(priority_key=OPERATOR_FIRST),
            summary="days as instants",
        )
    except ActivityError:  # it is repeated until it is done, unless a person ends it in Temporal
        return {}
    return {day: resolved for day, resolved in zip(days, found.days, strict=False) if resolved}


def dated_now(command: AnyCommand, timezone: str) -> AnyCommand:
    """The command with its day by the zone rules in use: for what is never replayed, a check or a preview."""
    day = unresolved_day(command, timezone)
    try:
        return _with_day(command, resolve(day, timezone)) if day else command
    except InvalidField:
        return command  # it is refused as it is


def _with_day(command: AnyCommand, day: ResolvedDay | None) -> AnyCommand:
    return replace(command, resolved=day) if isinstance(command, Edit | Plannable) else command
