"""Tables and words of the command line, as wide as the terminal at most.

Everything that came from outside is shown as text, never as markup. What is piped is whole, and has no colours.
"""

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from starter.sheets import csv_lines
from starter.wording import duration_word, sentences

COLOURS = {
    "new": "cyan",
    "active": "green",
    "suspended": "yellow",
    "decommissioned": "dim",
    "settled": "green",
    "changing": "cyan",
    "attention": "bold red",
    "cannot run": "bold red",
    "open matter": "bold red",
    "not proven": "red",
    "failed": "bold red",
    "skipped": "yellow",
    "done by hand": "magenta",
    "working": "green",
    "green": "green",
    "red": "bold red",
    "failing": "bold red",
    "fails for some": "bold red",
    "recovering": "cyan",
    "on": "green",
    "off": "yellow",
    "unknown": "red",
    "refused": "red",
}
PIPED = 100_000  # columns: nothing is cut, wrapped or left out
GAP = 2  # blanks between columns
LAST = 20  # columns that a wrapped last column has at least

VISIBLE = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)], "\N{REPLACEMENT CHARACTER}")  # no text moves the cursor

Cell: TypeAlias = Text | str
Row: TypeAlias = Sequence[Cell]


@dataclass(frozen=True)
class Column:
    """``least`` is the width to which long cells may be cut; None: they are never cut."""

    head: str
    least: int | None = None


def terminal_width() -> int | None:
    """None: as wide as the terminal, or as COLUMNS says of it."""
    return None if sys.stdout is not None and sys.stdout.isatty() else PIPED


console = Console(highlight=False, soft_wrap=True, width=terminal_width())


def output(as_json: bool, answer: dict[str, Any], show: Callable[[dict[str, Any]], None]) -> None:
    """An answer, for machines or for people."""
    if as_json:
        every = sys.stdout.encoding.lower().startswith("utf")  # else what cannot be encoded is escaped, not replaced
        print(json.dumps(answer, ensure_ascii=not every))  # noqa: T201  # no colours, no wrapping
    else:
        show(answer)


def output_csv(heads: Sequence[str], rows: Iterable[Iterable[str]]) -> None:
    """A list as a CSV file: UTF-8 in every locale."""
    sys.stdout.flush()
    sys.stdout.buffer.writelines(line.encode(errors="replace") for line in csv_lines(heads, rows))


def show_text(text: str) -> None:
    show([text])


def word(text: str) -> Text:
    """A state, or an action, as people read it, in the colour of its state."""
    text = text.replace("_", " ")
    return Text("inactive" if text == "decommissioned" else text, COLOURS.get(text, ""))


def moment(instant: str | None) -> str:
    """An instant in UTC, to the second; blank for none."""
    return f"{datetime.fromisoformat(instant).astimezone(UTC):%Y-%m-%d %H:%M:%S}" if instant else ""


def age(instant: str | None, now: datetime) -> str:
    """How long ago that was; blank for none."""
    return duration_word(max(0.0, (now - datetime.fromisoformat(instant)).total_seconds())) if instant else ""


def until(instant: str | None, now: datetime) -> str:
    """In how long that is; blank for none."""
    left = (datetime.fromisoformat(instant) - now).total_seconds() if instant else 0
    return f"in {duration_word(left)}" if left > 0 else "due" if instant else ""


def count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def remedies(items: Iterable[dict[str, str]], client_id: str = "") -> Iterable[Text]:
    """What a person can do, each with its command on a line of its own: it is copied whole."""
    for remedy in items:
        yield Text(f"{client_id}: {remedy['text']}" if client_id else remedy["text"])
        if remedy["command"]:
            yield Text(f"    {remedy['command']}", "bold")


def table(columns: Sequence[Column], rows: Sequence[Row], *, wrap: bool = False) -> list[Text]:
    """The lines of a table that is as wide as the terminal at most. ``wrap``: the last column may have more lines."""
    heads = any(column.head for column in columns)
    grid = Table(box=None, padding=(0, GAP, 0, 0), show_header=heads, header_style="bold")
    for column, least in zip(columns, _least(columns, rows, wrap=wrap), strict=True):
        whole = column.least is None and not (wrap and column is columns[-1])
        grid.add_column(column.head, min_width=least, no_wrap=whole)
    for row in rows:
        cells = [Text(cell) if isinstance(cell, str) else cell.copy() for cell in row]
        for cell in cells[:-1] if wrap else cells:
            cell.plain = cell.plain.translate(VISIBLE)
            cell.no_wrap, cell.overflow = True, "ellipsis"
        grid.add_row(*cells)
    with_last_gap = console.options.update(max_width=console.width + GAP)
    rendered = console.render(grid, with_last_gap)
    return [Text.assemble(*((part.text, part.style or "") for part in line)) for line in Segment.split_lines(rendered)]


def fits(columns: Sequence[Column], rows: Sequence[Row], *, wrap: bool = False) -> bool:
    """Whether these columns have room once those that may be cut, or wrapped, are."""
    return sum(_least(columns, rows, wrap=wrap)) + GAP * (len(columns) - 1) <= console.width


def leading(columns: Sequence[Column], rows: Sequence[Row], least: int) -> tuple[Sequence[Column], list[Row]]:
    """As many of the first columns as have room, and ``least`` at any width: the most important ones are first."""
    number = next((n for n in range(len(columns), least, -1) if fits(columns[:n], rows)), least)
    return columns[:number], [row[:number] for row in rows]


def _least(columns: Sequence[Column], rows: Sequence[Row], *, wrap: bool) -> list[int]:
    """How wide each column must be."""
    widest = [max([cell_len(c.head), *(cell_len(str(row[n])) for row in rows)]) for n, c in enumerate(columns)]
    least = [column.least for column in columns[:-1]] + [LAST if wrap else columns[-1].least]
    return [width if most is None else min(width, most) for width, most in zip(widest, least, strict=True)]


def show(lines: Iterable[Cell]) -> None:
    for line in lines:
        text = Text(line) if isinstance(line, str) else line.copy()
        text.plain = text.plain.translate(VISIBLE)
        text.rstrip()
        console.print(text)


def warnings(items: Iterable[dict[str, str]]) -> None:
    """What an operator should know, a line each."""
    for item in items:
        warning = Text.assemble(("warning: ", "yellow"), sentences(item["text"]))
        show(warning.wrap(console, console.width))


def note(*sentences: str) -> None:
    """Print sentences below a table, dim, each on lines as wide as the terminal."""
    show(["", *(line for sentence in sentences for line in Text(sentence, "dim").wrap(console, console.width))])
