"""`make bench` measures what it says: in its smallest size, every change it times has really happened."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.report import goals
from tests.support.waiting import HANGING

ROOT = Path(__file__).parents[2]
PARTS = {"temporal", "worker", "postgres", "api", "caller"}
SUBJECTS = {"ours", "http", "floor", "plain"}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    file = tmp_path_factory.mktemp("bench") / "smoke.json"
    bench = [sys.executable, "-m", "bench", "--smoke", "--json", str(file)]
    ran = subprocess.run(bench, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=10 * HANGING, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"Written to {file}" in ran.stdout.replace("\n", "")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def test_every_measured_change_was_proven_on_both_systems(result: dict[str, Any]) -> None:
    verified = result["verified"]
    measured = sum(subjects[ours]["changes"] for subjects in result["changes"].values() for ours in ("ours", "http"))
    assert verified["changes"] >= measured > 0
    assert verified["proofs"] == 2 * verified["changes"]


def test_suspended_lines_were_found_off_in_the_subscriber_table(result: dict[str, Any]) -> None:
    assert result["verified"]["lines_off"] > 0
    assert result["verified"]["lines_on"] > 0


def test_ours_and_the_floors_are_measured_alike(result: dict[str, Any]) -> None:
    assert "1" in result["changes"]
    for subjects in result["changes"].values():
        assert subjects.keys() == SUBJECTS
        assert len({measured["changes"] for measured in subjects.values()}) == 1
        for measured in subjects.values():
            assert measured.keys() == {
                *("changes", "p50_ms", "p99_ms", "per_second", "events", "bytes", "fast", "cpu_ms")
            }
            assert measured["cpu_ms"].keys() == PARTS
            assert 0 < measured["p50_ms"] <= measured["p99_ms"]
            assert measured["bytes"] > 0


def test_the_floors_take_three_activities_and_ours_takes_one(result: dict[str, Any]) -> None:
    """Unless the machine was too slow for the limit of attempts at once."""
    for subjects in result["changes"].values():
        for floor in (subjects["floor"], subjects["plain"]):
            assert floor["fast"] == 0
            assert floor["events"] >= 14  # an update, three activities, and at least one workflow task
        for ours in (subjects["ours"], subjects["http"]):
            assert ours["fast"] < 1 or ours["events"] < 14


def test_each_goal_is_told_with_its_figure(result: dict[str, Any]) -> None:
    goals = {goal["of"]: goal for goal in result["goals"]}
    assert goals.keys() == {
        "1 p50",
        *(f"{callers} changes/s" for callers in [*result["changes"]][1:]),
        "created per second, and registered",
        "Temporal's database, each",
    }
    assert all(goal["figure"] > 0 and goal["target"] and goal["met"] in (True, False) for goal in goals.values())
    one = result["changes"]["1"]
    assert goals["1 p50"]["figure"] == pytest.approx(one["ours"]["p50_ms"] / one["floor"]["p50_ms"], abs=0.001)


def test_the_cost_of_a_change_has_goals_where_eight_callers_change(result: dict[str, Any]) -> None:
    eight = goals({"8": result["changes"]["3"]}, result["idle"])
    assert [goal.of for goal in eight][:4] == ["8 changes/s", "8 events of history", "8 CPU worker", "8 CPU, all"]


def test_idle_clients_are_weighed(result: dict[str, Any]) -> None:
    idle = result["idle"]
    assert 0 < idle["clients"] <= idle["expected"]
    assert idle["per_second"] > 0
    assert idle["settled_per_second"] > 0
    assert idle["temporal_bytes"] > 0
    assert idle["postgres_bytes"] >= 0
    for part in ("worker_memory", "temporal_memory"):
        assert idle[part].keys() == {"before", "after"}
    assert idle["cpu_ms"].keys() == idle["idle_cpu_percent"].keys() == PARTS


def test_a_result_says_where_and_when_it_was_measured(result: dict[str, Any]) -> None:
    assert result["size"] == "smoke"
    assert result["at"]
    assert result["seconds"] > 0
    assert {"cpus", "system", "python", "versions"} == result["machine"].keys()
