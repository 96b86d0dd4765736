"""Telephone numbers as people write and read them: national, ranges, pasted lists, with blanks."""

import pytest

from starter.telephones import MOST, e164, phone_word, phones_in, read_lines

FIRST = 442079460310


def numbers(count: int, office: str | None = None) -> list[tuple[str, str | None]]:
    return [(f"+{FIRST + n}", office) for n in range(count)]


@pytest.mark.parametrize(
    ("typed", "country", "number"),
    [
        ("020 7946 0700", "GB", "+442079460700"),
        ("(020) 7946-0700", "GB", "+442079460700"),
        ("0044 20 7946 0700", "GB", "+442079460700"),
        ("+44 (0)20 7946 0700", None, "+442079460700"),
        ("+44 20 7946 0700", "US", "+442079460700"),
        ("202 555 0123", "US", "+12025550123"),
        ("020 7946 0700", None, None),
        ("020 7946 0700", "US", None),
        ("020 7946 07", "GB", None),
        ("020 7946 0700 x12", "GB", None),
        ("\u0660\u0662\u0660 7946 0700", "GB", None),
        ("", "GB", None),
    ],
)
def test_a_number_is_read_as_people_dial_it_in_the_country(typed: str, country: str | None, number: str | None) -> None:
    assert e164(typed, country) == number


@pytest.mark.parametrize(
    "range_",
    [
        "020 7946 0310-0329",
        "+442079460310..329",
        "+442079460310-29",
        "020-7946-0310 \u2013 0329",
        "+44 20 7946 0310 - +44 20 7946 0329",
        "020 7946 0310 \u2014 020 7946 0329",
        "020 7946 0310...29",
    ],
)
def test_a_range_is_each_of_its_numbers(range_: str) -> None:
    assert read_lines(range_, "GB") == numbers(20)


@pytest.mark.parametrize(
    "pasted",
    [
        "+442079460310\t3.12\n+442079460311\t3.12",
        "020 7946 0310 3.12\r\n020 7946 0311 3.12\r\n\r\n",
        "+442079460310,3.12\n+442079460311;3.12",
        "+442079460310@3.12, 020 7946 0311@3.12",
        "020 7946 0310-0311\t3.12\tnew",
        "020 7946 0310-11 3.12",
        "+442079460310, 3.12, +442079460311, 3.12",
    ],
)
def test_a_list_from_a_spreadsheet_has_an_office_after_each_number(pasted: str) -> None:
    assert read_lines(pasted, "GB") == numbers(2, "3.12")


@pytest.mark.parametrize(
    ("pasted", "words"),
    [
        ("+442079460310, +44207946031", r"Entry 2, '\+44207946031',"),
        ("+442079460310\n+442079460311\nreception", "Entry 3, 'reception',"),
        ("+442079460310, +442079460310", "Entry 2, .* gives .* again"),
        ("+442079460310-12\n+442079460311", "Entry 2, .* again"),
        ("+442079460329-0310", "Entry 1"),
        ("+442079460310-+99", "Entry 1"),
        ("+442079460310..999999999999999999", "Entry 1"),
        ("+442079460310@", "Entry 1"),
        ("\t3.12", "Entry 1"),
        ("020 7946 0310", "Entry 1"),
        ("a " * 50_000, "Entry 1"),
    ],
)
def test_what_is_wrong_in_a_list_is_named_and_nothing_of_it_counts(pasted: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as wrong:
        read_lines(pasted)
    assert len(str(wrong.value)) < 300


def test_a_list_is_not_longer_than_one_change_may_be() -> None:
    assert len(read_lines(f"+442079460000..{MOST - 1:04}")) == MOST
    with pytest.raises(ValueError, match="at most 500"):
        read_lines(f"+442079460000..{MOST:04}")


def test_numbers_are_shown_as_people_read_them_also_in_sentences() -> None:
    assert phone_word("+442079460310") == "+44 20 7946 0310"
    assert phone_word("acme") == "acme"
    assert phones_in("Lines added: +442079460310, +12025550123 in 3.12") == (
        "Lines added: +44 20 7946 0310, +1 202-555-0123 in 3.12"
    )
    assert phones_in("invoice+442079460310 and 1+1") == "invoice+442079460310 and 1+1"
