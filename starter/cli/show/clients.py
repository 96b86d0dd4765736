"""What the command line shows people of clients.

Tables fit the terminal: columns that matter less are left out, long names end in an ellipsis, ids never break.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from rich.text import Text

from starter.cli.lines import phone, phones
from starter.cli.show.tables import (
    GAP,
    Cell,
    Column,
    Row,
    count,
    fits,
    leading,
    moment,
    note,
    remedies,
    show,
    show_text,
    table,
    warnings,
    word,
)
from starter.wording import duration_word, late_for, plan_word, rates_word, settings_words, within
from workflows.domain.systems import BUILT_IN, INTERNET, TELEPHONY

ESSENTIAL = 5  # columns of the list of clients that it has at any sensible width


def clients(items: list[dict[str, Any]], total: int) -> None:
    """The clients that were asked for, of ``total`` that there are, Inactive ones included."""
    if not items:
        show_text(
            f"None of {count(total, 'client')} matches. Inactive ones are listed with --inactive."
            if total
            else "No clients yet: connect client add --name NAME --type virtual --site ID --line +442079460001"
        )
        return
    zones = {client["timezone"] for client in items if client["planned"]}
    columns, rows = _clients_table(items, with_zone=len(zones) > 1, narrow=False)
    most = len(columns)
    if not fits(columns[:ESSENTIAL], rows):
        columns, rows = _clients_table(items, with_zone=len(zones) > 1, narrow=True)
        most = ESSENTIAL
    present, cells = leading(columns[:most], rows, least=3)
    show(table(present, cells))
    summary = [f"{len(items)} of {count(total, 'client')}"]
    if len(zones) == 1:
        summary.append(f"next changes in {zones.pop()} time")
    if late := sum(client["end_date_passed"] for client in items):
        summary.append(f"{late} past the end date (!)")
    if unnamed := sum(any(it["code"] == "kind_not_named" for it in client["warnings"]) for client in items):
        summary.append(f"{unnamed} with services of a kind that the settings do not name (connect client show ID)")
    left_out = ", ".join(column.head for column in columns[len(present) :])
    note("; ".join(summary), *([f"Not shown at this width: {left_out}"] if left_out else []))


def client(client: dict[str, Any]) -> None:
    show(
        [
            Text.assemble(
                (client["name"], "bold"), f" ({client['client_id']})  ", word(client["status"]), ", ",
                word(_provisioning(client)), " (management)" if client["management"] else "",
            )
        ]
    )  # fmt: skip
    titles = {system["system"]: system["title"] for system in client["systems"]}
    facts: list[tuple[str, Cell]] = [
        ("type", client["type"]),
        ("site", f"{client['site']} ({client['timezone']})"),
        ("offices", client["office_label"]),
        ("billing ref", client["billing_ref"]),
        ("start", f"{client['start_date']} ({client['activation']})"),
        ("end", _end(client)),
        *([("tags", ", ".join(client["tags"]))] if client["tags"] else []),
        *((f"id in {system}", value) for system, value in client["external_ids"].items()),
        ("internet", _internet(client["internet"])),
        *((within(titles.get(service["kind"], service["kind"])), _service(service)) for service in client["services"]),
        *((f"held by {hold['source']}", _hold(hold)) for hold in client["holds"]),
        *(fact for change in client["planned"] for fact in _plan(change)),
        ("possible now", _possible(client)),
    ]
    show(table([Column(""), Column("")], [[Text(name, "dim"), fact] for name, fact in facts], wrap=True))
    label = "in Temporal".ljust(max(len(name) for name, _ in facts) + GAP)
    show([Text.assemble((label, "dim"), client["temporal_ui_url"])])  # an address is not broken
    for matter in client["matters"]:
        if matter["kind"] in ("attention", "not_proven", "skipped"):
            continue  # its system says so below
        text = f"since {moment(matter['since'])} UTC: {matter['text']}"
        show(["", *table([Column(""), Column("")], [[word("open matter"), text]], wrap=True)])
        show(remedies(matter["remedies"]))
    warnings(it for it in client["warnings"] if not it["code"].startswith("plan_"))  # plans say it themselves
    _show_systems(client)


def _show_systems(client: dict[str, Any]) -> None:
    services = [row for system in client["systems"] for row in _services(client, system)]
    columns = [Column("service"), Column("wanted"), Column("proven"), Column("at (UTC)"), Column("remark")]
    remarked = any(row[-1] for row in services)
    width = len(columns) if remarked else -1
    show(["", *table(columns[:width], [row[:width] for row in services], wrap=remarked)] if services else [])
    standings = [
        [Text(system["system"], "dim"), state, text]
        for system in client["systems"]
        for state, text in _standing(system)
    ]
    show(["", *table([Column(""), Column(""), Column("")], standings, wrap=True)] if standings else [])


def history(page: dict[str, Any]) -> None:
    columns = [Column("time (UTC)"), Column("event"), Column("by", least=12), Column("what")]
    rows = []
    for line in page["items"]:
        what = phones(line["text"]) + (f" ({line['reason']})" if line["reason"] else "")
        at = datetime.fromisoformat(line["at"])
        if due := late_for(line.get("facts", {}), at):
            late = duration_word((at - due).total_seconds())
            what += f"; planned for {moment(due.isoformat())}, done {late} late"
        rows.append([moment(line["at"]), word(line["event"]), line["by"] or "-", what])
    show(table(columns, rows, wrap=True))
    note(f"{len(rows)} of {count(page['total'], 'line')}, newest first")


def credentials(access: dict[str, Any]) -> None:
    """Secrets and servers; words for what cannot be known here."""
    servers = access["servers"]
    rows = [("telephone", line, servers["sip"]) for line in access["sip"]]
    rows += [("router", access["radius"], servers["radius"])] if access["radius"] else []
    if not rows:
        show_text("No lines and no internet access: nothing to configure.")
        return
    columns = [Column("for"), Column("username"), Column("password"), Column("server")]
    cells = [(what, it["username"], it["password"] or "its own, from before", where or "-") for what, it, where in rows]
    show(table(columns, cells))
    if access["sip"]:
        note(f"SIP domain {servers['sip_domain']}")


def answer(client: dict[str, Any]) -> None:
    """What a command did, and where the client now stands."""
    message = client.get("message") or f"Created {client['client_id']}, billing ref {client['billing_ref']}"
    message = phones(message)
    outcome = Text(message if client.get("changed", True) else f"No change: {message}")
    state = Text.assemble(f"{client['client_id']}: ", word(client["status"]), ", ", word(_provisioning(client)))
    show([outcome, state, *(f"planned {_kind(change)}: {_plan_text(change)}" for change in client["planned"])])
    warnings(client["warnings"])


# -- pieces -----------------------------------------------------------------------------------------------------------


def _cannot_run(client: dict[str, Any]) -> bool:
    return any(matter["matter"] == "workflow" for matter in client["matters"])


def _clients_table(items: list[dict[str, Any]], *, with_zone: bool, narrow: bool) -> tuple[list[Column], list[Row]]:
    """Every column there is, the most important ones first."""
    columns = [Column("client"), Column("name", least=8 if narrow else 16), Column("status")]
    columns += [Column("provisioning", least=9 if narrow else None)]
    columns += [Column("next change"), Column("type"), Column("offices", least=14), Column("billing ref")]
    columns += [Column("start"), Column("end")]
    rows: list[Row] = [
        [
            client["client_id"],
            client["name"] + (" (management)" if client["management"] else ""),
            word(client["status"]),
            word("cannot run" if _cannot_run(client) else _provisioning(client)),
            _next(client, with_zone=with_zone, with_time=not narrow),
            client["type"],
            client["office_label"],
            client["billing_ref"],
            client["start_date"],
            _end(client) if client["end_date"] else "",
        ]
        for client in items
    ]
    return columns, rows


def _services(client: dict[str, Any], system: dict[str, Any]) -> Iterable[Row]:
    """A row for every line, account and further service: what is wanted, what is proven, since when, and why not."""
    kind = system["system"]
    title = kind if kind in BUILT_IN else within(system["title"])
    labels = {service["name"]: _subject(kind, title, service) for service in _services_of(client, kind)}
    subjects = {subject["subject"]: subject for subject in system["subjects"]}
    for name in dict.fromkeys([*subjects, *labels]):
        label = labels.get(name) or _subject(kind, title, {"name": name})
        if subject := subjects.get(name):
            at = moment(subject["proven_at"]) or "-"
            yield [label, word(subject["desired"]), word(_actual_word(subject)), at, _why(client, subject)]
        else:  # a New client's services are not wanted, yet
            yield [label, "-", "-", "-", ""]


def _services_of(client: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """The client's services of a kind, each with its ``name``."""
    if kind == TELEPHONY:
        return [{**line, "name": line["number"]} for line in client["lines"]]
    if kind == INTERNET:
        return [{"name": client["internet"]["account"]}] if client["internet"] else []
    return [service for service in client["services"] if service["kind"] == kind]


def _subject(kind: str, title: str, service: dict[str, Any]) -> str:
    """How a line, an account or a further service is distinguished from all others."""
    if kind == TELEPHONY:
        number = phone(service["name"])
        return f"{number} in {service['office']}" if service.get("office") else number
    return f"{title} {service['name']}"


def _actual_word(subject: dict[str, Any]) -> str:
    """On or off for what was proven of it last; else the word for why nothing is."""
    actual = subject["actual"]
    words = {"proven": actual, "done_by_hand": f"{actual} by hand", "changing": actual}
    return str(words.get(subject["state"], subject["state"]))


def _provisioning(client: dict[str, Any]) -> str:
    """How all systems of a client stand together: what a person marked as done is not what was seen to be."""
    by_hand = any(system["state"] == "done_by_hand" for system in client["systems"])
    return "done by hand" if by_hand and client["provisioning"] == "settled" else str(client["provisioning"])


def _why(client: dict[str, Any], subject: dict[str, Any]) -> str:
    stays = client["status"] == "suspended" and subject["desired"] == "on"
    protected = ("protected: left in service" if stays else "protected") if subject["protected"] else ""
    return "; ".join(part for part in (protected, subject["why"]) if part)


def _standing(system: dict[str, Any]) -> Iterable[tuple[Cell, Cell]]:
    """Lines about a system as a whole: its trouble, who has accepted or mended it, and what is still to come."""
    if system["state"] in ("attention", "not_proven"):
        since = f"since {moment(system['attention_since'])} UTC, " if system["attention_since"] else ""
        again = f", next attempt {moment(system['next_attempt_at'])} UTC" if system["next_attempt_at"] else ""
        attempts = count(system["attempts"], "attempt")
        yield word(system["state"]), f"{since}{attempts}{again}: {system['last_error']}"
    elif system["last_error"] and not system["skipped"]:
        yield word(system["state"]), system["last_error"]
    if skipped := system["skipped"]:
        yield word("skipped"), f"by {skipped['by'] or '-'} at {moment(skipped['at'])} UTC: {skipped['reason']}"
    if system["state"] == "done_by_hand":
        how = f": {system['note']}" if system.get("note") else ""
        yield system["method"], f"by {system['by']} at {moment(system['proven_at'])} UTC{how}"


def _possible(client: dict[str, Any]) -> str:
    """The commands that would change something now."""
    possible = [str(action["kind"]).replace("_", " ") for action in client["actions"] if action["possible"]]
    return ", ".join(possible) or "nothing"


def _end(client: dict[str, Any]) -> Text:
    if client["end_date_passed"]:
        return Text(f"{client['end_date']} !", "red")
    return Text(client["end_date"] or "none")


def _kind(change: dict[str, Any]) -> str:
    return plan_word(change["kind"], change["details"])


def _next(client: dict[str, Any], *, with_zone: bool, with_time: bool) -> str:
    change = next(iter(client["planned"]), None)
    if change is None:
        return ""
    day, _, rest = change["local_time"].partition(" ")
    time, _, zone = rest.partition(" ")
    blocked = ["(cannot happen)"] if change["blocked_by"] else []
    return " ".join([_kind(change), day, *([time] if with_time else []), *([zone] if with_zone else []), *blocked])


def _internet(internet: dict[str, Any] | None) -> str:
    if internet is None:
        return "none"
    rates = rates_word(internet["down_mbps"], internet["up_mbps"], internet["vlan"])
    return f"{rates}, account {internet['account']}"


def _service(service: dict[str, Any]) -> str:
    settings = settings_words(service["settings"])
    return f"{service['name']} ({settings})" if settings else str(service["name"])


def _hold(hold: dict[str, Any]) -> str:
    return f"since {moment(hold['placed_at'])} UTC{': ' if hold['reason'] else ''}{hold['reason']}"


def _plan(change: dict[str, Any]) -> list[tuple[str, Cell]]:
    """A planned change, and why it cannot happen."""
    blocked = [("", Text(f"cannot happen: {change['blocked_by']}", "red"))] if change["blocked_by"] else []
    return [(f"planned {_kind(change)}", _plan_text(change)), *blocked]


def _plan_text(change: dict[str, Any]) -> str:
    reason = f": {change['reason']}" if change["reason"] else ""
    return f"{change['local_time']} ({change['at']}){reason}"
