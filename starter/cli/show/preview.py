"""What the command line shows of a dry run: what a command would touch, before and after, and do to what is planned."""

from typing import Any

from rich.text import Text

from starter.cli.show.tables import Column, note, say, show, table, word

NAMES = {"account": "internet", "detail": "record"}


def preview(preview: dict[str, Any]) -> None:
    """What a command would do, or that it would do nothing."""
    if not preview["changed"]:
        say(f"Nothing would change: {preview['message']}.")
        return
    show([_outcome(preview)])
    rows = [
        [
            Text(NAMES.get(effect["kind"], effect["kind"])),
            *(Text(effect[part]) for part in ("subject", "before", "after")),
        ]
        for effect in preview["effects"]
    ]
    if rows:
        show(["", *table([Column("what"), Column(""), Column("before", least=16), Column("after")], rows, wrap=True)])
    called = {"goes": "goes", "comes": "comes", "goes_then": "goes then"}
    planned = [(words, plan) for name, words in called.items() for plan in preview.get(name, ())]
    if planned:
        changes = [
            [Text(what), Text(plan["kind"].replace("_", " ")), Text(plan["local_time"]), Text(plan["reason"])]
            for what, plan in planned
        ]
        columns = [Column("planned"), Column("change"), Column("when"), Column("reason")]
        show(["", *table(columns, changes, wrap=True)])
    note("A dry run: nothing was done.")


def _outcome(preview: dict[str, Any]) -> Text:
    when = f"On {preview['local_time']}" if preview["at"] else "At once"
    before, after = (_status(preview[name]) for name in ("status_before", "status_after"))
    if before.plain == after.plain:
        return Text.assemble(f"{when} the status stays ", after)
    return Text.assemble(f"{when} the status changes: ", before, " → ", after)


def _status(status: str) -> Text:
    return word("inactive" if status == "decommissioned" else status)
