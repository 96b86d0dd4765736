"""What the command line shows of a dry run: what a command would touch, before and after, and do to what is planned."""

from typing import Any

from rich.text import Text

from starter.cli.show.tables import Column, note, show, show_text, table, warnings, word

NAMES = {"account": "internet", "detail": "record"}


def preview(preview: dict[str, Any]) -> None:
    """What a command would do, or that it would do nothing."""
    if not preview["changed"]:
        show_text(f"Nothing would change: {preview['message']}.")
        warnings(preview["warnings"])
        return
    show([_outcome(preview)])
    rows = [
        [NAMES.get(effect["kind"], effect["kind"]), effect["subject"], effect["before"], effect["after"]]
        for effect in preview["effects"]
    ]
    if rows:
        show(["", *table([Column("what"), Column(""), Column("before", least=16), Column("after")], rows, wrap=True)])
    changes = [
        [word(part), word(plan["kind"]), plan["local_time"], plan["reason"]]
        for part in ("goes", "comes", "goes_then")
        for plan in preview[part]
    ]
    if changes:
        columns = [Column("planned"), Column("change"), Column("when"), Column("reason")]
        show(["", *table(columns, changes, wrap=True)])
    warnings(preview["warnings"])
    note("A dry run: nothing was done.")


def _outcome(preview: dict[str, Any]) -> Text:
    when = f"On {preview['local_time']}" if preview["at"] else "At once"
    before, after = (word(preview[name]) for name in ("status_before", "status_after"))
    if before.plain == after.plain:
        return Text.assemble(f"{when} the status stays ", after)
    return Text.assemble(f"{when} the status changes: ", before, " → ", after)
