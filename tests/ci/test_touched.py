"""`make test-fast` runs the tests that mirror what was touched."""

import runpy
import subprocess
from typing import Any

import pytest

from tests.architecture.compose import ROOT

TOUCHED: dict[str, Any] = runpy.run_path(str(ROOT / ".ci/touched.py"))
ALWAYS = list(TOUCHED["ALWAYS"])


@pytest.mark.parametrize(
    ("touched", "tests"),
    [
        ("starter/web/http_server.py", ["tests/starter/web/test_http_server.py"]),
        ("starter/web/repeats.py", ["tests/starter/web"]),
        ("starter/serve.py", ["tests/starter/test_serve.py"]),
        ("activities/pacing/states.py", ["tests/activities/pacing"]),
        ("tests/starter/api/test_once.py", ["tests/starter/api/test_once.py"]),
        ("tests/browser/test_access.py", []),
        ("tests/systems/test_calls.py", []),
        ("tests/faults/test_kills.py", []),
        ("tests/tour/test_tour.py", []),
        ("bench/__main__.py", ["tests/bench"]),
        (".ci/audit.py", ["tests/ci"]),
        ("starter/errors.py", []),
        ("workflows/domain/dates.py", []),
        ("README.md", []),
    ],
)
def test_each_file_has_its_mirror(touched: str, tests: list[str]) -> None:
    assert TOUCHED["mirrors"]([touched]) == sorted(ALWAYS + tests)


def test_nothing_is_run_twice() -> None:
    together = TOUCHED["mirrors"](["starter/web/repeats.py", "starter/web/http_server.py", "workflows/inbox.py"])
    assert together == sorted([*ALWAYS, "tests/starter/web"])


def test_everything_said_is_there() -> None:
    files = subprocess.check_output(["git", "ls-files"], cwd=ROOT, encoding="utf-8").splitlines()
    assert all((ROOT / path).exists() for path in TOUCHED["mirrors"](files))
