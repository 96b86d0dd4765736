"""What single fields of a client may say, and what a command needs that must be unique in the operator."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from workflows.domain.client.labels import keys_wanted
from workflows.domain.commands import AnyCommand, ChangeServices, Contracting, Edit
from workflows.domain.errors import InvalidField
from workflows.domain.holds import EVERY_SOURCE, means_every
from workflows.domain.services import ACCOUNT, Services
from workflows.domain.systems import System
from workflows.domain.text import written

LONGEST_NAME = 200
LONGEST_BILLING_REF = 64
MOST_HOLDS = 100
NO_IDS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Needs:
    """What only the directory can decide: an empty billing_ref asks for a generated one, None for none at all.

    ``external_ids`` are as people see them: ``crm:4711``.
    ``systems`` are those of which the site's instance of now is to be known: every answer of the directory says them.
    """

    billing_ref: str | None = None
    numbers: tuple[str, ...] = ()
    systems: tuple[System, ...] = ()
    external_ids: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.billing_ref is not None or any((self.numbers, self.systems, self.external_ids))

    def met_by(self, billing_ref: str | None, numbers: Collection[str], external_ids: Collection[str] = ()) -> bool:
        """Whether a claim of these is enough."""
        unique = set(self.numbers) <= set(numbers) and set(self.external_ids) <= set(external_ids)
        return self.billing_ref in (None, billing_ref) and unique


def needs_of(
    command: AnyCommand, services: Services, billing_ref: str, external_ids: Mapping[str, str] = NO_IDS
) -> Needs:
    """What a command would take of a client that has these: the directory decides on it first.

    What the client has of a kind stays where it is; a plan may find that there is nothing left of it.
    """
    if isinstance(command, Contracting):
        added = command.add_lines if isinstance(command, ChangeServices) else ()
        there = {*command.instances, *(() if command.planned else services.systems)}
        return Needs(
            numbers=tuple(line.number for line in added if line.number not in services.numbers),
            systems=tuple(system for system in command.systems if system not in there),
        )
    if isinstance(command, Edit):
        ref = command.billing_ref if command.billing_ref != billing_ref else None
        return Needs(billing_ref=ref, external_ids=keys_wanted(command, external_ids))
    return Needs()


def check_client_id(client_id: str) -> None:
    """Raises InvalidField for an id that is not made for workflow ids and account names (PRODUCT.md section 2)."""
    if not ACCOUNT.fullmatch(client_id):
        raise InvalidField(
            f"{client_id[:80]!r} is not a client id",
            "Give 2 to 63 small letters, digits and hyphens, not beginning with a hyphen",
            field="client_id",
        )


def check_name(name: str) -> None:
    """Raises InvalidField for a name that is blank, too long, or has control characters."""
    if not written(name, LONGEST_NAME):
        long = f"The name has {len(name)} characters" if len(name) > LONGEST_NAME else ""
        raise InvalidField(
            long or ("The name has control characters" if name.strip() else "The name is blank"),
            f"Give a name of 1 to {LONGEST_NAME} characters, on one line",
            field="name",
        )


def check_billing_ref(billing_ref: str) -> None:
    """Raises InvalidField for one that is too long or only blanks; empty means: generate one."""
    if billing_ref and (billing_ref != billing_ref.strip() or not written(billing_ref, LONGEST_BILLING_REF)):
        raise InvalidField(
            "The billing reference has blanks around it, control characters, or is too long",
            f"Give 1 to {LONGEST_BILLING_REF} characters without blanks around them, or leave it empty",
            field="billing_ref",
        )


def check_source(source: str, grammar: int) -> None:
    """Raises InvalidField for a source that is blank, too long or the word for every one."""
    if not written(source, LONGEST_BILLING_REF) or means_every(source, grammar):
        raise InvalidField(
            f"{source[:80]!r} cannot be the source of a hold",
            f"Give a name of 1 to {LONGEST_BILLING_REF} characters, such as billing; {EVERY_SOURCE!r} only lifts",
            field="source",
        )


def check_room_for_a_hold(holds: Collection[str]) -> None:
    if len(holds) >= MOST_HOLDS:
        remedy = "Lift some, or use the source of one of them"
        raise InvalidField(f"{MOST_HOLDS} holds stand already", remedy, field="source")


def check_change_given(command: ChangeServices) -> None:
    lines, others = command.add_lines or command.remove_lines, command.add_services or command.remove_services
    if not (lines or others or command.internet != "keep"):
        remedy = "Give add_lines, remove_lines, internet, add_services or remove_services"
        raise InvalidField("No change of services is given", remedy, field="add_lines")
