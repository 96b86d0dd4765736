"""An account of an order, as the network's adapter works with it."""

from dataclasses import dataclass
from typing import Any, Self

from workflows.domain.provisioning.ledger import Desired


@dataclass(frozen=True)
class Access:
    """One RADIUS account: rates in Mbit/s, an optional VLAN, and whether it may log in. One that was given up has no
    rates in its order: it keeps those that it has."""

    account: str
    on: bool
    down_mbps: int
    up_mbps: int
    vlan: int | None = None
    rated: bool = True

    @classmethod
    def of(cls, account: str, desired: Desired) -> Self:
        settings: dict[str, Any] = dict(desired.settings)
        rates = settings.get("down_mbps", 0), settings.get("up_mbps", 0)
        return cls(account, desired.on, *rates, settings.get("vlan"), "down_mbps" in settings)
