"""A Temporal server whose time can be skipped, and workers with fake systems on a task queue of their own each."""

import sys
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Self, TypeVar

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client as TemporalClient
from temporalio.client import RPCTimeoutOrCancelledError, WorkflowHandle, WorkflowHistory, WorkflowUpdateFailedError
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment
from temporalio.worker import Interceptor, Replayer, UnsandboxedWorkflowRunner, Worker, WorkflowRunner

from activities.at_once import SideBySide
from activities.calendar import ZoneRules
from activities.systems import Systems
from tests.support.fakes import FakeDirectory, FakeSystem
from tests.support.waiting import HANGING, eventually, unless_it_hangs
from worker import hearing_all_at_once, of_instances, together
from workflows.client_lifecycle import ClientLifecycle
from workflows.domain.client.client import Client
from workflows.domain.client.planning import named_day
from workflows.domain.dates import NamedDay, local_day, resolve
from workflows.domain.lifecycle import Activation
from workflows.domain.provisioning.standing import Limits
from workflows.domain.services import ClientType, Internet, Line, Services
from workflows.domain.state import ClientState
from workflows.domain.systems import INTERNET, TELEPHONY, SystemInstance
from workflows.domain.text import GRAMMAR
from workflows.guard import Guard
from workflows.ports import Ensure
from workflows.visibility import KEYS, attributes_at_start
from workflows.wire.messages import DatedMessage, WaitSettled
from workflows.wire.start import ClientStart, client_id_of, workflow_id
from workflows.wire.update import Message
from workflows.wire.views import ClientView, CommandAnswer

TEMPORAL = Path(sys.executable).parent / "temporal"
LONDON = "Europe/London"
OFFICE_LINE = Line("+442079460001", "3.12")
SECOND_LINE = Line("+442079460002", "3.12")
SERVICES = Services(ClientType.RESIDENTIAL, (OFFICE_LINE, SECOND_LINE), Internet(100, 20, 110))

# Each test has task queues of its own, and Temporal would keep each in four parts.
ONE_PARTITION = [
    *("--dynamic-config-value", "matching.numTaskqueueReadPartitions=1"),
    *("--dynamic-config-value", "matching.numTaskqueueWritePartitions=1"),
]

PASSING = (
    RPCStatusCode.FAILED_PRECONDITION,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.UNAVAILABLE,
    RPCStatusCode.DEADLINE_EXCEEDED,
    RPCStatusCode.CANCELLED,
)
"""What Temporal answers where the same question may be answered a moment later."""

T = TypeVar("T")
Handle = WorkflowHandle[ClientLifecycle, ClientView]


@asynccontextmanager
async def running_server() -> AsyncIterator[WorkflowEnvironment]:
    """The dev server with time skipping per workflow (TEMPORAL.md section 1); no workflow skips unless told."""
    async with await WorkflowEnvironment.start_time_skipping_v2(
        dev_server_existing_path=str(TEMPORAL),
        ts_config=TimeSkippingConfig(enabled=False),
        data_converter=pydantic_data_converter,
        search_attributes=KEYS,
        dev_server_log_level="error",
        dev_server_startup_timeout=timedelta(seconds=HANGING),
        dev_server_extra_args=[
            "--dynamic-config-value",
            "frontend.WorkflowTimeSkippingEnabled=true",
            "--dynamic-config-value",
            'history.timerProcessorMaxTimeShift="1ms"',
            *ONE_PARTITION,
        ],
    ) as environment:
        yield environment


def london_day(now: datetime) -> date:
    return local_day(now, LONDON)


class Service:
    """One worker, four fake systems, and the clients started in it."""

    def __init__(self, environment: WorkflowEnvironment) -> None:
        self.environment, self.temporal = environment, environment.client
        self.queue = f"service-{uuid.uuid4().hex[:8]}"
        self.telephony, self.internet, self.directory = FakeSystem(), FakeSystem(INTERNET), FakeDirectory()
        self.doors = FakeSystem("doors")
        self.handles: list[Handle] = []
        self.today = london_day(datetime.now(UTC))
        self.timezones: dict[str, str] = {}

    @property
    def served(self) -> Systems:
        """The fake systems that a worker serves."""
        return Systems({SystemInstance(it.system): it for it in (self.telephony, self.internet, self.doors)})

    def worker(
        self, interceptors: Sequence[Interceptor] = (Guard(),), **options: Any
    ) -> AbstractAsyncContextManager[object]:
        """All that a worker process runs: the clients, and the systems' instances."""
        at_once = SideBySide(self.served, self.directory, lambda order, carry_out: carry_out(order)).at_once
        clients = Worker(
            self.temporal,
            task_queue=self.queue,
            workflows=[ClientLifecycle],
            activities=[self.directory.publish, at_once, ZoneRules().resolve_days],
            interceptors=interceptors,
            **options,
        )
        around = [it for it in interceptors if not isinstance(it, Guard)]
        return together(
            *of_instances(self.temporal, self.served, self.queue, interceptors=around), hearing_all_at_once(clients)
        )

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[Self]:
        """The service with its worker. At the end every history that was made in it is replayed."""
        async with self.worker():
            yield self
            histories = await self.histories()
            for handle in self.handles:
                await end(self, handle)
        await replay(histories)

    async def start(
        self,
        client_id: str = "",
        *,
        starts_in: int = 0,
        activation: Activation = Activation.AUTOMATIC,
        services: Services = SERVICES,
        limits: Limits | None = None,
        wait: bool = True,
        timezone: str = LONDON,
        grammar: int = GRAMMAR,
        **record: Any,
    ) -> Handle:
        """A new client whose start date is so many days from today; by default it waits until all is settled."""
        now = datetime.now(UTC)
        client = Client(
            client_id=client_id or f"c-{uuid.uuid4().hex[:10]}",
            name=record.pop("name", "Acme Ltd"),
            site="thames",
            timezone=timezone,
            services=services,
            start_date=resolve(NamedDay(self.day(starts_in)), timezone),
            created_at=now,
            activation=activation,
            **record,
        )
        state = ClientState.of_new(client, limits or Limits(attempt=HANGING, first_pause=1, longest_pause=60))
        state.client.grammar = grammar
        attributes = attributes_at_start(state)
        handle = await self.temporal.start_workflow(
            ClientLifecycle.run,
            ClientStart(state=state),
            id=workflow_id(client.client_id),
            task_queue=self.queue,
            search_attributes=attributes,
            memo={"created_by": "the tests"},
        )
        self.handles.append(handle)
        self.timezones[handle.id] = timezone
        if wait:
            await self.settled(handle)
        return handle

    @staticmethod
    def virtual(*numbers: str) -> Services:
        """The services of a virtual client."""
        return Services(ClientType.VIRTUAL, tuple(Line(number) for number in numbers))

    def day(self, offset: int) -> date:
        """A calendar day in London, counted from that on which the test began: midnight may pass meanwhile."""
        return self.today + timedelta(days=offset)

    async def command(self, handle: Handle, kind: str, command_id: str = "", **fields: Any) -> CommandAnswer:
        """Ask for a command, as the API does it, and hear the answer; refused ones raise, see refusal_of."""
        message = Message.model_validate({"kind": kind, "command_id": command_id, "by": "tester", **fields})
        if isinstance(message.root, DatedMessage) and (day := named_day(message.command())):
            message.root = message.root.dated(resolve(day, self.timezones.get(handle.id, LONDON)))
        return await self.update(handle, message)

    async def update(self, handle: Handle, message: Any) -> CommandAnswer:
        """Send a command just as it is, and hear the answer."""
        answer: CommandAnswer = await update(handle, "command", message, CommandAnswer)
        return answer

    async def signal(self, handle: Handle, name: str, *args: Any) -> None:
        await handle.signal(name, args=args)

    async def view(self, handle: Handle) -> ClientView:
        view: ClientView = await answer_of(lambda: handle.query(ClientLifecycle.client))
        return view

    async def settled(self, handle: Handle) -> ClientView:
        """Wait until nothing is left to do, also through renewals."""
        while True:
            view = await update(handle, "wait_settled", WaitSettled(patience=20), ClientView)
            if view.provisioning.over:
                return view

    async def until(self, handle: Handle, holds: Any) -> ClientView:
        """Wait until the client's view satisfies ``holds``."""
        found: list[ClientView] = []

        async def satisfied() -> bool:
            found.append(await self.view(handle))
            return bool(holds(found[-1]))

        await eventually(satisfied)
        return found[-1]

    async def attempted(self, handle: Handle) -> None:
        """Wait until no attempt is under way."""

        async def none_pending() -> bool:
            return not (await handle.describe()).raw_description.pending_activities

        await eventually(none_pending)

    def latest(self, handle: Handle) -> Handle:
        """The client's newest run, whatever run it was started with."""
        return self.temporal.get_workflow_handle_for(ClientLifecycle.run, handle.id)

    async def renew(self, handle: Handle) -> None:
        """Have the client renewed, without a command."""
        current = self.latest(handle)

        run_id = (await current.describe()).run_id
        await current.signal("roll")

        async def renewed() -> bool:
            return (await current.describe()).run_id != run_id

        await eventually(renewed)

    async def skip(self, handle: Handle, delta: timedelta) -> None:
        """Let that much time pass for this client alone."""
        await self.environment.fast_forward(handle, delta)

    async def directory_agrees(self) -> None:
        """Where a client's workflow is settled, the directory shows it settled too."""
        for handle in self.handles:
            client_id = client_id_of(handle.id)
            if client_id in self.directory.published and not self.directory.faults.down:
                view = await self.view(self.latest(handle))
                proven = {
                    TELEPHONY: _newest(self.telephony.orders, client_id),
                    INTERNET: _newest(self.internet.orders, client_id),
                }
                if view.provisioning == "settled":
                    assert self.directory.word(client_id, proven) == "settled", client_id

    async def has_accepted(self, handle: Handle, update: str) -> bool:
        """Whether the client has accepted an update of this name."""
        async for event in handle.fetch_history_events():
            accepted = event.workflow_execution_update_accepted_event_attributes
            if accepted.accepted_request.input.name == update:
                return True
        return False

    async def events(self, handle: Handle) -> list[str]:
        """The names of the current run's history events, in order."""
        return [
            EventType.Name(event.event_type).removeprefix("EVENT_TYPE_")
            async for event in handle.fetch_history_events()
        ]

    async def activity_types(self, handle: Handle) -> list[str]:
        """The types of the activities in the current run's history, in order."""
        return [
            event.activity_task_scheduled_event_attributes.activity_type.name
            async for event in handle.fetch_history_events()
            if event.HasField("activity_task_scheduled_event_attributes")
        ]

    async def histories(self) -> list[WorkflowHistory]:
        """Every run of every client, oldest run last."""
        found = []
        for handle in self.handles:
            run_id: str | None = (await self.temporal.get_workflow_handle(handle.id).describe()).run_id
            while run_id:
                run = self.temporal.get_workflow_handle(handle.id, run_id=run_id)
                history = await run.fetch_history()
                found.append(history)
                started = history.events[0].workflow_execution_started_event_attributes
                run_id = started.continued_execution_run_id or None
        return found


async def answer_of(call: Callable[[], Awaitable[T]]) -> T:
    """The answer of a workflow. It is asked again as long as it cannot be asked: its task fails, and is repeated, where
    a renewal meets something new; a busy server answers nobody in time."""
    answers: list[T] = []

    async def answered() -> bool:
        try:
            answers.append(await call())
        except (RPCError, RPCTimeoutOrCancelledError) as error:
            if isinstance(error, RPCError) and error.status not in PASSING:
                raise
            raise AssertionError(str(error)) from error
        return True

    await eventually(answered)
    return answers[0]


async def update(handle: Handle, name: str, message: Any, answer: type[T]) -> T:
    """What a client answers to an update, which it gets once."""
    update_id = uuid.uuid4().hex
    return await answer_of(lambda: handle.execute_update(name, message, id=update_id, result_type=answer))


async def replay(
    histories: list[WorkflowHistory],
    *interceptors: Interceptor,
    converter: DataConverter = pydantic_data_converter,
    runner: WorkflowRunner | None = None,
) -> None:
    """Every history replays with today's code, or the test fails. ``runner``: where, if not as in production."""
    replayer = Replayer(
        workflows=[ClientLifecycle],
        workflow_runner=runner or UnsandboxedWorkflowRunner(),
        data_converter=converter,
        interceptors=[Guard(), *interceptors],
    )
    for history in map(_as_far_as_it_was_thought, histories):
        if history.events:
            try:
                async with unless_it_hangs():
                    await replayer.replay_workflow(history)
            except TimeoutError as hangs:
                raise AssertionError(f"the replay of {history.workflow_id} hangs") from hangs


def _as_far_as_it_was_thought(history: WorkflowHistory) -> WorkflowHistory:
    """Without a task that no worker has completed: the replayer may wait for ever for its end."""
    kinds = [event.event_type for event in history.events]
    done = max((n for n, kind in enumerate(kinds) if kind == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED), default=-1)
    ahead = (n for n in range(done + 1, len(kinds)) if kinds[n] == EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED)
    return replace(history, events=history.events[: next(ahead, len(kinds))] if done >= 0 else [])


async def replay_everything(client: TemporalClient, but: Collection[str] = ()) -> int:
    """Every run of every client that a server has, replayed, but for these runs and workflows. Returns how many there
    were."""
    histories = [
        await client.get_workflow_handle(found.id, run_id=found.run_id).fetch_history()
        async for found in client.list_workflows('WorkflowType = "ClientLifecycle"')
        if found.run_id not in but and found.id not in but
    ]
    await replay(histories, converter=client.data_converter)
    return len(histories)


async def refusal_of(request: Awaitable[Any]) -> ApplicationError:
    """The typed refusal an update came back with."""
    with pytest.raises(WorkflowUpdateFailedError) as failed:
        await request
    assert isinstance(failed.value.cause, ApplicationError), failed.value.cause
    return failed.value.cause


async def end(service: Service, handle: Handle) -> None:
    """The test is over for this client."""
    handle = service.latest(handle)
    if (await handle.describe()).close_time is None:
        await handle.terminate("the test is over")


def _newest(orders: Sequence[Ensure], client_id: str) -> int:
    return max((order.revision for order in orders if order.client_id == client_id), default=0)
