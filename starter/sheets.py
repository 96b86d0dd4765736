"""Lists as files: workbooks for people, CSV for spreadsheets and programs. One writer for console and command line.

A workbook says of each cell that it is text, or a date. In a CSV file a spreadsheet takes a cell for a formula by its
first characters, and a telephone number for a sum. Such a cell has an apostrophe in front and stays text everywhere
(OWASP, CSV injection). ``plain`` takes it off again: what is written can be read back as it was.
"""

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from types import SimpleNamespace
from typing import IO, Any

WIDTH = 16  # characters of a column
LONGEST_CELL = 32_767  # characters that a spreadsheet can hold
MARK = "\N{ZERO WIDTH NO-BREAK SPACE}"
"""The byte order mark, by which spreadsheets know UTF-8."""

# Blanks, characters without a width, and quotes may stand before a formula. It begins with =, +, - or @, also in full
# width or small. A semicolon, a tab or a line end begins a cell, too, where a spreadsheet separates by it.
_HIDING = (
    r"[\s\x00-\x1f\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff"
    r"\"'`\u00ab\u00bb\u2018-\u201f\u2039\u203a\uff02\uff07]*"
)
_FORMULA = r"[=+@\-\u2212\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b]"
_BEGINNING = r"(?:(?<![\s\S])|(?<=[;\t\r\n]))"
_DANGEROUS = rf"(?={_HIDING}{_FORMULA}|'*[\t\r])"
_BARE = re.compile(_BEGINNING + _DANGEROUS)
_QUOTED = re.compile(rf"{_BEGINNING}'{_DANGEROUS}")

CLIENT = (
    *("client_id", "name", "site", "status", "provisioning", "type"),
    *("offices", "billing_ref", "start_date", "end_date", "next_change", "next_change_at", "numbers"),
)
"""The columns of a list of clients."""
DATES = ("start_date", "end_date")


def client_cells(client: Mapping[str, Any]) -> list[str]:
    """A client of the API's answers, in the columns ``CLIENT``."""
    planned = next(iter(client["planned"]), {"kind": "", "at": ""})
    by_hand = client["provisioning"] == "settled" and any(it["state"] == "done_by_hand" for it in client["systems"])
    more = {
        "provisioning": "done_by_hand" if by_hand else client["provisioning"],
        "offices": client["office_label"],
        "next_change": planned["kind"],
        "next_change_at": planned["at"],
        "numbers": " ".join(line["number"] for line in client["lines"]),
    }
    return [str(more[head] if head in more else client[head] or "") for head in CLIENT]


def flat(items: Sequence[Mapping[str, Any]]) -> tuple[list[str], list[list[str]]]:
    """Any list of the API as heads and cells: what is nested has its path as head, and what is a list is one cell."""
    rows = [dict(_fields("", item)) for item in items]
    heads = list(dict.fromkeys(head for row in rows for head in row))
    return heads, [[row.get(head, "") for head in heads] for row in rows]


def csv_lines(heads: Sequence[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """The lines of a CSV file (RFC 4180), the first with a byte order mark; without heads those that come later."""
    row = csv.writer(SimpleNamespace(write=str), lineterminator="\r\n").writerow
    if heads:
        yield MARK + str(row(map(harmless, heads)))
    yield from (str(row(map(harmless, cells))) for cells in rows)


class Workbook:
    """A workbook (Office Open XML) with one sheet, written to ``file`` when it is closed."""

    def __init__(self, file: IO[bytes], heads: Sequence[str]) -> None:
        from xlsxwriter import Workbook as Writer  # its import takes a while, and few need it

        self._book = Writer(file, {"constant_memory": True})
        self._sheet = self._book.add_worksheet()
        self._date = self._book.add_format({"num_format": "yyyy-mm-dd"})
        self._heads, self._length = heads, 0
        self._sheet.freeze_panes(1, 0)
        self._sheet.set_column(0, len(heads) - 1, WIDTH)
        self.add([heads])

    def add(self, rows: Iterable[Sequence[str]]) -> None:
        for cells in rows:
            for column, cell in enumerate(cells):
                if self._length and cell and self._heads[column] in DATES:
                    self._sheet.write_datetime(self._length, column, date.fromisoformat(cell), self._date)
                else:
                    self._sheet.write_string(self._length, column, cell[:LONGEST_CELL])
            self._length += 1

    def close(self) -> None:
        self._book.close()


def harmless(cell: str) -> str:
    """The cell as one that every spreadsheet takes for text."""
    return _BARE.sub("'", cell)


def plain(cell: str) -> str:
    """The cell that ``harmless`` was given."""
    return _QUOTED.sub("", cell)


def _fields(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _fields(f"{path}.{name}" if path else str(name), inner)
    elif isinstance(value, list) and all(isinstance(it, str) for it in value):
        yield path, " ".join(value)
    elif value is None or isinstance(value, str):
        yield path, value or ""
    else:  # a number, true, false, or a list of more than texts
        yield path, json.dumps(value, ensure_ascii=False)
