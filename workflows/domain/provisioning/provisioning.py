"""All systems of one client together: what is wanted of each, and where they stand (PRODUCT.md section 5)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from workflows.domain.client.client import Client
from workflows.domain.errors import StillServedElsewhere, TooManyWaiting
from workflows.domain.lifecycle import Status
from workflows.domain.provisioning.internet import Internet
from workflows.domain.provisioning.kinds import ServiceKind
from workflows.domain.provisioning.ledger import Ledger
from workflows.domain.provisioning.standing import Standing
from workflows.domain.provisioning.telephony import Telephony
from workflows.domain.systems import BUILT_IN, DIRECTORY, INTERNET, MAIN, TELEPHONY, System, spoken

MOST_SUBJECTS = 2000  # of all systems, also of those that are yet to be proven off: a client is passed on whole
MOST_SYSTEMS = 20  # that a client has, or once had

_BUILT_IN = {TELEPHONY: Telephony(TELEPHONY), INTERNET: Internet(INTERNET)}


def kind_of(system: System) -> ServiceKind:
    """The kind of service that a system switches; one that is not built in has no rules of its own."""
    return _BUILT_IN.get(system) or ServiceKind(system)


class Provisioned(StrEnum):
    """Where provisioning stands, as one word."""

    SETTLED = "settled"
    CHANGING = "changing"
    ATTENTION = "attention"
    SKIPPED = "skipped"

    @property
    def over(self) -> bool:
        """Whether nothing is left to wait for: all is as decided, or accepted as it is."""
        return self in (Provisioned.SETTLED, Provisioned.SKIPPED)


@dataclass
class Provisioning:
    """The ledger of each system, and what the directory shows: ``published`` is the revision that it has.

    ``secret_version`` is that of the secrets that are wanted. ``closing`` is true once everything is wanted off for
    good.
    """

    systems: dict[System, Ledger] = field(default_factory=lambda: {system: Ledger() for system in BUILT_IN})
    directory: Standing = field(default_factory=Standing)
    published: int = 0
    closing: bool = False
    secret_version: int = 1

    def __iter__(self) -> Iterator[System]:
        """Every system, the directory last."""
        yield from (*self.systems, DIRECTORY)

    @property
    def standing(self) -> Mapping[System, Standing]:
        """How the attempts on each system went."""
        return {**{system: ledger.standing for system, ledger in self.systems.items()}, DIRECTORY: self.directory}

    # -- wanted ---------------------------------------------------------------------------------------------------

    def follow(self, client: Client) -> None:
        """Want what the client's decisions ask for now."""
        ending = client.status is Status.DECOMMISSIONED and not self.closing
        self.closing = client.status is Status.DECOMMISSIONED
        rotated, self.secret_version = client.secret_version != self.secret_version, client.secret_version
        for system in client.services.kinds:
            self.systems.setdefault(system, Ledger())
        for system, ledger in self.systems.items():
            ledger.instance, kind = client.instances.get(system, MAIN), kind_of(system)
            contracted = kind.contracted(client)
            again = ledger.reopen([subject for subject in ledger.proven if ending or subject not in contracted])
            again |= ledger.hold(kind.held(client))
            again |= ending and ledger.differs  # an attempt under way, or a skip, was for an earlier decision
            if rotated:
                again, ledger.proven = bool(ledger.wanted), {}
            wanted = ledger.all_off
            if client.status is not Status.NEW:
                wanted |= kind.wanted(client, ledger)
            ledger.want(wanted, client.revision, again=again)
        if client.revision > self.directory.wanted_since:
            self.directory.expect(client.revision)

    def check(self, client: Client) -> None:
        """Raises a Refusal where a client's services are more than can be switched for it now."""
        self._check_room(client)
        self._check_instances(client)

    def _check_room(self, client: Client) -> None:
        """Raises TooManyWaiting when so much is yet to be proven off that no more can be remembered."""
        contracted = {system: kind_of(system).contracted(client) for system in (*self.systems, *client.services.kinds)}
        known = {system: ledger.wanted.keys() | ledger.proven.keys() for system, ledger in self.systems.items()}
        more = any(subjects.keys() - known.get(system, set()) for system, subjects in contracted.items())
        many = sum(len(known.get(system, set()) | subjects.keys()) for system, subjects in contracted.items())
        if more and (many > MOST_SUBJECTS or len(contracted) > MOST_SYSTEMS):
            raise TooManyWaiting(
                f"With what the client had before, that is more than {MOST_SUBJECTS} lines and services, or "
                f"{MOST_SYSTEMS} kinds of them",
                "Ask again when what ended is proven off, or seen to and marked as done",
            )

    def _check_instances(self, client: Client) -> None:
        """Raises StillServedElsewhere for a kind that another instance is to serve while the one before has, or may
        have, something of the client's: nothing is moved from one to another."""
        for system, ledger in self.systems.items():
            if ledger.in_use and (name := client.instances.get(system, MAIN)) != ledger.instance:
                raise StillServedElsewhere(
                    f"Instance {name} serves the site's {spoken(system)} now, but what the client had before is not "
                    f"proven off on {ledger.instance}",
                    f"Ask again when it is proven off, or seen to and marked as done (system {system})",
                )

    # -- drift ----------------------------------------------------------------------------------------------------

    def differs(self, system: System, client: Client) -> bool:
        """Whether the system is not proven to do what is wanted, or the directory not to show it."""
        return self.published < client.revision if system == DIRECTORY else self.systems[system].differs

    def drifts(self, system: System, client: Client) -> bool:
        """Whether there is a difference that nobody has accepted."""
        return self.standing[system].skipped is None and self.differs(system, client)

    def waits(self, system: System, client: Client) -> bool:
        """Whether what is wanted of a system is attempted only after another is proven."""
        return kind_of(system).waits(client, self.systems)

    def provisioned(self, client: Client) -> Provisioned:
        """The one word for all systems together."""
        return Provisioned.ATTENTION if self.directory.attention else self.switched(client)

    def switched(self, client: Client) -> Provisioned:
        """The one word for the systems that are switched, as the directory is told: it cannot show its own absence."""
        if any(ledger.standing.attention for ledger in self.systems.values()):
            return Provisioned.ATTENTION
        if any(self.drifts(system, client) for system in self):
            return Provisioned.CHANGING
        accepted = any(ledger.differs for ledger in self.systems.values())
        return Provisioned.SKIPPED if accepted else Provisioned.SETTLED

    def next_moment(self, client: Client) -> datetime | None:
        """When the next attempt on a system that is switched is due, for what failed before."""
        retries = [
            ledger.standing.retry_at
            for system, ledger in self.systems.items()
            if ledger.standing.retry_at and ledger.drifts and not self.waits(system, client)
        ]
        return min(retries, default=None)

    def obey(self, client: Client) -> None:
        """Take every system to do what is wanted, but those that need a person now, or were skipped."""
        for system, ledger in self.systems.items():
            if not (ledger.standing.attention or ledger.standing.skipped):
                ledger.obey(kind_of(system).contracted(client))

    # -- reports --------------------------------------------------------------------------------------------------

    def begin(self, system: System) -> None:
        """Note that an attempt on a system has begun: it is not due again until that has ended."""
        if system == DIRECTORY:
            self.directory.retry_at = None
        else:
            self.systems[system].begin()

    def doubt(self, system: System, revision: int) -> None:
        """Somebody found the system not as it was left: what was proven of it is unknown now."""
        if system == DIRECTORY:
            self.published = 0
            self.directory.distrust(revision)
        else:
            self.systems[system].doubt(revision)
