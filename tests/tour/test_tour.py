"""docs/tour.md, line by line, through the real command lines of Connect and of Temporal."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.waiting import HANGING, eventually, free_port

ROOT = Path(__file__).parents[2]
PROMISED = (
    "connect site add",
    "connect client add",
    "connect client show",
    "--start-date",
    "temporal workflow signal",
    "connect client show",
    "exit status",
    "connect client unsuspend",
    "decommission acme --last-day",
    "connect client suspend",
    "cancel-decommission",
    "sauce",
    "connect client history",
    "--add-service doors:main-entrance:card=0472",
    "connect client convert",
    "temporal workflow list",
    "temporal workflow metadata",
    "summary",
    "connect client decommission",
    "--inactive",
)


@dataclass(frozen=True)
class Step:
    """One line of the tour: what is typed, and what is then to be read."""

    command: str
    expected: str


def steps() -> list[Step]:
    """Every command of the tour with the output written below it."""
    tour = (ROOT / "docs/tour.md").read_text(encoding="utf-8")
    found = []
    for block in re.findall(r"```console\n(.*?)```", tour, re.DOTALL):
        before, *parts = f"\n{block}".split("\n$ ")
        assert before == "", f"a block begins with a command: {block}"
        for part in parts:
            lines = part.splitlines()
            typed = 1 + next(i for i, line in enumerate(lines) if not line.endswith("\\"))
            found.append(Step("\n".join(lines[:typed]), "\n".join(lines[typed:])))
    return found


def pattern(expected: str) -> str:
    """What the output must be as a whole, line by line; how many blanks there are between words is left to the tables.

    Three dots stand for something in a line, and alone in a line for any lines.
    """
    lines = []
    for line in expected.strip().splitlines():
        words = [re.escape(word).replace(r"\.\.\.", "[^\n]+?") for word in line.split()]
        lines.append("(?:[^\n]*\n)*?" if line.strip() == "..." else " ".join(words) + "\n")
    return "".join(lines)


def as_read(output: str) -> str:
    """The output as ``pattern`` has it: one blank between words, no blank lines around it."""
    return "".join(f"{' '.join(line.split())}\n" for line in output.strip().splitlines())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """`connect up` in a folder of its own; gives the environment in which the tour's lines are typed."""
    folder = tmp_path_factory.mktemp("tour")
    port = free_port()
    temporal_port = free_port()
    ui_port = free_port()
    program = Path(sys.executable).parent / "connect"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("TEMPORAL_", "CONNECT_"))}
    arguments = ["--demo", "--data", str(folder / ".connect"), "--port", str(port)]
    arguments += ["--temporal-port", str(temporal_port), "--ui-port", str(ui_port)]
    with (folder / "up.log").open("w", encoding="utf-8") as log:
        patient = environment | {"CONNECT_AT_ONCE_SECONDS": "3"}  # at most: Temporal shows what was done at once
        up = subprocess.Popen([program, "up", *arguments], cwd=folder, env=patient, stdout=log, stderr=log)
    try:
        asyncio.run(eventually(lambda: "Connect is ready" in _log(folder) or up.poll() is not None))
        assert up.poll() is None, _log(folder)
        token = (folder / ".connect/token").read_text(encoding="utf-8").strip()
        yield environment | {
            "PATH": f"{program.parent}{os.pathsep}{environment['PATH']}",
            "CONNECT_URL": f"http://127.0.0.1:{port}",
            "CONNECT_TOKEN": token,
            "TEMPORAL_ADDRESS": f"127.0.0.1:{temporal_port}",
            "TEMPORAL_CODEC_ENDPOINT": f"http://127.0.0.1:{port}/codec",
            "TEMPORAL_CODEC_AUTH": f"Bearer {token}",
            "TOUR_FOLDER": str(folder),
        }
    finally:
        up.terminate()
        ended = up.wait(HANGING)
    assert ended == 0, _log(folder)


def _log(folder: Path) -> str:
    return (folder / "up.log").read_text(encoding="utf-8")


def test_the_tour_works_as_it_is_written(place: dict[str, str]) -> None:
    for step in steps():
        result = subprocess.run(
            ["bash", "-c", step.command],
            env=place,
            cwd=place["TOUR_FOLDER"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=HANGING,
            check=False,
        )
        got = f"$ {step.command}\n{result.stdout}"
        assert result.returncode == 0, got
        assert re.fullmatch(pattern(step.expected), as_read(result.stdout)), (
            f"{got}\ndocs/tour.md says:\n{step.expected}"
        )


def test_the_tour_shows_what_it_promises_in_this_order() -> None:
    commands = "\n".join(step.command for step in steps())
    at = -1
    for promised in PROMISED:
        at = commands.find(promised, at + 1)
        assert at >= 0, f"{promised} is not where it belongs"


def test_what_differs_from_the_tour_is_found() -> None:
    written = "acme: active, settled\nstart ... (automatic)\n...\nend"
    assert re.fullmatch(
        pattern(written), as_read("acme:  active, settled\nstart 2026-01-02 (automatic)\na\n\nb\nend\n")
    )
    for other in (
        "acme: suspended, settled\nstart 2026-01-02 (automatic)\nend",
        "acme: active, settled\nstart 2026-01-02 (automatic)\nend\nTraceback",
        "acme: active, settled\nstart 2026-01-02\n(automatic)\nend",
        "acme: active, settled\nend",
        "",
    ):
        assert not re.fullmatch(pattern(written), as_read(other)), other
    assert not re.fullmatch(pattern(""), as_read("said, where nothing is to be said"))
