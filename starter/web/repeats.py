"""Log lines that anybody can cause: a few of each kind are written, the others are counted."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger(__name__)

FEW = 10  # lines of a kind that are written in a window
WINDOW = 10.0  # seconds
KINDS = 1000  # that a window counts separately; all others are one kind
LOGGERS = ("uvicorn.error", "asyncio")  # what they write about callers: malformed requests, no descriptor left

Kind = TypeVar("Kind", bound=Hashable)


class Repeats(Generic[Kind]):
    """Counts lines by kind. At the end of a window ``summary`` gets each kind with the number of lines not written.

    Use it in the thread of an event loop, and never in a workflow, whose loop keeps timers for years.
    """

    def __init__(self, summary: Callable[[Kind | None, int], None], window: float = WINDOW) -> None:
        self._summary, self._window = summary, window
        self._seen: Counter[Kind | None] = Counter()

    def few(self, kind: Kind) -> bool:
        """Whether there were only few such lines so far, so that this one should be written."""
        key = kind if kind in self._seen or len(self._seen) < KINDS else None
        if key not in self._seen:
            try:
                asyncio.get_running_loop().call_later(self._window, self._end, key)
            except RuntimeError:  # before the loop runs, or after it
                return True
        self._seen[key] += 1
        return self._seen[key] <= FEW

    def _end(self, kind: Kind | None) -> None:
        if (left_out := self._seen.pop(kind) - FEW) > 0:
            self._summary(kind, left_out)


class FewRepeats(logging.Filter):
    """Lets only few lines of a kind through a logger of the standard library."""

    def __init__(self) -> None:
        super().__init__()
        self._repeats = Repeats[tuple[str, int, str, str]](_log_left_out)

    def filter(self, record: logging.LogRecord) -> bool:
        kind = record.exc_info[0] if record.exc_info else None
        line = str(record.msg).partition("\n")[0]
        return self._repeats.few((record.name, record.levelno, line, kind.__name__ if kind else ""))


def count_repeats() -> None:
    """Install the filter on these loggers."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(FewRepeats())


def _log_left_out(kind: tuple[str, int, str, str] | None, times: int) -> None:
    name, level, line, error = kind or ("others", logging.WARNING, "", "")
    log.log(level, "lines_repeated", of=name, line=line, error=error or None, times=times, seconds=WINDOW)
