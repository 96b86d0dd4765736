"""Planned changes that were refused when they were due: open matters until a person has acknowledged them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from workflows.domain.errors import NoSuchMatter, Refusal
from workflows.domain.journal import shortened
from workflows.domain.lifecycle import Kind
from workflows.domain.schedule import PlannedChange

NONE_REFUSED = "No planned change was refused, or each was acknowledged"

MOST_REFUSED_PLANS = 20
"""So many are kept, the newest ones: whoever does not look at twenty does not look at more. Their lines stay in the
history."""


@dataclass(frozen=True)
class RefusedPlan:
    """A planned change that was due at ``planned_for`` and was refused at ``at``, with why and what to do."""

    change_id: str
    kind: Kind
    planned_for: datetime
    at: datetime
    why: str

    @property
    def matter(self) -> str:
        """What it is called among the open matters of its client."""
        return matter_of(self.change_id)


def matter_of(change_id: str) -> str:
    """The name of the matter that a planned change is, when it cannot happen or was refused."""
    return f"plan:{change_id}"


def with_refused(
    plans: Sequence[RefusedPlan], change: PlannedChange, refusal: Refusal, now: datetime
) -> list[RefusedPlan]:
    """The refused plans, with this one as the newest. An older one of the same id, and what is too much, goes."""
    others = [plan for plan in plans if plan.change_id != change.change_id]
    refused = RefusedPlan(change.change_id, change.kind, change.at, now, shortened(refusal.brief, 500))
    return [*others, refused][-MOST_REFUSED_PLANS:]


def without(plans: Sequence[RefusedPlan], matter: str) -> list[RefusedPlan]:
    """The refused plans but for one that is acknowledged. Raises NoSuchMatter when none of them has this name."""
    left = [plan for plan in plans if plan.matter != matter]
    if len(left) == len(plans):
        if not plans:
            raise NoSuchMatter(NONE_REFUSED, "Nothing is left to acknowledge", field="matter")
        named = ", ".join(plan.matter for plan in plans)
        raise NoSuchMatter(f"No refused plan is called {matter!r}", f"Give one of: {named}", field="matter")
    return left
