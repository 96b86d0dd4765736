"""Long lists in parts, of which a page shows one: no page grows with its client. What was typed into rows of a form
that are not shown is carried along."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from starter.console.rendering import Form
from workflows.domain.text import folded

Item = TypeVar("Item")


class _Row(Protocol):
    @property
    def was(self) -> Any:
        """What the client has of it; None: it is new."""


Row = TypeVar("Row", bound=_Row)

PART_SIZE = 50
MOST_BESIDE = 20  # new rows that are shown with every part of a long list
MORE = "more"  # names the buttons that ask for more of a form: rows, or another part of them
LOOK = "part-"  # the value of a button that only looks at the form as it is
FINDER = re.compile(r"(?:find|found|part)-[a-z]+")
"""The fields that say which part of a list is looked at. They are no part of what a form says."""


@dataclass(frozen=True)
class Part(Generic[Item]):
    """Some ``items`` of a list, and the ``hidden``. ``number`` of ``last`` parts is shown, of the ``found`` items that
    have the text ``find`` in them; it begins with the item ``first``. ``whole``: how many are in the list. ``beside``
    are shown with every part, and counted in none."""

    name: str
    items: Sequence[Item]
    beside: Sequence[Item]
    hidden: Sequence[Item]
    number: int
    last: int
    first: int
    found: int
    whole: int
    find: str

    @property
    def hidden_fields(self) -> list[tuple[str, str]]:
        """The fields of the rows that are not shown."""
        return [field for row in self.hidden for field in getattr(row, "fields", ())]

    def shows(self, item: Item) -> bool:
        """Whether the page shows this one."""
        return any(item is it for it in (*self.items, *self.beside))

    @property
    def long(self) -> bool:
        """Whether there are more than one part shows, so that one must find one's way."""
        return bool(self.hidden or self.find)


def asks_for_part(form: Form) -> bool:
    """Whether a button was pressed that shows a part, and no more rows."""
    return form.text(MORE).startswith(LOOK)


def looks_for_something(form: Form) -> bool:
    """Whether something is to be found in a list."""
    return any(form.text(name) for name in form if name.startswith("find-") and FINDER.fullmatch(name))


def part_of(
    name: str,
    items: Sequence[Item],
    form: Form,
    texts: Callable[[Item], Sequence[str]],
    *,
    first: Sequence[Item] = (),
    beside: Sequence[Item] = (),
    size: int = PART_SIZE,
) -> Part[Item]:
    """The part of a list that a form, or an address, asks for: of the items with one of these ``texts`` in which what
    is looked for occurs; the first part, when something else is looked for than before. Those that are to come
    ``first`` are in the first part, whatever is asked for; those ``beside`` are shown with every part."""
    find = form.text(f"find-{name}")
    pressed = re.fullmatch(rf"part-{name}-([0-9]{{1,5}})", form.text(MORE))
    anew = form.get(f"found-{name}", find) != find
    requested = pressed[1] if pressed else "" if anew else form.text(f"part-{name}")
    at_first, apart = {id(item) for item in first}, {id(item) for item in beside}
    items = [item for item in items if id(item) not in apart]
    found = [item for item in items if not find or id(item) in at_first or _has(texts(item), find)]
    found.sort(key=lambda item: id(item) not in at_first)
    last = max(1, -(-len(found) // size))
    number = 1 if at_first or not re.fullmatch(r"[0-9]{1,5}", requested) else min(max(int(requested), 1), last)
    begin = (number - 1) * size
    on_page = {id(item) for item in found[begin : begin + size]}
    return Part(
        name,
        found[begin : begin + size],
        beside,
        [item for item in items if id(item) not in on_page],
        number,
        last,
        begin + 1,
        len(found),
        len(items),
        find,
    )


def part_of_rows(
    name: str,
    rows: Sequence[Row],
    form: Form,
    texts: Callable[[Row], Sequence[str]],
    wrong: Callable[[Row], bool],
    typed: Callable[[Row], bool],
    size: int = PART_SIZE,
) -> Part[Row]:
    """The part of a form's rows that its page shows. What is ``wrong`` comes first; a few new rows, or else the one
    that is being ``typed`` in, are shown with every part."""
    first, new = [row for row in rows if wrong(row)], [row for row in rows if row.was is None]
    beside = [row for row in new if (len(new) <= MOST_BESIDE or typed(row)) and not wrong(row)]
    return part_of(name, rows, form, texts, first=first, beside=beside, size=size)


def _has(texts: Sequence[str], find: str) -> bool:
    """Whether one of the texts has this in it: a word, or digits of a number, as people dial it."""
    digits = re.sub(r"\D", "", find).lstrip("0") if re.fullmatch(r"[-+() ./0-9]+", find) else ""
    return not find or any(folded(find) in folded(text) or (digits and digits in text) for text in texts)
