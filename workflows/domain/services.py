"""What a client has contracted: telephone lines and internet access."""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from workflows.domain.errors import (
    InternetNotAllowed,
    InvalidField,
    OfficeMissing,
    OfficeNotAllowed,
    UnknownLine,
)
from workflows.domain.text import written

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
ACCOUNT = re.compile(r"[a-z0-9][a-z0-9-]{1,62}")
LONGEST_OFFICE = 64
MOST_LINES = 1000  # a client is one value that is passed on whole; so are its rooms
HIGHEST_RATE = 1_000_000


class ClientType(StrEnum):
    """Residential clients rent offices in the building; virtual ones have telephone lines alone."""

    RESIDENTIAL = "residential"
    VIRTUAL = "virtual"


@dataclass(frozen=True)
class Line:
    """One telephone number in E.164, in an office (residential) or in none (virtual).

    A protected line (lift, alarm, door entry) stays in service through a suspension.
    """

    number: str
    office: str | None = None
    protected: bool = False

    def __post_init__(self) -> None:
        if not E164.fullmatch(self.number):
            raise InvalidField(
                f"{self.number!r} is not an E.164 number",
                "Write it with a plus and the country code, without spaces: +442079460001",
                field="number",
            )
        if self.office is not None:
            check_office(self.office)


@dataclass(frozen=True)
class Internet:
    """One RADIUS account with its rates in Mbit/s and, optionally, an 802.1Q VLAN id."""

    down_mbps: int
    up_mbps: int
    vlan: int | None = None

    def __post_init__(self) -> None:
        for name, rate in (("down_mbps", self.down_mbps), ("up_mbps", self.up_mbps)):
            if not 1 <= rate <= HIGHEST_RATE:
                raise InvalidField(f"{name} is {rate}", f"Give 1 to {HIGHEST_RATE} Mbit/s", field=name)
        if self.vlan is not None and not 1 <= self.vlan <= 4094:
            raise InvalidField(f"vlan is {self.vlan}", "Give 1 to 4094 (IEEE 802.1Q), or none", field="vlan")


@dataclass(frozen=True)
class Services:
    """All a client has contracted. Always consistent: making one that breaks a rule raises InvalidField.

    ``rooms`` are offices without a telephone line; those with one are derived from the lines.
    """

    type: ClientType
    lines: tuple[Line, ...] = ()
    internet: Internet | None = None
    rooms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        numbers = [line.number for line in self.lines]
        if twice := sorted({number for number in numbers if numbers.count(number) > 1}):
            raise InvalidField(f"{twice[0]} is given twice", "Give each number once", field="lines")
        for field, named in (("lines", self.lines), ("offices", self.rooms)):
            if len(named) > MOST_LINES:
                raise InvalidField(f"{len(named)} {field} are too many", f"Give at most {MOST_LINES}", field=field)
        for room in self.rooms:
            check_office(room)
        if self.type is ClientType.VIRTUAL:
            if self.internet is not None:
                raise InternetNotAllowed(
                    "A virtual client has no in-building internet", "Leave internet out, or convert", field="internet"
                )
            if self.rooms:
                raise OfficeNotAllowed("A virtual client has no office", "Leave offices out", field="offices")
            if line := next((line for line in self.lines if line.office is not None), None):
                raise OfficeNotAllowed(
                    f"{line.number} is given office {line.office}, but a virtual client has none",
                    "Leave the office out",
                    field="lines",
                )
        elif line := next((line for line in self.lines if line.office is None), None):
            raise OfficeMissing(
                f"{line.number} has no office, but every line of a residential client is in one",
                f"Give it an office: {line.number}@3.12",
                field="lines",
            )

    @property
    def numbers(self) -> tuple[str, ...]:
        return tuple(line.number for line in self.lines)

    @property
    def offices(self) -> tuple[str, ...]:
        """Every office, once, in reading order: ``3.2`` before ``3.12``."""
        named = {line.office for line in self.lines if line.office is not None} | set(self.rooms)
        return tuple(sorted(named, key=_reading_order))

    @property
    def office_label(self) -> str:
        """What the Office column shows (PRODUCT.md section 2)."""
        return "Virtual Client" if self.type is ClientType.VIRTUAL else ", ".join(self.offices)

    def changed(
        self,
        add_lines: tuple[Line, ...] = (),
        remove_lines: tuple[str, ...] = (),
        internet: Internet | Literal["keep", "none"] = "keep",
    ) -> "Services":
        """With lines added (or moved to another office), lines removed, and internet access set, kept or ended.

        Raises UnknownLine for a line to remove that the client does not have, InvalidField for a result that breaks
        a rule.
        """
        for number in remove_lines:
            if number not in self.numbers:
                raise UnknownLine(
                    f"The client has no line {number}",
                    f"Its lines: {', '.join(self.numbers) or 'none'}",
                    field="remove_lines",
                )
            if number in [line.number for line in add_lines]:
                raise InvalidField(f"{number} is both added and removed", "Say one of the two", field="remove_lines")
        added = {line.number: line for line in add_lines}
        if len(added) != len(add_lines):
            raise InvalidField("A number is added twice", "Give each number once", field="add_lines")
        kept = [added.pop(line.number, line) for line in self.lines if line.number not in remove_lines]
        try:
            return replace(
                self,
                lines=(*kept, *added.values()),
                internet=self.internet if internet == "keep" else None if internet == "none" else internet,
            )
        except InvalidField as invalid:
            raise replace(invalid, field="add_lines" if invalid.field == "lines" else invalid.field) from None

    def as_virtual(self) -> "Services":
        """Offices and internet end; lines and numbers stay, without an office."""
        return Services(ClientType.VIRTUAL, tuple(replace(line, office=None) for line in self.lines))

    def as_residential(self, placed: tuple[Line, ...], rooms: tuple[str, ...], internet: Internet | None) -> "Services":
        """Every line gets an office; internet may be added.

        ``placed`` says which line goes where; with one office in all, lines not mentioned go there too.
        Raises OfficeMissing without an office, UnknownLine for a number that is not the client's.
        """
        where = {line.number: line.office for line in placed}
        if len(where) != len(placed):
            raise InvalidField("A number is placed twice", "Give each number once", field="lines")
        for number in where:
            if number not in self.numbers:
                raise UnknownLine(
                    f"The client has no line {number}", "Add it first, with a change of services", field="lines"
                )
        offices = {office for office in where.values() if office} | set(rooms)
        if not offices:
            raise OfficeMissing(
                "A residential client has at least one office",
                "Give each line its office" if self.lines else "Give offices",
                field="lines" if self.lines else "offices",
            )
        only = next(iter(offices)) if len(offices) == 1 else None
        lines = tuple(replace(line, office=where.get(line.number) or only) for line in self.lines)
        return Services(ClientType.RESIDENTIAL, lines, internet, rooms)


def difference(before: Services, after: Services) -> str:
    """What is otherwise in the second, as a sentence."""
    had, has = {line.number: line for line in before.lines}, {line.number: line for line in after.lines}
    parts = [f"added {number}" for number in has if number not in had]
    parts += [f"removed {number}" for number in had if number not in has]
    parts += [f"changed {number}" for number in has if number in had and has[number] != had[number]]
    if before.internet != after.internet:
        now = after.internet
        parts.append(f"internet {now.down_mbps}/{now.up_mbps} Mbit/s" if now else "internet ended")
    return f"Services: {', '.join(parts)}"


def check_office(office: str) -> None:
    """Raises InvalidField for a room label that is blank or too long."""
    if not written(office, LONGEST_OFFICE):
        raise InvalidField(
            "An office is blank, too long or has control characters",
            f"Give a room label of 1 to {LONGEST_OFFICE} characters",
            field="office",
        )


def _reading_order(office: str) -> list[tuple[int, int, str]]:
    digits = "0123456789"  # of ASCII alone: not everything that Python calls a digit is one that int() reads
    return [(0, int(part), "") if part[0] in digits else (1, 0, part) for part in re.findall(r"[0-9]+|[^0-9]+", office)]
