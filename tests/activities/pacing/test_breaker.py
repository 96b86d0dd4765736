"""What fails for many clients is paced, what comes back is let in gradually, and operators' commands go first."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from activities.pacing.breaker import HORIZON, Breaker, Condition, Paces, Rank

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)
PACES = Paces(clients=3, pace=5, drain=5)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = NOON

    def pass_(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(PACES, clock.now)


def break_(breaker: Breaker, clock: Clock) -> None:
    for client in ("a", "b", "c"):
        breaker.failed(client, "SystemUnavailable: it is away", clock.now, clock.now)


def mend(breaker: Breaker, clock: Clock) -> None:
    break_(breaker, clock)
    breaker.succeeded("a", clock.pass_(60))


def condition_of(breaker: Breaker) -> Condition:
    """As it is now; the type checker knows no time."""
    return breaker.condition


Preparing = Callable[[Breaker, Clock], None]


def count_admitted(
    breaker: Breaker, clock: Clock, rank: Rank, seconds: float, every: float = 0.1, who: str = "x"
) -> int:
    """How many attempts of this rank get in, of clients that ask again and again."""
    times = round(seconds / every)
    return sum(breaker.admit(f"{who}{n}", rank, clock.pass_(every)) is None for n in range(times))


def test_a_system_that_works_admits_everybody(breaker: Breaker, clock: Clock) -> None:
    assert all(breaker.admit(f"c{n}", Rank.TRIED, clock.now) is None for n in range(1000))


def test_a_client_that_fails_often_breaks_nothing(breaker: Breaker, clock: Clock) -> None:
    for _ in range(50):
        breaker.failed("a", "SystemBusy: a lock", clock.now, clock.now)
    assert condition_of(breaker) is Condition.WORKING
    assert breaker.last_error == "SystemBusy: a lock"


def test_so_many_clients_in_a_row_break_it_and_a_success_between_does_not(breaker: Breaker, clock: Clock) -> None:
    for client in ("a", "b"):
        breaker.failed(client, "away", clock.now, clock.now)
    breaker.succeeded("c", clock.now)
    for client in ("a", "b"):
        breaker.failed(client, "away", clock.now, clock.now)
    assert condition_of(breaker) is Condition.WORKING
    breaker.failed("d", "away for good", clock.now, clock.pass_(1))
    assert condition_of(breaker) is Condition.FAILING
    assert (breaker.since, breaker.failing_since) == (clock.now, clock.now)
    assert breaker.last_error == "away for good"


@pytest.mark.parametrize("rank", Rank)
def test_while_it_fails_there_is_one_attempt_per_pace(breaker: Breaker, clock: Clock, rank: Rank) -> None:
    break_(breaker, clock)
    clock.pass_(60)
    count_admitted(breaker, clock, rank, 20)
    assert count_admitted(breaker, clock, rank, 500) == 100


def test_however_long_nobody_asked_no_more_than_two_go_at_once(breaker: Breaker, clock: Clock) -> None:
    break_(breaker, clock)
    clock.pass_(3600)
    assert [breaker.admit(f"c{n}", Rank.OPERATOR, clock.now) is None for n in range(4)] == [True, True, False, False]


def test_the_first_success_means_recovery_and_attempts_are_admitted_at_the_drains_rate(
    breaker: Breaker, clock: Clock
) -> None:
    mend(breaker, clock)
    assert (breaker.condition, breaker.recoveries) == (Condition.RECOVERING, 1)
    count_admitted(breaker, clock, Rank.BULK, 10, every=0.01)
    assert count_admitted(breaker, clock, Rank.BULK, 100, every=0.01) == pytest.approx(500, abs=1)


def test_it_works_again_once_nobody_was_turned_away_for_a_while(breaker: Breaker, clock: Clock) -> None:
    mend(breaker, clock)
    assert breaker.admit("b", Rank.OPERATOR, clock.now) is not None
    breaker.pass_time(clock.pass_(HORIZON))
    assert condition_of(breaker) is Condition.RECOVERING
    breaker.pass_time(clock.pass_(HORIZON))
    assert condition_of(breaker) is Condition.WORKING
    assert breaker.admit("b", Rank.TRIED, clock.now) is None


def test_it_fails_again_when_as_many_fail_in_a_row_while_it_recovers(breaker: Breaker, clock: Clock) -> None:
    mend(breaker, clock)
    clock.pass_(5)
    break_(breaker, clock)
    assert condition_of(breaker) is Condition.FAILING
    assert breaker.since == clock.now


def test_what_began_before_it_came_back_tells_nothing_new(breaker: Breaker, clock: Clock) -> None:
    began = clock.pass_(1)
    mend(breaker, clock)
    for client in ("d", "e", "f"):
        breaker.failed(client, "no answer in time", began, clock.pass_(1))
    assert condition_of(breaker) is Condition.RECOVERING


@pytest.mark.parametrize("prepare", [break_, mend])
def test_an_operators_attempt_is_admitted_before_those_that_wait_already(
    breaker: Breaker, clock: Clock, prepare: Preparing
) -> None:
    prepare(breaker, clock)
    count_admitted(breaker, clock, Rank.BULK, 60)
    waits = 5.0 if prepare is break_ else 0.2
    delay = breaker.admit("operator", Rank.OPERATOR, clock.now)
    clock.pass_(delay.total_seconds() if delay else 0)
    assert delay is None or delay.total_seconds() <= waits
    assert breaker.admit("late", Rank.BULK, clock.now) is not None
    assert breaker.admit("operator", Rank.OPERATOR, clock.now) is None or delay is None


@pytest.mark.parametrize("prepare", [break_, mend])
@pytest.mark.parametrize(
    ("first", "then"), [(Rank.OPERATOR, Rank.TIMER), (Rank.TIMER, Rank.BULK), (Rank.BULK, Rank.TRIED)]
)
def test_while_more_urgent_ones_take_every_token_the_others_get_none(
    breaker: Breaker, clock: Clock, prepare: Preparing, first: Rank, then: Rank
) -> None:
    prepare(breaker, clock)
    count_admitted(breaker, clock, first, 60, every=0.05)
    before = 0
    for n in range(2000):
        now = clock.pass_(0.05)
        before += breaker.admit(f"urgent{n}", first, now) is None
        assert breaker.admit(f"other{n}", then, now) is not None
    assert before == pytest.approx(100 / 5 if prepare is break_ else 100 * 5, abs=1)


def test_those_turned_away_are_spread_over_the_time_that_they_will_take(breaker: Breaker, clock: Clock) -> None:
    mend(breaker, clock)
    delays = [breaker.admit(f"c{n}", Rank.TIMER, clock.now, chance=n % 10 / 10) for n in range(100)]
    seconds = [delay.total_seconds() for delay in delays if delay]
    assert len(seconds) == 100
    assert max(seconds) == pytest.approx(0.7 + 99 * 0.9 / 5, abs=0.5)
    assert min(seconds) == pytest.approx(0.7, abs=0.1)
    assert sorted(seconds)[50] == pytest.approx(100 / 5 / 4, abs=2.5)


def test_nobody_comes_again_later_than_the_horizon_and_not_all_at_once(breaker: Breaker, clock: Clock) -> None:
    break_(breaker, clock)
    delays = [breaker.admit(f"c{n}", Rank.BULK, clock.now, chance=n / 1000) for n in range(1000)]
    seconds = [delay.total_seconds() for delay in delays if delay]
    assert max(seconds) <= HORIZON
    assert len({round(second) for second in seconds}) > HORIZON / 3


def test_a_clock_that_is_set_back_neither_stops_nor_opens_it(breaker: Breaker, clock: Clock) -> None:
    break_(breaker, clock)
    clock.pass_(-3600)
    count_admitted(breaker, clock, Rank.BULK, 20)
    assert count_admitted(breaker, clock, Rank.BULK, 50) == 10


def test_a_rank_follows_the_priority() -> None:
    assert [Rank.of(key) for key in (1, 2, 3, 4, 5, None)] == [
        *(Rank.OPERATOR, Rank.OPERATOR, Rank.TIMER, Rank.TIMER, Rank.BULK, Rank.TIMER)
    ]


def test_a_client_whose_time_runs_out_while_the_system_recovers_is_to_be_woken_until_it_has_its_turn(
    breaker: Breaker, clock: Clock
) -> None:
    mend(breaker, clock)
    breaker.admit("late", Rank.TIMER, clock.now)
    assert breaker.gave_up == {}
    breaker.give_up("late", clock.now)
    assert breaker.gave_up == {"late": clock.now}
    assert breaker.admit("late", Rank.TIMER, clock.pass_(5)) is None
    assert breaker.gave_up == {}


def test_a_client_whose_workflow_heard_of_no_success_is_to_be_woken_also_when_the_system_fails_meanwhile(
    breaker: Breaker, clock: Clock
) -> None:
    breaker.succeeded("late", clock.now, too_late=True)
    at = clock.now
    break_(breaker, clock)
    assert condition_of(breaker) is Condition.FAILING
    assert breaker.late() == {"late": at}
    breaker.woken({"late": clock.now + timedelta(hours=1)})
    assert breaker.late() == {"late": at}, "it is late anew"
    breaker.woken({"late": at})
    assert breaker.late() == {}
    breaker.succeeded("late", clock.now, too_late=True)
    breaker.succeeded("late", clock.now)
    assert breaker.late() == {}


def test_clients_that_do_not_come_again_are_to_be_woken_once_the_system_works(breaker: Breaker, clock: Clock) -> None:
    mend(breaker, clock)
    for n in range(20):
        breaker.admit(f"c{n}", Rank.TIMER, clock.now)
    breaker.failed("begun-in-the-outage", "away", NOON, clock.now)
    assert breaker.admit("c0", Rank.TIMER, clock.pass_(10)) is None
    breaker.succeeded("c0", clock.now)
    breaker.pass_time(clock.pass_(2 * HORIZON))
    assert condition_of(breaker) is Condition.WORKING
    assert set(breaker.gave_up) == {"begun-in-the-outage", *(f"c{n}" for n in range(1, 20))}


def test_who_gives_up_while_the_system_fails_is_left_to_the_next_recovery(breaker: Breaker, clock: Clock) -> None:
    mend(breaker, clock)
    breaker.admit("a", Rank.TIMER, clock.now)
    breaker.give_up("a", clock.now)
    clock.pass_(1)
    break_(breaker, clock)
    assert condition_of(breaker) is Condition.FAILING
    breaker.give_up("b", clock.now)
    assert breaker.gave_up == {}
