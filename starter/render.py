"""What the command line shows people. Everything that came from outside is shown as text, never as markup.

Tables fit the terminal: columns that matter less are left out, long names end in an ellipsis, ids never break. What is
piped is 120 columns wide, or COLUMNS, and has no colours.
"""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

from rich.cells import cell_len
from rich.console import Console
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
PIPED = 120  # columns, when nobody says how wide it is
GAP = 2  # blanks between columns
ESSENTIAL = 5  # columns of the list of clients that it has at any sensible width
LAST = 20  # columns that a wrapped last column has at least

VISIBLE = dict.fromkeys([*range(0x20), *range(0x7F, 0xA0)], "\N{REPLACEMENT CHARACTER}")  # no text moves the cursor

Row: TypeAlias = Sequence[Text]


@dataclass(frozen=True)
class Column:
    """``least`` is the width to which long cells may be cut; None: they are never cut."""

    head: str
    least: int | None = None


def _width() -> int | None:
    given = os.environ.get("COLUMNS", "")
    if given.isdecimal() and int(given):
        return int(given)
    return None if sys.stdout.isatty() else PIPED


_console = Console(highlight=False, soft_wrap=True, width=_width())


def as_json(answer: dict[str, Any]) -> None:
    print(json.dumps(answer, ensure_ascii=False))  # noqa: T201  # for machines: no colours, no wrapping


def say(text: str) -> None:
    _show([text])


def sites(items: list[dict[str, Any]]) -> None:
    if not items:
        say("No sites yet: connect site add ID --name NAME --timezone Europe/London")
        return
    rows = [[Text(site["site_id"]), Text(site["name"]), Text(site["timezone"])] for site in items]
    _show(_table([Column("site"), Column("name", least=12), Column("time zone")], rows))
    _note(_count(len(items), "site"))


def clients(items: list[dict[str, Any]], total: int) -> None:
    """The clients that were asked for, of ``total`` that there are, Inactive ones included."""
    if not items:
        say(
            f"None of {_count(total, 'client')} matches. Inactive ones are listed with --inactive."
            if total
            else "No clients yet: connect client add --name NAME --type virtual --site ID --line +442079460001"
        )
        return
    zones = {client["timezone"] for client in items if client["planned"]}
    columns, rows = _clients_table(items, with_zone=len(zones) > 1, narrow=False)
    most = len(columns)
    if not _fits(columns[:ESSENTIAL], rows):
        columns, rows = _clients_table(items, with_zone=len(zones) > 1, narrow=True)
        most = ESSENTIAL
    shown = next((n for n in range(most, 3, -1) if _fits(columns[:n], rows)), 3)
    _show(_table(columns[:shown], [row[:shown] for row in rows]))
    told = [f"{len(items)} of {_count(total, 'client')}"]
    if len(zones) == 1:
        told.append(f"next changes in {zones.pop()} time")
    if late := sum(client["end_date_passed"] for client in items):
        told.append(f"{late} past the end date (!)")
    left_out = ", ".join(column.head for column in columns[shown:])
    _note("; ".join(told), *([f"Not shown at this width: {left_out}"] if left_out else []))


def client(client: dict[str, Any]) -> None:
    _show(
        [
            Text.assemble(
                (client["name"], "bold"), f" ({client['client_id']})  ", _status(client), ", ",
                _word(client["provisioning"]), " (management)" if client["management"] else "",
            )
        ]
    )  # fmt: skip
    facts = [
        ("type", Text(client["type"])),
        ("site", Text(f"{client['site']} ({client['timezone']})")),
        ("offices", Text(client["office_label"])),
        ("billing ref", Text(client["billing_ref"])),
        ("start", Text(f"{client['start_date']} ({client['activation']})")),
        ("end", _end(client)),
        ("internet", Text(_internet(client["internet"]))),
        *((f"held by {hold['source']}", Text(_hold(hold))) for hold in client["holds"]),
        *((f"planned {_kind(change)}", Text(_planned(change))) for change in client["planned"]),
        ("in Temporal", Text(client["temporal_ui_url"], no_wrap=True, overflow="ignore")),
    ]
    _show(_table([Column(""), Column("")], [[Text(name, "dim"), fact] for name, fact in facts], wrap=True))
    services = list(_services(client))
    columns = [Column("service"), Column("wanted"), Column("proven"), Column("at (UTC)"), Column("last error")]
    kept = len(columns) if any(row[-1].plain for row in services) else -1
    _show(["", *_table(columns[:kept], [row[:kept] for row in services], wrap=kept > 0)] if services else [])


def history(page: dict[str, Any]) -> None:
    columns = [Column("time (UTC)"), Column("event"), Column("by", least=12), Column("what")]
    rows = []
    for line in page["items"]:
        told = line["text"] + (f" ({line['reason']})" if line["reason"] else "")
        rows.append([Text(_time(line["at"])), _word(line["event"]), Text(line["by"] or "-"), Text(told)])
    _show(_table(columns, rows, wrap=True))
    _note(f"{len(rows)} of {_count(page['total'], 'line')}, newest first")


def credentials(told: dict[str, Any]) -> None:
    """Secrets and servers; what cannot be known here is said in words."""
    servers = told["servers"]
    rows = [("telephone", line, servers["sip"]) for line in told["sip"]]
    rows += [("router", told["radius"], servers["radius"])] if told["radius"] else []
    if not rows:
        say("No lines and no internet access: nothing to configure.")
        return
    columns = [Column("for"), Column("username"), Column("password"), Column("server")]
    cells = [(what, it["username"], it["password"] or "its own, from before", where or "-") for what, it, where in rows]
    _show(_table(columns, [[Text(cell) for cell in row] for row in cells]))
    if told["sip"]:
        _note(f"SIP domain {servers['sip_domain']}")


def answer(client: dict[str, Any]) -> None:
    """What a command did, and where the client now stands."""
    said = client.get("message") or f"Created {client['client_id']}, billing ref {client['billing_ref']}"
    told = Text(said if client.get("changed", True) else f"No change: {said}")
    state = Text.assemble(f"{client['client_id']}: ", _status(client), ", ", _word(client["provisioning"]))
    _show([told, state, *(f"planned {_kind(change)}: {_planned(change)}" for change in client["planned"])])


# -- tables -----------------------------------------------------------------------------------------------------------


def _table(columns: Sequence[Column], rows: Sequence[Row], *, wrap: bool = False) -> list[Text]:
    """The lines of a table that is as wide as the terminal at most. ``wrap``: the last column may have more lines."""
    widths = _natural(columns, rows)
    if wrap:
        widths[-1] = max(LAST, min(widths[-1], _console.width - sum(widths[:-1]) - GAP * (len(widths) - 1)))
    while _total(widths) > _console.width:
        spare = [
            max(0, width - (width if c.least is None else c.least)) for c, width in zip(columns, widths, strict=True)
        ]
        if not any(spare):
            break
        widths[spare.index(max(spare))] -= 1
    heads = [[Text(column.head, "bold") for column in columns]] if any(column.head for column in columns) else []
    return [line for row in (*heads, *rows) for line in _lines(row, widths, wrap)]


def _lines(row: Row, widths: Sequence[int], wrap: bool) -> Iterable[Text]:
    *cells, last = (cell.copy() for cell in row)
    for cell, width in zip(cells, widths, strict=False):
        cell.truncate(width, overflow="ellipsis", pad=True)
    if not wrap:
        last.truncate(widths[-1], overflow="ellipsis")
    told = last.wrap(_console, widths[-1]) if wrap else [last]
    indent = " " * (_total(widths[:-1]) + GAP)
    for number, part in enumerate(told or [Text()]):
        line = Text(indent) if number else Text(" " * GAP).join([*cells, Text()])
        line.append_text(part)
        line.rstrip()
        yield line


def _natural(columns: Sequence[Column], rows: Sequence[Row]) -> list[int]:
    """How wide each column would like to be."""
    return [
        max([cell_len(column.head), *(cell.cell_len for cell in cells)])
        for column, cells in zip(columns, zip(*rows, strict=True) if rows else [()] * len(columns), strict=False)
    ]


def _fits(columns: Sequence[Column], rows: Sequence[Row]) -> bool:
    """Whether these columns have room once those that may be cut are."""
    widths = _natural(columns, [row[: len(columns)] for row in rows])
    least = [min(width, width if c.least is None else c.least) for c, width in zip(columns, widths, strict=True)]
    return _total(least) <= _console.width


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + GAP * (len(widths) - 1)


def _show(lines: Iterable[Text | str]) -> None:
    for line in lines:
        text = Text(line) if isinstance(line, str) else line.copy()
        text.plain = text.plain.translate(VISIBLE)
        _console.print(text)


def _note(*sentences: str) -> None:
    """What is said below a table."""
    _show(["", *(line for sentence in sentences for line in Text(sentence, "dim").wrap(_console, _console.width))])


# -- pieces -----------------------------------------------------------------------------------------------------------


def _clients_table(
    items: list[dict[str, Any]], *, with_zone: bool, narrow: bool
) -> tuple[list[Column], list[list[Text]]]:
    """Every column there is, the most important ones first."""
    columns = [Column("client"), Column("name", least=8 if narrow else 16), Column("status")]
    columns += [Column("provisioning", least=9 if narrow else None)]
    columns += [Column("next change"), Column("type"), Column("offices", least=14), Column("billing ref")]
    columns += [Column("start"), Column("end")]
    rows = [
        [
            Text(client["client_id"]),
            Text(client["name"] + (" (management)" if client["management"] else "")),
            _status(client),
            _word(client["provisioning"]),
            Text(_next(client, with_zone=with_zone, with_time=not narrow)),
            Text(client["type"]),
            Text(client["office_label"]),
            Text(client["billing_ref"]),
            Text(client["start_date"]),
            _end(client) if client["end_date"] else Text(),
        ]
        for client in items
    ]
    return columns, rows


def _services(client: dict[str, Any]) -> Iterable[list[Text]]:
    """A row for every line and account: what is wanted, what is proven, and what is in the way."""
    offices = {line["number"]: line["office"] for line in client["lines"]}
    contracted = {"telephony": list(offices), "internet": [client["internet"]["account"]] if client["internet"] else []}
    for system in client["systems"]:
        wanted, actual = system["desired"], system["actual"]
        again = f", next attempt {_time(system['next_attempt_at'])}" if system["next_attempt_at"] else ""
        for subject in dict.fromkeys([*wanted, *contracted[system["system"]]]):
            name = f"internet {subject}" if system["system"] == "internet" else subject
            office = f" in {offices[subject]}" if offices.get(subject) else ""
            asked_for = subject in wanted  # a New client's services are not, yet
            yield [
                Text(f"{name}{office}"),
                _word(wanted[subject] if asked_for else "-"),
                _word(actual.get(subject, "unknown" if asked_for else "-")),
                Text(_time(system["proven_at"]) or "-"),
                Text(f"{system['last_error']}{again}"),
            ]


def _word(word: str) -> Text:
    return Text(word, COLOURS.get(word, ""))


def _status(client: dict[str, Any]) -> Text:
    return _word("inactive" if client["status"] == "decommissioned" else client["status"])


def _end(client: dict[str, Any]) -> Text:
    if client["end_date_passed"]:
        return Text(f"{client['end_date']} !", "red")
    return Text(client["end_date"] or "none")


def _kind(change: dict[str, Any]) -> str:
    return str(change["kind"]).replace("_", " ")


def _next(client: dict[str, Any], *, with_zone: bool, with_time: bool) -> str:
    change = next(iter(client["planned"]), None)
    if change is None:
        return ""
    day, _, rest = change["local_time"].partition(" ")
    time, _, zone = rest.partition(" ")
    return " ".join([_kind(change), day, *([time] if with_time else []), *([zone] if with_zone else [])])


def _internet(internet: dict[str, Any] | None) -> str:
    if internet is None:
        return "none"
    vlan = f", VLAN {internet['vlan']}" if internet["vlan"] else ""
    return f"{internet['down_mbps']}/{internet['up_mbps']} Mbit/s{vlan}, account {internet['account']}"


def _hold(hold: dict[str, Any]) -> str:
    return f"since {_time(hold['placed_at'])} UTC{': ' if hold['reason'] else ''}{hold['reason']}"


def _planned(change: dict[str, Any]) -> str:
    reason = f": {change['reason']}" if change["reason"] else ""
    return f"{change['local_time']} ({change['at']}){reason}"


def _time(instant: str | None) -> str:
    return f"{datetime.fromisoformat(instant).astimezone(UTC):%Y-%m-%d %H:%M:%S}" if instant else ""


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
