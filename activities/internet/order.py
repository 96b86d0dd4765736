"""An account of an order, as the network's adapter works with it."""

from dataclasses import dataclass
from typing import Any, Self

from workflows.domain.provisioning.ledger import Desired


@dataclass(frozen=True)
class Access:
    """One RADIUS account: rates in Mbit/s, an optional VLAN, and whether it may log in."""

    account: str
    on: bool
    down_mbps: int
    up_mbps: int
    vlan: int | None = None

    @classmethod
    def of(cls, account: str, desired: Desired) -> Self:
        settings: dict[str, Any] = dict(desired.settings)
        return cls(account, desired.on, settings["down_mbps"], settings["up_mbps"], settings.get("vlan"))
