"""What the command line shows people of webhooks."""

from typing import Any

from starter.cli.show.tables import Column, moment, note, show, show_text, table


def webhooks(page: dict[str, Any]) -> None:
    """A line for each."""
    if not page["items"]:
        show_text("There is no webhook. Add one with: connect webhook add URL")
        return
    columns = [
        Column("id"),
        Column("url"),
        Column("state"),
        Column("of"),
        Column("waiting"),
        Column("not taken"),
        Column("added by"),
    ]
    rows = [
        [
            item["webhook_id"],
            item["url"],
            item["state"],
            _filter(item),
            str(item["waiting"]),
            "; ".join(filter(None, [moment(item["failing_since"]) if item["failing_since"] else "", *_troubles(item)]))
            or "-",
            item["created_by"],
        ]
        for item in page["items"]
    ]
    show(table(columns, rows, wrap=True))


def webhook(item: dict[str, Any]) -> None:
    """How it is now."""
    why = f": {item['why']}" if item["why"] else ""
    show_text(f"Webhook {item['webhook_id']} to {item['url']} is {item['state']}{why}. Receives: {_filter(item)}.")
    for trouble in _troubles(item):
        show_text(f"{trouble}.")


def removed(item: dict[str, Any]) -> None:
    """What is gone."""
    show_text(f"Webhook {item['webhook_id']} to {item['url']} is removed.")


def secret(item: dict[str, Any]) -> None:
    """How it is now, and its secret."""
    webhook(item)
    show_text(f"Its secret, which is not shown again: {item['secret']}")


def deliveries(page: dict[str, Any]) -> None:
    """A line for each attempt."""
    if not page["items"]:
        show_text("Nothing was sent yet.")
        return
    columns = [Column("at"), Column("seq"), Column("client"), Column("kind"), Column("attempt"), Column("came of it")]
    rows = [
        [
            moment(item["at"]),
            str(item["seq"]),
            item["client_id"],
            item["kind"],
            str(item["attempt"]),
            item["error"] or f"delivered ({item['status']})",
        ]
        for item in page["items"]
    ]
    show(table(columns, rows, wrap=True))
    note("What was sent is seen with connect events")


def _troubles(item: dict[str, Any]) -> list[str]:
    """What is sent to it no more, and what was never sent."""
    given_up, lost = item["given_up"], item["lost"]
    troubles = [f"Nothing more is sent of {', '.join(given_up)}, until it is enabled"] if given_up else []
    numbers = f"{lost} of the events {item['lost_from']} to {item['lost_to']} were forgotten before it took them"
    return [*troubles, numbers] if lost else troubles


def _filter(item: dict[str, Any]) -> str:
    """Which events it receives."""
    kinds = ", ".join(item["kinds"]) or "every event"
    of = [f"at {', '.join(item['sites'])}"] if item["sites"] else []
    of += [f"of {', '.join(item['clients'])}"] if item["clients"] else []
    return " ".join([kinds, *of])
