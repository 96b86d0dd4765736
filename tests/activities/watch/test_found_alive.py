"""What was found alive is told again until its proof is another, less and less often."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from activities.watch.found_alive import FoundAlive
from workflows.ports import Watched

NOW = datetime(2027, 1, 1, tzinfo=UTC)
LINE, OTHER = Watched("acme", "+441", NOW), Watched("other", "+442", NOW)


def rounds(found_alive: FoundAlive, count: int, *watched: Watched) -> list[int]:
    """In which of so many rounds something was due, and told."""
    found = []
    for n in range(count):
        found_alive.keep(watched)
        due = [*found_alive.due(watched)]
        for it in due:
            found_alive.note_signalled(it.watched)
        found += [n] * bool(due)
    return found


def test_it_is_told_again_after_two_four_and_eight_rounds_though_it_was_seen_once() -> None:
    found_alive = FoundAlive()
    found_alive.note(LINE, "rings", NOW)
    assert rounds(found_alive, 20, LINE, OTHER) == [0, 2, 6, 14]
    assert not found_alive.unsignalled(LINE)


def test_it_is_due_until_it_was_told() -> None:
    found_alive = FoundAlive()
    found_alive.note(LINE, "rings", NOW)
    for _ in range(3):
        found_alive.keep([LINE])
        assert (found_alive.unsignalled(LINE), found_alive.unsignalled(OTHER)) == (True, False)
        assert [(it.watched, it.how, it.at) for it in found_alive.due([LINE])] == [(LINE, "rings", NOW)]
    assert [*found_alive.due([OTHER])] == []


def test_what_is_proven_anew_or_watched_no_more_was_heeded() -> None:
    for heeded in ([replace(LINE, since=NOW + timedelta(seconds=1))], [OTHER]):
        found_alive = FoundAlive()
        found_alive.note(LINE, "rings", NOW)
        assert rounds(found_alive, 9, *heeded) == []


def test_what_was_ended_otherwise_is_due_at_once_when_it_is_seen_again() -> None:
    found_alive = FoundAlive()
    found_alive.note(LINE, "rings", NOW)
    assert rounds(found_alive, 1, LINE) == [0]
    found_alive.forget(LINE)
    found_alive.note(LINE, "rings again", NOW)
    assert rounds(found_alive, 1, LINE) == [0]
