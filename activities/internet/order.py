"""An order of the core, as the network's adapter works with it."""

from dataclasses import dataclass
from typing import Any, Self

from workflows.domain.provisioning.ledger import Desired
from workflows.ports import Ensure, Observe


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


@dataclass(frozen=True)
class AccessOrder:
    """Accounts to admit with their rates and VLAN, or to reject; see workflows.ports.Ensure."""

    client_id: str
    revision: int
    accounts: list[Access]
    secret_version: int = 1
    revived: int = 0

    @classmethod
    def of(cls, order: Ensure) -> Self:
        accounts = [Access.of(account, desired) for account, desired in order.subjects.items()]
        return cls(order.client_id, order.revision, accounts, order.secret_version, order.revived)

    @classmethod
    def to_look(cls, order: Observe) -> Self:
        """What is looked at again was rejected."""
        return cls(order.client_id, order.revision, [Access(account, False, 0, 0) for account in order.subjects])
