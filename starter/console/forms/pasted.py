"""Many lines at once in a form: a range, or a list as one copies it from a spreadsheet. New lines become rows."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from starter.console.forms.errors import FormErrors
from starter.console.forms.form import BoundForm
from starter.console.forms.lines import MOST_ROWS, UNWANTED, LineRow
from starter.console.forms.lines import read_lines as read_rows
from starter.console.parts import MORE
from starter.console.rendering import Form
from starter.contract.bodies import LineGiven
from starter.telephones import phone_word, read_lines
from workflows.domain.services import ClientType

PASTED = "pasted"
ADD = "pasted"  # the button that makes rows of it
EVERY_LINE = "remove-all"


def take_pasted(bound: BoundForm, country: str | None) -> None:
    """Make rows of what was pasted, once one asks for that or sends the form. While one types, say what it would be.

    Also the numbers that were typed in rows are read as people dial them in the country of the site.
    """
    form, errors = bound.form, bound.errors
    bound.rows = [row if row.was else row.dialled_in(country) for row in bound.rows]
    lines = _read(form, PASTED, country, errors)
    rows = [row for row in bound.rows if not row.blank or row.was]
    if len(lines) + sum(row.was is None for row in rows) > MOST_ROWS:
        errors.refuse(PASTED, f"That makes more than {MOST_ROWS} new lines. Give at most {MOST_ROWS} in one change")
        return
    if lines and (bound.sent or form.text(MORE) == ADD):
        bound.rows = [*rows, *_rows(bound.rows, lines)]  # in places that no row of the page has
        bound.form = Form([(name, value) for name, value in form.multi_items() if name != PASTED])
    elif lines:
        _hint(lines, errors)


def pasted_lines(
    form: Form, rows: Sequence[LineRow], type_: ClientType, country: str | None, errors: FormErrors
) -> list[LineGiven]:
    """The lines that were pasted into a form whose preview shows each of them: they need no rows."""
    lines, found = _read(form, PASTED, country, errors), FormErrors()
    in_rows = {row.dialled for row in rows}
    if twice := next((number for number, _ in lines if number in in_rows), None):
        errors.refuse(PASTED, f"{phone_word(twice)} is given in a row, too. Give each number once")
    read = read_rows(_rows(rows, lines), type_, found)
    if found.wrong:
        errors.refuse(PASTED, next(iter(found.wrong.values())))
    if lines and not errors.wrong:
        _hint(lines, errors)
    return [*read.values()]


def unwanted_numbers(form: Form, numbers: Iterable[str], country: str | None, errors: FormErrors) -> list[str]:
    """The numbers of the lines that are to be removed at once: all of the client's ``numbers``, or those of a list, in
    which offices beside them say nothing."""
    if form.text(EVERY_LINE):
        return [*numbers]
    listed = _read(form, UNWANTED, country, errors)
    if listed and UNWANTED not in errors.wrong:
        _hint(listed, errors, UNWANTED)
    return [number for number, _ in listed]


def with_removed(rows: Iterable[LineRow], numbers: Iterable[str]) -> list[LineRow]:
    """The rows, of which those of the client's lines with these numbers are to be removed. More than one change may
    remove are refused, and the rows stay as they are."""
    named = {*numbers}
    if len(named) > MOST_ROWS:
        return [*rows]
    return [replace(row, unwanted=True) if row.was is not None and row.number in named else row for row in rows]


def _read(form: Form, name: str, country: str | None, errors: FormErrors) -> list[tuple[str, str | None]]:
    try:
        return read_lines(form.text(name), country)
    except ValueError as wrong:
        hint = "" if country else ". For numbers without a plus, give the site a country first, under Sites"
        errors.refuse(name, f"{str(wrong).rstrip('.')}{hint}")
        return []


def _hint(lines: Sequence[tuple[str, str | None]], errors: FormErrors, name: str = PASTED) -> None:
    first, last = phone_word(lines[0][0]), phone_word(lines[-1][0])
    errors.hint(name, f"{len(lines)} lines, from {first} to {last}." if len(lines) > 1 else f"One line: {first}.")


def _rows(before: Sequence[LineRow], lines: Sequence[tuple[str, str | None]]) -> list[LineRow]:
    after = max([int(row.place) for row in before], default=-1) + 1
    return [LineRow(after + n, number, office or "") for n, (number, office) in enumerate(lines)]
