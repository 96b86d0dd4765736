"""The telephone lines and the offices of a form: its rows, what is wrong with them, and what others did meanwhile."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from starter.console.forms.errors import BY_MODEL, FormErrors
from starter.console.parts import PART_SIZE, Part, part_of_rows
from starter.console.rendering import Form
from starter.contract.bodies import LineGiven
from starter.directory.console import ConsoleReads
from starter.telephones import e164
from starter.wording import client_word
from workflows.domain.errors import Refusal
from workflows.domain.services import ClientType, check_office
from workflows.wire.views import LineView

MOST_ROWS = 500
ROWS = 3  # empty ones that a form begins with, and that "More lines" adds
ROOMS = "rooms"
LINES = "lines"
REMOVED = "remove"
UNWANTED = "unwanted"  # a list of the numbers of lines to remove
FILLED = re.compile(r"(?:number|office|protected)-(\d{1,4})")


@dataclass(frozen=True)
class LineRow:
    """One row of a form's telephone lines; ``place`` stands in the names of its fields.

    ``was`` is the line as the form was opened, for one that the client has: only what differs from it is changed.
    ``removed``: it is ticked to go; ``unwanted``: a list of what is to go has it, or all are to go.
    """

    place: int | str
    number: str = ""
    office: str = ""
    protected: bool = False
    was: tuple[str, bool] | None = None
    removed: bool = False
    unwanted: bool = False

    @classmethod
    def read(cls, form: Form, place: int | str) -> "LineRow":
        row = cls(place)
        office, protected = form.text(row.name("office")), bool(form.text(row.name("protected")))
        if not (line := form.text(row.name("line"))):
            return cls(place, form.text(row.name("number")), office, protected)
        number, protection, where, *_ = [*line.split(" ", 2), "", ""]
        return cls(
            place, number, office, protected, (where, protection == "protected"), bool(form.text(row.name("remove")))
        )

    def name(self, field: str) -> str:
        """What a field of the row is called: ``number``, ``office``, ``protected``, ``remove``, ``line``."""
        return f"{field}-{self.place}"

    @property
    def blank(self) -> bool:
        return not (self.number or self.office or self.protected)

    @property
    def dialled(self) -> str:
        """The number, without what people write between its digits."""
        return re.sub(r"[^+0-9]", "", self.number)

    def dialled_in(self, country: str | None) -> "LineRow":
        """The row with its number in E.164, if it is one as people dial it in this country, without a plus."""
        national = country and not self.number.startswith("+")
        return replace(self, number=(national and e164(self.number, country)) or self.number)

    @property
    def field(self) -> str:
        """The field beside which something about the whole row is said."""
        return self.name("number" if self.was is None else "office")

    @property
    def changed(self) -> bool:
        """Whether the client's line is to be another; a new line always is one."""
        return self.was != (self.office, self.protected)

    @property
    def goes(self) -> bool:
        return self.removed or self.unwanted

    @property
    def initial(self) -> str:
        """A client's line as the form carries it, to know later what it was."""
        office, protected = self.was or ("", False)
        return f"{self.number} {'protected' if protected else 'plain'} {office}".strip()

    @property
    def fields(self) -> Iterator[tuple[str, str]]:
        """What the row says, for a form that carries it without showing it: nothing of a line that stays as it is."""
        if self.was is not None and not (self.changed or self.goes):
            return
        number = (self.name("number"), self.number) if self.was is None else (self.name("line"), self.initial)
        ticks = [(self.name("protected"), self.protected), (self.name("remove"), self.removed)]
        yield from (number, (self.name("office"), self.office))
        yield from ((name, "yes") for name, ticked in ticks if ticked)


def rows_of(form: Form, *, more: bool = False) -> list[LineRow]:
    """The rows of lines that a form has, and as many empty ones as there is room for."""
    named = (re.fullmatch(r"(?:number|line)-(\d{1,4})", name) for name in form)
    rows = [LineRow.read(form, place) for place in sorted({int(found[1]) for found in named if found})]
    return [*rows, *_empty(rows, ROWS if more else 0)]


def filled_rows(form: Form) -> list[LineRow]:
    """The rows for new lines; the last is empty while there is room. Those beyond the room stay, to be refused."""
    named = (FILLED.fullmatch(name) for name, value in form.items() if value)
    places = {int(found[1]) for found in named if found}
    room = range(min(max([ROWS, *(place + 2 for place in places)]), MOST_ROWS))
    return [LineRow.read(form, place) for place in sorted(places.union(room))]


def office_rows(form: Form, lines: Iterable[LineView]) -> list[LineRow]:
    """Rows that give each of these lines an office."""
    empty = [LineRow(line.number, line.number, "", line.protected, ("", line.protected)) for line in lines]
    return [replace(row, office=form.text(row.name("office"))) for row in empty]


def rows_of_client(lines: Sequence[LineView]) -> list[LineRow]:
    """A client's lines as a form to change them begins, with room for more."""
    now = [(line.number, line.office or "", line.protected) for line in lines]
    rows = [LineRow(place, *line, was=line[1:]) for place, line in enumerate(now)]
    return [*rows, *_empty(rows, 1 if rows else ROWS)]


def with_unsent(rows: Sequence[LineRow], lines: Sequence[LineView]) -> list[LineRow]:
    """The rows of a form, and those of the client's lines that it does not name: these are as they are."""
    sent = {row.number: row for row in rows if row.was is not None}
    used, new = {row.place for row in rows}, {row.dialled for row in rows if row.was is None}
    free = (place for place in count() if place not in used)
    as_they_are = (row for row in rows_of_client(lines) if row.was is not None and row.number not in new)
    own = [sent.pop(row.number) if row.number in sent else replace(row, place=next(free)) for row in as_they_are]
    return [*own, *sent.values(), *(row for row in rows if row.was is None)]


def part_of_lines(
    rows: Sequence[LineRow], form: Form, errors: FormErrors, name: str = LINES, size: int = PART_SIZE
) -> Part[LineRow]:
    """The rows that a page shows, without those for new lines that are empty. What is wrong comes first, once the form
    was sent; a few new lines, or the one that is being typed in, are shown with every part."""
    filled = [row for row in rows if row.was is not None or not row.blank]
    return part_of_rows(
        name,
        filled,
        form,
        lambda row: (row.number, row.office),
        wrong=lambda row: errors.sent and bool({*order_of([row])} & errors.wrong.keys()),
        typed=lambda row: errors.typing in (*order_of([row]), row.name("protected")),
        size=size,
    )


def _empty(rows: Sequence[LineRow], number: int) -> list[LineRow]:
    """So many empty rows after these, or as many as there is room for."""
    after = int(rows[-1].place) + 1 if rows else 0
    return [LineRow(after + n) for n in range(min(number, MOST_ROWS - sum(row.was is None for row in rows)))]


def fields_of_plan(details: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The fields that say what a planned change says about lines and offices."""
    for line in details.get("lines", ()):
        yield LineRow(line["number"]).name("office"), line["office"]
    yield ROOMS, ", ".join(details.get("offices", ()))
    for place, line in enumerate(details.get("add_lines", ())):
        row = LineRow(place)
        yield row.name("number"), line["number"]
        yield row.name("office"), line["office"] or ""
        yield row.name("protected"), "yes" if line["protected"] else ""
    for number in details.get("remove_lines", ()):
        yield REMOVED, number


def order_of(rows: Iterable[LineRow]) -> tuple[str, ...]:
    """The fields of the rows, in the order of the page."""
    return tuple(row.name(field) for row in rows for field in ("number", "office"))


def read_lines(rows: Iterable[LineRow], kind: ClientType, errors: FormErrors) -> dict[str, LineGiven]:
    """The new and changed lines that the rows say, by the field beside which each is spoken of."""
    lines: dict[str, LineGiven] = {}
    seen: set[str] = set()
    for row in rows:
        if row.blank or row.goes:
            continue
        if row.was is not None and not row.changed:
            seen.add(row.number)
            continue
        if not row.number:
            errors.miss(row.field, "The number is missing. Give it, or empty the row")
            continue
        if kind is ClientType.RESIDENTIAL and not row.office:
            errors.miss(row.name("office"), "The office is missing. Each line is in one")
        if kind is ClientType.VIRTUAL and row.office:
            errors.refuse(row.name("office"), "A virtual client has no office. Leave it out")
        values = {"number": row.number, "office": row.office or None, "protected": row.protected}
        line = errors.read(LineGiven, values, f"-{row.place}")
        if line is None:
            continue
        if line.number in seen:
            errors.refuse(row.field, f"{line.number} is given twice. Give each number once", finished=True)
        seen.add(line.number)
        if row.office:
            errors.meet(row.name("office"), check_office, row.office)
        lines[row.field] = line
    return lines


def read_rooms(form: Form, errors: FormErrors) -> list[str]:
    """The offices without a telephone, one to a line or with commas between."""
    rooms = [room.strip() for room in re.split(r"[\n,]", form.text(ROOMS)) if room.strip()]
    for room in rooms:
        errors.meet(ROOMS, check_office, room)
    return rooms


async def check_numbers(
    lines: Mapping[str, LineGiven], reads: ConsoleReads, errors: FormErrors, own: str | None = None
) -> None:
    """Say of each new number whether it is free."""
    new = {at: line.number for at, line in lines.items() if at.startswith("number-") and at not in errors.wrong}
    taken = await reads.numbers_taken(list(new.values())) if new else {}
    for at, number in new.items():
        holder = taken.get(number)
        if holder is None:
            errors.hint(at, f"{number} is free.", "right")
        elif holder != own:
            errors.refuse(at, f"{number} is taken by {client_word(holder)}. Give another", finished=True)


def overtaken(lines: Iterable[LineView], rows: Iterable[LineRow], errors: FormErrors) -> list[LineRow]:
    """Refuse to undo what somebody else did to the same lines meanwhile. The rows that are returned know it: sent
    again, they are meant."""
    now = {line.number: (line.office or "", line.protected) for line in lines}
    known: list[LineRow] = []
    for row in rows:
        theirs = now.get(row.number)
        known.append(row)
        if row.was is None or not (row.goes or row.changed) or (row.goes and theirs is None):
            continue
        if theirs is None:
            errors.refuse(row.field, f"{row.number} was removed meanwhile. Reload the page, or add it anew")
        elif theirs != row.was and (row.goes or theirs != (row.office, row.protected)):
            where = f"in {theirs[0]}" if theirs[0] else "in no office"
            state = "protected" if theirs[1] else "not protected"
            text = f"{row.number} was changed meanwhile: {where}, {state}. Send it again to have yours instead"
            errors.refuse(row.field, text)
            known[-1] = replace(row, was=theirs)
    return known


def place_of(refusal: Refusal, rows: Iterable[LineRow]) -> str:
    """The field that a refusal is about; of one about lines, the row that has the number it names."""
    name = BY_MODEL.get(refusal.field or "", refusal.field or "")
    if name not in ("lines", "add_lines", "remove_lines", "numbers", "number", "office"):
        return name
    rows = [*rows]
    about = next((row for row in rows if row.number and row.dialled in refusal.why), None)
    if about is None and name == "remove_lines":
        return UNWANTED
    return about.field if about else next((row.field for row in rows if row.was is None), "")
