"""Reasons for a suspension, keyed by their source.

Sources are compared without case since grammar 2 (``Client.grammar``): ``Billing`` and ``billing`` are one, shown as it
was typed first. A client from before may hold both until either is lifted, which lifts both.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from workflows.domain.text import OF_0_1, folded

EVERY_SOURCE = "all"


@dataclass(frozen=True)
class Hold:
    """One reason for a suspension; its source (``operator``, ``billing``, …) lifts it."""

    source: str
    reason: str
    by: str
    placed_at: datetime

    def says_the_same_as(self, other: "Hold | None") -> bool:
        return other is not None and (self.source, self.reason, self.by) == (other.source, other.reason, other.by)


def means_every(source: str, grammar: int) -> bool:
    """Whether this is the word for every source, which none may have for its own."""
    return bool(same_source(source, [EVERY_SOURCE], grammar))


def same_source(source: str, among: Iterable[str], grammar: int) -> list[str]:
    """Those that are this source, however they are written."""
    if grammar == OF_0_1:
        return [other for other in among if other == source]
    key = folded(source)
    return [other for other in among if folded(other) == key]


def standing_for(source: str, holds: Mapping[str, Hold], grammar: int) -> Hold | None:
    """The hold of this source, if one stands."""
    return next((holds[name] for name in same_source(source, holds, grammar)), None)
