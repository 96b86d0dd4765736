"""What the command line shows people of notes."""

from typing import Any

from starter.cli.show.tables import Column, count, moment, note, show, show_text, table


def notes(page: dict[str, Any]) -> None:
    if not page["items"]:
        show_text("No notes yet: connect client note ID TEXT")
        return
    rows = [[moment(it["at"]), it["by"] or "-", it["text"]] for it in page["items"]]
    show(table([Column("time (UTC)"), Column("by", least=12), Column("note")], rows, wrap=True))
    note(f"{count(page['total'], 'note')}, newest first")
