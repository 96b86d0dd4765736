"""Tables and words of the command line, as wide as the terminal at most.

Everything that came from outside is shown as text, never as markup. What is piped is 120 columns wide, or COLUMNS, and
has no colours.
"""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

COLOURS = {
    "new": "cyan",
    "active": "green",
    "suspended": "yellow",
    "decommissioned": "dim",
    "inactive": "dim",
    "settled": "green",
    "changing": "cyan",
    "attention": "bold red",
    "not proven": "red",
    "failed": "bold red",
    "skipped": "yellow",
    "working": "green",
    "failing": "bold red",
    "recovering": "cyan",
    "on": "green",
    "off": "yellow",
    "unknown": "red",
    "refused": "red",
}
PIPED = 120  # columns, when nobody says how wide it is
GAP = 2  # blanks between columns
LAST = 20  # columns that a wrapped last column has at least

VISIBLE = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)], "\N{REPLACEMENT CHARACTER}")  # no text moves the cursor

Row: TypeAlias = Sequence[Text]


@dataclass(frozen=True)
class Column:
    """``least`` is the width to which long cells may be cut; None: they are never cut."""

    head: str
    least: int | None = None


def terminal_width() -> int | None:
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given):
        return int(given)
    return None if sys.stdout.isatty() else PIPED


console = Console(highlight=False, soft_wrap=True, width=terminal_width())


def as_json(answer: dict[str, Any]) -> None:
    print(json.dumps(answer, ensure_ascii=False))  # noqa: T201  # for machines: no colours, no wrapping


def say(text: str) -> None:
    show([text])


def word(text: str) -> Text:
    return Text(text, COLOURS.get(text, ""))


def moment(instant: str | None) -> str:
    """An instant in UTC, to the second; blank for none."""
    return f"{datetime.fromisoformat(instant).astimezone(UTC):%Y-%m-%d %H:%M:%S}" if instant else ""


def span(seconds: float) -> str:
    """How long something lasts, in its two largest units: 3 h 12 min."""
    minutes, left = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (left, "s")]
    first = next((n for n, (many, _) in enumerate(parts) if many), len(parts) - 1)
    told = parts[first : first + 1] if parts[first][1] in ("min", "s") else parts[first : first + 2]
    return " ".join(f"{many} {unit}" for many, unit in told if many or unit == "s")


def age(instant: str | None, now: datetime) -> str:
    """How long ago that was; blank for none."""
    return span((now - datetime.fromisoformat(instant)).total_seconds()) if instant else ""


def until(instant: str | None, now: datetime) -> str:
    """In how long that is; blank for none."""
    left = (datetime.fromisoformat(instant) - now).total_seconds() if instant else 0
    return f"in {span(left)}" if left > 0 else "due" if instant else ""


def count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def table(columns: Sequence[Column], rows: Sequence[Row], *, wrap: bool = False) -> list[Text]:
    """The lines of a table that is as wide as the terminal at most. ``wrap``: the last column may have more lines."""
    widths = _natural(columns, rows)
    if wrap and widths[-1]:
        widths[-1] = max(LAST, min(widths[-1], console.width - sum(widths[:-1]) - GAP * (len(widths) - 1)))
    while _total(widths) > console.width:
        spare = [
            max(0, width - (width if c.least is None else c.least)) for c, width in zip(columns, widths, strict=True)
        ]
        if not any(spare):
            break
        widths[spare.index(max(spare))] -= 1
    heads = [[Text(column.head, "bold") for column in columns]] if any(column.head for column in columns) else []
    return [line for row in (*heads, *rows) for line in _lines(row, widths, wrap)]


def _lines(row: Row, widths: Sequence[int], wrap: bool) -> Iterable[Text]:
    *cells, last = (cell.copy() for cell in row)
    for cell, width in zip(cells, widths, strict=False):
        cell.truncate(width, overflow="ellipsis", pad=True)
    if not wrap:
        last.truncate(widths[-1], overflow="ellipsis")
    told = last.wrap(console, widths[-1]) if wrap else [last]
    indent = " " * (_total(widths[:-1]) + GAP)
    for number, part in enumerate(told or [Text()]):
        line = Text(indent) if number else Text(" " * GAP).join([*cells, Text()])
        line.append_text(part)
        line.rstrip()
        yield line


def _natural(columns: Sequence[Column], rows: Sequence[Row]) -> list[int]:
    """How wide each column would like to be."""
    return [
        max([cell_len(column.head), *(cell.cell_len for cell in cells)])
        for column, cells in zip(columns, zip(*rows, strict=True) if rows else [()] * len(columns), strict=False)
    ]


def fits(columns: Sequence[Column], rows: Sequence[Row]) -> bool:
    """Whether these columns have room once those that may be cut are."""
    widths = _natural(columns, [row[: len(columns)] for row in rows])
    least = [min(width, width if c.least is None else c.least) for c, width in zip(columns, widths, strict=True)]
    return _total(least) <= console.width


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def show(lines: Iterable[Text | str]) -> None:
    for line in lines:
        text = Text(line) if isinstance(line, str) else line.copy()
        text.plain = text.plain.translate(VISIBLE)
        text.rstrip()
        console.print(text)


def note(*sentences: str) -> None:
    """What is said below a table."""
    show(["", *(line for sentence in sentences for line in Text(sentence, "dim").wrap(console, console.width))])
