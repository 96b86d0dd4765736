"""The same command twice: one answer, one entry, one mark (PRODUCT.md section 3)."""

from dataclasses import field, make_dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import TypeAdapter

from tests.support.builders import (
    NOW,
    in_directory,
    tenant,
)
from workflows.domain.answers import Answer, fingerprint
from workflows.domain.commands import (
    Decommission,
    Edit,
    Suspend,
    Unsuspend,
)
from workflows.domain.errors import (
    CommandIdReused,
    Refusal,
)


def test_the_same_command_twice_gives_the_same_answer_and_one_entry() -> None:
    state = in_directory(tenant())
    command = Suspend(source="billing", command_id="c1")
    first = state.obey(command, NOW)
    written, revision = state.journal.written, state.client.revision
    second = state.obey(command, NOW + timedelta(hours=1))
    assert first == second
    assert first.changed
    assert (state.journal.written, state.client.revision) == (written, revision)


def test_a_repeated_command_is_answered_even_if_it_would_be_refused_by_now() -> None:
    state = in_directory(tenant())
    first = state.obey(Suspend(command_id="c1"), NOW)
    state.obey(Decommission(), NOW)
    state.check(Suspend(command_id="c1"), NOW)
    assert state.obey(Suspend(command_id="c1"), NOW) == first


def test_one_command_id_for_two_commands_is_refused_with_the_status() -> None:
    state = in_directory(tenant())
    state.obey(Suspend(command_id="c1"), NOW)
    with pytest.raises(CommandIdReused) as refused:
        state.obey(Unsuspend(command_id="c1"), NOW)
    assert refused.value.field == "command_id"
    assert refused.value.situation.status == "suspended"


def test_one_command_id_for_two_commands_is_refused_while_the_first_still_waits_for_the_directory() -> None:
    state = in_directory(tenant())
    waiting = Edit(billing_ref="B-2", command_id="c1")
    state.claim(waiting)
    state.check(waiting, NOW)
    with pytest.raises(CommandIdReused):
        state.check(Edit(billing_ref="B-3", command_id="c1"), NOW)


def test_a_command_without_an_id_is_a_new_one_each_time() -> None:
    state = in_directory(tenant())
    assert state.obey(Suspend(), NOW).changed
    assert state.obey(Unsuspend(), NOW).changed
    assert state.obey(Suspend(), NOW).changed


def test_a_command_is_known_by_the_same_mark_in_every_process() -> None:
    assert fingerprint(Edit(name="Other", command_id="e1")) == "700fd9ce5b4458fc"


def test_a_field_that_a_later_version_adds_leaves_the_mark_of_older_commands() -> None:
    later = make_dataclass("Later", [("note", str | None, None)], bases=(Edit,), frozen=True, kw_only=True)
    assert fingerprint(later(name="Other")) == fingerprint(Edit(name="Other"))
    assert fingerprint(later(name="Other", note="")) != fingerprint(later(name="Other"))


def test_a_table_that_a_later_version_adds_leaves_the_mark_of_older_commands() -> None:
    tags: tuple[str, object, Any] = ("tags", dict[str, str], field(default_factory=dict))
    later = make_dataclass("Later", [tags], bases=(Edit,), frozen=True, kw_only=True)
    assert fingerprint(later(name="Other")) == fingerprint(Edit(name="Other"))


def test_a_refusal_of_a_later_kind_that_was_remembered_is_a_refusal() -> None:
    state = in_directory(tenant())
    command = Suspend(command_id="c1")
    facts = {**Refusal("Not so").typed_facts, "type": "InventedLater"}
    state.recent.append(Answer("c1", fingerprint(command), False, "Not so.", "suspend", 1, facts))
    with pytest.raises(Refusal, match="Not so"):
        state.check(command, NOW)


def test_what_is_cleared_and_what_is_left_out_have_marks_of_their_own() -> None:
    marks = {fingerprint(edit) for edit in (Edit(), Edit(billing_ref=""), Edit(clear_end_date=True), Edit(name=""))}
    assert len(marks) == 4
    assert len({fingerprint(command) for command in (Suspend(), Unsuspend(), Decommission())}) == 3


def test_one_command_has_one_fingerprint_however_its_time_was_read() -> None:
    """A renewal reads times by another library's zone objects than the caller's."""
    command = Suspend(at=datetime(2027, 1, 1, tzinfo=UTC), command_id="c1")
    read = Suspend(at=datetime.fromisoformat("2027-01-01T00:00:00+00:00"), command_id="c1")
    from_json = Suspend(command_id="c1", at=_from_json("2027-01-01T00:00:00Z"))
    assert fingerprint(command) == fingerprint(read) == fingerprint(from_json)
    assert fingerprint(command) != fingerprint(Suspend(at=datetime(2027, 1, 2, tzinfo=UTC), command_id="c1"))
    assert fingerprint(command) != fingerprint(Unsuspend(at=command.at, command_id="c1"))


def _from_json(text: str) -> datetime:
    return TypeAdapter(datetime).validate_json(f'"{text}"')
