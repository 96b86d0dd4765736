"""What a command would do, as the query ``preview`` is asked and answers it. Changes are additive (PRODUCT.md, 7.2)."""

from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, Field

from workflows.domain.dates import at_site, local_time
from workflows.domain.errors import Refusal
from workflows.domain.lifecycle import Kind, Status
from workflows.domain.preview import Effect, Preview
from workflows.domain.schedule import PlannedChange
from workflows.wire.messages import Model
from workflows.wire.update import Message


class WarningView(Model):
    """What an operator should know. It refuses nothing, and changes no status code. ``code`` is for machines."""

    code: str
    text: str


class PlanView(Model):
    """A planned change that a command would make or remove."""

    change_id: str
    kind: Kind
    at: datetime
    local_time: str
    reason: str

    @classmethod
    def of(cls, change: PlannedChange, zone: str) -> "PlanView":
        return cls(
            change_id=change.change_id,
            kind=change.kind,
            at=at_site(change.at, zone),
            local_time=local_time(change.at, zone),
            reason=change.command.reason,
        )


class PreviewAsked(Model):
    """A command that is not given yet, and what time it is."""

    command: Message
    now: AwareDatetime


class PreviewView(Model):
    """What a command would do: nothing was done.

    ``effects`` name each thing it would touch, before and after. ``at`` and ``local_time`` say when; null is now.
    ``warnings`` are those that its answer would have: the plans that it stops among them.
    ``goes`` and ``comes`` are planned changes; ``goes_then`` those that go when the command takes effect, and stay
    planned until then. ``refusal``: it would be refused, with these facts.
    ``answered``: the same command was given before; given again it does nothing more.
    """

    changed: bool = False
    message: str = ""
    at: datetime | None = None
    local_time: str = ""
    status_before: Status | None = None
    status_after: Status | None = None
    effects: list[Effect] = Field(default_factory=list)
    goes: list[PlanView] = Field(default_factory=list)
    comes: list[PlanView] = Field(default_factory=list)
    goes_then: list[PlanView] = Field(default_factory=list)
    refusal: dict[str, Any] | None = None
    warnings: list[WarningView] = Field(default_factory=list)
    answered: bool = False

    @classmethod
    def of(cls, preview: Preview, zone: str) -> "PreviewView":
        return cls(
            changed=preview.changed,
            message=preview.message,
            at=preview.at and at_site(preview.at, zone),
            local_time=local_time(preview.at, zone) if preview.at else "",
            status_before=preview.status_before,
            status_after=preview.status_after,
            effects=list(preview.effects),
            goes=[PlanView.of(change, zone) for change in preview.goes],
            comes=[PlanView.of(change, zone) for change in preview.comes],
            answered=preview.answered,
            warnings=[WarningView(code=caution.code, text=caution.text) for caution in preview.warnings],
            goes_then=[PlanView.of(change, zone) for change in preview.goes_then],
        )

    @classmethod
    def refused(cls, refusal: Refusal) -> "PreviewView":
        return cls(message=str(refusal), refusal=refusal.typed_facts)
