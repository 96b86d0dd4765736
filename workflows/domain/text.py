"""Text that people and other services give: what can be written down, read again and shown to somebody else.

Nothing here may come out otherwise in a later replay, under a newer Python with newer tables of Unicode. So which
characters are refused, or count as blanks, are lists of code points; and only characters of Unicode 3.2 are composed or
folded, which every Python knows (``ucd_3_2_0``) and of which Unicode's stability policy says that it stays so for good.
"""

import re
import unicodedata
from collections.abc import Callable
from itertools import groupby

from workflows.domain.errors import InvalidField

GRAMMAR = 2
"""How messages to a client are read (wire/grammar.py), and its holds told apart (domain/holds.py), from now on: a value
in the state of each, which a renewal raises."""
OF_0_1 = 1
"""The grammar of 0.1.0."""
LONGEST_FOREIGN = 500
"""Characters of one text of another system that are kept."""

_CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029"
_DIRECTION = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # they turn the order of what is read (CVE-2021-42574)
_UNSEEN = r"\xad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u2060-\u2065\u206a-\u206f\u3164\ufeff\uffa0"
_NOT_TEXT = r"\ud800-\udfff\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"

# Persian, Sinhala, Malayalam and emoji are written with joiners between their letters; elsewhere nobody sees them.
_JOINED = (
    r"[\u0600-\u109f\u1780-\u1cff\u2600-\u27bf\ua800-\uabff\ufb50-\ufdff\ufe0f\ufe70-\ufefc"
    r"\U00010a00-\U00011fff\U0001f000-\U0001faff]"
)
_STRAY_JOINER = rf"(?:(?<!{_JOINED})[\u200c\u200d]|[\u200c\u200d](?!{_JOINED}))"

_BLANKS = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
# What shows nothing by itself: blanks, an empty Braille cell, selectors, joiners, and accents without a letter.
_UNINKED = re.compile(rf"[{_BLANKS}\u2800\ufe00-\ufe0f\u200c\u200d\u0300-\u036f]*")
_LATER = str.maketrans({"\u1e9e": "ss"})  # the capital sharp s, the one letter of a living alphabet since Unicode 3.2

_HIDDEN = re.compile(rf"[{_CONTROL}{_DIRECTION}{_UNSEEN}{_NOT_TEXT}]|{_STRAY_JOINER}")
_NAMES = {"\0": "NUL", "\t": "tab", "\n": "line feed", "\r": "carriage return", "\x1b": "escape", "\x7f": "delete"}
_LINE_ENDS = "\n\r\t"


def written(text: str, longest: int) -> bool:
    """Whether a name or label has letters, at most so many, and no control characters (line ends, NUL, …).

    What is kept is read with this rule, also in years; what is given now must pass ``check_text`` as well.
    """
    return bool(text.strip()) and len(text) <= longest and not any(ord(c) < 32 or ord(c) == 127 for c in text)


def hidden_in(text: str, *, lines: bool = False) -> str | None:
    """The first character of a text that nobody would see, named: ``U+202E, right-to-left override``.

    Control characters, those that turn the direction of reading, and those without any width. With ``lines``, line ends
    and tabs may be in it, as in a reason. None: there is none.
    """
    for found in _HIDDEN.finditer(text):
        char = found[0]
        if not (lines and char in _LINE_ENDS):
            unnamed = "a control character" if char < "\xa0" else "no character"
            return f"U+{ord(char):04X}, {_NAMES.get(char) or unicodedata.name(char, unnamed).lower()}"
    return None


def trimmed(text: str) -> str:
    """The text without blanks and line ends around it."""
    return text.strip(_BLANKS)


def composed(text: str) -> str:
    """The text in normal form C, as every Python composes it: the same text looks and compares the same."""
    return _stable(text, lambda part: unicodedata.normalize("NFC", part))


def folded(text: str) -> str:
    """What must be unique, or is looked up, is compared by this: without blanks around it, without case, composed.

    ``Billing``, ``BILLING`` and `` billing `` are one; accents tell words apart.
    """

    def caseless(part: str) -> str:  # canonical caseless matching: Unicode, section 3.13, D145
        apart = unicodedata.normalize("NFD", unicodedata.normalize("NFD", part).casefold())
        return unicodedata.normalize("NFC", apart)

    return _stable(trimmed(text).translate(_LATER), caseless)


def has_visible(text: str) -> bool:
    """Whether a text has at least one character that one sees."""
    return _UNINKED.fullmatch(text) is None


def _stable(text: str, change: Callable[[str], str]) -> str:
    """The text with this change of its parts, but for characters that a newer Unicode may see otherwise."""
    if text.isascii():
        return change(text)
    return "".join(change("".join(part)) if known else "".join(part) for known, part in groupby(text, _known))


def _known(char: str) -> bool:
    return unicodedata.ucd_3_2_0.category(char) != "Cn"


def check_text(text: str, field: str, *, lines: bool = False) -> None:
    """Raises InvalidField for text with a character that nobody would see (``hidden_in``)."""
    if hidden := hidden_in(text, lines=lines):
        raise InvalidField(f"The {field} contains a character that cannot be seen: {hidden}", "Leave it out", field)


def visible(text: str) -> str:
    """The text with every hidden character replaced by a visible mark. Line ends and tabs stay."""
    return _HIDDEN.sub(lambda found: found[0] if found[0] in _LINE_ENDS else "\N{REPLACEMENT CHARACTER}", text)


def safe_text(text: str, longest: int = LONGEST_FOREIGN) -> str:
    """Text of another system on one line, cut to length: nothing in it is hidden, and it can be encoded.

    Only for what is recorded, an activity's answer or error: composed forms (NFC) are those of this Unicode version.
    """
    head = text[: 20 * longest]
    line = " ".join(_HIDDEN.sub(lambda found: " " if found[0] < "\xa0" else "", head).split())
    line = unicodedata.normalize("NFC", line)
    return line if len(line) <= longest and len(head) == len(text) else f"{line[: longest - 1]}…"
