"""Days of plans: resolved once, recorded, and resolved anew under other zone rules."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import zone_rules
from tests.support.builders import NOW, START, TODAY, dated, in_directory, manual, tenant
from tests.support.zone_rules import AT_UTC, CASABLANCA, HOUR_AHEAD
from workflows.domain.answers import fingerprint
from workflows.domain.client.planning import unresolved_day
from workflows.domain.commands import (
    CancelPlanned,
    ChangeServices,
    Decommission,
    Edit,
    Plannable,
    PlannableCommand,
    Suspend,
    Unsuspend,
)
from workflows.domain.dates import NamedDay, ResolvedDay, at_site, fits, local_day, local_time, resolve
from workflows.domain.dates import zone_rules as rules_in_use
from workflows.domain.day_plans import days_ahead, take_over_days
from workflows.domain.errors import InvalidField, Refusal
from workflows.domain.lifecycle import Kind, Status
from workflows.domain.state import ClientState

LAST = date(2026, 8, 31)
Command = PlannableCommand | Edit | CancelPlanned


class Rules:
    """Zone rules of two years, by which Casablanca's days begin at other instants."""

    def __init__(self, folder: Path) -> None:
        self._old = zone_rules.rules(folder / "old", "2025b", {**HOUR_AHEAD})
        self._new = zone_rules.rules(folder / "new", "2026f", {**AT_UTC})

    @contextmanager
    def old(self) -> Iterator[None]:
        with zone_rules.in_use(self._old):
            yield

    @contextmanager
    def new(self) -> Iterator[None]:
        with zone_rules.in_use(self._new):
            yield


@pytest.fixture(scope="module")
def rules(tmp_path_factory: pytest.TempPathFactory) -> Rules:
    return Rules(tmp_path_factory.mktemp("tzdata"))


def at_home(status: Status = Status.ACTIVE, **record: Any) -> ClientState:
    return in_directory(tenant(status, timezone=CASABLANCA, **record))


def obey(state: ClientState, command: Command, now: datetime = NOW) -> None:
    state.obey(dated(command, CASABLANCA), now)


def anew(state: ClientState, now: datetime = NOW) -> None:
    """Resolve all days by the rules in use, as the recorded step of a renewal does."""
    days = days_ahead(state)
    take_over_days(state, {day: resolve(day, CASABLANCA) for day in days}, now)


def instants(state: ClientState) -> list[tuple[str, datetime, str]]:
    return [(change.kind, change.at, change.day.rules if change.day else "") for change in state.client.schedule]


def test_a_resolved_day_says_the_zone_and_the_version_of_its_rules(rules: Rules) -> None:
    with rules.old():
        resolved = resolve(NamedDay(LAST, last=True), CASABLANCA)
    assert resolved == ResolvedDay(LAST, CASABLANCA, datetime.fromisoformat("2026-08-31T23:00:00+00:00"), "2025b")


def test_the_version_of_our_own_rules_is_that_of_the_pinned_package() -> None:
    assert len(rules_in_use()) == 5
    assert rules_in_use()[:4].isdigit()


def test_a_day_that_was_not_resolved_decides_nothing() -> None:
    state = at_home()
    with pytest.raises(InvalidField) as refused:
        state.obey(Decommission(last_day=LAST), NOW)
    assert refused.value.field == "last_day"
    with pytest.raises(InvalidField) as refused:
        state.obey(Edit(start_date=LAST), NOW)
    assert refused.value.field == "start_date"


def test_the_same_day_by_other_rules_is_the_same_command(rules: Rules) -> None:
    with rules.old():
        one = dated(Suspend(last_day=LAST, command_id="c1"), CASABLANCA)
    with rules.new():
        other = dated(Suspend(last_day=LAST, command_id="c1"), CASABLANCA)
    assert one.resolved != other.resolved
    assert (one, fingerprint(one)) == (other, fingerprint(other))


def test_naming_the_same_last_day_again_moves_the_plan_to_what_it_is_now(rules: Rules) -> None:
    state = at_home()
    with rules.old():
        obey(state, Decommission(last_day=LAST))
    ((_, before, _),) = instants(state)
    with rules.new():
        obey(state, Decommission(last_day=LAST))
    assert instants(state) == [("decommission", before + timedelta(hours=1), "2026f")]


def test_naming_the_same_start_date_again_moves_the_activation_and_says_so(rules: Rules) -> None:
    with rules.old():
        state = at_home(Status.NEW)
    ((_, before, _),) = instants(state)
    with rules.new():
        answer = state.obey(dated(Edit(start_date=START), CASABLANCA), NOW)
        assert not state.obey(dated(Edit(start_date=START), CASABLANCA), NOW).changed
    assert (answer.changed, answer.message) == (True, "Edited: start date")
    assert instants(state) == [("activate", before + timedelta(hours=1), "2026f")]


def test_the_start_date_of_a_client_that_has_started_is_the_same_by_any_rules(rules: Rules) -> None:
    with rules.old():
        state = at_home()
    with rules.new():
        started = Edit(start_date=state.client.start_date.day)
        assert not state.obey(dated(started, CASABLANCA), NOW).changed


def test_each_plan_that_moves_is_told_with_both_instants(rules: Rules) -> None:
    state = at_home()
    with rules.old():
        obey(state, Suspend(last_day=LAST, command_id="c1"))
        obey(state, Decommission(last_day=LAST + timedelta(days=30)))
    written, revision = state.journal.written, state.client.revision
    with rules.new():
        anew(state)
    first, second = state.journal.waiting[-2:]
    assert first.text == (
        "Planned suspend: zone rules 2026f: now 2026-09-01 00:00 Africa/Casablanca, "
        "instead of 2026-08-31 23:00 Africa/Casablanca"
    )
    assert (first.kind, first.by, first.source) == ("suspend", "connect", "zone rules")
    assert first.facts == {
        "change_id": "c1",
        "planned_for": "2026-09-01T00:00:00+00:00",
        "planned_before": "2026-08-31T23:00:00+00:00",
        "zone_rules": "2026f",
    }
    assert second.kind == "decommission"
    assert (state.journal.written, state.client.revision) == (written + 2, revision + 1)


def test_the_start_that_a_person_is_waited_for_and_what_waits_for_the_directory_are_resolved_anew(rules: Rules) -> None:
    with rules.old():
        state = in_directory(manual(timezone=CASABLANCA))
        state.claim(dated(ChangeServices(last_day=LAST, remove_lines=("+442079460001",)), CASABLANCA))
    with rules.new():
        anew(state)
    (command,) = state.claims
    assert isinstance(command, ChangeServices)
    assert command.resolved is not None
    assert (state.client.start_date.rules, command.resolved.rules) == ("2026f", "2026f")


def test_a_day_that_the_rules_in_use_cannot_tell_stays_as_it_was(rules: Rules) -> None:
    state = at_home()
    with rules.old():
        obey(state, Decommission(last_day=LAST))
    before = instants(state)
    take_over_days(state, {}, NOW)
    assert instants(state) == before


@pytest.mark.parametrize("named", [NamedDay(LAST), NamedDay(LAST, last=True)])
def test_only_an_instant_about_that_midnight_is_taken_for_a_day(named: NamedDay) -> None:
    right = resolve(named, CASABLANCA)
    assert fits(right, named, CASABLANCA)
    assert not fits(None, named, CASABLANCA)
    assert not fits(right, named, "Europe/London")
    assert not fits(replace(right, day=LAST + timedelta(days=1)), named, CASABLANCA)
    assert not fits(replace(right, instant=right.instant + timedelta(days=2)), named, CASABLANCA)


def test_a_zone_that_the_rules_in_use_lack_is_told_in_utc_and_at_the_same_length(tmp_path: Path) -> None:
    at, in_its_zone = datetime(2027, 3, 1, 12, tzinfo=UTC), "2027-03-01 21:00 Asia/Tokyo"
    assert local_time(at, "Asia/Tokyo") == in_its_zone
    with zone_rules.in_use(zone_rules.rules(tmp_path, "1880a", {"Asia/Tokyo": None})):
        assert local_time(at, "Asia/Tokyo").rstrip() == "2027-03-01 12:00 UTC"
        assert len(local_time(at, "Asia/Tokyo")) == len(in_its_zone)
        assert at_site(at, "Asia/Tokyo").isoformat() == "2027-03-01T12:00:00+00:00"
        assert local_day(datetime(2027, 3, 1, 20, tzinfo=UTC), "Asia/Tokyo") == date(2027, 3, 1)


# -- whatever is asked ------------------------------------------------------------------------------------------------

days = st.integers(-3, 60).map(lambda number: TODAY + timedelta(days=number))
moments = st.one_of(
    days.map(lambda day: {"last_day": day}), st.integers(1, 900).map(lambda h: {"at": NOW + timedelta(hours=h)})
)
sources = st.sampled_from(["billing", "security"])
commands: st.SearchStrategy[Command] = st.one_of(
    st.builds(lambda moment, source: Suspend(source=source, **moment), moments, sources),
    st.builds(lambda moment, source: Unsuspend(source=source, **moment), moments, sources),
    st.builds(lambda moment: Decommission(**moment), moments),
    st.builds(lambda moment: ChangeServices(remove_lines=("+442079460001",), **moment), moments),
    st.builds(lambda day: Edit(start_date=day), days),
    st.sampled_from([CancelPlanned(change=kind) for kind in (Kind.SUSPEND, Kind.ACTIVATE)]),
)
lives = st.lists(st.tuples(commands, st.integers(0, 200)), max_size=12)


def live(state: ClientState, life: list[tuple[Command, int]]) -> datetime:
    """Ask for each command in turn, so many hours after the one before."""
    now = NOW
    for command, hours in life:
        now += timedelta(hours=hours)
        state.advance(now)
        try:
            state.obey(command, now)
        except Refusal as refusal:
            state.turn_down(command, refusal, now)
    return now


def decided(state: ClientState) -> object:
    """All that a state decides by: everything but the sentences that people read."""
    lines = [replace(entry, text="") for entry in state.journal.waiting]
    answers = [replace(answer, message="", refusal=None) for answer in state.recent]
    return state.client, state.provisioning, lines, answers, state.claims, state.next_moment(), state.settled


@settings(deadline=None)
@given(life=lives, status=st.sampled_from([Status.NEW, Status.ACTIVE, Status.SUSPENDED]))
def test_what_is_decided_does_not_depend_on_the_rules_in_use(
    rules: Rules, life: list[tuple[Command, int]], status: Status
) -> None:
    with rules.old():
        recorded = [(dated(command, CASABLANCA), hours) for command, hours in life]
        once, again = at_home(status), at_home(status)
        live(once, recorded)
    with rules.new():
        live(again, recorded)
        assert decided(once) == decided(again)


@settings(deadline=None)
@given(life=lives, status=st.sampled_from([Status.NEW, Status.ACTIVE]))
def test_days_resolved_anew_are_those_of_the_new_rules_and_nothing_else_changes(
    rules: Rules, life: list[tuple[Command, int]], status: Status
) -> None:
    with rules.old():
        state = at_home(status)
        now = live(state, [(dated(command, CASABLANCA), hours) for command, hours in life])
    before, revision, written = instants(state), state.client.revision, state.journal.written
    exact = [(kind, at) for kind, at, by in before if not by]
    with rules.new():
        anew(state, now)
        for change in state.client.schedule:
            if change.day and change.named_day:
                assert change.day == resolve(change.named_day, CASABLANCA)
                assert change.at == change.day.instant
        after = instants(state)
        assert sorted(kind for kind, _, _ in after) == sorted(kind for kind, _, _ in before)
        assert [(kind, at) for kind, at, by in after if not by] == exact
        assert [at for _, at, _ in after] == sorted(at for _, at, _ in after)
        moved = len({(kind, at) for kind, at, _ in after} - {(kind, at) for kind, at, _ in before})
        assert state.journal.written == written + moved
        assert state.client.revision == revision + (1 if any(by for _, _, by in before) else 0)
        settled = instants(state), state.client.revision, state.journal.written
        anew(state, now)
        assert (instants(state), state.client.revision, state.journal.written) == settled


@given(command=commands)
def test_a_dated_command_needs_nothing_more(command: Command) -> None:
    assert unresolved_day(dated(command, CASABLANCA), CASABLANCA) is None
    if isinstance(command, Plannable) and command.last_day is not None:
        assert unresolved_day(command, CASABLANCA) == NamedDay(command.last_day, last=True)
