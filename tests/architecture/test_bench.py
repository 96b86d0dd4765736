"""`make bench` measures what it says: in its smallest size, every change it times has really happened."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PARTS = {"temporal", "worker", "postgres", "caller"}


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    file = tmp_path_factory.mktemp("bench") / "smoke.json"
    bench = [sys.executable, "-m", "bench", "--smoke", "--json", str(file)]
    ran = subprocess.run(bench, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=120, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"Written to {file}" in ran.stdout.replace("\n", "")
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def test_every_measured_change_was_proven_on_both_systems(result: dict[str, Any]) -> None:
    verified = result["verified"]
    measured = sum(subjects["ours"]["changes"] for subjects in result["changes"].values())
    assert verified["changes"] >= measured > 0
    assert verified["proofs"] == 2 * verified["changes"]


def test_suspended_lines_were_found_off_in_the_subscriber_table(result: dict[str, Any]) -> None:
    assert result["verified"]["lines_off"] > 0
    assert result["verified"]["lines_on"] > 0


def test_ours_and_the_floor_are_measured_alike(result: dict[str, Any]) -> None:
    assert "1" in result["changes"]
    for subjects in result["changes"].values():
        assert subjects.keys() == {"ours", "floor"}
        assert subjects["ours"]["changes"] == subjects["floor"]["changes"]
        for measured in subjects.values():
            assert measured.keys() == {"changes", "p50_ms", "p99_ms", "per_second", "events", "cpu_ms"}
            assert measured["cpu_ms"].keys() == PARTS
            assert 0 < measured["p50_ms"] <= measured["p99_ms"]
            assert measured["events"] >= 14  # an update, three activities, and at least one workflow task


def test_each_goal_is_told_with_its_ratio(result: dict[str, Any]) -> None:
    names = [goal["name"] for goal in result["goals"]]
    assert names == ["p50, 1 caller", *(f"changes/s, {callers} callers" for callers in [*result["changes"]][1:])]
    assert all(goal["ratio"] > 0 and goal["wanted"] and goal["met"] in (True, False) for goal in result["goals"])


def test_idle_clients_are_weighed(result: dict[str, Any]) -> None:
    idle = result["idle"]
    assert 0 < idle["clients"] <= idle["wanted"]
    assert idle["per_second"] > 0
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
