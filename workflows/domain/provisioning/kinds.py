"""What is particular to a kind of service. A further kind, one that settings name, is like the class itself."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from workflows.domain.client.client import Client
from workflows.domain.lifecycle import Status
from workflows.domain.provisioning.ledger import Desired, Ledger, Setting
from workflows.domain.systems import System

Thing: TypeAlias = Literal["line", "account", "service"]


@dataclass(frozen=True)
class ServiceKind:
    """A kind of service, known by the name of its system. Every method is asked of one client and its ledger."""

    system: System

    @property
    def thing(self) -> Thing:
        """What one subject of it is called, in a preview."""
        return "service"

    def label(self, subject: str) -> str:
        """How a subject is told from those of other kinds."""
        return f"{self.system}:{subject}"

    def contracted(self, client: Client) -> Mapping[str, Mapping[str, Setting]]:
        """What the client has contracted of it: each subject with its settings."""
        return {service.name: service.settings for service in client.services.further if service.kind == self.system}

    def wanted(self, client: Client, ledger: Ledger) -> dict[str, Desired]:
        """What is wanted of each contracted subject of a client whose service has begun; the rest is wanted off."""
        staying = self.staying(client, ledger) if client.status is Status.SUSPENDED else ()
        return {
            subject: Desired(client.status is Status.ACTIVE or subject in staying, settings)
            for subject, settings in self.contracted(client).items()
        }

    def staying(self, client: Client, ledger: Ledger) -> Collection[str]:
        """What stays in service though the client is suspended."""
        return ()

    def held(self, client: Client) -> Collection[str]:
        """What the client keeps although it is off; everything else is released once it is proven off."""
        return self.contracted(client)

    def waits(self, client: Client, ledgers: Mapping[System, Ledger]) -> bool:
        """Whether the attempt waits for another system."""
        return False

    def word(self, desired: Desired | None) -> str:
        """What a subject is wanted to be, in plain words."""
        if desired is None:
            return "not in service yet"
        settings = ", ".join(f"{name} {value}" for name, value in sorted(desired.settings.items()) if value is not None)
        return ("on" if desired.on else "off") + (f", {settings}" if desired.on and settings else "")
