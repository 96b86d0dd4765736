"""Telephone lines: protected ones stay through a suspension, and a number is free once it is proven off."""

from collections.abc import Collection, Mapping

from workflows.domain.client.client import Client
from workflows.domain.provisioning.kinds import ServiceKind, Thing
from workflows.domain.provisioning.ledger import Desired, Ledger, Setting


class Telephony(ServiceKind):
    """Subjects are numbers in E.164; they have no settings that are switched."""

    @property
    def thing(self) -> Thing:
        return "line"

    def label(self, subject: str) -> str:
        return subject

    def contracted(self, client: Client) -> Mapping[str, Mapping[str, Setting]]:
        return {number: {} for number in client.services.numbers}

    def staying(self, client: Client, ledger: Ledger) -> Collection[str]:
        """Protected lines stay, but do not come into service, while suspended."""
        protected = {line.number for line in client.services.lines if line.protected}
        return {number for number in protected if number in ledger.wanted and ledger.wanted[number].on}

    def held(self, client: Client) -> Collection[str]:
        return client.numbers_held

    def word(self, desired: Desired | None) -> str:
        return "not in service yet" if desired is None else "in service" if desired.on else "ceased"


def numbers_in_use(ledger: Ledger) -> frozenset[str]:
    """Numbers that the telephone system is not proven to have switched off: nobody else may have them yet."""
    off = {number for number, known in ledger.proven.items() if not known.on}
    return frozenset({*ledger.wanted, *ledger.proven} - off)
