"""Whoever looks from outside finds what the watch never finds, and waits for its rounds, not for seconds."""

from collections.abc import Sequence

from tests.systems.findings import Findings
from tests.systems.gear import Heard, Life

PROOF, INTERIM = 100.0, 4.0


def late() -> Life:
    """A session that was accepted just before the proof, and accounted for 10 s after it."""
    return Life("acme", "s1", "127.0.9.1", PROOF - 2, PROOF - 1, [(PROOF - 1, "1M/1M")], heard=[Heard(109.0, 110.0)])


def findings(*rounds: float) -> Findings:
    return Findings(INTERIM, rounds=[*rounds])


def overdue(it: Findings, life: Life, now: float = 1000.0) -> bool:
    return "is not found" in it.session(life, PROOF, now)


def rounds(first: float, count: int) -> Sequence[float]:
    return [first + n for n in range(count)]


def test_a_session_that_was_accounted_for_late_is_to_be_found_by_rounds_that_began_afterwards() -> None:
    life = late()
    assert not overdue(findings(*rounds(50, 60)), life), "they began before"
    assert not overdue(findings(*rounds(111, 3)), life), "however long ago that is"
    assert overdue(findings(*rounds(111, 4)), life)


def test_a_client_that_heard_of_its_proof_after_it_was_told_is_to_be_told_once_more() -> None:
    life, it = late(), findings(*rounds(111, 10))
    assert overdue(it, life)
    it.unknown(life, PROOF, 120.5, "wrong")
    assert it.false == []
    it.rounds += rounds(121, 10)
    assert not overdue(it, life), "ten rounds were missed: the next signal comes after so many more"
    it.rounds += rounds(131, 4)
    assert overdue(it, life)
    it.unknown(life, PROOF, 140, "wrong")
    assert it.false == ["wrong"]


def test_what_could_be_known_at_the_proof_is_false_at_once() -> None:
    known, let_in = late(), late()
    known.heard = [Heard(PROOF - 0.9, PROOF - 0.5)]
    let_in.asked = PROOF + 1
    for life in (known, let_in):
        it = findings()
        assert it.session(life, PROOF, PROOF + 2) == ""
        assert len(it.false) == 1
