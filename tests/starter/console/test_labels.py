"""How the console says things."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from starter.console.labels import age_word, label, provisioning_state, with_dates
from starter.contract.catalogue import ONLY_BUILT_IN
from starter.wording import subject_state, system_state
from tests.activities.fixtures import switched
from workflows.domain.systems import TELEPHONY

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)


def test_an_age_is_the_same_before_and_after() -> None:
    assert age_word(NOW - timedelta(minutes=62), NOW) == age_word(NOW + timedelta(minutes=62), NOW) == "1 h 2 min"


def test_systems_are_called_as_operators_call_them() -> None:
    titles = [ONLY_BUILT_IN.title(system) for system in ("telephony", "internet", "mail_boxes")]
    assert titles == ["Telephone lines", "Internet access", "Mail boxes"]


@pytest.mark.parametrize(
    ("state", "method", "provisioning", "words"),
    [
        ("settled", "by hand", "settled", ["Done by hand", "Done by hand"]),
        ("settled", "seen", "settled", ["Settled", "Settled"]),
        ("changing", "by hand", "changing", ["Changing", "Changing"]),
        ("settled", "by hand", "skipped", ["Done by hand", "Skipped"]),
    ],
)
def test_what_was_done_by_hand_is_not_called_settled(
    state: str, method: str, provisioning: str, words: list[str]
) -> None:
    system = SimpleNamespace(state=state, method=method)
    client = SimpleNamespace(provisioning=SimpleNamespace(value=provisioning), systems=[system])
    assert [label(system_state(system)), label(provisioning_state(client))] == words


def test_a_note_is_no_proof() -> None:
    subjects = [SimpleNamespace(state=s, seen=seen) for s in ("proven", "changing") for seen in ({}, {"note": "x"})]
    assert [subject_state(it) for it in subjects] == ["proven", "done_by_hand", "changing", "changing"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("decommission at 2027-04-01 00:00 Europe/London", "decommission at 1 Apr 2027, 00:00 Europe/London"),
        ("2026-03-02 is past. Give a later day", "2 Mar 2026 is past. Give a later day"),
        ("Write 2027-03-01T09:00:00+00:00", "Write 2027-03-01T09:00:00+00:00"),
        ("inv-2026-03-02, 2026-13-45, C2026-03-02x", "inv-2026-03-02, 2026-13-45, C2026-03-02x"),
    ],
)
def test_dates_in_sentences_are_as_everywhere_else(text: str, sentence: str) -> None:
    assert with_dates(text) == sentence


def test_interfaces_call_it_done_by_hand() -> None:
    line = {"subject": "1", "desired": "off", "actual": "off", "proven_at": NOW, "protected": False, "why": ""}
    subjects = [line | {"state": "proven", "seen": seen} for seen in ({}, {"note": "x"})]
    [system] = ONLY_BUILT_IN.present([switched(TELEPHONY, method="by hand", subjects=subjects)])
    assert (system.state, [it.state for it in system.subjects]) == ("done_by_hand", ["proven", "done_by_hand"])
