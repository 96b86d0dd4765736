"""The walls between the rooms stand, and the repository names no machine that it was made on."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("workflows", "activities", "starter", "bench", "deploy")
BIN = Path(sys.executable).parent
BANNED = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]["flake8-tidy-imports"][
    "banned-api"
]
MACHINES = re.compile(
    r"/(?:work|home|Users|root)/\w|(?<![\w-])--(?:extra-)?index-url|pythonhosted" + r"\.org|registry\.npmjs" + r"\.org"
)


def test_arrows_point_inward_only() -> None:
    told = subprocess.run([BIN / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout
    assert "0 broken" in told.stdout


@pytest.mark.parametrize("name", BANNED)
def test_the_core_cannot_reach_for_what_it_must_be_given(name: str) -> None:
    use = f"import {name.split('.')[0]}\n\nx = {name}\n"
    assert "TID251" in complaints_about(use, "workflows/domain/x.py")
    assert "TID251" in complaints_about(use, "workflows/x.py")
    assert "TID251" not in complaints_about(use, "activities/x.py")


def test_nothing_is_printed_but_by_benches() -> None:
    assert "T201" in complaints_about("print(1)\n", "starter/x.py")


def test_files_are_read_and_written_in_utf8_whatever_the_locale_says() -> None:
    assert "PLW1514" in complaints_about('from pathlib import Path\n\nPath("x").read_text()\n', "starter/x.py")
    files = [ROOT / "worker.py", *(f for room in ROOMS for f in (ROOT / room).rglob("*.py"))]
    assert [f"{f.relative_to(ROOT)}:{line}" for f in files for line in in_the_locales_encoding(f)] == []


def in_the_locales_encoding(file: Path) -> list[int]:
    """Lines that open a text without saying its encoding. Ruff sees only what is a path beyond doubt."""
    found = []
    for call in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(call, ast.Call) or any(word.arg == "encoding" for word in call.keywords):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        mode = next((a.value for a in call.args if isinstance(a, ast.Constant) and isinstance(a.value, str)), "r")
        os_open = name == "open" and ast.unparse(call.func) == "os.open"
        if name in ("read_text", "write_text") or (name == "open" and "b" not in mode and not os_open):
            found.append(call.lineno)
        if any(ast.unparse(word) == "text=True" for word in call.keywords):  # subprocess
            found.append(call.lineno)
    return found


def complaints_about(code: str, place: str) -> str:
    """What ruff says about code in a file of that name."""
    ruff = [str(BIN / "ruff"), "check", "--no-cache", "--output-format", "json", "--stdin-filename", place, "-"]
    told = subprocess.run(ruff, cwd=ROOT, input=code, capture_output=True, text=True, check=False)
    return told.stdout


def test_no_file_names_a_machine_or_a_registry() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    found = []
    for name in listed.stdout.split("\0"):
        if (file := ROOT / name).is_file():
            text = file.read_text(errors="replace").replace("/home/ui-server", "")  # of an image, as Temporal makes it
            lines = text.splitlines()
            found += [f"{name}:{n}: {line.strip()}" for n, line in enumerate(lines, 1) if MACHINES.search(line)]
    assert [line for line in found if not line.startswith("tests/architecture/test_walls.py")] == []


def test_every_pin_has_its_hashes_and_no_address() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    assert "://" not in lock
    assert " @ " not in lock
    pins = re.split(r"\n(?=\S)", lock.replace("\\\n", " ").strip())
    assert len(pins) > 40
    for pin in pins:
        assert re.match(r"[a-z0-9._\[\],-]+==\S+ ", pin), pin
        assert "--hash=sha256:" in pin, pin
