"""How often strangers may try to sign in."""

from dataclasses import dataclass, field


@dataclass
class Throttle:
    """How often one address may try to sign in: ``most`` failures in ``seconds``, then it waits.

    In the memory of one process; what is older than the time is forgotten.
    """

    most: int = 10
    seconds: float = 300.0
    failures: dict[str, list[float]] = field(default_factory=dict)

    def wait(self, address: str, now: float) -> float:
        """Seconds until this address may try again; 0: now."""
        recent = [at for at in self.failures.get(address, []) if now - at < self.seconds]
        self.failures = {a: times for a, times in self.failures.items() if now - times[-1] < self.seconds}
        return max(0.0, recent[-self.most] + self.seconds - now) if len(recent) >= self.most else 0.0

    def failed(self, address: str, now: float) -> None:
        """Somebody there did not know the token."""
        self.failures.setdefault(address, []).append(now)
        del self.failures[address][: -self.most]

    def succeeded(self, address: str) -> None:
        """They did: what they mistyped before is forgotten."""
        self.failures.pop(address, None)
