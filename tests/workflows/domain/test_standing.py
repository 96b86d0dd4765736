"""The patience with a system, and what systems report by themselves (PRODUCT.md section 5)."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.builders import (
    NOW,
    in_directory,
    prove,
    settled,
    tenant,
)
from workflows.domain.commands import ChangeServices, Edit, Suspend, Unsuspend
from workflows.domain.errors import TooManyWaiting
from workflows.domain.provisioning.provisioning import Provisioned
from workflows.domain.provisioning.standing import Limits, Standing
from workflows.domain.services import Line
from workflows.domain.systems import BUILT_IN, DIRECTORY, INTERNET, TELEPHONY, System, spoken

LIMITS = Limits(first_pause=15, longest_pause=3600)


# -- patience ---------------------------------------------------------------------------------------------------------


@settings(derandomize=True, deadline=None, database=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=80))
def test_pauses_grow_are_jittered_and_never_exceed_the_longest(chances: list[float]) -> None:
    standing, before = Standing(), 0.0
    for chance in chances:
        standing.fail("no answer", NOW, LIMITS, chance)
        assert standing.retry_at is not None
        pause = (standing.retry_at - NOW).total_seconds()
        assert 0 < pause <= LIMITS.longest_pause
        assert pause > before or pause >= 0.75 * LIMITS.longest_pause
        before = pause
    assert standing.attempts == len(chances)


def test_the_same_failure_pauses_differently_with_another_chance() -> None:
    early, late = Standing(), Standing()
    early.fail("no answer", NOW, LIMITS, 0.0)
    late.fail("no answer", NOW, LIMITS, 1.0)
    assert early.retry_at == NOW + timedelta(seconds=11.25)
    assert late.retry_at == NOW + timedelta(seconds=15)


def test_a_failed_system_is_attention_with_its_error_and_is_tried_again_when_its_time_comes() -> None:
    state = in_directory(tenant())
    state.provisioning.begin(TELEPHONY)
    state.failed(TELEPHONY, "SystemUnavailable: no answer", NOW, 1.0)
    standing = state.provisioning.standing[TELEPHONY]
    assert (standing.last_error, standing.attempts) == ("SystemUnavailable: no answer", 1)
    assert state.provisioned is Provisioned.ATTENTION
    assert not state.may_attempt(TELEPHONY, NOW)
    assert state.may_attempt(INTERNET, NOW), "the other system is not held up"
    assert state.next_moment() == NOW + timedelta(seconds=15)
    assert state.may_attempt(TELEPHONY, NOW + timedelta(seconds=15))


def test_a_new_decision_makes_the_next_attempt_due_at_once_and_stays_attention_until_proven() -> None:
    state = settled()
    state.obey(Suspend(), NOW)
    for _ in range(9):
        state.provisioning.begin(TELEPHONY)
        state.failed(TELEPHONY, "no answer", NOW, 1.0)
    assert not state.may_attempt(TELEPHONY, NOW)
    state.obey(Unsuspend(), NOW)
    assert state.may_attempt(TELEPHONY, NOW)
    assert state.provisioning.standing[TELEPHONY].attempts == 0
    assert state.provisioned is Provisioned.ATTENTION
    prove(state)
    assert state.settled
    assert state.provisioning.standing[TELEPHONY].last_error == ""


def test_a_decision_that_wants_nothing_else_of_a_system_leaves_it_its_pause() -> None:
    state = settled()
    state.obey(Suspend(), NOW)
    state.failed(TELEPHONY, "no answer", NOW, 1.0)
    state.obey(Edit(name="Acme & Sons"), NOW)
    assert not state.may_attempt(TELEPHONY, NOW)


def test_a_failure_is_told_once_for_each_new_error() -> None:
    state = settled()
    state.obey(Suspend(), NOW)
    written = state.journal.written
    for error in ("no answer", "no answer", "locked", "locked"):
        state.failed(TELEPHONY, error, NOW, 0.5)
    assert state.journal.written == written + 2


def test_a_failing_directory_is_attention_too_and_tells_itself_nothing() -> None:
    state = in_directory(tenant())
    written, revision = state.journal.written, state.client.revision
    state.failed(DIRECTORY, "no answer", NOW, 0.5)
    assert (state.journal.written, state.client.revision) == (written, revision)
    assert state.provisioned is Provisioned.ATTENTION
    assert not state.may_attempt(DIRECTORY, NOW)
    assert state.next_moment() is not None


# -- reports ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("system", BUILT_IN)
def test_reported_drift_makes_a_system_unknown_and_has_it_proven_anew(system: System) -> None:
    state = settled()
    revision = state.client.revision
    state.doubted(system, "phone rings though off", NOW, "monitoring")
    assert state.client.revision == revision + 1
    assert state.drifts(system)
    assert not any(state.drifts(other) for other in BUILT_IN if other != system)
    assert state.may_attempt(system, NOW)
    entry = state.journal.waiting[-1]
    assert entry.text == f"Drift of {spoken(system)} reported: phone rings though off"
    prove(state)
    assert state.settled


def test_a_system_that_obeyed_a_later_revision_is_decided_above_it() -> None:
    state = settled()
    state.obey(Suspend(), NOW)
    state.overtaken(TELEPHONY, 90, NOW)
    assert state.client.revision == 91
    assert state.provisioning.standing[TELEPHONY].wanted_since == 91
    assert state.may_attempt(TELEPHONY, NOW)


def test_a_system_that_is_ahead_of_every_revision_is_tried_at_a_pace_and_shown() -> None:
    state = settled()
    state.obey(Suspend(), NOW)
    standing = state.provisioning.standing[TELEPHONY]
    due = []
    for _ in range(5):
        state.overtaken(TELEPHONY, state.client.revision + 1, NOW)
        due.append(standing.retry_at or NOW)
    assert due[0] == due[1] == NOW  # after a reset it is decided anew at once
    assert NOW < due[2] < due[3] < due[4]
    assert standing.attention
    assert "has obeyed revision" in standing.last_error
    prove(state)
    assert (standing.outrun, standing.attention, state.settled) == (0, False, True)


def test_lines_that_wait_for_the_directory_are_bounded_in_all() -> None:
    state = settled()
    many = [Line(f"+44207{n:07}", "1") for n in range(1200)]
    for start in (0, 500):
        state.claim(ChangeServices(add_lines=tuple(many[start : start + 500]), command_id=f"c{start}"))
    with pytest.raises(TooManyWaiting):
        state.claim(ChangeServices(add_lines=tuple(many[1000:]), command_id="more"))
    assert len(state.claims) == 2


def test_the_directory_drifts_while_it_does_not_show_the_newest_revision_or_line() -> None:
    state = settled()
    state.refuse("nonsense", "signal", NOW)
    assert state.drifts(DIRECTORY)
    prove(state, DIRECTORY)
    assert state.settled
    state.client.revision += 1
    assert state.provisioned is Provisioned.CHANGING
