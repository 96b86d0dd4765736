"""The test folders that mirror what was touched since a commit, for `make test-fast`: one path a line.

A source file has its tests in the folder, or the file, of the same path under tests/: starter/web/http_server.py in
tests/starter/web; of .ci/ they are in tests/ci. Of a test that was touched it is the test itself, but for those that
start browsers, telephones and daemons, or kill them: they take longer than all the others, and `make test` has them.
What is touched are the files that differ from the commit that is named (HEAD unless one is), and those that git does
not know yet.
"""

import subprocess
import sys
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
SOURCES = ("workflows", "activities", "starter")
FOLDERS = {"bench": "tests/bench", ".ci": "tests/ci"}  # of what takes its time
ALWAYS = ("tests/workflows", "tests/replay", "tests/architecture")
NEVER = {"browser", "systems", "faults", "tour"}


def mirrors(touched: list[str]) -> list[str]:
    """The tests to run; no folder twice, and none that lies within another."""
    found = set(ALWAYS)
    for name in map(PurePosixPath, touched):
        if name.parts[0] == "tests" and name.name.startswith("test_") and name.parts[1] not in NEVER:
            found.add(str(name))
        elif name.parts[0] in SOURCES:
            found.add(_mirror(name))
        elif name.parts[0] in FOLDERS:
            found.add(FOLDERS[name.parts[0]])
    return sorted(path for path in found if (ROOT / path).exists() and not any(map(found.__contains__, _above(path))))


def _mirror(source: PurePosixPath) -> str:
    """The nearest folder under tests/ that mirrors the file's; of a file at the top of its package, its own test."""
    test = PurePosixPath("tests", source.parent, f"test_{source.name}")
    if (ROOT / test).exists():
        return str(test)
    folder = PurePosixPath("tests", source.parent)
    return str(folder) if len(folder.parts) > 2 and (ROOT / folder).exists() else str(test)


def _above(path: str) -> list[str]:
    return [str(parent) for parent in PurePosixPath(path).parents]


def main() -> None:
    changed = ["git", "diff", "--name-only", "--diff-filter=d", *(sys.argv[1:] or ["HEAD"])]
    unknown = ["git", "ls-files", "--others", "--exclude-standard"]
    names = [subprocess.check_output(words, cwd=ROOT, encoding="utf-8").split("\n") for words in (changed, unknown)]
    sys.stdout.write("\n".join(mirrors([name for lines in names for name in lines if name])) + "\n")


if __name__ == "__main__":
    main()
