"""What the command line shows people. Everything that came from outside is shown as text, never as markup."""

import json
from datetime import datetime
from typing import Any

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

COLOURS = {
    "new": "cyan",
    "active": "green",
    "suspended": "yellow",
    "decommissioned": "dim",
    "inactive": "dim",
    "settled": "green",
    "changing": "cyan",
    "attention": "bold red",
    "on": "green",
    "off": "yellow",
    "unknown": "red",
    "refused": "red",
}

_console = Console(highlight=False, soft_wrap=True)


def as_json(answer: dict[str, Any]) -> None:
    print(json.dumps(answer, ensure_ascii=False))  # noqa: T201  # for machines: no colours, no wrapping


def say(text: str) -> None:
    _console.print(Text(text))


def sites(items: list[dict[str, Any]]) -> None:
    table = _table("site", "name", "time zone")
    for site in items:
        table.add_row(Text(site["site_id"]), Text(site["name"]), Text(site["timezone"]))
    _console.print(table if items else Text("No sites yet. Add one: connect site add ID --name N --timezone Z"))


def clients(items: list[dict[str, Any]]) -> None:
    table = _table("client", "name", "status", "provisioning", "type", "offices", "ref", "start", "end", "next change")
    for client in items:
        table.add_row(
            Text(client["client_id"]),
            Text(client["name"] + (" (management)" if client["management"] else "")),
            _status(client),
            _word(client["provisioning"]),
            client["type"],
            Text(client["office_label"]),
            Text(client["billing_ref"]),
            client["start_date"],
            _end(client),
            Text(_next(client)),
        )
    _console.print(table if items else Text("No clients."))


def client(client: dict[str, Any]) -> None:
    head = Text.assemble(
        (client["name"], "bold"), f" ({client['client_id']})  ", _status(client), "  ", _word(client["provisioning"])
    )
    facts = Table.grid(padding=(0, 2))
    for name, value in (
        ("type", Text(client["type"])),
        ("site", Text(f"{client['site']} ({client['timezone']})")),
        ("offices", Text(client["office_label"])),
        ("billing ref", Text(client["billing_ref"])),
        ("start", Text(f"{client['start_date']} ({client['activation']})")),
        ("end", _end(client)),
        ("internet", Text(_internet(client["internet"]))),
        *((f"held by {hold['source']}", Text(_hold(hold))) for hold in client["holds"]),
        *((f"planned {change['kind']}", Text(_planned(change))) for change in client["planned"]),
        ("in Temporal", Text(client["temporal_ui_url"])),
    ):
        facts.add_row(Text(name, "dim"), value)
    _console.print(Group(head, facts, _systems(client)))


def history(page: dict[str, Any]) -> None:
    table = _table("time", "event", "what", "by", "reason")
    for line in page["items"]:
        table.add_row(
            _time(line["at"]), _word(line["event"]), Text(line["text"]), Text(line["by"]), Text(line["reason"])
        )
    _console.print(table)
    if page["next"]:
        _console.print(f"{page['total'] - len(page['items'])} older lines: use the API", style="dim")


def answer(client: dict[str, Any]) -> None:
    """What a command did, and where the client now stands."""
    said = client.get("message") or f"Created {client['client_id']}, billing ref {client['billing_ref']}"
    told = Text(said if client.get("changed", True) else f"No change: {said}")
    state = Text.assemble(f"{client['client_id']}: ", _status(client), ", ", _word(client["provisioning"]))
    _console.print(Group(told, state, *(Text(f"planned {c['kind']}: {_planned(c)}") for c in client["planned"])))


# -- pieces -----------------------------------------------------------------------------------------------------------


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _systems(client: dict[str, Any]) -> Table:
    table = _table("service", "wanted", "proven", "when", "last error")
    where = {line["number"]: line["office"] for line in client["lines"]}
    for system in client["systems"]:
        for subject, wanted in system["desired"].items():
            office = f" in {where[subject]}" if where.get(subject) else ""
            again = f", next attempt {_time(system['next_attempt_at'])}" if system["next_attempt_at"] else ""
            table.add_row(
                Text(f"{subject}{office}" if system["system"] == "telephony" else f"internet {subject}"),
                _word(wanted),
                _word(system["actual"].get(subject, "unknown")),
                _time(system["proven_at"]),
                Text(f"{system['last_error']}{again}"),
            )
    return table


def _word(word: str) -> Text:
    return Text(word, COLOURS.get(word, ""))


def _status(client: dict[str, Any]) -> Text:
    return _word("inactive" if client["status"] == "decommissioned" else client["status"])


def _end(client: dict[str, Any]) -> Text:
    return Text(client["end_date"] or "", "red" if client["end_date_passed"] else "")


def _next(client: dict[str, Any]) -> str:
    change = next(iter(client["planned"]), None)
    return f"{change['kind']} {change['local_time']}" if change else ""


def _internet(internet: dict[str, Any] | None) -> str:
    if internet is None:
        return "none"
    vlan = f", VLAN {internet['vlan']}" if internet["vlan"] else ""
    return f"{internet['down_mbps']}/{internet['up_mbps']} Mbit/s{vlan}, account {internet['account']}"


def _hold(hold: dict[str, Any]) -> str:
    return f"since {_time(hold['placed_at'])}{': ' if hold['reason'] else ''}{hold['reason']}"


def _planned(change: dict[str, Any]) -> str:
    reason = f": {change['reason']}" if change["reason"] else ""
    return f"{change['local_time']} ({change['at']}){reason}"


def _time(instant: str | None) -> str:
    return f"{datetime.fromisoformat(instant):%Y-%m-%d %H:%M:%S}" if instant else ""
