"""What an operator should know of a command that was obeyed, or of a client as it stands. A warning refuses nothing."""

from collections.abc import Iterable, Iterator

from workflows.domain.answers import Caution
from workflows.domain.client.record import Record
from workflows.domain.commands import AnyCommand, Suspend, Unsuspend
from workflows.domain.foresight import Foreseen
from workflows.domain.journal import shortened
from workflows.domain.lifecycle import Kind, Status

LONGEST = 400  # characters of a warning

PLAN_BLOCKED = "plan_blocked"
PLAN_WITHOUT_EFFECT = "plan_without_effect"
STILL_HELD = "still_held"
SUSPENDED_FROM_THE_START = "suspended_from_the_start"
WAITS_FOR_A_PERSON = "waits_for_a_person"


def of_plans(foreseen: Iterable[Foreseen], zone: str) -> list[Caution]:
    """A warning of each plan that cannot happen, or will change nothing."""
    cautions = []
    for plan in foreseen:
        what, change_id = f"The planned {plan.change.describe(zone)}", plan.change.change_id
        if plan.blocked_by:
            text = shortened(f"{what} cannot happen. {plan.blocked_by}", LONGEST)
            cautions.append(Caution(PLAN_BLOCKED, text, change_id))
        elif plan.idle:
            text = shortened(f"{what} will change nothing. {plan.idle}.", LONGEST)
            cautions.append(Caution(PLAN_WITHOUT_EFFECT, text, change_id))
    return cautions


def new_ones(before: Iterable[Caution], after: Iterable[Caution]) -> list[Caution]:
    """Those of plans that were not warned of before, however they are worded now."""
    known = {(caution.code, caution.change_id) for caution in before}
    return [caution for caution in after if (caution.code, caution.change_id) not in known]


def of_command(command: AnyCommand, before: Record, after: Record) -> Iterator[Caution]:
    """What a command that was obeyed did not do, though one may think so."""
    held = ", ".join(sorted(after.holds))
    match command:
        case Unsuspend(planned=False) if after.status is Status.SUSPENDED:
            lifted = "Only that hold was lifted" if len(after.holds) < len(before.holds) else "No hold was lifted"
            text = f"{lifted}: the client stays suspended, held by {held}. Lift these by name, or all of them."
            yield Caution(STILL_HELD, shortened(text, LONGEST))
        case Suspend(planned=False) if after.status is Status.NEW:
            text = "The client is New: nothing is switched now. Once it is activated, it will be suspended, not active."
            yield Caution(SUSPENDED_FROM_THE_START, text)
    if after.status is Status.NEW and before.schedule.find(Kind.ACTIVATE) and not after.schedule.find(Kind.ACTIVATE):
        text = "No activation is planned any more: the client stays New until somebody activates it."
        yield Caution(WAITS_FOR_A_PERSON, text)
