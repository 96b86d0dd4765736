"""Attempts on the systems are admitted, or turned away at once; the directory shows how each worker finds a system."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import structlog
from temporalio.activity import ActivityCancellationDetails
from temporalio.common import Priority
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory
from temporalio.testing import ActivityEnvironment
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput

from activities.background import background
from activities.database import open_databases
from activities.errors import is_of_a_row, rejected, stale_revision, translated
from activities.pacing.breaker import Condition, Paces
from activities.pacing.interceptor import SYSTEM_PACED, Pacing
from activities.pacing.states import SystemStates, this_worker
from tests.activities.fixtures import ONE, TWO, World, access, lines, registration
from tests.support.waiting import eventually
from workflows.domain.provisioning.standing import Proof
from workflows.domain.systems import INTERNET, TELEPHONY, SystemInstance
from workflows.ports import Evidence, Finding

DATABASES = ("directory",)
SERVED = PHONES, ROUTERS = SystemInstance(TELEPHONY), SystemInstance(INTERNET)
PACES = Paces(clients=3, pace=5, drain=5)
NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
PROVEN = Evidence(TELEPHONY, 1, NOON, "read back", [Finding(ONE, False)])
ROWS = "SELECT system, worker, state, last_error FROM system_states ORDER BY system"


class Work(ActivityInboundInterceptor):
    """What the interceptor stands around: it ends as it is told to."""

    def __init__(self) -> None:
        self.begun: list[Any] = []
        self.evidence = PROVEN
        self.error: BaseException | None = None
        self.hold: asyncio.Event | None = None

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002  # the SDK's name
        self.begun.append(input.args[0])
        if self.hold:
            await self.hold.wait()
        if self.error:
            raise self.error
        return self.evidence


class ClientService:
    """One worker's pacing, under a clock that the test turns."""

    def __init__(self) -> None:
        self.now = NOON
        self.pacing = Pacing(PACES, SERVED, clock=lambda: self.now, chance=lambda: 0.5)
        self.work = Work()
        self.inbound = self.pacing.intercept_activity(self.work)

    async def attempt(self, order: object, key: int | None = 3, begun: float = 0) -> object:
        """An attempt that the server scheduled so many seconds ago, with 120 seconds for all its tries."""
        return await self.attempting(order, key, begun)[1]

    def attempting(self, order: object, key: int | None = 3, begun: float = 0) -> tuple[ActivityEnvironment, Any]:
        environment = ActivityEnvironment()
        environment.info = replace(
            environment.info,
            priority=Priority(priority_key=key),
            scheduled_time=self.now - timedelta(seconds=begun),
            schedule_to_close_timeout=timedelta(seconds=120),
        )
        call = ExecuteActivityInput(fn=lambda: None, args=[order], executor=None, headers={})
        return environment, environment.run(self.inbound.execute_activity, call)

    async def fail(self, clients: int = 3, type_: str = "SystemUnavailable") -> None:
        """So many clients fail on the telephone system."""
        self.work.error = ApplicationError("the telephony database is away", type=type_)
        for n in range(clients):
            with pytest.raises(ApplicationError):
                await self.attempt(lines(f"c{n}", 1, one=True))
        self.work.error = None

    @property
    def telephony(self) -> Condition:
        return self.pacing.condition(PHONES)


@pytest.fixture
def desk() -> ClientService:
    return ClientService()


async def turned_away(desk: ClientService, order: object, key: int | None = 3, begun: float = 0) -> ApplicationError:
    """The error that an attempt is turned away with; it is not begun."""
    before = len(desk.work.begun)
    with pytest.raises(ApplicationError) as failed:
        await desk.attempt(order, key, begun)
    assert failed.value.type == SYSTEM_PACED
    assert len(desk.work.begun) == before
    return failed.value


async def test_an_attempt_without_time_to_come_again_is_noted_for_a_recovery(desk: ClientService) -> None:
    await desk.fail()
    desk.now += timedelta(seconds=60)
    await desk.attempt(lines("probe", 1, one=True))
    assert desk.telephony is Condition.RECOVERING
    breaker = desk.pacing.breakers[PHONES]
    await turned_away(desk, lines("early", 1, one=True), begun=100)
    await turned_away(desk, lines("late", 1, one=True), begun=119.5)
    assert breaker.gave_up == {"late": desk.now}


async def test_a_success_that_comes_when_the_attempt_is_over_is_noted_for_its_workflow_does_not_hear_of_it(
    desk: ClientService,
) -> None:
    await desk.attempt(lines("early", 1, one=True), begun=100)
    await desk.attempt(lines("late", 1, one=True), begun=119.5)
    assert desk.pacing.breakers[PHONES].late() == {"late": desk.now}


async def test_an_attempt_on_a_failing_system_is_turned_away_at_once_and_says_why(desk: ClientService) -> None:
    await desk.fail()
    refusal = await turned_away(desk, lines("acme", 1, one=True))
    assert refusal.message == (
        "The telephony system fails for many clients since 2026-11-01 12:00:00 UTC: attempts on it are paced, "
        "operators' first. It began with SystemUnavailable: the telephony database is away"
    )
    assert refusal.category is ApplicationErrorCategory.BENIGN
    assert not refusal.non_retryable
    assert refusal.next_retry_delay
    assert timedelta(0) < refusal.next_retry_delay <= timedelta(seconds=30)


async def test_what_those_turned_away_are_told_stays_the_same_while_the_errors_change(desk: ClientService) -> None:
    await desk.fail()
    first = await turned_away(desk, lines("acme", 1, one=True))
    desk.now += timedelta(seconds=60)
    desk.work.error = ApplicationError("and now a lock", type="SystemBusy")
    with pytest.raises(ApplicationError, match="and now a lock"):
        await desk.attempt(lines("bolt", 1, one=True))
    again = await turned_away(desk, lines("acme", 1, one=True), key=5)
    assert again.message == first.message
    assert desk.pacing.breakers[PHONES].last_error == "SystemBusy: and now a lock"


@pytest.mark.parametrize("type_", ["SystemUnavailable", "SystemBusy", "SystemRejected"])
async def test_trouble_of_the_system_counts(desk: ClientService, type_: str) -> None:
    await desk.fail(type_=type_)
    assert desk.telephony is Condition.FAILING


@pytest.mark.parametrize("type_", ["StaleRevision", "Whatever"])
async def test_what_is_no_trouble_of_the_system_does_not(desk: ClientService, type_: str) -> None:
    await desk.fail(10, type_=type_)
    assert desk.telephony is Condition.WORKING


async def test_a_row_of_a_client_that_is_refused_is_that_clients_trouble(desk: ClientService) -> None:
    desk.work.error = rejected("The telephony database refused: a CHECK is against it", row=True)
    for n in range(10):
        with pytest.raises(ApplicationError, match="a CHECK"):
            await desk.attempt(lines(f"c{n}", 1, one=True))
    assert desk.pacing.condition(PHONES) is Condition.WORKING
    desk.work.error = rejected("The telephony database refused: no such table")
    for n in range(3):
        with pytest.raises(ApplicationError, match="no such table"):
            await desk.attempt(lines(f"c{n}", 1, one=True))
    assert desk.pacing.condition(PHONES) is Condition.FAILING


@pytest.mark.parametrize(
    ("error", "of_a_row"),
    [
        (asyncpg.CheckViolationError("new row violates a check constraint"), True),
        (asyncpg.StringDataRightTruncationError("value too long"), True),
        (asyncpg.RaiseError("our trigger is against it"), True),
        (asyncpg.UndefinedTableError("no such table"), False),
        (asyncpg.InsufficientPrivilegeError("permission denied"), False),
        (asyncpg.LockNotAvailableError("somebody has it"), False),
        (ConnectionRefusedError("nobody listens"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_database_has_against_a_row_is_told_from_what_it_has_against_us(
    world: World, error: Exception, of_a_row: bool
) -> None:
    assert is_of_a_row(translated(error, world.databases.of(TELEPHONY))) is of_a_row


def evidence_of(*proofs: Proof) -> Evidence:
    """An evidence with these proofs, of one line after the other."""
    why = f"calls and registrations unknown: http://kamailio did not answer about {ONE.removeprefix('+')}"
    findings = [
        Finding(number, False, {}, proof, "" if proof is Proof.PROVEN else why)
        for number, proof in zip((ONE, TWO), proofs, strict=False)
    ]
    return Evidence(TELEPHONY, 1, NOON, "asked", findings)


NOTHING, SOMETHING, REFUSED = (
    (Proof.NOT_PROVEN, Proof.NOT_PROVEN),
    (Proof.NOT_PROVEN, Proof.PROVEN),
    (Proof.NOT_PROVEN, Proof.FAILED),
)


@pytest.mark.parametrize(
    ("proofs", "condition"),
    [(NOTHING, Condition.FAILING), (SOMETHING, Condition.WORKING), (REFUSED, Condition.WORKING)],
    ids=["nothing", "something", "refused"],
)
async def test_a_system_that_nothing_can_be_seen_of_fails(
    desk: ClientService, proofs: tuple[Proof, ...], condition: Condition
) -> None:
    desk.work.evidence = evidence_of(*proofs)
    for n in range(3):
        await desk.attempt(lines(f"c{n}", 1, one=False, two=False))
    assert desk.pacing.condition(PHONES) is condition


async def test_what_is_told_of_silence_is_short_and_names_no_line(desk: ClientService) -> None:
    desk.work.evidence = evidence_of(*NOTHING)
    for n in range(3):
        await desk.attempt(lines(f"c{n}", 1, one=False))
    refusal = await turned_away(desk, lines("acme", 1, one=True))
    why = "not proven: calls and registrations unknown: http://kamailio did not answer about …"
    assert refusal.message.endswith(f"It began with {why}")
    assert desk.pacing.breakers[PHONES].last_error == why
    desk.work.evidence.findings[0] = Finding(ONE, False, {}, Proof.NOT_PROVEN, "very long " * 100)
    desk.now += timedelta(seconds=60)
    await desk.attempt(lines("bolt", 1, one=False))
    assert len(desk.pacing.breakers[PHONES].last_error) < 250


async def test_what_is_proven_in_part_neither_breaks_nor_mends(desk: ClientService) -> None:
    for proofs in (NOTHING, SOMETHING, NOTHING, SOMETHING, NOTHING):
        desk.work.evidence = evidence_of(*proofs)
        await desk.attempt(lines(f"c{len(desk.work.begun)}", 1, one=False))
    assert desk.pacing.condition(PHONES) is Condition.FAILING
    desk.now += timedelta(seconds=60)
    desk.work.evidence = evidence_of(*SOMETHING)
    await desk.attempt(lines("acme", 1, one=False))
    assert desk.pacing.condition(PHONES) is Condition.FAILING
    desk.now += timedelta(seconds=60)
    desk.work.evidence = PROVEN
    await desk.attempt(lines("acme", 1, one=False))
    assert desk.pacing.condition(PHONES) is Condition.RECOVERING


async def test_a_system_that_says_that_a_revision_is_stale_works(desk: ClientService) -> None:
    await desk.fail()
    desk.now += timedelta(seconds=60)
    desk.work.error = stale_revision("The telephony system", "acme", 1, 2)
    with pytest.raises(ApplicationError, match="too old"):
        await desk.attempt(lines("acme", 1, one=True))
    assert desk.telephony is Condition.RECOVERING


async def test_an_attempt_that_timed_out_counts_and_one_that_was_abandoned_does_not(desk: ClientService) -> None:
    for details, condition in (
        (ActivityCancellationDetails(cancel_requested=True), Condition.WORKING),
        (ActivityCancellationDetails(worker_shutdown=True), Condition.WORKING),
        (ActivityCancellationDetails(timed_out=True), Condition.FAILING),
    ):
        for n in range(3):
            desk.work.hold = asyncio.Event()
            environment, work = desk.attempting(lines(f"c{n}", 1, one=True))
            task = asyncio.create_task(work)
            begun = len(desk.work.begun)
            await eventually(lambda: len(desk.work.begun) > begun)  # noqa: B023  # awaited at once
            environment.cancel(details)
            with pytest.raises(asyncio.CancelledError):
                await task
        assert desk.telephony is condition
    assert desk.pacing.breakers[PHONES].last_error == "did not answer in time"


async def test_one_system_that_fails_does_not_pace_the_other_nor_the_directory(desk: ClientService) -> None:
    await desk.fail()
    assert await desk.attempt(access("acme", 1, on=True)) == PROVEN
    assert await desk.attempt(registration("acme")) == PROVEN
    assert desk.pacing.condition(ROUTERS) is Condition.WORKING


async def test_an_operators_attempt_finds_a_token_before_those_of_timers_and_bulk(desk: ClientService) -> None:
    await desk.fail()
    desk.now += timedelta(seconds=5.1)
    for order, key in ((lines("bulk", 1, one=True), 5), (lines("timer", 1, one=True), None)):
        await turned_away(desk, order, key)
    assert await desk.attempt(lines("acme", 1, one=True), key=2) == PROVEN


async def test_a_delay_ends_within_what_is_left_of_the_attempt(desk: ClientService) -> None:
    await desk.fail()
    refusal = await turned_away(desk, lines("acme", 1, one=True), begun=116)
    assert refusal.next_retry_delay == timedelta(seconds=2)
    refusal = await turned_away(desk, lines("acme", 1, one=True), begun=119.9)
    assert refusal.next_retry_delay == timedelta(seconds=1)  # too late: the workflow makes its pause


async def test_while_it_recovers_the_message_says_that_it_is_back(desk: ClientService) -> None:
    await desk.fail()
    desk.now += timedelta(seconds=60)
    await desk.attempt(lines("acme", 1, one=True))
    refusal = await turned_away(desk, lines("bolt", 1, one=True), key=5)
    assert "The telephony system failed from 2026-11-01 12:00:00 UTC and has come back" in refusal.message


async def test_the_directory_shows_every_change_at_once_and_forgets_a_worker_that_stopped(
    world: World, desk: ClientService
) -> None:
    states, other = (SystemStates(desk.pacing, world.databases.directory, name) for name in ("", "elsewhere:1"))
    me = this_worker()
    async with background(states.run):
        internet = ("internet", me, "working", "")
        await eventually(lambda: reports(world), equal=[internet, ("telephony", me, "working", "")])
        await desk.fail()
        failing = ("telephony", me, "failing", "SystemUnavailable: the telephony database is away")
        await eventually(lambda: reports(world), equal=[internet, failing])
    async with background(other.run):
        await eventually(lambda: workers(world), equal={me, "elsewhere:1"})
    await states.forget()
    assert await workers(world) == {"elsewhere:1"}


async def reports(world: World) -> list[tuple[Any, ...]]:
    return await world.rows("directory", ROWS)


async def workers(world: World) -> set[str]:
    return {worker for _, worker, *_ in await reports(world)}


async def test_rows_of_workers_that_were_killed_go_after_a_day(world: World, desk: ClientService) -> None:
    await world.execute(
        "directory",
        """INSERT INTO system_states (system, worker, state, since, updated_at)
        VALUES ('telephony', 'gone:1', 'failing', now(), now() - interval '2 days'),
          ('telephony', 'here:1', 'failing', now(), now() - interval '2 days')""",
    )
    async with background(SystemStates(desk.pacing, world.databases.directory, "here:1").run):
        await eventually(lambda: workers(world), equal={"here:1"})
    assert {state for _, _, state, *_ in await reports(world)} == {"working"}


async def test_a_directory_that_is_away_disturbs_nothing_and_is_told_of_once(world: World) -> None:
    looks: list[datetime] = []

    def clock() -> datetime:
        looks.append(NOON)
        return NOON

    nowhere = world.settings.model_copy(update={"directory_dsn": world.settings.telephony_dsn})  # not in this module
    async with open_databases(nowhere) as databases:
        states = SystemStates(Pacing(PACES, SERVED, clock), databases.directory, every=0.02)
        with structlog.testing.capture_logs() as lines:
            async with background(states.run):
                await eventually(lambda: len(looks) > 20)
            await states.forget()
    assert [line["event"] for line in lines].count("system_states_not_reported") == 1
