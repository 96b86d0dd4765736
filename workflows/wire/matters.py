"""Open matters: what a person should see to (PRODUCT.md section 1). Those of plans are the client's own."""

from collections.abc import Iterable
from datetime import datetime
from shlex import quote

from pydantic import Field

from workflows.domain.client.record import Record
from workflows.domain.client.refused_plans import RefusedPlan, matter_of
from workflows.domain.dates import at_site, local_time
from workflows.domain.foresight import Foreseen
from workflows.domain.warnings import PLAN_BLOCKED
from workflows.wire.messages import Model

PLAN_REFUSED = "plan_refused"


class RemedyView(Model):
    """What a person can do, and the command that does it; empty where there is none."""

    text: str
    command: str = ""


class MatterView(Model):
    """An open matter: something a person should see to. ``matter`` names it among those of its client.

    ``snoozed``: somebody has put it aside until it says something else, at most until ``snoozed_until``.
    """

    matter: str
    kind: str
    system: str | None
    since: datetime
    text: str
    remedies: list[RemedyView] = Field(default_factory=list)
    assigned_to: str | None = None
    snoozed_until: datetime | None = None
    snoozed: bool = False


def matters_of(client: Record, foreseen: Iterable[Foreseen], now: datetime) -> list[MatterView]:
    """What the client itself keeps for a person: plans that were refused, and plans that cannot happen. Since when one
    cannot happen is known to the directory, which keeps the moment at which it first heard of it."""
    refused = [_of_refused(client, plan) for plan in client.refused_plans]
    return refused + [_of_blocked(client, plan, now) for plan in foreseen if plan.blocked_by]


def _of_refused(client: Record, plan: RefusedPlan) -> MatterView:
    due = local_time(plan.planned_for, client.timezone)
    acknowledge = f"connect client acknowledge {client.client_id} {quote(plan.matter)}"
    return MatterView(
        matter=plan.matter,
        kind=PLAN_REFUSED,
        system=None,
        since=at_site(plan.at, client.timezone),
        text=f"The {plan.kind.spoken} planned for {due} was refused when it was due. {plan.why}",
        remedies=[
            RemedyView(text="Do now, or plan anew, what is still wanted of it"),
            RemedyView(text="Say that somebody has seen it", command=acknowledge),
        ],
    )


def _of_blocked(client: Record, plan: Foreseen, now: datetime) -> MatterView:
    change = plan.change
    cancel = f"connect client cancel-planned {client.client_id} {quote(change.change_id)}"
    return MatterView(
        matter=matter_of(change.change_id),
        kind=PLAN_BLOCKED,
        system=None,
        since=at_site(now, client.timezone),
        text=f"The planned {change.describe(client.timezone)} cannot happen. {plan.blocked_by}",
        remedies=[
            RemedyView(text="Plan it anew, for another moment or with what it lacks"),
            RemedyView(text="Cancel it", command=cancel),
        ],
    )
