"""`make audit` says what a list of advisories says, and never takes silence for good news."""

import asyncio
import json
import stat
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI, Request

from tests.architecture.compose import ROOT
from tests.support.service import serving

JINJA = {"name": "jinja2", "version": "3.1.2", "vulns": [{"id": "GHSA-h5c8", "fix_versions": ["3.1.3"]}]}
IDNA: dict[str, Any] = {"name": "idna", "version": "3.10", "vulns": []}
# as pip-audit 2.10 answers, with status 0 and "No known vulnerabilities found", where its list has no such package
SKIPPED = {"name": "idna", "skip_reason": "Dependency not found on PyPI and could not be audited: idna (3.10)"}
TRACEBACK = "requests.exceptions.ConnectionError: Name or service not known"


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """Two pins of everything, one of them in the image, and one for other machines."""
    hashes = f" \\\n    --hash=sha256:{'0' * 64}"
    pins = [f"{pin}{hashes}\n" for pin in ("idna==3.10", "jinja2==3.1.2", "colorama==0.4.6 ; sys_platform == 'win32'")]
    (tmp_path / "requirements-run.lock").write_text(pins[1], encoding="utf-8")
    lock = tmp_path / "requirements.lock"
    lock.write_text("".join(pins), encoding="utf-8")
    return lock


def audit(lock: Path, tool: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command: list[str | Path] = [sys.executable, ROOT / ".ci/audit.py", "--lock", lock, "--tool", tool, *more]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False)


def fake_tool(folder: Path, answers: list[dict[str, Any]] | None) -> Path:
    """A pip-audit that has been asked already."""
    output = TRACEBACK if answers is None else json.dumps({"dependencies": answers, "fixes": []})
    stream = "stderr" if answers is None else "stdout"
    tool = folder / "pip-audit"
    tool.write_text(
        f"#!{sys.executable}\nimport sys\nsys.{stream}.write({output!r})\nsys.exit({int(answers is None)})\n",
        encoding="utf-8",
    )
    tool.chmod(stat.S_IRWXU)
    return tool


@pytest.mark.parametrize(
    ("answers", "status", "words"),
    [
        ([{**JINJA, "vulns": []}, IDNA], 0, "2 packages were looked up: no known vulnerability"),
        ([JINJA, IDNA], 1, "jinja2 3.1.2 (in the image): GHSA-h5c8, mended in 3.1.3"),
        (
            [{**JINJA, "vulns": []}, {**IDNA, "vulns": [{"id": "X", "fix_versions": []}]}],
            1,
            "(not in the image): X, mend",
        ),
        ([JINJA, SKIPPED], 1, "not audited: idna"),
        ([{**JINJA, "vulns": []}, SKIPPED], 3, "not audited: idna"),
        ([{**JINJA, "vulns": []}], 3, "not audited: idna"),
        ([SKIPPED], 3, "not audited: no list of advisories could be read, for any of 2 packages"),
        ([], 3, "not audited: no list of advisories could be read"),
        (None, 3, f"not audited: no list of advisories could be read: {TRACEBACK}"),
    ],
    ids=["clean", "in the image", "elsewhere", "some and silence", "half", "left out", "silence", "nothing", "no way"],
)
def test_an_audit_leaves_with_what_the_list_says(
    lock: Path, tmp_path: Path, answers: list[dict[str, Any]] | None, status: int, words: str
) -> None:
    done = audit(lock, fake_tool(tmp_path, answers))
    assert done.returncode == status, done
    assert words in done.stdout + done.stderr
    assert ("no known vulnerability" in done.stdout) == (status == 0), "only what was looked up is called good"


def advisories() -> FastAPI:
    """A list of advisories in OSV's own form: one, of jinja2."""
    app = FastAPI()

    @app.post("/v1/query")
    async def query(request: Request) -> dict[str, Any]:
        question = await request.json()
        events = [{"introduced": "0"}, {"fixed": "3.1.3"}]
        affected = [
            {"package": {"ecosystem": "PyPI", "name": "jinja2"}, "ranges": [{"type": "ECOSYSTEM", "events": events}]}
        ]
        found = {"id": "GHSA-h5c8-rqwp-cp95", "summary": "XSS", "affected": affected, "aliases": []}
        return {"vulns": [found]} if question["package"]["name"] == "jinja2" else {}

    return app


async def test_a_list_that_can_be_read_is_read(lock: Path, tmp_path: Path) -> None:
    """By the real pip-audit, from a server of ours."""
    await asyncio.to_thread(venv.create, tmp_path / "tool", with_pip=True)
    pip = await asyncio.create_subprocess_exec(
        tmp_path / "tool/bin/python", *["-m", "pip", "install", "--quiet", "pip-audit"]
    )
    if await pip.wait():
        pytest.skip("pip-audit cannot be installed here")
    tool, service = tmp_path / "tool/bin/pip-audit", ("--vulnerability-service", "osv", "--osv-url")
    async with serving(advisories()) as url:
        done = await asyncio.to_thread(audit, lock, tool, *service, f"{url}/v1/query")
    assert done.returncode == 1, done
    assert "jinja2 3.1.2 (in the image): GHSA-h5c8-rqwp-cp95, mended in 3.1.3" in done.stderr
    assert "1 of 2 packages have known vulnerabilities" in done.stderr
    gone = await asyncio.to_thread(audit, lock, tool, *service, f"{url}/v1/query")
    assert gone.returncode == 3, "the server is gone"
    assert "not audited: no list of advisories could be read" in gone.stderr
