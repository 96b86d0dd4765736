"""Lines of log that anybody can cause, as often as he likes: a few of each kind are written, the others counted."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

import structlog

log = structlog.get_logger(__name__)

FEW = 10  # lines of a kind that are written in a window
WINDOW = 10.0  # seconds
KINDS = 1000  # that are told apart in a window; all others are one kind
LOGGERS = ("uvicorn.error", "asyncio")  # what they write about callers: malformed requests, no descriptor left

Kind = TypeVar("Kind", bound=Hashable)


class Repeats(Generic[Kind]):
    """Counts lines by kind. ``summary`` is told at the end of a window of which kind how many were not written.

    For the thread of an event loop of ours; never in a workflow, whose loop keeps its timers for years.
    """

    def __init__(self, summary: Callable[[Kind | None, int], None], window: float = WINDOW) -> None:
        self._summary, self._window = summary, window
        self._seen: Counter[Kind | None] = Counter()

    def few(self, kind: Kind) -> bool:
        """Whether there were but few such lines: then this one is to be written."""
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
    """Has few lines of a kind from a logger of the standard library."""

    def __init__(self) -> None:
        super().__init__()
        self._repeats = Repeats[tuple[str, int, str, str]](_say_left_out)

    def filter(self, record: logging.LogRecord) -> bool:
        kind = record.exc_info[0] if record.exc_info else None
        line = str(record.msg).partition("\n")[0]
        return self._repeats.few((record.name, record.levelno, line, kind.__name__ if kind else ""))


def count_repeats() -> None:
    """From now on have few lines of a kind from those loggers."""
    for name in LOGGERS:
        logging.getLogger(name).addFilter(FewRepeats())


def _say_left_out(kind: tuple[str, int, str, str] | None, times: int) -> None:
    name, level, line, error = kind or ("others", logging.WARNING, "", "")
    log.log(level, "lines_repeated", of=name, line=line, error=error or None, times=times, seconds=WINDOW)
