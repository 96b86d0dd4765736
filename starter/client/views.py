"""What answers are made of. There may be further fields, and further words where a comment lists them.

Made by tests/architecture/shapes.py.
"""

from __future__ import annotations

from typing import Any, TypedDict

# automatic, manual
Activation = str

# residential, virtual
ClientType = str

# activate, suspend, unsuspend, decommission, cancel_scheduled_decommission, cancel_planned, convert, change_services,
# edit, rotate_credentials, acknowledge, retry, skip, mark_done, note
Kind = str

# settled, changing, attention, skipped
Provisioned = str

# viewer, service, operator, admin
Role = str

# new, active, suspended, decommissioned
Status = str


class ActionView(TypedDict):
    kind: Kind
    possible: bool
    why: str


class ClientView(TypedDict):
    client_id: str
    name: str
    type: ClientType
    site: str
    timezone: str
    status: Status
    provisioning: Provisioned
    billing_ref: str
    start_date: str
    end_date: str | None
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
    actions: list[ActionView]
    revision: int
    created_at: str
    decommissioned_at: str | None
    temporal_ui_url: str
    warnings: list[WarningView]
    matters: list[MatterView]
    secret_version: int
    external_ids: dict[str, str]
    tags: list[str]


class Effect(TypedDict):
    kind: str
    subject: str
    before: str
    after: str


class HoldView(TypedDict):
    source: str
    reason: str
    by: str
    placed_at: str


class InternetView(TypedDict):
    account: str
    down_mbps: int
    up_mbps: int
    vlan: int | None


class LineView(TypedDict):
    number: str
    office: str | None
    protected: bool


class MatterView(TypedDict):
    matter: str
    kind: str
    system: str | None
    since: str
    text: str
    remedies: list[RemedyView]
    assigned_to: str | None
    snoozed_until: str | None
    snoozed: bool


class PlanView(TypedDict):
    change_id: str
    kind: Kind
    at: str
    local_time: str
    reason: str


class PlannedView(TypedDict):
    change_id: str
    kind: Kind
    at: str
    local_time: str
    reason: str
    by: str
    details: dict[str, Any]
    status_after: Status | None
    blocked_by: str
    day: str | None
    zone: str
    zone_rules: str


class PreviewView(TypedDict):
    changed: bool
    message: str
    at: str | None
    local_time: str
    status_before: Status | None
    status_after: Status | None
    effects: list[Effect]
    goes: list[PlanView]
    comes: list[PlanView]
    goes_then: list[PlanView]
    refusal: dict[str, Any] | None
    warnings: list[WarningView]
    answered: bool


class RemedyView(TypedDict):
    text: str
    command: str


class ServiceView(TypedDict):
    kind: str
    name: str
    settings: dict[str, str | int | bool | None]


class SkippedView(TypedDict):
    reason: str
    by: str
    at: str


class SubjectView(TypedDict):
    subject: str
    # on, off, unknown
    desired: str
    # on, off, unknown
    actual: str
    # proven, changing, not_proven, failed, skipped, done_by_hand
    state: str
    proven_at: str | None
    protected: bool
    why: str
    seen: dict[str, str]
    last_actual: str | None
    last_seen_at: str | None


class SystemView(TypedDict):
    system: str
    title: str
    instance: str
    desired: dict[str, str]
    actual: dict[str, str]
    proven_at: str | None
    attempts: int
    last_error: str
    next_attempt_at: str | None
    # settled, changing, not_proven, attention, skipped, done_by_hand
    state: str
    attention_since: str | None
    method: str
    by: str
    note: str
    skipped: SkippedView | None
    subjects: list[SubjectView]


class WarningView(TypedDict):
    code: str
    text: str


class WebhookView(TypedDict):
    webhook_id: str
    url: str
    description: str
    kinds: list[str]
    sites: list[str]
    clients: list[str]
    # active, paused, disabled
    state: str
    why: str
    position: int
    waiting: int
    failing_since: str | None
    given_up: list[str]
    lost: int
    lost_from: int | None
    lost_to: int | None
    created_by: str
    created_at: str
    rotated_at: str | None
