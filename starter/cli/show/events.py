"""What the command line shows people of events."""

from typing import Any

from starter.cli.show.tables import Column, moment, note, show, show_text, table


def events(page: dict[str, Any]) -> None:
    """A line for each, in order, and how to go on."""
    items = page["items"]
    if not items:
        show_text("There are no such events.")
        return
    columns = [Column("seq"), Column("at"), Column("client"), Column("kind"), Column("command"), Column("systems")]
    rows = [
        [
            str(item["seq"]),
            moment(item["at"]),
            item["client_id"],
            item["kind"],
            item["command"] or "-",
            ", ".join(item["systems"]) or "-",
            item["by"] or "-",
        ]
        for item in items
    ]
    show(table([*columns, Column("by")], rows))
    note(f"The newest is {page['last']}", f"connect events --after {items[-1]['seq']}")
