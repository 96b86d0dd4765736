"""Claims about files for spreadsheets: cells stay text, and a program reads what was written (starter/sheets.py)."""

import codecs
import csv
import io
import re
import shutil
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl.utils.escape import unescape
from openpyxl.worksheet.worksheet import Worksheet

from starter.api.examples import CLIENT as CLIENT_ANSWER
from starter.sheets import CLIENT, Workbook, client_cells, csv_lines, flat, harmless, plain

FORMULAS = {
    "equals": "=1+1",
    "plus": "+1",
    "minus": "-1",
    "at": "@SUM(A1)",
    "tab": "\tx",
    "carriage return": "\r=1",
    "full width equals": "\uff1d1",
    "full width plus": "\uff0b1",
    "full width minus": "\uff0d1",
    "full width at": "\uff20SUM(A1)",
    "small equals": "\ufe661",
    "minus sign": "\u22121",
    "blanks": "   =1",
    "no-break blank": "\u00a0=1",
    "narrow no-break blank": "\u202f=1",
    "ideographic blank": "\u3000=1",
    "no width": "\u200b\ufeff=1",
    "quote": '"=1',
    "apostrophe": "'=1",
    "typographic quote": "\u201c=1",
    "line end": "\n=1",
    "another separator": "Acme;=1+1;",
    "another separator and blanks": "Acme; \u00a0+1",
    "a tab for separator": "Acme\t=1",
    "second line": "Acme\r\n=1",
    "telephone number": "+442079460001",
    "telephone numbers": "+442079460001 +442079460002",
}
HARMLESS = ("Acme - Ltd", "a@b.example", "'t Hooft", "1=1", "2026-11-02", "3.12", "", "x;y", "x;\ny", "O'Neil")


@pytest.mark.parametrize("cell", FORMULAS.values(), ids=FORMULAS)
def test_what_a_spreadsheet_takes_for_a_formula_has_an_apostrophe_in_front(cell: str) -> None:
    whole = ";" not in cell and "Acme" not in cell
    assert harmless(cell).startswith("'") if whole else re.search("[;\t\n]'", harmless(cell))
    assert plain(harmless(cell)) == cell


@pytest.mark.parametrize("cell", HARMLESS)
def test_any_other_cell_stays_as_it_is(cell: str) -> None:
    assert harmless(cell) == cell == plain(cell)


@given(
    st.lists(
        st.lists(
            st.text(st.sampled_from("=+-@\uff1d;,'\"\t\n \u00a0a1") | st.characters(exclude_categories=["Cs"])),
            min_size=2,
            max_size=3,
        ),
        max_size=3,
    )
)
def test_a_program_reads_what_was_written(rows: list[list[str]]) -> None:
    file = "".join(csv_lines(["=a", "b"], rows)).encode()
    assert file.startswith(codecs.BOM_UTF8)
    assert file.decode("utf-8").endswith("\r\n")
    read = list(csv.reader(io.StringIO(file.decode("utf-8-sig"), newline="")))
    assert [[*map(plain, cells)] for cells in read] == [["=a", "b"], *rows]


def test_a_client_is_one_line_with_dates_as_iso_and_numbers_as_text() -> None:
    row = dict(zip(CLIENT, client_cells(CLIENT_ANSWER), strict=True))
    assert row["start_date"] == "2026-11-02"
    assert (row["end_date"], row["offices"]) == ("", "3.12")
    assert (row["next_change"], row["next_change_at"]) == ("decommission", "2027-03-01T00:00:00Z")
    assert harmless(row["numbers"]) == "'+442079460001"


def test_any_list_is_flat_with_every_field_that_an_item_has() -> None:
    items: list[dict[str, Any]] = [
        {"id": "a", "skipped": {"by": "ada"}, "tags": ["x", "y"], "n": 3, "ok": True},
        {"id": "b", "skipped": None, "more": [{"k": 1}]},
    ]
    assert flat(items) == (
        ["id", "skipped.by", "tags", "n", "ok", "skipped", "more"],
        [["a", "ada", "x y", "3", "true", "", ""], ["b", "", "", "", "", "", '[{"k": 1}]']],
    )


def test_a_workbook_says_what_is_text_and_what_is_a_date() -> None:
    file = io.BytesIO()
    book = Workbook(file, CLIENT)
    texts = [*FORMULAS.values(), *HARMLESS, "0012", "1E5", "true", "http://example.org", "x" * 40_000]
    client = dict(zip(CLIENT, client_cells(CLIENT_ANSWER), strict=True))
    for text in texts:  # in pages, as they come
        book.add([[*(client | {"name": text}).values()]])
    book.close()
    sheet = openpyxl.load_workbook(file).active
    assert isinstance(sheet, Worksheet)
    head, *rows = sheet.iter_rows()
    assert tuple(cell.value for cell in head) == CLIENT
    for text, cells in zip(texts, rows, strict=True):
        row = dict(zip(CLIENT, cells, strict=True))
        assert (unescape(str(row["name"].value or "")), row["name"].data_type) == (text[:32_767], "s")
        assert (row["numbers"].value, row["numbers"].data_type) == ("+442079460001", "s")
        assert (row["offices"].value, row["offices"].data_type) == ("3.12", "s")
        assert row["start_date"].value == datetime(2026, 11, 2)  # noqa: DTZ001  # a day


@pytest.mark.skipif(
    not shutil.which("soffice"), reason="LibreOffice is not installed: apt-get install libreoffice-calc"
)
@pytest.mark.parametrize("separator", [",", ";"], ids=["commas", "semicolons"])
def test_libreoffice_reads_text(tmp_path: Path, separator: str) -> None:
    cells = [*FORMULAS.values()]
    (tmp_path / "sheet.csv").write_bytes("".join(csv_lines(["cell"], [[cell] for cell in cells])).encode())
    reading = f"--infilter=Text - txt - csv (StarCalc):{ord(separator)},34,76,1,,0,false,true"
    words = [f"-env:UserInstallation=file://{tmp_path}/profile", "--headless", reading, "--convert-to", "fods"]
    subprocess.run(["soffice", *words, "sheet.csv"], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    sheet = (tmp_path / "sheet.fods").read_text(encoding="utf-8")
    assert "table:formula" not in sheet
    assert set(re.findall(r'office:value-type="(\w+)"', sheet)) == {"string"}
    assert "+442079460001" in sheet
