"""What the command line shows people of the systems, and of the clients that wait for a person."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from rich.text import Text

from starter.cli.show.tables import (
    Column,
    Row,
    age,
    count,
    fits,
    leading,
    note,
    remedies,
    show,
    show_text,
    table,
    until,
    word,
)
from starter.wording import stage_word, within
from workflows.domain.systems import MAIN


def attention(items: list[dict[str, Any]], now: datetime, *, where: str = "", skipped: bool = False) -> None:
    """Who waits, under the system they wait for. ``where`` is the filter in words."""
    more = "" if skipped else " What is skipped is listed with --skipped."
    if not items:
        show_text(f"No client needs attention{where}.{more}")
        return
    for system, waiting in groupby(items, key=_name):
        group = list(waiting)
        stopped = group[0]["state"] == "cannot_run"
        what = "Workflows that cannot run" if stopped else f"{group[0]['title']} ({system})"
        show([Text(f"{what}: {count(len(group), 'client')}", "bold")])
        columns, rows = _waiting_table(group, now, wide=True)
        if not fits(columns, rows, wrap=True):
            columns, rows = _waiting_table(group, now, wide=False)
        show([*table(columns, rows, wrap=True), ""])
        if commands := [line for item in group for line in remedies(item["remedies"], item["client_id"])]:
            show([*commands, ""])
    show(
        [
            Text("To act: connect client retry | skip | mark-done ID SYSTEM. As last published.", "dim"),
            Text("The attempts of this moment: connect client show ID", "dim"),
        ]
    )


def _waiting_table(group: list[dict[str, Any]], now: datetime, *, wide: bool) -> tuple[list[Column], list[Row]]:
    columns = [Column("client"), *([Column("name", least=12), Column("site")] if wide else [])]
    columns += [Column("state"), Column("age"), Column("next attempt"), Column("error")]
    rows: list[Row] = [
        [
            item["client_id"],
            *([item["name"], item["site"]] if wide else []),
            word(item["state"]),
            age(item["since"], now),
            until(item["next_attempt_at"], now) or "-",
            _error(item),
        ]
        for item in group
    ]
    return columns, rows


def _name(item: dict[str, Any]) -> str:
    """What an instance of a system is called. The main one goes by the system's own name."""
    instance = item["instance"]
    return f"{item['system']} {instance}" if instance != MAIN else str(item["system"])


def _error(item: dict[str, Any]) -> str:
    """What is in the way, and who has accepted it."""
    skipped = item["skipped"]
    accepted = f"skipped by {skipped['by'] or '-'}: {skipped['reason']}" if skipped else ""
    return "; ".join(part for part in (accepted, item["last_error"]) if part)


def systems(items: list[dict[str, Any]], now: datetime, canaries: Sequence[dict[str, Any]] = ()) -> None:
    """A line for every system; below it the errors of those that are not well, and what an operator can do; then a line
    for every canary."""
    columns = [Column(head) for head in ("system", "state", "for", "workers", "changing", "attention", "oldest")]
    columns += [Column("last success"), Column("switches")]
    rows = [_system_row(system, now) for system in items]
    show(table(*leading(columns, rows, least=1)))
    errors = [
        [Text(_name(system), "dim"), system["last_error"]]
        for system in items
        if system["last_error"] and system["state"] != "working"
    ]
    errors += [
        [Text(_name(system), "dim"), system["attempts_error"]]
        for system in items
        if system["state"] == "working" and system["attempts_error"]
    ]
    errors += [
        [Text(_name(system), "dim"), f"what was switched off is not watched: {system['watch_error']}"]
        for system in items
        if system["watch_error"]
    ]
    show(["", *table([Column(""), Column("")], errors, wrap=True)] if errors else [])
    if canaries:
        _canaries(canaries, now)
    if advice := list(_remedies(items)):
        note(*advice)


def _canaries(items: Sequence[dict[str, Any]], now: datetime) -> None:
    """A line for each; below it what is wrong."""
    columns = [Column(head) for head in ("canary of", "state", "for", "what fails", "proven after", "last round")]
    rows: list[Row] = [
        [
            it["site"],
            word(it["state"]),
            age(it["since"], now) or "-",
            stage_word(it["stage"], it["system"], it["instance"]) or "-",
            "-" if it["seconds"] is None else f"{it['seconds']:.2f} s",
            f"{age(it['last_round_at'], now)} ago" if it["last_round_at"] else "-",
        ]
        for it in items
    ]
    show(["", *table(*leading(columns, rows, least=1))])
    wrong: list[Row] = [[Text(it["site"], "dim"), it["text"]] for it in items if it["text"]]
    show(["", *table([Column(""), Column("")], wrong, wrap=True)] if wrong else [])


def _system_row(system: dict[str, Any], now: datetime) -> Row:
    succeeded = age(system["last_success_at"], now)
    return [
        _name(system),
        word(_finds(system)),
        age(system["since"], now) or "-",
        str(system["workers"]),
        str(system["clients_changing"]),
        str(system["clients_in_attention"]),
        age(system["oldest_attention_at"], now) or "-",
        f"{succeeded} ago" if succeeded else "-",
        within(system["title"]),
    ]


def _finds(system: dict[str, Any]) -> str:
    """How the workers find it; while they find it working, what the attempts of the clients in attention find."""
    if system["state"] != "working" or not system["attempts_find"]:
        return str(system["state"])
    return "failing" if system["attempts_find"] == "all_fail" else "fails for some"


def _remedies(items: list[dict[str, Any]]) -> Iterable[str]:
    silent = [_name(system) for system in items if system["state"] == "unknown"]
    if silent:
        yield f"No worker has reported of {' and '.join(silent)} within a minute. Is one running? connect worker"
    if any(system["clients_in_attention"] for system in items):
        yield "Who needs attention: connect attention"
