"""What the command line shows people of open matters."""

from datetime import datetime
from typing import Any

from rich.text import Text

from starter.cli.show.tables import Column, age, count, moment, note, remedies, show, show_text, table, word


def matters(page: dict[str, Any], now: datetime) -> None:
    """A line for each, the oldest first; below it what to do about those of no client."""
    items = page["items"]
    if not items:
        show_text("Nothing is open. What was snoozed is listed with --snoozed.")
        return
    columns = [Column("client"), Column("matter"), Column("kind"), Column("age"), Column("with"), Column("what")]
    rows = [
        [
            item["client_id"] or "-",
            item["matter"],
            word(item["kind"]),
            age(item["since"], now),
            item["assigned_to"] or "-",
            item["text"] + (f" ({_aside(item)})" if item["snoozed"] else ""),
        ]
        for item in items
    ]
    show(table(columns, rows, wrap=True))
    for item in items:
        if not item["client_id"]:
            show(["", Text(item["text"]), *remedies(item["remedies"])])
    note(
        f"{count(page['total'], 'open matter')}. What to do: connect client show ID",
        "connect client acknowledge | assign | snooze ID MATTER",
    )


def answer(matter: dict[str, Any]) -> None:
    """Print what became of a matter, or that nothing did."""
    show_text(matter["message"] if matter["changed"] else f"No change: {matter['message']}")


def _aside(item: dict[str, Any]) -> str:
    until = item["snoozed_until"]
    return f"snoozed until {moment(until)} UTC" if until else "snoozed"
