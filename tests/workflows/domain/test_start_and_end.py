"""The start date, which activates, and the end date, which does nothing (PRODUCT.md section 3)."""

from datetime import date, timedelta

import pytest

from tests.support.builders import (
    AFTER_LAST_DAY,
    LAST_DAY,
    LATER,
    LONDON,
    NOW,
    START,
    STARTS,
    TODAY,
    dated,
    desired_lines,
    in_directory,
    leaving,
    living,
    manual,
    planned,
    refusal,
    tenant,
    unchanged,
)
from workflows.domain.commands import (
    CancelPlanned,
    Edit,
    Suspend,
)
from workflows.domain.dates import first_instant
from workflows.domain.errors import (
    BeforeStart,
    IllegalTransition,
)
from workflows.domain.lifecycle import Activation, Status
from workflows.domain.systems import INTERNET

NEW, ACTIVE, SUSPENDED, DECOMMISSIONED = Status


# -- the start date ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start_date", [TODAY, TODAY - timedelta(days=400)])
def test_a_new_client_whose_start_date_becomes_today_or_earlier_is_active_at_once(start_date: date) -> None:
    state = in_directory(tenant(NEW))
    state.obey(dated(Edit(start_date=start_date)), NOW)
    assert state.client.status is ACTIVE
    assert all(desired_lines(state).values())
    assert state.next_moment() is None


def test_an_activation_is_late_only_if_it_was_planned_before_its_moment() -> None:
    """A start date that was past when somebody gave it kept nobody waiting, whichever edit makes it count."""
    past = TODAY - timedelta(days=400)
    moved, waiting, later = (in_directory(tenant(NEW)), in_directory(manual()), in_directory(tenant(NEW)))
    moved.obey(dated(Edit(start_date=past)), NOW)
    waiting.obey(dated(Edit(start_date=past)), NOW)
    waiting.obey(Edit(activation=Activation.AUTOMATIC), NOW)
    later.obey(dated(Edit(start_date=TODAY + timedelta(days=1))), NOW)
    later.advance(NOW + timedelta(days=9))
    planned_for = [state.journal.waiting[-1].facts.get("planned_for") for state in (moved, waiting, later)]
    assert planned_for == [None, None, first_instant(TODAY + timedelta(days=1), LONDON).isoformat()]
    assert all(state.client.status is ACTIVE for state in (moved, waiting, later))


def test_a_new_client_with_a_hold_whose_start_date_becomes_today_is_suspended() -> None:
    state = in_directory(tenant(NEW))
    state.obey(Suspend(), NOW)
    state.obey(dated(Edit(start_date=TODAY)), NOW)
    assert state.client.status is SUSPENDED


def test_a_later_start_date_moves_the_activation_of_a_new_client() -> None:
    client = tenant(NEW)
    client.obey(dated(Edit(start_date=START + timedelta(days=30))), NOW)
    client.advance(STARTS)
    assert client.status is NEW
    client.advance(first_instant(START + timedelta(days=30), LONDON))
    assert client.status is ACTIVE


def test_a_start_date_does_not_activate_a_client_that_waits_for_a_person() -> None:
    client = manual()
    assert planned(client) == []
    client.obey(dated(Edit(start_date=TODAY)), NOW)
    client.advance(LATER)
    assert client.status is NEW


def test_a_cancelled_activation_is_planned_again_for_the_start_date() -> None:
    client = tenant(NEW)
    client.obey(CancelPlanned(change="activate"), NOW)
    outcome = client.obey(Edit(activation=Activation.AUTOMATIC), NOW)
    assert outcome.message == "Edited: activation; activate at 2026-06-01 00:00 Europe/London"
    assert planned(client) == ["activate"]
    client.advance(STARTS)
    assert client.status is ACTIVE


def test_an_activation_that_becomes_automatic_happens_at_once_when_the_start_date_is_past() -> None:
    state = in_directory(manual(start_date=TODAY - timedelta(days=3)))
    state.obey(Edit(activation=Activation.AUTOMATIC), NOW)
    assert state.client.status is ACTIVE
    assert all(desired_lines(state).values())


def test_an_activation_that_becomes_manual_waits_for_a_person() -> None:
    client = tenant(NEW)
    outcome = client.obey(Edit(activation=Activation.MANUAL), NOW)
    assert outcome.message == "Edited: activation; the client now waits until somebody activates it"
    assert planned(client) == []
    client.advance(LATER)
    assert client.status is NEW


def test_activation_and_start_date_change_together() -> None:
    client = manual()
    client.obey(dated(Edit(activation=Activation.AUTOMATIC, start_date=START + timedelta(days=30))), NOW)
    (change,) = client.schedule
    assert change.at == first_instant(START + timedelta(days=30), LONDON)


@pytest.mark.parametrize("status", [ACTIVE, SUSPENDED])
def test_only_the_activation_of_a_new_client_changes(status: Status) -> None:
    client = tenant(status)
    refused = refusal(client, Edit(name="Other", activation=Activation.MANUAL))
    assert isinstance(refused, IllegalTransition)
    assert refused.field == "activation"
    unchanged(client, Edit(activation=Activation.AUTOMATIC))


@pytest.mark.parametrize("status", [ACTIVE, SUSPENDED])
def test_the_start_date_of_a_started_client_is_information_only(status: Status) -> None:
    client = leaving(status)
    client.obey(dated(Edit(start_date=LAST_DAY + timedelta(days=99))), NOW)
    assert (client.status, planned(client)) == (status, ["decommission"])
    client.advance(AFTER_LAST_DAY)
    assert client.status is DECOMMISSIONED


@pytest.mark.parametrize("days", [1, 40])
def test_a_new_client_is_not_made_to_start_after_its_planned_decommission(days: int) -> None:
    refused = refusal(leaving(NEW), dated(Edit(start_date=LAST_DAY + timedelta(days=days))))
    assert isinstance(refused, BeforeStart)
    assert refused.field == "start_date"


def test_a_new_client_may_be_made_to_start_on_the_last_day_of_service() -> None:
    client = leaving(NEW)
    assert client.obey(dated(Edit(start_date=LAST_DAY)), NOW).changed
    assert planned(client) == ["activate", "decommission"]


# -- the end date -----------------------------------------------------------------------------------------------------


@living
@pytest.mark.parametrize("end_date", [TODAY - timedelta(days=9), TODAY, TODAY + timedelta(days=9)])
@pytest.mark.parametrize("plan", [False, True])
def test_an_end_date_changes_nothing_but_itself(status: Status, end_date: date, plan: bool) -> None:
    state = in_directory(leaving(status) if plan else tenant(status))
    status, plans = state.client.status, list(state.client.schedule)
    before = (dict(desired_lines(state)), dict(state.provisioning.systems[INTERNET].wanted))
    assert state.obey(Edit(end_date=end_date), NOW).changed
    state.advance(NOW + timedelta(days=20))
    assert state.client.end_date == end_date
    assert (state.client.status, list(state.client.schedule)) == (status, plans)
    assert (desired_lines(state), state.provisioning.systems[INTERNET].wanted) == before


def test_an_end_date_can_be_removed() -> None:
    client = tenant(end_date=LAST_DAY)
    assert client.obey(Edit(clear_end_date=True), NOW).message == "Edited: end date"
    assert client.end_date is None
    unchanged(client, Edit(clear_end_date=True))


def test_the_details_of_a_decommissioned_client_are_closed() -> None:
    assert isinstance(refusal(tenant(DECOMMISSIONED), Edit(end_date=LAST_DAY)), IllegalTransition)
