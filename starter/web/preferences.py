"""The Prefer header (RFC 7240): whether a caller waits for the effect of a command, and how long."""

import re
from collections.abc import Sequence

LONGEST_WAIT = 60  # seconds
USUAL_WAIT = 30  # of `wait` without a number, as the command line waits

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_VALUE = rf'(?:"(?:[^"\\]|\\.)*"|{_WORD})'
_PREFERENCE = re.compile(rf"\s*({_WORD})(?:\s*=\s*({_VALUE}))?(?:\s*;\s*{_WORD}(?:\s*=\s*{_VALUE})?)*")


def preferences(headers: Sequence[str]) -> dict[str, str]:
    """Each preference by its name in small letters; the first of a name counts. What is no preference is ignored."""
    found: dict[str, str] = {}
    for header in headers:
        place = 0
        while place <= len(header):
            if preference := _PREFERENCE.match(header, place):
                found.setdefault(preference[1].lower(), (preference[2] or "").strip('"'))
                place = preference.end()
            comma = header.find(",", place)
            place = comma + 1 if comma >= 0 else len(header) + 1
    return found


def seconds_of(preferred: dict[str, str]) -> int:
    """How long the caller waits, at most LONGEST_WAIT. What is not understood is ignored."""
    if "wait" not in preferred:
        return 0
    value = preferred["wait"].strip()
    if not value:
        return USUAL_WAIT
    number = re.match(r"0*([0-9]+)\b", value)
    return min(int(number[1][:9]), LONGEST_WAIT) if number else 0
