"""An account of an order, as the network's adapter works with it, and what a router is to be told of it."""

from dataclasses import dataclass
from typing import Any, Self

from workflows.domain.provisioning.ledger import Desired

VLAN = (
    "Tunnel-Type:1",
    "Tunnel-Medium-Type:1",
    "Tunnel-Private-Group-Id:1",
    "Tunnel-Type",  # without a tag it would be a second VLAN beside ours: never set, only removed
    "Tunnel-Medium-Type",
    "Tunnel-Private-Group-Id",
)
RATES = ("WISPr-Bandwidth-Max-Down", "WISPr-Bandwidth-Max-Up", "Mikrotik-Rate-Limit")

KINDS = {"rates": frozenset(RATES), "vlan": frozenset(VLAN)}
"""What of a plan a session may have to be changed in, with its reply attributes."""

OURS = VLAN + RATES
"""Reply attributes that Connect sets or removes. All others of an account are left alone."""


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


def replies_of(access: Access) -> dict[str, str]:
    """The reply to a router's login: VLAN (RFC 3580), rates in bit/s (WISPr) and as up/down (Mikrotik)."""
    vlan = {
        "Tunnel-Type:1": "VLAN",
        "Tunnel-Medium-Type:1": "IEEE-802",
        "Tunnel-Private-Group-Id:1": str(access.vlan),
    }
    return (vlan if access.vlan is not None else {}) | {
        "WISPr-Bandwidth-Max-Down": str(access.down_mbps * 1_000_000),
        "WISPr-Bandwidth-Max-Up": str(access.up_mbps * 1_000_000),
        "Mikrotik-Rate-Limit": f"{access.up_mbps}M/{access.down_mbps}M",
    }
