"""A terminal for tests of the command line: the real program, and what it says."""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.executable).with_name("connect")


@dataclass
class Result:
    """How the program ended, and what it said."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Terminal:
    """A terminal in an empty folder, with the service's address and token."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = {"PATH": os.environ["PATH"], "COLUMNS": "200", "LANG": "C.UTF-8", **environment}

    async def connect(self, *words: str) -> Result:
        process = await asyncio.create_subprocess_exec(
            PROGRAM,
            *words,
            cwd=self.folder,
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode is not None
        return Result(process.returncode, out.decode(), err.decode())

    async def json(self, *words: str, status: int = 0) -> Any:
        result = await self.connect(*words, "--json")
        assert result.status == status, result
        return result.json
