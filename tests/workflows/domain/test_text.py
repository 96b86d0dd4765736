"""Text is one kind everywhere: composed, trimmed, seen; and keys are compared without case (PRODUCT.md section 2)."""

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.domain.text import composed, folded, has_visible, trimmed

SAME = [
    ("Billing", "billing"),
    ("BILLING", " billing\n"),
    ("Straße", "STRASSE"),
    ("STRA\u1e9eE", "strasse"),
    ("Caf\u00e9", "CAFE\u0301"),
    ("\u0130stanbul", "i\u0307stanbul"),
    ("Ὀδυσσεύς", "ὈΔΥΣΣΕΎΣ"),
    ("Åkesson", "a\u030akesson"),
    ("\u212bkesson", "åkesson"),
    ("Д", "д"),
    ("\u1fb3", "\u0391\u0345"),
]
OTHER = [
    ("cafe", "café"),
    ("billing", "billing2"),
    ("\u0131", "i"),
    ("bill ing", "billing"),
    ("\uff42illing", "billing"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_keys_are_one_whatever_their_case_and_normal_form(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@pytest.mark.parametrize(("one", "other"), OTHER)
def test_other_words_are_other_keys(one: str, other: str) -> None:
    assert folded(one) != folded(other)


@given(st.text())
def test_folding_again_changes_nothing(text: str) -> None:
    assert folded(folded(text)) == folded(text)
    assert folded(composed(text)) == folded(text)
    assert composed(composed(text)) == composed(text)


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_a_text_in_either_normal_form_is_one_text(form: str) -> None:
    assert composed(unicodedata.normalize(form, "Café Müller, Ὀδυσσεύς")) == "Café Müller, Ὀδυσσεύς"  # type: ignore[arg-type]


@pytest.mark.parametrize("later", ["\u2c2f", "\U00010d50", "\ua7cb", "\U0001e900", "\u1c89", "\u0378"])
def test_what_unicode_3_2_does_not_know_is_left_as_it_is(later: str) -> None:
    """Letters, some of them with case, that came later, or that this Python does not know yet: it is asked nothing of
    them, so no newer one can answer otherwise in a replay."""
    assert composed(f"e\u0301{later}E\u0301") == f"é{later}É"
    assert folded(f"E\u0301{later}É") == f"é{later}é"


def test_every_character_that_is_changed_was_known_to_unicode_3_2() -> None:
    for char in map(chr, range(sys.maxunicode + 1)):
        if folded(char) != char and trimmed(char):
            assert unicodedata.ucd_3_2_0.category(char) != "Cn" or char == "\u1e9e"


@pytest.mark.parametrize("blank", ["", " ", "\u3000", "\u2800", "\ufe0f", "\u0301", "\xa0\u2003", "\u200d"])
def test_a_text_of_blanks_shows_nothing(blank: str) -> None:
    assert not has_visible(blank)
    assert has_visible(f"{blank}a")


def test_blanks_of_every_kind_go_from_around_a_text_and_stay_inside() -> None:
    assert trimmed("\u3000\t a\u2003b \r\n") == "a\u2003b"
