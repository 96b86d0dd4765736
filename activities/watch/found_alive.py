"""What was found alive, and whose client has not acted on it yet: the proof that it contradicts still stands.

A signal does not get through, or its workflow is in the middle of an attempt, whose proof it gets only afterwards and
then believes. A session that shows itself once must not be forgotten for that.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from workflows.ports import Watched

_Key = tuple[str, str, datetime]  # client, subject, and when it was proven off


@dataclass
class Found:
    """It was found alive: how that shows, and when it was seen. ``wait``: rounds until the next signal."""

    watched: Watched
    how: str
    at: datetime
    times: int = 0
    wait: int = 0


class FoundAlive:
    """What was found alive of one instance. Each is due at once, and again after 2, 4, 8 … rounds until the proof is
    another: each signal is an event of a history, and a workflow that cannot run acts on none."""

    def __init__(self) -> None:
        self._found: dict[_Key, Found] = {}

    def keep(self, watched: Collection[Watched]) -> None:
        """A round begins. What is watched no more, or was proven anew, is done with."""
        keys = set(map(_key, watched))
        self._found = {key: found for key, found in self._found.items() if key in keys}
        for found in self._found.values():
            found.wait = max(0, found.wait - 1)

    def note(self, it: Watched, how: str, at: datetime) -> None:
        """It was found alive at a moment, and how that shows."""
        found = self._found.setdefault(_key(it), Found(it, how, at))
        found.how, found.at = how, at

    def unsignalled(self, it: Watched) -> bool:
        """Whether it was found alive, and its client got no signal yet: it must be watched further."""
        found = self._found.get(_key(it))
        return found is not None and not found.times

    def due(self, watched: Collection[Watched]) -> Iterator[Found]:
        """Which of these their clients are to get a signal of now."""
        for it in watched:
            if (found := self._found.get(_key(it))) and not found.wait:
                yield found

    def note_signalled(self, it: Watched) -> None:
        """Its client got a signal of it."""
        found = self._found[_key(it)]
        found.times += 1
        found.wait = 2**found.times

    def forget(self, it: Watched) -> None:
        """It was ended without its client; if it is found alive again, that is due at once."""
        self._found.pop(_key(it), None)


def _key(it: Watched) -> _Key:
    return it.client_id, it.subject, it.since
