"""Reads lines from Kamailio's tables: their rows and registrations in every spelling, and their other names."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import asyncpg

from activities.database import Database
from activities.fence import Owner
from activities.secrets import sip_username
from activities.telephony import sql
from activities.telephony.observation import LineObservation, LineRow, OtherName, Registration
from activities.telephony.spelling import forms_of, spellings


@dataclass(frozen=True)
class DesiredLine:
    """A line of a client, as it should be."""

    number: str
    client_id: str
    on: bool


@dataclass(frozen=True)
class LineTables:
    """The lines of one SIP domain, in a system whose national numbers are those of ``country``."""

    database: Database
    domain: str
    country: str

    async def read(
        self, desired: Sequence[DesiredLine], *, alive: bool = False
    ) -> tuple[list[LineObservation], dict[str, int]]:
        """These lines as any other connection sees them now, and the newest revision of each of their clients; of those
        that should be off with ``alive`` only what lives, or is another client's.

        One statement, and another one for those that should be off, where the system has tables of other names.
        """
        ours, numbers = {(it.client_id, it.number): it for it in desired}, [it.number for it in desired]
        values = numbers, [it.client_id for it in desired], *forms_of({*numbers}, self.country)
        first, *_ = rows = await self.database.read(sql.ALIVE if alive else sql.READ, *values)
        rows = [row for row in rows if row["number"] is not None]
        lines = [self._line(row, ours[row["asked_for"], row["number"]]) for row in rows]
        newest = {row["asked_for"]: row["newest"] or 0 for row in rows}
        tables: dict[str, bool] = first["other_names"] or {}
        if tables and not all(it.on for it in desired):
            lines = await self._with_other_names(lines, desired, tables)
        return lines, newest

    async def _with_other_names(
        self, lines: list[LineObservation], desired: Sequence[DesiredLine], tables: Mapping[str, bool]
    ) -> list[LineObservation]:
        """The lines with the other names of those that should be off; also lines that only live by these."""
        off = sorted({it.number for it in desired if not it.on})
        names = await self.other_names(self.database, [it for it, readable in tables.items() if readable], off)
        unread = sorted(it for it, readable in tables.items() if not readable)
        seen = {(line.client_id, line.number) for line in lines}
        more = [it for it in desired if it.number in names and (it.client_id, it.number) not in seen]
        lines = lines + [
            LineObservation(it.number, self._usual(it.number), (), (), None, it.client_id, it.on) for it in more
        ]
        return [
            line if line.should_be_on else replace(line, other_names=names.get(line.number, ()), unread=unread)
            for line in lines
        ]

    def aors(self, number: str, logins: Iterable[str] = ()) -> set[str]:
        """Whom servers may have registered of a line: its ``logins`` (username@domain), and the usual spellings in our
        domain."""
        split = [name.rpartition("@") for name in logins]
        known = {f"{username}@{domain or self.domain}" for username, _, domain in split}
        return known | {f"{name}@{self.domain}" for name in spellings(number, self.country).usual}

    async def other_names(
        self, where: Database | asyncpg.Connection, tables: Sequence[str], numbers: Sequence[str]
    ) -> dict[str, list[OtherName]]:
        """The other names of these lines in these tables, which can be read."""
        if not tables:
            return {}
        statement, forms = sql.other_names(list(tables)), forms_of(numbers, self.country)
        fetch = where.read if isinstance(where, Database) else where.fetch
        found: dict[str, list[OtherName]] = {}
        for row in await fetch(statement, *forms):
            found.setdefault(row["number"], []).append(OtherName(row["source"], row["name"], row["target"]))
        return found

    def _line(self, row: asyncpg.Record, desired: DesiredLine) -> LineObservation:
        number = row["number"]
        return LineObservation(
            number,
            self._usual(number),
            [LineRow(username, domain, bool(on), certain) for username, domain, on, certain in row["rows"]],
            [Registration(*it) for it in row["registered"]],
            Owner.of(row),
            desired.client_id,
            desired.on,
        )

    def _usual(self, number: str) -> str:
        return f"{sip_username(number)}@{self.domain}"
