"""What a client's workflow shows: the client as every interface has it, and what a command would do to it.

Changes are additive (PRODUCT.md section 7.2).
"""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import date, datetime
from typing import Any, Literal, Self, TypeAlias

from pydantic import Field

from workflows.domain.answers import Answer, Caution
from workflows.domain.client.options import Options, ended_at
from workflows.domain.commands import ChangeServices, Convert, PlannedCommand, Suspend, Unsuspend
from workflows.domain.dates import at_site, local_day
from workflows.domain.foresight import Foreseen
from workflows.domain.lifecycle import Activation, Kind, Status
from workflows.domain.provisioning.ledger import Desired, Ledger, Setting
from workflows.domain.provisioning.provisioning import Provisioned
from workflows.domain.provisioning.standing import Doubt, Proof, Standing
from workflows.domain.services import ClientType, Service
from workflows.domain.state import ClientState
from workflows.domain.systems import System
from workflows.domain.warnings import of_plans
from workflows.wire.matters import PLAN_REFUSED, MatterView, matters_of
from workflows.wire.messages import Model
from workflows.wire.previews import PlanView, WarningView

OnOff: TypeAlias = Literal["on", "off", "unknown"]
SubjectStanding: TypeAlias = Literal["proven", "changing", "not_proven", "failed", "skipped", "done_by_hand"]
SystemStanding: TypeAlias = Literal["settled", "changing", "not_proven", "attention", "skipped", "done_by_hand"]


class LineView(Model):
    number: str
    office: str | None
    protected: bool


class InternetView(Model):
    account: str
    down_mbps: int
    up_mbps: int
    vlan: int | None


class ServiceView(Model):
    """A service of a further kind."""

    kind: str
    name: str
    settings: dict[str, Setting]


class HoldView(Model):
    source: str
    reason: str
    by: str
    placed_at: datetime


class PlannedView(PlanView):
    """A planned change. ``details`` are the other fields of its command, as in its HTTP body.

    ``day`` is the day that ``at`` was resolved from, if one was named: of an activation the start date, else the last
    day of what is now; in which ``zone``, and by which version of the zone rules: ``2026f``.

    ``status_after`` is the client's status once it has come, if nothing else is decided. Null: it cannot happen, and
    ``blocked_by`` says why, which other plan is to blame, and what to do.
    """

    by: str
    details: dict[str, Any]
    status_after: Status | None
    blocked_by: str = ""
    day: date | None = None
    zone: str = ""
    zone_rules: str = ""

    @classmethod
    def foreseen(cls, foreseen: Foreseen, zone: str) -> "PlannedView":
        change = foreseen.change
        plan, command, day = PlanView.of(change, zone), change.command, change.day
        view = cls(
            **dict(plan),
            by=command.by,
            details=_details(command),
            status_after=foreseen.status_after,
            blocked_by=foreseen.blocked_by,
        )
        when = {"day": day.day, "zone": day.zone, "zone_rules": day.rules} if day else {}
        return view.model_copy(update=when)


class ActionView(Model):
    """One command to the client: whether it would change something now, and why not."""

    kind: Kind
    possible: bool
    why: str


class SkippedView(Model):
    reason: str
    by: str
    at: datetime


class SubjectView(Model):
    """One line or account: on, off or unknown, whether what is desired is proven and since when, or why not.

    ``proven_at`` is when it was last seen to be as desired; null while it is not proven to be. ``last_actual`` and
    ``last_seen_at`` are then what it was last proven to be, and when; null where that is not known. ``seen`` is the
    evidence: what the last change read back of it, as the directory has it, or the note of who marked it done by hand.
    """

    subject: str
    desired: OnOff
    actual: OnOff
    state: SubjectStanding
    proven_at: datetime | None
    protected: bool
    why: str
    seen: dict[str, str] = Field(default_factory=dict)
    last_actual: OnOff | None = None
    last_seen_at: datetime | None = None


class SystemView(Model):
    """One provisioning system. ``desired`` and ``actual`` map numbers or accounts to on, off or unknown.

    ``state``: settled; changing; not_proven: changed, but what is true could not be seen yet; attention: a person is
    needed; skipped: a person has accepted that it is not as decided; done_by_hand: a person says that it is as decided,
    and nobody has seen it (as interfaces show it; what is published says settled). ``by`` is who, and ``note`` how it
    was done. ``proven_at`` is when all of it was last proven to be as was desired then. ``title`` is what the
    settings call what it switches.
    """

    system: str
    title: str = ""
    instance: str = "main"
    desired: dict[str, OnOff]
    actual: dict[str, OnOff]
    proven_at: datetime | None
    attempts: int
    last_error: str
    next_attempt_at: datetime | None
    state: SystemStanding = "settled"
    attention_since: datetime | None = None
    method: str = ""
    by: str = ""
    note: str = ""
    skipped: SkippedView | None = None
    subjects: list[SubjectView] = Field(default_factory=list)


class ClientView(Model):
    """A client as every interface shows it (PRODUCT.md section 7.2). Times carry the site's offset.

    ``actions`` are all commands to it; lists of clients, and what is published, leave them out. ``warnings`` are those
    that stand now; in the answer to a command, those of the command. ``matters``: what the client itself keeps (plans),
    and what the directory knows beside it.
    """

    client_id: str
    name: str
    type: ClientType
    site: str
    timezone: str
    status: Status
    provisioning: Provisioned
    billing_ref: str
    start_date: date
    end_date: date | None
    end_date_passed: bool
    activation: Activation
    management: bool
    offices: list[str]
    office_label: str
    lines: list[LineView]
    internet: InternetView | None
    services: list[ServiceView]
    holds: list[HoldView]
    planned: list[PlannedView]
    systems: list[SystemView]
    actions: list[ActionView] = Field(default_factory=list)
    revision: int
    created_at: datetime
    decommissioned_at: datetime | None
    temporal_ui_url: str = ""
    warnings: list[WarningView] = Field(default_factory=list)
    matters: list[MatterView] = Field(default_factory=list)
    secret_version: int = 1
    external_ids: dict[str, str] = Field(default_factory=dict)
    tags: list[str] = Field(default_factory=list)

    @classmethod
    def of(cls, state: ClientState, now: datetime) -> "ClientView":
        client, zone = state.client, state.client.timezone
        internet, foreseen = client.services.internet, state.foreseen
        return cls(
            client_id=client.client_id,
            name=client.name,
            type=client.services.type,
            site=client.site,
            timezone=zone,
            status=client.status,
            provisioning=state.provisioned,
            billing_ref=client.billing_ref,
            start_date=client.start_date.day,
            end_date=client.end_date,
            end_date_passed=end_date_passed(client.end_date, now, zone),
            activation=client.activation,
            management=client.management,
            offices=list(client.services.offices),
            office_label=client.services.office_label,
            lines=[LineView(number=x.number, office=x.office, protected=x.protected) for x in client.services.lines],
            internet=internet
            and InternetView(
                account=client.client_id, down_mbps=internet.down_mbps, up_mbps=internet.up_mbps, vlan=internet.vlan
            ),
            services=[ServiceView(**_service(service)) for service in client.services.further],
            holds=[
                HoldView(source=h.source, reason=h.reason, by=h.by, placed_at=at_site(h.placed_at, zone))
                for h in sorted(client.holds.values(), key=lambda h: (h.placed_at, h.source))
            ],
            planned=[PlannedView.foreseen(plan, zone) for plan in foreseen],
            systems=[_system(state, system) for system in state.provisioning.systems],
            revision=client.revision,
            created_at=at_site(client.created_at, zone),
            decommissioned_at=client.decommissioned_at and at_site(client.decommissioned_at, zone),
            warnings=_warnings(of_plans(foreseen, zone)),
            matters=matters_of(client, foreseen, now),
            secret_version=client.secret_version,
            external_ids=dict(client.external_ids),
            tags=list(client.tags),
        )

    def with_actions(self) -> Self:
        """With every command, and whether it is possible now."""
        options = Options(
            self.status,
            management=self.management,
            held=bool(self.holds),
            planned=frozenset(change.kind for change in self.planned),
            ended=ended_at(self.decommissioned_at, self.timezone),
            refused=any(matter.kind == PLAN_REFUSED for matter in self.matters),
        )
        actions = [ActionView(kind=kind, possible=not why, why=why) for kind, why in options.actions.items()]
        return self.model_copy(update={"actions": actions})


class CommandAnswer(ClientView):
    """The client after a command, and whether the command changed anything."""

    changed: bool
    message: str

    @classmethod
    def to(cls, answer: Answer, view: ClientView) -> "CommandAnswer":
        own = {"warnings": _warnings(answer.warnings), "changed": answer.changed, "message": answer.message}
        return cls(**dict(view) | own)


def end_date_passed(end_date: date | None, now: datetime, timezone: str) -> bool:
    """Whether the day the client was due to move out is over at the site."""
    return end_date is not None and end_date < local_day(now, timezone)


def _warnings(cautions: Iterable[Caution]) -> list[WarningView]:
    return [WarningView(code=caution.code, text=caution.text) for caution in cautions]


def _service(service: Service) -> dict[str, Any]:
    """A service as its HTTP body has it."""
    return {"kind": service.kind, "name": service.name, "settings": dict(service.settings)}


def _details(command: PlannedCommand) -> dict[str, Any]:
    match command:
        case Suspend() | Unsuspend():
            return {"source": command.source}
        case Convert():
            details: dict[str, Any] = {"to": command.to.value}
            if command.to is ClientType.RESIDENTIAL:
                details |= {"lines": [asdict(line) for line in command.lines], "offices": list(command.offices)}
            return details | ({"internet": asdict(command.internet)} if command.internet else {})
        case ChangeServices():
            details = {
                "add_lines": [asdict(line) for line in command.add_lines],
                "remove_lines": [*command.remove_lines],
            }
            if command.add_services or command.remove_services:
                details["add_services"] = [_service(service) for service in command.add_services]
                details["remove_services"] = [*command.remove_services]
            if command.internet == "keep":
                return details
            return details | {"internet": "none" if command.internet == "none" else asdict(command.internet)}
        case _:
            return {}


def _system(state: ClientState, system: System) -> SystemView:
    ledger, zone = state.provisioning.systems[system], state.client.timezone
    standing = ledger.standing
    skipped = standing.skipped
    view = SystemView(
        system=system,
        instance=ledger.instance,
        desired={subject: _word(desired) for subject, desired in ledger.wanted.items()},
        actual={subject: _word(ledger.proven.get(subject)) for subject in ledger.wanted},
        proven_at=standing.proven_at and at_site(standing.proven_at, zone),
        attempts=standing.attempts,
        last_error=standing.last_error,
        next_attempt_at=standing.retry_at and at_site(standing.retry_at, zone),
        attention_since=standing.attention_since and at_site(standing.attention_since, zone),
        method=standing.method,
        by=standing.by,
        note=standing.note,
        skipped=skipped and SkippedView(reason=skipped.reason, by=skipped.by, at=at_site(skipped.at, zone)),
    )
    protected = {line.number for line in state.client.services.lines if line.protected}
    subjects = [
        _subject(view, ledger, name, proven=ledger.proven.get(name) == desired, protected=name in protected, zone=zone)
        for name, desired in ledger.wanted.items()
    ]
    return view.model_copy(update={"subjects": subjects, "state": _state(standing, differs=ledger.differs)})


def _state(standing: Standing, *, differs: bool) -> SystemStanding:
    if standing.attention:
        return "attention"
    if not differs:
        return "settled"
    if standing.skipped:
        return "skipped"
    return "not_proven" if standing.doubts else "changing"


def _subject(view: SystemView, ledger: Ledger, name: str, *, proven: bool, protected: bool, zone: str) -> SubjectView:
    standing = ledger.standing
    seen_at, last = standing.proofs.get(name), ledger.known_on(name) if not proven else None
    doubt, proven_at = standing.doubts.get(name), standing.proofs.get(name) if proven else None
    by_hand = standing.note and proven_at is not None and proven_at == standing.proven_at
    return SubjectView(
        subject=name,
        desired=view.desired[name],
        actual=view.actual[name],
        state=_word_of(proven, doubt, skipped=standing.skipped is not None),
        proven_at=proven_at and at_site(proven_at, zone),
        protected=protected,
        why=doubt.why if doubt else "",
        seen={"note": standing.note} if by_hand else {},
        last_actual=None if last is None else "on" if last else "off",
        last_seen_at=seen_at and at_site(seen_at, zone) if last is not None else None,
    )


def _word_of(proven: bool, doubt: Doubt | None, *, skipped: bool) -> SubjectStanding:
    if proven:
        return "proven"
    if skipped:
        return "skipped"
    if doubt is None:
        return "changing"
    return "failed" if doubt.proof is Proof.FAILED else "not_proven"


def _word(desired: Desired | None) -> OnOff:
    return "unknown" if desired is None else "on" if desired.on else "off"
