"""Telephone numbers as people write and read them: national ones, ranges, pasted lists, and ``+44 20 7946 0310``."""

import re
from collections.abc import Iterator
from functools import lru_cache

import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat

MOST = 500
"""Numbers of one list."""

WITH_PLUS = re.compile(r"^\+[0-9 ()./-]{6,40}$")
NATIONAL = re.compile(r"^[0-9(][0-9 ()./-]{2,40}$")
IN_TEXT = re.compile(r"(?<![\w+])\+[1-9][0-9]{6,14}(?![0-9])")
RANGE = re.compile(r"(.+?) ?(?:\.{2,3}|…) ?(\+?[0-9 ]+)|(.+?[0-9)]) ?[-\u2013\u2014] ?(\+?[0-9 ]+)")
FEW_DIGITS = 6  # fewer than any number has that people give as one
LONGEST_ENTRY = 120

LIKE_THIS = "Write a number as +442079460310, a range as +442079460310-0329; an office after a tab, or after @"


def e164(text: str, country: str | None = None) -> str | None:
    """A number as somebody typed it, in E.164; without a plus it is one of this country (ISO 3166). None: it cannot
    exist."""
    text = text.strip()
    region = None if WITH_PLUS.match(text) else country
    if (region is None and not WITH_PLUS.match(text)) or (region and not NATIONAL.match(text)):
        return None
    try:
        number = phonenumbers.parse(text, region)
    except NumberParseException:
        return None
    valid = phonenumbers.is_valid_number(number)
    return phonenumbers.format_number(number, PhoneNumberFormat.E164) if valid else None


@lru_cache(4096)
def phone_word(number: str) -> str:
    """A number in E.164 as people read it: ``+44 20 7946 0310``."""
    try:
        return phonenumbers.format_number(phonenumbers.parse(number), PhoneNumberFormat.INTERNATIONAL)
    except NumberParseException:
        return number


def phones_in(text: str) -> str:
    """A sentence with its numbers as people read them."""
    return IN_TEXT.sub(lambda found: phone_word(found[0]), text)


def read_lines(text: str, country: str | None = None) -> list[tuple[str, str | None]]:
    """The numbers, in E.164, and offices of a list: numbers and ranges, with commas or line ends between them, and an
    office after each that has one, as copied from a spreadsheet. An office of a range is that of each of its numbers.

    Raises ValueError, which names the entry that is wrong, and what to do; nothing of the list counts then.
    """
    lines: list[tuple[str, str | None]] = []
    for place, (entry, numbers, office) in enumerate(_entries(text, country), 1):
        here = f"Entry {place}, {entry[:60]!r},"
        if not numbers:
            raise ValueError(f"{here} is neither a number that can exist nor a range. {LIKE_THIS}")
        if twice := next((number for number in numbers if number in dict(lines)), None):
            raise ValueError(f"{here} gives {phone_word(twice)} again. Give each number once")
        lines += [(number, office or None) for number in numbers]
        if len(lines) > MOST:
            raise ValueError(f"Up to entry {place} there are {len(lines)} numbers. Give at most {MOST} at once")
    return lines


def _entries(text: str, country: str | None) -> Iterator[tuple[str, list[str], str]]:
    """Each entry as it is written, its numbers (none: it is not right) and its office."""
    for line in filter(None, map(str.strip, text.splitlines())):
        if "\t" in line:
            first, *rest = [part.strip() for part in line.split("\t")]
            yield line, _numbers(first, country), next(filter(None, rest), "")
            continue
        parts = [part for part in map(str.strip, re.split("[,;]", line)) if part]
        while parts:
            part = parts.pop(0)
            numbers, office = _with_office(part, country)
            if numbers and not office and parts and _is_office(parts[0], country):
                office = parts.pop(0)
            yield part, numbers, office


def _is_office(text: str, country: str | None) -> bool:
    """Whether what follows a number is no number, nor meant as one."""
    few = sum(char.isdigit() for char in text) <= FEW_DIGITS
    return few and not text.startswith("+") and not _numbers(text, country)


def _with_office(part: str, country: str | None) -> tuple[list[str], str]:
    """``NUMBER``, ``NUMBER@OFFICE``, or ``NUMBER OFFICE`` where only one way to part them gives a number."""
    number, at, office = part.partition("@")
    if at:
        return (_numbers(number, country) if office.strip() else []), office.strip()
    if numbers := _numbers(part, country):
        return numbers, ""
    words = part.split() if len(part) <= LONGEST_ENTRY else []
    ways = [(_numbers(" ".join(words[:n]), country), " ".join(words[n:])) for n in range(1, len(words))]
    right = [way for way in ways if way[0]]
    return right[0] if len(right) == 1 else ([], "")


def _numbers(text: str, country: str | None) -> list[str]:
    """The number, or all of a range; none when it is neither, or one of them cannot exist."""
    text = text.strip()
    if number := e164(text, country):
        return [number]
    found = RANGE.fullmatch(text) if len(text) <= LONGEST_ENTRY else None
    if found is None:
        return []
    begin, end = (found[1], found[2]) if found[1] else (found[3], found[4])
    first = e164(begin, country)
    digits = re.sub(r"\s", "", end)
    if first is None:
        return []
    last = e164(digits, country) if digits.startswith("+") or len(digits) >= len(first) - 3 else None
    last = last or (f"{first[: len(first) - len(digits)]}{digits}" if digits.isdecimal() else "")
    if len(last) != len(first):
        return []
    numbers = [f"+{number}" for number in range(int(first), min(int(last), int(first) + MOST) + 1)]
    return numbers if all(map(e164, numbers)) else []
