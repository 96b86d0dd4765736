"""Internet access: one RADIUS account, named as the client, which a conversion ends after the telephones are proven."""

from collections.abc import Mapping

from workflows.domain.client.client import Client
from workflows.domain.lifecycle import Status
from workflows.domain.provisioning.kinds import ServiceKind, Thing
from workflows.domain.provisioning.ledger import Desired, Ledger, Setting
from workflows.domain.services import ClientType
from workflows.domain.systems import TELEPHONY, System


class Internet(ServiceKind):
    """Subjects are account names; their settings are ``down_mbps``, ``up_mbps`` and ``vlan``."""

    @property
    def thing(self) -> Thing:
        return "account"

    def label(self, subject: str) -> str:
        return subject

    def contracted(self, client: Client) -> Mapping[str, Mapping[str, Setting]]:
        internet = client.services.internet
        return {client.client_id: vars(internet)} if internet else {}

    def waits(self, client: Client, ledgers: Mapping[System, Ledger]) -> bool:
        """Only the end of internet access by a conversion waits; a client with nothing in service waits for nothing."""
        ending = client.services.type is ClientType.VIRTUAL and client.status is Status.ACTIVE
        telephony = ledgers[TELEPHONY]
        return ending and telephony.standing.proven_revision < client.converted_revision and telephony.drifts

    def word(self, desired: Desired | None) -> str:
        if desired is None or not desired.on:
            return "not in service yet" if desired is None else "off"
        vlan = f", VLAN {desired.settings['vlan']}" if desired.settings["vlan"] is not None else ""
        return f"on, {desired.settings['down_mbps']}/{desired.settings['up_mbps']} Mbit/s{vlan}"
