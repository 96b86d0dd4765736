"""The README's tour, line by line, through the real command lines of Connect and of Temporal."""

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.waiting import free_port

ROOT = Path(__file__).parents[2]
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Step:
    """One line of the tour: what is typed, and what is then to be read."""

    command: str
    expected: str


def steps() -> list[Step]:
    """Every command of the README's tour with the output written below it; three dots stand for anything."""
    readme = (ROOT / "README.md").read_text()
    tour = readme.partition("## A ten-minute tour")[2].partition("\n## ")[0]
    blocks = re.findall(r"```console\n(.*?)```", tour, re.DOTALL)
    found = []
    for part in "\n".join(blocks).split("\n$ ")[0:]:
        lines = part.removeprefix("$ ").splitlines()
        command = [lines.pop(0)]
        while command[-1].endswith("\\"):
            command.append(lines.pop(0))
        found.append(Step("\n".join(command), "\n".join(lines).strip()))
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """`connect up` in a folder of its own; gives the environment in which the tour's lines are typed."""
    folder = tmp_path_factory.mktemp("tour")
    port, temporal_port, ui_port = free_port(), free_port(), free_port()
    program = Path(sys.executable).parent / "connect"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TEMPORAL_", "CONNECT_"))}
    arguments = ["--data", str(folder / "data"), "--port", str(port)]
    arguments += ["--temporal-port", str(temporal_port), "--ui-port", str(ui_port)]
    up = subprocess.Popen(
        [program, "up", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert up.stdout is not None
        ready = up.stdout.readline()
        assert ready.startswith("Connect is ready"), ready
        yield environment | {
            "PATH": f"{program.parent}{os.pathsep}{environment['PATH']}",
            "CONNECT_URL": f"http://127.0.0.1:{port}",
            "CONNECT_TOKEN": (folder / "data/token").read_text().strip(),
            "TEMPORAL_ADDRESS": f"127.0.0.1:{temporal_port}",
            "TOUR_FOLDER": str(folder),
        }
    finally:
        up.terminate()
        assert up.wait(60) == 0
        up.stdout.close()


def test_the_tour_works_as_it_is_written(place: dict[str, str]) -> None:
    checker = doctest.OutputChecker()
    for step in steps():
        done = subprocess.run(
            ["bash", "-c", step.command],
            env=place,
            cwd=place["TOUR_FOLDER"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        got = f"$ {step.command}\n{done.stdout}"
        assert done.returncode == 0, got
        assert not step.expected or checker.check_output(step.expected + "\n", done.stdout, FLAGS), (
            f"{got}\nREADME says:\n{step.expected}"
        )


def test_the_tour_shows_what_it_promises() -> None:
    commands = "\n".join(step.command for step in steps())
    promised = ("connect site add", "client add", "--start-date", "temporal workflow signal", "decommission")
    assert [word for word in (*promised, "cancel-decommission", "history") if word not in commands] == []
