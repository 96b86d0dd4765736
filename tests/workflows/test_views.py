"""What the views say of a state: what becomes of plans, what is proven and since when, who asked."""

import sys
from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.support.builders import (
    AFTER_LAST_DAY,
    LAST_DAY,
    LINE,
    NOW,
    RESIDENTIAL,
    SECOND,
    START,
    dated,
    in_directory,
    leaving,
    prove,
    starting,
    tenant,
)
from workflows.domain.client.client import Client
from workflows.domain.commands import (
    ChangeServices,
    Decommission,
    MarkDone,
    Suspend,
    Unsuspend,
)
from workflows.domain.lifecycle import Status
from workflows.domain.provisioning.standing import Doubt, Found, Limits, Proof
from workflows.domain.services import Internet, Line, Services
from workflows.domain.state import ClientState
from workflows.domain.systems import INTERNET, TELEPHONY, System
from workflows.wire.views import ClientView, SubjectView, SystemView

LATER = NOW + timedelta(days=9)


def after(client: Client) -> dict[str, str | None]:
    """What the view says of the status after each planned change."""
    view = ClientView.of(in_directory(client), NOW)
    return {plan.kind: plan.status_after and plan.status_after.value for plan in view.planned}


# -- what becomes of plans --------------------------------------------------------------------------------------------


def test_a_plan_after_the_decommission_will_not_come() -> None:
    client = tenant()
    client.obey(Suspend(at=AFTER_LAST_DAY + timedelta(days=99)), NOW)
    client.obey(dated(Decommission(last_day=LAST_DAY)), NOW)
    assert after(client) == {"decommission": "decommissioned", "suspend": None}


def test_a_client_held_by_two_stays_suspended_when_one_of_them_lets_go() -> None:
    client = tenant(Status.SUSPENDED)
    client.obey(Suspend(source="security"), NOW)
    client.obey(Unsuspend(source="billing", at=LATER), NOW)
    assert after(client) == {"unsuspend": "suspended"}
    client.obey(Unsuspend(source="all", at=LATER), NOW)
    assert after(client) == {"unsuspend": "active"}


def test_a_new_client_is_suspended_only_once_it_is_activated() -> None:
    client = tenant(Status.NEW)
    client.obey(dated(Suspend(source="billing", last_day=START - timedelta(days=60))), NOW)
    assert after(client) == {"suspend": "new", "activate": "suspended"}


def test_a_plan_that_will_be_refused_has_no_status_after_it() -> None:
    client = tenant()
    client.obey(ChangeServices(remove_lines=(SECOND.number,), at=LATER), NOW)
    client.obey(ChangeServices(remove_lines=(SECOND.number,)), NOW)
    assert after(client) == {"change_services": None}


def test_what_changes_the_status_no_more_keeps_it() -> None:
    client = leaving()
    client.obey(Unsuspend(at=LATER), NOW)
    assert after(client) == {"unsuspend": "active", "decommission": "decommissioned"}


@pytest.mark.parametrize("status", [Status.ACTIVE, Status.NEW, Status.SUSPENDED])
def test_foreseeing_changes_nothing(status: Status) -> None:
    client = leaving(status)
    state = in_directory(client)
    before = ClientView.of(state, NOW)
    written, revision, plans = state.journal.written, client.revision, list(client.schedule)
    assert state.foreseen
    assert (state.journal.written, client.revision, list(client.schedule)) == (written, revision, plans)
    assert ClientView.of(state, NOW) == before


def test_a_client_without_plans_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    state = in_directory(tenant())
    monkeypatch.setattr("workflows.domain.foresight.copy_of", lambda _: pytest.fail("a copy was made"))
    assert ClientView.of(state, NOW).planned == []


def test_foreseeing_costs_as_little_with_very_many_lines() -> None:
    """Lines are not copied: as many calls are made for a thousand of them as for two."""
    few, many = (
        in_directory(leaving(services=Services(RESIDENTIAL.type, lines, Internet(100, 20))))
        for lines in (tuple(Line(f"+4420794{n:05}", "3.12") for n in range(how_many)) for how_many in (2, 1000))
    )
    assert few.foreseen  # what is remembered from the first time on is no cost
    assert 0 < calls(lambda: many.foreseen) == calls(lambda: few.foreseen)


def calls(do: Callable[[], object]) -> int:
    """How many functions are called meanwhile."""
    made = 0

    def count(_: object, event: str, __: object) -> None:
        nonlocal made
        made += event in {"call", "c_call"}

    sys.setprofile(count)
    try:
        do()
    finally:
        sys.setprofile(None)
    return made


# -- what is proven, and since when -----------------------------------------------------------------------------------


def system_of(state: ClientState, system: System = TELEPHONY) -> SystemView:
    return next(view for view in ClientView.of(state, NOW).systems if view.system == system)


def line_of(state: ClientState, number: str = LINE.number) -> SubjectView:
    return next(subject for subject in system_of(state).subjects if subject.subject == number)


def test_the_proof_of_on_is_no_proof_of_off() -> None:
    state = in_directory(tenant())
    prove(state)
    assert line_of(state).proven_at == NOW
    state.obey(Suspend(), NOW)
    undone = line_of(state)
    assert (undone.desired, undone.actual, undone.state, undone.proven_at) == ("off", "on", "changing", None)
    state.provisioning.begin(TELEPHONY)
    state.failed(TELEPHONY, "refused", NOW, 1.0)
    unknown = line_of(state)
    assert (unknown.desired, unknown.actual, unknown.state, unknown.proven_at) == ("off", "unknown", "changing", None)
    prove(state, TELEPHONY, now=LATER)
    assert (line_of(state).state, line_of(state).proven_at) == ("proven", LATER)


def test_new_rates_are_not_proven_by_the_old_ones() -> None:
    state = in_directory(tenant())
    prove(state)
    state.obey(ChangeServices(internet=Internet(500, 100)), NOW)
    (account,) = system_of(state, INTERNET).subjects
    assert (account.desired, account.actual, account.state, account.proven_at) == ("on", "on", "changing", None)


def test_a_line_that_is_as_decided_keeps_its_proof_while_another_one_fails() -> None:
    state = in_directory(tenant())
    prove(state)
    state.obey(Suspend(), NOW)
    state.provisioning.begin(TELEPHONY)
    doubts = {SECOND.number: Doubt(Proof.FAILED, "the row is refused")}
    state.found(
        TELEPHONY,
        dict(state.provisioning.systems[TELEPHONY].wanted),
        Found(state.client.revision, LATER, doubts=doubts),
        1.0,
    )
    assert line_of(state).proven_at == LATER
    assert (line_of(state, SECOND.number).state, line_of(state, SECOND.number).proven_at) == ("failed", None)


# -- done by hand -----------------------------------------------------------------------------------------------------


def by_hand(note: str = "pulled the plug, ticket 4711") -> ClientState:
    state = in_directory(tenant(), Limits())
    prove(state)
    state.obey(Suspend(), NOW)
    state.provisioning.begin(TELEPHONY)
    state.failed(TELEPHONY, "no answer", NOW, 1.0)
    state.obey(MarkDone(system=TELEPHONY, reason=note, by="olga"), LATER)
    return state


def test_the_note_of_who_did_it_by_hand_is_the_evidence() -> None:
    state = by_hand()
    system = system_of(state)
    assert (system.method, system.by, system.note) == ("by hand", "olga", "pulled the plug, ticket 4711")
    assert {subject.subject: subject.seen for subject in system.subjects} == {
        LINE.number: {"note": "pulled the plug, ticket 4711"},
        SECOND.number: {"note": "pulled the plug, ticket 4711"},
    }
    assert system_of(state, INTERNET).note == ""


def test_a_note_is_no_evidence_of_what_was_decided_afterwards() -> None:
    state = by_hand()
    state.obey(Unsuspend(), LATER)
    assert [subject.seen for subject in system_of(state).subjects] == [{}, {}]
    state.provisioning.begin(TELEPHONY)
    doubts = {SECOND.number: Doubt(Proof.FAILED, "the row is refused")}
    found = Found(state.client.revision, LATER + timedelta(hours=1), doubts=doubts)
    state.found(TELEPHONY, dict(state.provisioning.systems[TELEPHONY].wanted), found, 1.0)
    assert [subject.seen for subject in system_of(state).subjects] == [{}, {}], "one was seen, the other one failed"
    prove(state, TELEPHONY, now=LATER + timedelta(hours=2))
    assert (system_of(state).note, system_of(state).by) == ("", "")


# -- who asked --------------------------------------------------------------------------------------------------------


def test_the_first_line_of_the_history_says_who_created_the_client() -> None:
    client = Client("acme", "Acme Ltd", "thames", "Europe/London", RESIDENTIAL, starting(START), NOW)
    (line,) = ClientState.of_new(client, Limits(), created_by="c1", by="olga").journal.waiting
    assert (line.by, line.command_id, line.kind) == ("olga", "c1", "create")
