"""No statement names a system by a column: the directory has a row for each client and system."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ROOMS = ("workflows", "activities", "starter", "bench")
COLUMN = re.compile(r"\b(?:telephony|internet|\{system\})_(?:wanted|proven|done|at|method|findings)\b")
BEFORE = "0009_client_systems.sql"  # the last step that reads such columns, to drop them


def test_no_statement_knows_a_system_by_a_column() -> None:
    named = [
        f"{path.relative_to(ROOT)}: {found.group()}"
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*"))
        if path.suffix in (".py", ".sql") and not (path.parent.name == "versions" and path.name <= BEFORE)
        for found in COLUMN.finditer(path.read_text(encoding="utf-8"))
    ]
    assert named == []
