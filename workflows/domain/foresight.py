"""What becomes of each planned change, if nothing else is decided: the rest of the schedule, tried on a copy."""

from dataclasses import dataclass

from workflows.domain.client.client import Client
from workflows.domain.commands import Contracting
from workflows.domain.journal import UNCHANGED, Entry, Event
from workflows.domain.lifecycle import Kind, Status
from workflows.domain.provisioning.provisioning import Provisioning
from workflows.domain.schedule import PlannedChange
from workflows.domain.trial import copy_of

_MOVE = "Move or cancel one of the two"


@dataclass(frozen=True)
class Foreseen:
    """What becomes of one planned change. ``status_after`` is None for one that cannot happen.

    ``blocked_by`` says why it cannot happen and what to do, ``idle`` why it will change nothing. Both empty: it will do
    what it says.
    """

    change: PlannedChange
    status_after: Status | None = None
    blocked_by: str = ""
    idle: str = ""


def foresee(client: Client, provisioning: Provisioning) -> list[Foreseen]:
    """What becomes of each planned change, in order. Without plans this costs nothing.

    Systems are taken to do what they are told in time, but for those that need a person now, or were skipped: they are
    taken to stay as they are.
    """
    plans = list(client.schedule)
    if not plans:
        return []
    outcomes = _try_plans(client, provisioning)
    return [_explain(plan, outcomes, client, provisioning) for plan in plans]


def _try_plans(client: Client, provisioning: Provisioning, without: Kind | None = None) -> dict[Kind, Foreseen]:
    """What becomes of the plans that come to it, without one of them; those that are cleared before are missing."""
    trial, systems, found = copy_of(client), None, dict[Kind, Foreseen]()
    if without:
        trial.schedule.remove(without)
    if any(isinstance(plan.command, Contracting) for plan in trial.schedule):  # systems refuse services alone
        systems = copy_of(provisioning)
    while at := trial.schedule.next_at:
        if systems:
            systems.follow(trial)
            systems.obey(trial)
        while plan := trial.schedule.take_due(at):
            entry = trial.take_effect(plan, at, systems.check) if systems else trial.take_effect(plan, at)
            if entry.event is Event.REFUSED:
                found[plan.kind] = Foreseen(plan, blocked_by=trial.refused_plans[-1].why)
            else:
                found[plan.kind] = Foreseen(plan, trial.status, idle=_idle(entry))
    return found


def _idle(entry: Entry) -> str:
    return entry.text.removesuffix(f"; {UNCHANGED}") if entry.event is Event.ASKED else ""


def _explain(
    plan: PlannedChange, outcomes: dict[Kind, Foreseen], client: Client, provisioning: Provisioning
) -> Foreseen:
    """What becomes of a plan; where another plan before it is to blame, it is named."""
    found, before = outcomes.get(plan.kind), list(client.schedule)
    before = before[: before.index(plan)]
    if found is None:
        clearing = next(other for other in before if other.kind is Kind.DECOMMISSION)
        return Foreseen(plan, blocked_by=f"Cleared by the planned {clearing.describe(client.timezone)}. {_MOVE}.")
    if found.blocked_by:
        for other in reversed(before):
            alone = _try_plans(client, provisioning, without=other.kind).get(plan.kind)
            if alone and not alone.blocked_by:
                because = f"It comes after the planned {other.describe(client.timezone)}. {_MOVE}."
                return Foreseen(plan, blocked_by=f"{found.blocked_by} {because}")
    return found
