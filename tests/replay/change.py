"""Say what a change under workflows/ means to the clients that live: ``python -m tests.replay.change "why"``.

From 0.1.0 on, every client replays its history with the newest code. A change of what that code does needs
``workflow.patched`` and a history recorded with it (``python -m tests.replay.record NAME``); any other needs a reason
why no replay comes out otherwise. Both are a line in changes.toml, and the newest line must be of the code as it is.
"""

import ast
import hashlib
import io
import json
import sys
import tokenize
import tomllib
from pathlib import Path
from typing import Any, TypeGuard

WORKFLOWS = Path(__file__).parents[2] / "workflows"
CHANGES = Path(__file__).with_name("changes.toml")


def digest(root: Path = WORKFLOWS) -> str:
    """Of everything under workflows/ but comments, docstrings and layout, which no replay sees. The same for every
    version of Python."""
    code = hashlib.sha256()
    for file in sorted(root.rglob("*.py")):
        source = file.read_text(encoding="utf-8")
        lines = source.splitlines()
        for node in ast.walk(ast.parse(source)):
            body = getattr(node, "body", None)
            for text in filter(_is_text, body if isinstance(body, list) else []):
                for number in range(text.lineno - 1, text.end_lineno or text.lineno):
                    lines[number] = ""
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                row, column = token.start
                lines[row - 1] = lines[row - 1][:column]
        code.update(f"{file.relative_to(root).as_posix()}\n{''.join(''.join(lines).split())}\n".encode())
    return code.hexdigest()[:16]


def _is_text(line: object) -> TypeGuard[ast.Expr]:
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and isinstance(line.value.value, str)


def changes() -> list[dict[str, Any]]:
    """Every change so far: the digest of the code, and why old histories replay."""
    entries: list[dict[str, Any]] = tomllib.loads(CHANGES.read_text(encoding="utf-8"))["change"]
    return entries


def main() -> int:
    """Add a line for the code as it is."""
    why = " ".join(sys.argv[1:]).strip()
    if not why:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    with CHANGES.open("a", encoding="utf-8") as file:
        file.write(f'\n[[change]]\ncode = "{digest()}"\nwhy = {json.dumps(why, ensure_ascii=False)}\n')
    return 0


if __name__ == "__main__":
    sys.exit(main())
