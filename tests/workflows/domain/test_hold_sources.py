"""Holds are told apart without case, by a rule that a client has from its creation or its next renewal on."""

from dataclasses import replace

import pytest

from tests.support.builders import NOW, in_directory, refusal, tenant, unchanged
from workflows.domain.commands import Suspend, Unsuspend
from workflows.domain.errors import InvalidField
from workflows.domain.lifecycle import Status
from workflows.domain.provisioning.standing import Limits
from workflows.domain.state import FORMAT, ClientState
from workflows.domain.text import GRAMMAR

ALIKE = ["billing", "BILLING", "Billing"]


@pytest.mark.parametrize("source", ALIKE)
@pytest.mark.parametrize("lifts", ALIKE)
def test_a_hold_is_one_whatever_its_case_is_shown_as_typed_and_any_spelling_lifts_it(source: str, lifts: str) -> None:
    client = tenant(grammar=GRAMMAR)
    client.obey(Suspend(source="Billing", reason="invoice 1042 unpaid"), NOW)
    unchanged(client, Suspend(source=source, reason="invoice 1042 unpaid"))
    client.obey(Suspend(source=source, reason="invoice 1043 unpaid"), NOW)
    assert [(hold.source, hold.reason) for hold in client.holds.values()] == [("Billing", "invoice 1043 unpaid")]
    client.obey(Unsuspend(source=lifts), NOW)
    assert (client.holds, client.status) == ({}, Status.ACTIVE)


@pytest.mark.parametrize(
    ("typed", "lifts"), [("Caf\u00e9", "CAFE\u0301"), ("Straße", "STRASSE"), ("\u212bngström", "ÅNGSTRÖM")]
)
def test_a_source_in_another_normal_form_is_the_same(typed: str, lifts: str) -> None:
    client = tenant(grammar=GRAMMAR)
    client.obey(Suspend(source=typed), NOW)
    client.obey(Unsuspend(source=lifts), NOW)
    assert client.status is Status.ACTIVE


@pytest.mark.parametrize("every", ["all", "All", "ALL"])
def test_the_word_for_every_source_is_reserved_in_any_case(every: str) -> None:
    client = tenant(grammar=GRAMMAR)
    assert isinstance(refusal(client, Suspend(source=every)), InvalidField)
    client.obey(Suspend(source="billing"), NOW)
    client.obey(Suspend(source="security"), NOW)
    client.obey(Unsuspend(source=every), NOW)
    assert client.status is Status.ACTIVE


def test_a_client_from_before_goes_by_its_own_rule_until_it_is_renewed_and_then_either_lifts_both() -> None:
    state = in_directory(tenant())
    state.client.obey(Suspend(source="Billing"), NOW)
    state.client.obey(Suspend(source="billing"), NOW)
    state.client.obey(Suspend(source="ALL"), NOW)
    assert set(state.client.holds) == {"Billing", "billing", "ALL"}
    state.client.obey(Unsuspend(source="ALL"), NOW)
    assert set(state.client.holds) == {"Billing", "billing"}
    state.renew()
    assert set(state.client.holds) == {"Billing", "billing"}
    state.client.obey(Unsuspend(source="BILLING"), NOW)
    assert state.client.status is Status.ACTIVE


def test_a_new_client_and_a_renewed_one_have_the_newest_rule() -> None:
    assert tenant().grammar == 1  # as a state of 0.1.0, which has no such field
    assert ClientState.of_new(tenant(Status.NEW), Limits()).client.grammar == GRAMMAR
    old = replace(in_directory(tenant()), format=1)
    old.renew()
    assert (old.format, old.client.grammar) == (FORMAT, GRAMMAR)
