"""What the command line shows of a dry run: what a command would touch, before and after, and do to what is planned."""

from typing import Any

from rich.text import Text

from starter.cli.show.tables import Column, note, say, show, table, word

NAMES = {"account": "internet", "detail": "record"}


def preview(shown: dict[str, Any]) -> None:
    """What a command would do, or that it would do nothing."""
    if not shown["changed"]:
        say(f"Nothing would change: {shown['message']}.")
        return
    show([_outcome(shown)])
    rows = [
        [
            Text(NAMES.get(effect["kind"], effect["kind"])),
            Text(effect["subject"]),
            Text(effect["before"]),
            Text(effect["after"]),
        ]
        for effect in shown["effects"]
    ]
    if rows:
        show(["", *table([Column("what"), Column(""), Column("before", least=16), Column("after")], rows, wrap=True)])
    called = {"goes": "goes", "comes": "comes", "goes_then": "goes then"}
    planned = [(words, plan) for name, words in called.items() for plan in shown.get(name, ())]
    if planned:
        told = [
            [Text(what), Text(plan["kind"].replace("_", " ")), Text(plan["local_time"]), Text(plan["reason"])]
            for what, plan in planned
        ]
        columns = [Column("planned"), Column("change"), Column("when"), Column("reason")]
        show(["", *table(columns, told, wrap=True)])
    note("A dry run: nothing was done.")


def _outcome(shown: dict[str, Any]) -> Text:
    when = f"On {shown['local_time']}" if shown["at"] else "At once"
    before, after = (_status(shown[name]) for name in ("status_before", "status_after"))
    if before.plain == after.plain:
        return Text.assemble(f"{when} the status stays ", after)
    return Text.assemble(f"{when} the status changes: ", before, " → ", after)


def _status(status: str) -> Text:
    return word("inactive" if status == "decommissioned" else status)
