"""Keeps programs running: one that ends by itself is started again, after growing pauses, a limited number of times."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from starter.local.children import Child, StartFailed, tail, turn_over

PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # seconds before the next start; then the last one again and again
STEADY = 60.0  # seconds after which a part that runs is trusted again
TRIES_AT_FIRST = 3  # that any part gets before everything was ready once


class GaveUp(StartFailed):
    """A part that all others need does not stay up. The message has the end of its log."""


@dataclass
class Watched:
    """A part and its record. ``tries``: how often in a row it may end; None: without limit."""

    part: Child
    tries: int | None
    started_at: float
    failures: int = 0
    start_at: float | None = None
    trouble: str = ""

    @property
    def how_it_ended(self) -> str:
        code = self.part.process.returncode if self.part.process else None
        return self.trouble or (f"killed by signal {-code}" if code and code < 0 else f"exit status {code}")


class Supervisor:
    """Starts parts in order, restarts them, and stops them in the opposite order.

    Its caller must call ``look`` often, from the main thread (see ``children.dying_with_us``).
    """

    def __init__(self, print_line: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.ready = False  # everything has been up once: from now on parts get all their tries
        self._print, self._clock = print_line, clock
        self._watched: list[Watched] = []

    def start(self, part: Child, tries: int | None = None) -> None:
        """Start the part, and restart it whenever it ends. Raises StartFailed."""
        self._watched.append(Watched(part, tries, self._clock()))
        part.start()

    def look(self) -> bool:
        """Restart parts that have ended and whose pause is over. Returns whether any was started. Raises GaveUp.

        Logs that are too long are moved aside.
        """
        for watched in self._watched:
            turn_over(watched.part.log)
        started = [watched for watched in self._watched if self._look_after(watched)]
        return bool(started)

    def stop(self) -> None:
        """Stop all parts, the one that was started last first, and return when they have ended."""
        for watched in reversed(self._watched):
            watched.part.stop()

    def pids(self) -> dict[str, int]:
        """The process numbers of what runs, in the order of starting."""
        parts = [watched.part for watched in self._watched]
        return {part.name: part.process.pid for part in parts if part.process is not None and part.running}

    def _look_after(self, watched: Watched) -> bool:
        now = self._clock()
        if watched.part.running:
            if now - watched.started_at > STEADY:
                watched.failures = 0
        elif watched.start_at is None:
            self._plan_start(watched, now)
        elif now >= watched.start_at:
            watched.start_at, watched.started_at, watched.trouble = None, now, ""
            try:
                watched.part.start()
            except StartFailed as e:  # counted as having ended at once
                watched.trouble = str(e)
            return True
        return False

    def _plan_start(self, watched: Watched, now: float) -> None:
        watched.failures += 1
        part, ended = watched.part, watched.how_it_ended
        tries = watched.tries if self.ready else TRIES_AT_FIRST
        if tries is not None and watched.failures > tries:
            raise GaveUp(f"{part.name} ended {watched.failures} times ({ended}). {part.log} says:\n{tail(part.log)}")
        pause = PAUSES[min(watched.failures, len(PAUSES)) - 1]
        watched.start_at = now + pause
        self._print(f"{part.name} ended ({ended}); it is started again in {pause:g} s. Its log: {part.log}")
