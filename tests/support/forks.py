"""Run the command line many times: a process that has it imported forks for each, with real standard streams.

``python -m tests.support.forks`` reads cases as JSON and writes what became of them: a start costs half a second, and a
fork little. A child does what Python does when it starts and ends: it opens the standard streams in the encoding of the
locale, and has status 120 when what was printed cannot be written.
"""

import gc
import importlib
import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NoReturn

from rich.cells import cell_len

ROOT = Path(__file__).parents[2]
CALLERS = ("starter.cli.main", "httpx2", "httpcore2", "truststore", "rich._emoji_codes", "typer._adapters")
PROCESSES = (*CALLERS, "worker", "starter.serve", "starter.local.up", "activities.adopting.adopt", "activities.prepare")


@dataclass(frozen=True)
class Streams:
    """Where output goes (``file``, ``full`` device, ``broken``: a pipe without a reader, ``closed``), and how."""

    out: str = "file"
    err: str = "file"
    encoding: str = "utf-8"
    errors: str = "strict"


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed to files."""

    status: int
    out: str
    err: str


def run(
    cases: Iterable[tuple[Sequence[str], Streams]],
    environment: dict[str, str],
    folder: Path,
    imported: Sequence[str] = CALLERS,
) -> list[Ended]:
    """What becomes of each command with these streams, in a folder, without a terminal."""
    text = json.dumps([{"words": list(words), "streams": asdict(streams)} for words, streams in cases])
    result = subprocess.run(
        [sys.executable, "-m", "tests.support.forks", str(folder), *imported],
        input=text,
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONUTF8": "1", **environment},
        encoding="utf-8",
        check=True,
        start_new_session=True,
    )
    return [Ended(**ended) for ended in json.loads(result.stdout)]


def _main(folder: str, imported: Sequence[str]) -> None:
    cases = json.load(sys.stdin)
    for module in imported:
        importlib.import_module(module)
    cell_len("\N{LATIN SMALL LETTER E WITH ACUTE}")  # has rich read its tables
    gc.freeze()
    os.chdir(folder)
    json.dump([_run(case["words"], Streams(**case["streams"])) for case in cases], sys.stdout)


def _run(words: list[str], streams: Streams) -> dict[str, Any]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if not child:
            try:
                _be_the_command(words, streams, out.fileno(), err.fileno())
            except BaseException:  # noqa: BLE001  # a child never returns
                os.write(err.fileno(), traceback.format_exc().encode())
                os._exit(99)
        _, status = os.waitpid(child, 0)
        printed = [os.pread(it.fileno(), 1 << 24, 0).decode(errors="replace") for it in (out, err)]
    return asdict(Ended(os.waitstatus_to_exitcode(status), *printed))


def _be_the_command(words: list[str], streams: Streams, out: int, err: int) -> NoReturn:
    main = sys.modules["starter.cli.main"].main
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, kind, file in ((1, streams.out, out), (2, streams.err, err)):
        _direct(number, kind, file)
    sys.argv = ["connect", *words]
    sys.stdin = open(0, encoding=streams.encoding, closefd=False)  # noqa: SIM115  # as Python's own
    sys.stdout, sys.stderr = (
        None if kind == "closed" else os.fdopen(number, "w", encoding=streams.encoding, errors=errors, closefd=False)
        for number, kind, errors in ((1, streams.out, streams.errors), (2, streams.err, "backslashreplace"))
    )
    status: Any = 0
    try:
        main()
    except SystemExit as end:
        status = end.code or 0
    except BaseException:  # noqa: BLE001  # as Python ends with any
        status = 1
        os.write(err, traceback.format_exc().encode())
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            status = 120
    os._exit(status)


def _direct(number: int, kind: str, file: int) -> None:
    if kind == "closed":
        os.close(number)
        return
    if kind == "full":
        file = os.open("/dev/full", os.O_WRONLY)
    elif kind == "broken":
        read, file = os.pipe()
        os.close(read)
    os.dup2(file, number)


if __name__ == "__main__":
    _main(sys.argv[1], sys.argv[2:])
