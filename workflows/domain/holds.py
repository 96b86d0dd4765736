"""Reasons for a suspension, keyed by their source."""

from dataclasses import dataclass
from datetime import datetime

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
