"""The ways in which a phone system may spell one telephone number as a username.

A system that was there before has its own: ``+442079460001``, ``00442079460001``, ``+44 20 7946-0001``,
``02079460001``. Each is a login of its own to the server, in any domain, so each could let a line in.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from functools import lru_cache

import phonenumbers

from activities.secrets import sip_username

INTERNATIONAL = ("", "00", "011")
"""What is dialled before a country code, or nothing."""

PLAIN = r"regexp_replace({}, '^(sips?|tel):|[@;].*$|\(0\)|[^0-9a-zA-Z]', '', 'gi')"
"""SQL: a username as ``plain`` makes it. The index ``connect_spelling`` is on this expression, so nothing else finds it
(deploy/kamailio/schema.sql, activities/prepare.py)."""

_NOISE = re.compile(r"^(?:sips?|tel):|[@;].*$|\(0\)|[^0-9a-zA-Z]", re.IGNORECASE | re.DOTALL)


def plain(username: str) -> str:
    """A username without scheme, domain, punctuation and blanks."""
    return _NOISE.sub("", username)


@dataclass(frozen=True)
class Spellings:
    """The plain spellings of one number: those that can mean no other, and those that are ``doubtful``, because they
    may be a number of another country. ``usual`` are the usernames that a server's memory is searched for, too."""

    certain: tuple[str, ...]
    doubtful: tuple[str, ...]
    usual: tuple[str, ...]


@lru_cache(maxsize=10_000)
def spellings(number: str, country: str = "") -> Spellings:
    """The spellings of an E.164 number in a system whose national numbers are those of ``country`` (ISO 3166).

    Without a country the national form of the number is doubtful; with another one it is a number of that country.
    """
    digits = sip_username(number)
    certain, usual = [prefix + digits for prefix in INTERNATIONAL], (digits, f"+{digits}", f"00{digits}")
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        return Spellings(tuple(certain), (), usual)
    assert parsed.country_code is not None
    region = phonenumbers.region_code_for_country_code(parsed.country_code)
    trunk = phonenumbers.ndd_prefix_for_region(region, True) or ""
    subscriber = phonenumbers.national_significant_number(parsed)
    if trunk == "0":
        certain.append(f"{parsed.country_code}0{subscriber}")
    national = tuple(it for it in dict.fromkeys([trunk + subscriber, subscriber]) if it not in certain)
    if not country:
        return Spellings(tuple(certain), national, usual)
    if phonenumbers.country_code_for_region(country) != parsed.country_code:
        national = ()
    return Spellings((*certain, *national), (), (*usual, *national))


Forms = tuple[list[str], list[str], list[bool]]
"""Numbers, plain spellings of them, and whether each is certain: three arrays of equal length, for a statement."""


def forms_of(numbers: Collection[str], country: str) -> Forms:
    """All spellings of these numbers."""
    known = [(number, spellings(number, country)) for number in sorted(numbers)]
    rows = [(number, it, True) for number, its in known for it in its.certain]
    rows += [(number, it, False) for number, its in known for it in its.doubtful]
    return [it[0] for it in rows], [it[1] for it in rows], [it[2] for it in rows]
