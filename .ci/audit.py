"""Hold every pinned package against a list of known vulnerabilities: `make audit`. It needs Python, and nothing else.

    0  every package was looked up, and none has a known vulnerability
    1  some have: each is named, with the version that mends it
    3  not audited: no list could be read, or not for every package

pip-audit (of the Python Packaging Authority) does the work, in an environment of its own that is thrown away. It says
"No known vulnerabilities found", with status 0, where its list answers nothing at all: so its answers are read here,
and silence is never taken for good news.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CLEAN, VULNERABLE, NOT_AUDITED = 0, 1, 3
SILENCE = "not audited: no list of advisories could be read"


def main() -> int:
    """The exit status; what was found is said on the way."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--tool", type=Path, help="a pip-audit that is installed already")
    options.add_argument("--lock", type=Path, default=ROOT / "requirements.lock", help="the pins to look up")
    ours, more = options.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="connect-audit-") as folder:
        tool = ours.tool or installed(Path(folder))
        if tool is None:
            return say(NOT_AUDITED, f"{SILENCE}: pip-audit cannot be installed")
        result = subprocess.run(
            [tool, "--requirement", ours.lock, "--require-hashes", "--disable-pip", "--format", "json",
             "--progress-spinner", "off", *more],
            capture_output=True, encoding="utf-8", check=False,
        )  # fmt: skip
    try:
        answers = json.loads(result.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return say(NOT_AUDITED, f"{SILENCE}: {(result.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
    return judged(answers, ours.lock)


def judged(answers: list[dict[str, Any]], lock: Path) -> int:
    """What the answers mean: every package must have one."""
    image = lock.with_name("requirements-run.lock")
    in_image = pinned(image) if image.exists() else set()
    looked_up = {answer["name"]: answer for answer in answers if "skip_reason" not in answer}
    missed = sorted(pinned(lock) - looked_up.keys())
    if not looked_up:
        return say(NOT_AUDITED, f"{SILENCE}, for any of {len(missed)} packages")
    vulnerable = {name: answer for name, answer in looked_up.items() if answer["vulns"]}
    for name, answer in vulnerable.items():
        where = "in the image" if name in in_image else "not in the image"
        for found in answer["vulns"]:
            mended = ", ".join(found["fix_versions"]) or "no version yet"
            say(VULNERABLE, f"{name} {answer['version']} ({where}): {found['id']}, mended in {mended}")
    if missed:
        say(NOT_AUDITED, f"not audited: {', '.join(missed)}")
    if vulnerable:
        return say(VULNERABLE, f"{len(vulnerable)} of {len(looked_up)} packages have known vulnerabilities")
    return NOT_AUDITED if missed else say(CLEAN, f"{len(looked_up)} packages were looked up: no known vulnerability")


def pinned(lock: Path) -> set[str]:
    """The packages of a lock that every machine has: those for other platforms are not looked up here."""
    lines = [line for line in lock.read_text(encoding="utf-8").splitlines() if "==" in line and " ; " not in line]
    return {line.partition("==")[0].partition("[")[0] for line in lines}


def installed(folder: Path) -> Path | None:
    """pip-audit in an environment of its own; None where it cannot be had."""
    venv.create(folder, with_pip=True)
    pip = [folder / "bin/python", "-m", "pip", "install", "--quiet", "pip-audit"]
    done = subprocess.run(pip, capture_output=True, check=False)
    return folder / "bin/pip-audit" if done.returncode == 0 else None


def say(status: int, text: str) -> int:
    (sys.stdout if status == CLEAN else sys.stderr).write(f"{text}\n")
    return status


if __name__ == "__main__":
    sys.exit(main())
