"""No change under workflows/ lands without a word about the clients that live (ARCHITECTURE.md, "What is recorded")."""

from pathlib import Path

import pytest

from tests.replay.change import changes, digest

HERE = Path(__file__).parent


def test_the_newest_change_under_workflows_has_its_history_or_a_reason() -> None:
    newest = changes()[-1]
    assert newest["code"] == digest(), (
        "workflows/ has changed. Record a history with it (python -m tests.replay.record NAME) where it does something "
        'else, and say what it means to living clients: python -m tests.replay.change "why"'
    )


def test_every_change_says_why() -> None:
    assert all(len(change["why"]) > 10 for change in changes())
    assert len({change["code"] for change in changes()}) == len(changes())


def test_histories_are_of_a_release_and_are_never_deleted() -> None:
    recorded = {path.stem for path in (HERE / "histories").glob("*.json")}
    named = {name for change in changes() for name in change.get("histories", [])}
    assert named, "0.1.0 has histories"
    assert named <= recorded


@pytest.mark.parametrize(
    ("before", "after", "same"),
    [
        ("x = 1\n", "x = 1  # a comment\n", True),
        ("x = 1\n", "\n\nx  =  1\n", True),
        ('"""One."""\nx = 1\n', '"""Another."""\nx = 1\n', True),
        ("x = 1\n", "x = 2\n", False),
        ("def f():\n    return 1\n", 'def f():\n    """Words."""\n    return 1\n', True),
    ],
)
def test_words_are_no_change_and_code_is(tmp_path: Path, before: str, after: str, same: bool) -> None:
    for folder, text in (("before", before), ("after", after)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "one.py").write_text(text, encoding="utf-8")
    assert (digest(tmp_path / "before") == digest(tmp_path / "after")) is same
