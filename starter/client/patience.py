"""How long, and how often, what failed is tried again."""

import random
from dataclasses import dataclass

from .errors import ConnectError


@dataclass(frozen=True)
class Patience:
    """How long a request that nobody answers, or that the service cannot judge now, is sent again: in seconds from
    the first failure on, whatever it was waited for before."""

    in_all: float = 30.0
    first_pause: float = 0.2
    longest_pause: float = 10.0
    beyond_wait: float = 20.0  # for an answer, beyond what the service was asked to wait

    def pause(self, attempt: int, error: ConnectError | None = None) -> float:
        """Before another attempt: growing, never the same for two callers, and no shorter than the service says."""
        own = min(self.longest_pause, self.first_pause * 2.0 ** min(attempt, 30)) * random.uniform(0.5, 1.0)
        return max(own, getattr(error, "retry_after", None) or 0)
