"""Tags, external ids and notes of a client (PRODUCT.md section 2)."""

from typing import Any

import pytest

from tests.support.builders import NOW, in_directory, tenant
from workflows.domain.answers import fingerprint
from workflows.domain.client.labels import MOST_LABELS
from workflows.domain.commands import Decommission, Edit, Note
from workflows.domain.errors import InvalidField
from workflows.domain.journal import LONGEST_TEXT, Event
from workflows.domain.preview import preview
from workflows.domain.state import ClientState

ACCENT = "Cafe\N{COMBINING ACUTE ACCENT}"


def labelled_client() -> ClientState:
    state = in_directory(tenant())
    state.obey(Edit(tags=("VIP", "late"), external_ids={"CRM": "4711"}), NOW)
    return state


def test_two_callers_who_add_and_remove_tags_do_not_undo_each_other() -> None:
    state = labelled_client()
    first = state.obey(Edit(add_tags=("garden",)), NOW)
    state.obey(Edit(add_tags=("roof",), remove_tags=("LATE",)), NOW)
    assert state.client.tags == ["VIP", "garden", "roof"]
    assert first.message == "Edited: tags +garden"
    assert state.obey(Edit(tags=("roof",)), NOW).message == "Edited: tags -VIP -garden"


@pytest.mark.parametrize("again", ["vip", " VIP ", "ViP"])
def test_a_tag_in_other_capitals_is_the_same_tag_and_changes_nothing(again: str) -> None:
    state, revision = labelled_client(), labelled_client().client.revision
    assert not state.obey(Edit(add_tags=(again,)), NOW).changed
    assert (state.client.tags, state.client.revision) == (["VIP", "late"], revision)


def test_labels_are_kept_composed_and_trimmed() -> None:
    state = labelled_client()
    state.obey(
        Edit(tags=(f" {ACCENT} ", "CAF\N{LATIN CAPITAL LETTER E WITH ACUTE}"), external_ids={" erp ": " 7 "}), NOW
    )
    assert state.client.tags == ["Caf\N{LATIN SMALL LETTER E WITH ACUTE}"]
    assert state.client.external_ids == {"CRM": "4711", "erp": "7"}


def test_external_ids_are_merged_and_null_removes_one() -> None:
    state = labelled_client()
    state.obey(Edit(external_ids={"erp": "A-1"}), NOW)
    assert state.client.external_ids == {"CRM": "4711", "erp": "A-1"}
    assert state.obey(Edit(external_ids={"crm": None}), NOW).message == "Edited: external ids -CRM:4711"
    assert state.client.external_ids == {"erp": "A-1"}
    assert not state.obey(Edit(external_ids={"door": None}), NOW).changed


def test_only_an_external_id_that_a_client_does_not_have_is_claimed() -> None:
    state = labelled_client()
    assert state.needs_of(Edit(external_ids={"erp": "1"})).external_ids == ("erp:1",)
    assert not state.needs_of(Edit(external_ids={"crm": "4711"}))
    assert not state.needs_of(Edit(external_ids={"crm": None}, add_tags=("x",)))


@pytest.mark.parametrize(
    ("edit", "field", "words"),
    [
        ({"add_tags": ("",)}, "add_tags", "blank"),
        ({"tags": ("\u3000",)}, "tags", "blank"),
        ({"add_tags": ("a\u202eb",)}, "add_tags", r"U\+202E"),
        ({"add_tags": ("a\nb",)}, "add_tags", "line feed"),
        ({"add_tags": ("a, b",)}, "add_tags", "comma"),
        ({"add_tags": ("x" * 65,)}, "add_tags", "65 characters"),
        ({"add_tags": ("a",), "remove_tags": ("A",)}, "remove_tags", "both"),
        ({"tags": tuple(f"t{n}" for n in range(MOST_LABELS + 1))}, "tags", "21 tags"),
        ({"external_ids": {f"s{n}": "1" for n in range(MOST_LABELS)}}, "external_ids", "21 external ids"),
        ({"external_ids": {"a:b": "1"}}, "external_ids", "colon"),
        ({"external_ids": {"crm": " "}}, "external_ids", "blank"),
        ({"external_ids": {"crm": "1", "Crm": "2"}}, "external_ids", "twice"),
        ({"external_ids": {"": "1"}}, "external_ids", "blank"),
    ],
)
def test_what_is_no_label_is_refused_and_changes_nothing(edit: dict[str, Any], field: str, words: str) -> None:
    state = labelled_client()
    with pytest.raises(InvalidField, match=words) as refused:
        state.obey(Edit(**edit), NOW)
    assert refused.value.field == field
    assert refused.value.remedy
    assert (state.client.tags, state.client.external_ids) == (["VIP", "late"], {"CRM": "4711"})


def test_an_edit_of_before_has_the_fingerprint_that_it_had() -> None:
    assert fingerprint(Edit(name="Acme")) == "4e480f23b3886ad4"


def test_a_preview_shows_what_comes_and_goes() -> None:
    foreseen = preview(labelled_client(), Edit(remove_tags=("late",), external_ids={"erp": "1"}), NOW)
    assert [(it.subject, it.before, it.after) for it in foreseen.effects] == [
        ("tags", "VIP, late", "VIP"),
        ("external ids", "CRM:4711", "CRM:4711, erp:1"),
    ]


@pytest.mark.parametrize("ended", [False, True])
def test_a_note_is_a_line_of_the_history_and_nothing_else(ended: bool) -> None:
    state = labelled_client()
    if ended:
        state.obey(Decommission(), NOW)
    before = state.client.status
    answer = state.obey(Note(text=" rang\ntwice ", by="Ms Doe"), NOW)
    line = state.journal.waiting[-1]
    assert (answer.changed, answer.message) == (True, "Noted")
    assert (line.event, line.kind, line.text, line.by) == (Event.NOTED, "note", "rang\ntwice", "Ms Doe")
    assert state.client.status is before
    assert state.journal.waiting[-2].revision < line.revision == state.client.revision, "who waits finds it"


@pytest.mark.parametrize("text", ["", " \n", "x" * (LONGEST_TEXT + 1), "a\u200bb"])
def test_what_is_no_note_is_refused_and_changes_nothing(text: str) -> None:
    state = labelled_client()
    before = state.client.revision, state.journal.written
    with pytest.raises(InvalidField) as refused:
        state.obey(Note(text=text), NOW)
    assert refused.value.field == "text"
    assert (state.client.revision, state.journal.written) == before


def test_notes_are_counted_by_what_they_take_while_the_directory_is_away() -> None:
    state = labelled_client()
    while not state.journal.full:
        state.obey(Note(text="\N{EURO SIGN}" * LONGEST_TEXT), NOW)
    assert len(state.journal.waiting) < 150
