"""Lines that a Kamailio has: what is seen of those to be taken on, and what there is to mend in all of them."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import phonenumbers

from activities.adopting.belongings import Belonging, Kind, Seen
from activities.adopting.report import first_lines
from activities.database import Database
from activities.secrets import sip_username
from activities.settings import Settings
from activities.telephony import sql
from activities.telephony.observation import doubt_of_new
from activities.telephony.spelling import plain
from activities.telephony.tables import DesiredLine, LineTables

_ALL = "SELECT username, domain FROM subscriber ORDER BY username, domain"


async def look(database: Database, settings: Settings, belongings: Sequence[Belonging]) -> dict[str, Seen]:
    """These lines, by number, as the tables have them."""
    tables = LineTables(database, settings.sip_domain, settings.sip_country)
    lines, _ = await tables.read([DesiredLine(it.name, it.client_id, on=True) for it in belongings])
    unknown = [line.number for line in lines if line.absent]
    there = [row["name"] for row in await database.read(sql.NAMES_THERE)] if unknown else []
    names = await tables.other_names(database, there, unknown)
    seen = {}
    for line in lines:
        owner = line.owner.client_id if line.owner else ""
        doubt = (
            doubt_of_new([it for it in line.rows if not it.certain], names.get(line.number, ()))
            if line.absent
            else None
        )
        found = [f"{row} {'in service' if row.in_service else 'off'}" for row in line.own]
        found += [f"{line.registrations} registered"] if line.own and line.registrations else []
        why = doubt.why.removeprefix("not created: ") if doubt else ""
        seen[line.number] = Seen(owner, ", ".join(found), why, line.known_as)
    return seen


async def survey(database: Database, settings: Settings) -> list[str]:
    """What there is to know, or to mend, of all lines of this system before Connect takes them on."""
    domain, country = settings.sip_domain, settings.sip_country
    logins = defaultdict[str, list[str]](list)
    national = list[str]()
    for row in await database.read(_ALL):
        name = f"{row['username']}@{row['domain']}"
        if number := _number(row["username"], country):
            logins[number].append(name)
        elif plain(row["username"]).isdecimal() and len(plain(row["username"])) > _EXTENSION:
            national.append(name)
    twins = [f"{', '.join(names)} are all {number}" for number, names in logins.items() if len(names) > 1]
    foreign = [
        f"{names[0]} is {number}"
        for number, names in logins.items()
        if len(names) == 1 and names[0] != f"{sip_username(number)}@{domain}"
    ]
    there = [row["name"] for row in await database.read(sql.NAMES_THERE)]
    names = await LineTables(database, domain, country).other_names(database, there, sorted(logins))
    aliases = [f"{number}: {name}" for number, its in names.items() for name in its]
    notes = first_lines("twins: they are switched together; delete those that nobody uses", twins)
    notes += first_lines("otherwise spelt: they are taken on as they are", foreign)
    notes += first_lines("other names of lines: a ceased line is not proven off while they are there", aliases)
    remedy = f"no number of {country}" if country else "in national form? Set CONNECT_SIP_COUNTRY, or they get no line"
    notes += first_lines(remedy, national)
    blind = "calls, and registrations in memory, are not seen: set CONNECT_SIP_RPC_URLS"
    return notes + ([] if settings.sip_rpc_urls.get_secret_value() else [blind])


_EXTENSION = 6
"""Digits of the longest username that is an extension, not a number."""


def _number(username: str, country: str) -> str:
    """The number, in E.164, that a username spells; empty for one that is none, or may be another country's."""
    digits = plain(username)
    if not digits.isdecimal():
        return ""
    international = digits.removeprefix("00") if digits.startswith("00") else digits.removeprefix("011")
    for text, region in _readings(digits, international, country):
        try:
            number = phonenumbers.parse(text, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(number):
            return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return ""


def _readings(digits: str, international: str, country: str) -> Iterable[tuple[str, str | None]]:
    if country:
        yield digits, country
    if not digits.startswith("0") or international != digits:
        yield f"+{international}", None


KIND = Kind("line", ("subscriber", "location", "connect_fence", "dbaliases", "uri"), look, survey)
