"""What a client has contracted: telephone lines, internet access, and services of the kinds that settings name."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal, TypeAlias

from workflows.domain.errors import (
    InternetNotAllowed,
    InvalidField,
    OfficeMissing,
    OfficeNotAllowed,
    ServiceNotAllowed,
    UnknownLine,
    UnknownService,
)
from workflows.domain.systems import BUILT_IN, INTERNET, NAME, NO_KINDS, TELEPHONY, System, spoken
from workflows.domain.text import safe_text, written

E164 = re.compile(r"\+[1-9][0-9]{6,14}")
ACCOUNT = re.compile(r"[a-z0-9][a-z0-9-]{1,62}")
LONGEST_OFFICE = 64
MOST_LINES = 1000  # a client is one value that is passed on whole; so are its rooms
HIGHEST_RATE = 1_000_000
MOST_SERVICES = 100
MOST_SETTINGS = 20
LONGEST_SETTING = 200
MOST_SETTINGS_BYTES = 50_000  # of all services of a client, which is passed on whole
LARGEST_SETTING = 2**53  # as far as JSON numbers are whole for everybody

Setting: TypeAlias = str | int | bool | None


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
class Service:
    """One service of a further kind: ``name`` tells it from others of the kind, ``settings`` go to its system.

    One that is ``in_building`` is for residential clients alone; settings say so of the whole kind.
    """

    kind: System
    name: str
    settings: Mapping[str, Setting] = field(default_factory=dict)
    in_building: bool = False

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.kind) or self.kind in (*BUILT_IN, *NO_KINDS):
            raise InvalidField(
                f"{safe_text(self.kind, 80)!r} is not a further kind of service",
                "Give the name of a kind that Connect's settings name; lines and internet have fields of their own",
                field="services",
            )
        if not written(self.name, LONGEST_OFFICE):
            raise InvalidField(
                f"The name of a service ({self.kind}) is blank, too long or has control characters",
                f"Give 1 to {LONGEST_OFFICE} characters",
                field="services",
            )
        texts = [*self.settings, *(value for value in self.settings.values() if isinstance(value, str))]
        numbers = [value for value in self.settings.values() if isinstance(value, int)]
        large = any(len(text) > LONGEST_SETTING for text in texts) or any(abs(n) > LARGEST_SETTING for n in numbers)
        if len(self.settings) > MOST_SETTINGS or large:
            raise InvalidField(
                f"The settings of {self} are too many or too large",
                f"Give at most {MOST_SETTINGS}, of {LONGEST_SETTING} characters each, with numbers up to 2^53",
                field="services",
            )

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"

    @property
    def size(self) -> int:
        """The bytes that it takes, nearly."""
        document = json.dumps([self.kind, self.name, dict(self.settings)], ensure_ascii=False)
        return len(document.encode("utf-8", "replace"))


@dataclass(frozen=True)
class Services:
    """All a client has contracted. Always consistent: making one that breaks a rule raises InvalidField.

    ``rooms`` are offices without a telephone line; those with one are derived from the lines. ``further`` are services
    of the kinds that settings name.
    """

    type: ClientType
    lines: tuple[Line, ...] = ()
    internet: Internet | None = None
    rooms: tuple[str, ...] = ()
    further: tuple[Service, ...] = ()

    def __post_init__(self) -> None:
        if twice := _twice([line.number for line in self.lines]):
            raise InvalidField(f"{twice} is given twice", "Give each number once", field="lines")
        if twice := _twice([str(service) for service in self.further]):
            raise InvalidField(f"{twice} is given twice", "Give each service once", field="services")
        most = (("lines", self.lines, MOST_LINES), ("offices", self.rooms, MOST_LINES))
        for name, items, limit in (*most, ("services", self.further, MOST_SERVICES)):
            if len(items) > limit:
                raise InvalidField(f"{len(items)} {name} are too many", f"Give at most {limit}", field=name)
        if (size := sum(service.size for service in self.further)) > MOST_SETTINGS_BYTES:
            raise InvalidField(
                f"The services of further kinds take {size} bytes",
                f"Give fewer settings: at most {MOST_SETTINGS_BYTES} bytes in all",
                field="services",
            )
        for room in self.rooms:
            check_office(room)
        if self.type is ClientType.VIRTUAL:
            if self.internet is not None:
                raise InternetNotAllowed(
                    "A virtual client has no in-building internet", "Leave internet out, or convert", field="internet"
                )
            if inside := next((service for service in self.further if service.in_building), None):
                raise ServiceNotAllowed(
                    f"A virtual client has no {spoken(inside.kind)}",
                    f"Leave {inside} out, or convert",
                    field="services",
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
    def kinds(self) -> tuple[System, ...]:
        """The further kinds, once each."""
        return tuple(dict.fromkeys(service.kind for service in self.further))

    @property
    def systems(self) -> tuple[System, ...]:
        """The systems that switch any of it, once each."""
        ours = {TELEPHONY: self.lines, INTERNET: self.internet}
        return (*(system for system, contracted in ours.items() if contracted), *self.kinds)

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
        add_services: tuple[Service, ...] = (),
        remove_services: tuple[str, ...] = (),
    ) -> "Services":
        """With lines added (or moved to another office), lines removed, and internet access set, kept or ended; with
        services of further kinds added (or set anew) and, by ``kind:name``, removed.

        Raises UnknownLine or UnknownService for one to remove that the client does not have, InvalidField for a result
        that breaks a rule.
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
        staying = [added.pop(line.number, line) for line in self.lines if line.number not in remove_lines]
        try:
            return replace(
                self,
                lines=(*staying, *added.values()),
                internet=self.internet if internet == "keep" else None if internet == "none" else internet,
                further=self._further(add_services, remove_services),
            )
        except InvalidField as invalid:
            added_in = {"lines": "add_lines", "services": "add_services"}
            raise replace(invalid, field=added_in.get(invalid.field or "", invalid.field)) from None

    def _further(self, added: tuple[Service, ...], removed: tuple[str, ...]) -> tuple[Service, ...]:
        had, set_anew = {str(s): s for s in self.further}, {str(s): s for s in added}
        if len(set_anew) != len(added):
            raise InvalidField("A service is added twice", "Give each service once", field="add_services")
        for name in removed:
            if name not in had:
                raise UnknownService(
                    f"The client has no service {safe_text(name, 100)}",
                    f"Its services: {', '.join(had) or 'none'}",
                    field="remove_services",
                )
            if name in set_anew:
                raise InvalidField(f"{name} is both added and removed", "Say one of the two", field="remove_services")
        return tuple(service for name, service in (had | set_anew).items() if name not in removed)

    def converted(
        self, to: ClientType, placed: tuple[Line, ...], rooms: tuple[str, ...], internet: Internet | None
    ) -> "Services":
        """As a client of the other type has them. Raises InvalidField for what goes with the present type alone."""
        if to is ClientType.RESIDENTIAL:
            return self.as_residential(placed, rooms, internet)
        if placed or rooms or internet:
            raise InvalidField(
                "A conversion to virtual takes no lines, offices or internet",
                "Leave them out: the lines stay, without an office",
                field="lines" if placed else "offices" if rooms else "internet",
            )
        return self.as_virtual()

    def as_virtual(self) -> "Services":
        """Offices, internet and what is in the building end; lines and numbers stay, without an office."""
        lines = tuple(replace(line, office=None) for line in self.lines)
        staying = tuple(service for service in self.further if not service.in_building)
        return Services(ClientType.VIRTUAL, lines, further=staying)

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
        return Services(ClientType.RESIDENTIAL, lines, internet, rooms, self.further)


def difference(before: Services, after: Services) -> str:
    """What is otherwise in the second, as a sentence."""
    had, has = {line.number: line for line in before.lines}, {line.number: line for line in after.lines}
    parts = [f"added {number}" for number in has if number not in had]
    parts += [f"removed {number}" for number in had if number not in has]
    parts += [f"changed {number}" for number in has if number in had and has[number] != had[number]]
    if before.internet != after.internet:
        now = after.internet
        parts.append(f"internet {now.down_mbps}/{now.up_mbps} Mbit/s" if now else "internet ended")
    ours, theirs = {str(s): s for s in before.further}, {str(s): s for s in after.further}
    parts += [f"added {name}" for name in theirs if name not in ours]
    parts += [f"removed {name}" for name in ours if name not in theirs]
    parts += [f"changed {name}" for name in theirs if name in ours and ours[name] != theirs[name]]
    return f"Services: {', '.join(parts)}"


def _twice(names: Collection[str]) -> str:
    """The first, in order, that is there more than once; empty if none is."""
    seen: set[str] = set()
    return min((name for name in names if name in seen or seen.add(name)), default="")  # type: ignore[func-returns-value]  # add answers None


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
