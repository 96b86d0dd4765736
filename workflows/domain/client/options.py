"""What may be asked of a client now, and why not: the table of PRODUCT.md section 3, its holds and its plans."""

from dataclasses import dataclass
from datetime import datetime

from workflows.domain.client.refused_plans import NONE_REFUSED
from workflows.domain.dates import local_time
from workflows.domain.errors import IllegalTransition, ManagementClient, Refusal
from workflows.domain.lifecycle import IN_ANY_STATUS, NEVER_FOR_MANAGEMENT, TABLE, Kind, Status, Verdict


@dataclass(frozen=True)
class Options:
    """What decides which commands are possible. ``planned`` are the kinds that are planned, ``ended`` is in words.
    ``refused``: a plan was refused, and nobody has acknowledged it."""

    status: Status
    management: bool
    held: bool
    planned: frozenset[Kind]
    ended: str
    refused: bool = False

    def check(self, kind: Kind, *, planning: bool = False) -> None:
        """Raises ManagementClient or IllegalTransition for a command that the table refuses."""
        if self.management and kind in NEVER_FOR_MANAGEMENT:
            raise ManagementClient(f"The management client of a site cannot be asked to {kind.spoken}")
        ended = self.status is Status.DECOMMISSIONED
        if TABLE[kind][self.status] is not Verdict.REFUSE and not (planning and ended):
            return  # and nothing is planned for a client that has ended
        if self.status is Status.SUSPENDED:
            raise IllegalTransition(f"A suspended client cannot be asked to {kind.spoken}", "Unsuspend it instead")
        raise IllegalTransition(f"Cannot {kind.spoken}: the client was already decommissioned at {self.ended}")

    def why_not(self, kind: Kind) -> str:
        """Why a command would be refused now, or would change nothing; empty: it is possible."""
        try:
            self.check(kind)
        except Refusal as refusal:
            return refusal.brief
        match kind:
            case Kind.ACTIVATE if self.status is Status.ACTIVE:
                return "Already active."
            case Kind.DECOMMISSION if self.status is Status.DECOMMISSIONED:
                return f"Already decommissioned at {self.ended}."
            case Kind.UNSUSPEND if not self.held:
                return "Nothing keeps this client suspended."
            case Kind.CANCEL_SCHEDULED_DECOMMISSION if Kind.DECOMMISSION not in self.planned:
                return "No decommission is planned."
            case Kind.CANCEL_PLANNED if not self.planned:
                return "Nothing is planned."
            case Kind.ACKNOWLEDGE if not self.refused:
                return f"{NONE_REFUSED}."
        return ""

    @property
    def actions(self) -> dict[Kind, str]:
        """Every command to a client, and why it is not possible now; empty: it is."""
        return {kind: self.why_not(kind) for kind in Kind if kind not in IN_ANY_STATUS}

    @property
    def possible(self) -> tuple[Kind, ...]:
        """The commands that would change something now, for the remedy of a refusal."""
        return tuple(kind for kind, why_not in self.actions.items() if not why_not)


def ended_at(decommissioned_at: datetime | None, timezone: str) -> str:
    """When a client was decommissioned, in words."""
    return local_time(decommissioned_at, timezone) if decommissioned_at else "an earlier time"
