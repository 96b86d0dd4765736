"""What the service answers. There may be further fields, and further words where a comment lists them.

Made by tests/architecture/shapes.py.
"""

from __future__ import annotations

from typing import Any, TypedDict

from .views import (
    ClientView,
    MatterView,
    RemedyView,
    Role,
    SkippedView,
    WebhookView,
)


class Attention(TypedDict):
    client_id: str
    name: str
    site: str
    system: str
    title: str
    instance: str
    # attention, not_proven, skipped, cannot_run
    state: str
    since: str
    attempts: int
    last_error: str
    next_attempt_at: str | None
    skipped: SkippedView | None
    remedies: list[RemedyView]


class CanaryState(TypedDict):
    site: str
    client_id: str
    # green, red, unknown
    state: str
    # "", api, worker, temporal, directory, system, network, settings
    stage: str
    system: str
    instance: str
    text: str
    since: str
    last_round_at: str | None
    seconds: float | None
    rounds: int
    failures: int
    failed_at: str | None
    failed_stage: str


class ClientEvent(TypedDict):
    seq: int
    event_id: str
    # requested, effective, proven, failed, drifted
    kind: str
    at: str
    client_id: str
    site: str
    command: str
    command_id: str
    request_id: str
    by: str
    source: str
    revision: int
    systems: list[str]
    status: str | None
    change_id: str | None
    planned_for: str | None
    settled: bool
    billable_from: str | None
    billable_until: str | None
    history_id: int


class ClientNote(TypedDict):
    note_id: int
    at: str
    by: str
    text: str


class CommandAnswer(ClientView):
    changed: bool
    message: str


class Credentials(TypedDict):
    sip: list[SipCredentials]
    radius: RadiusCredentials | None
    servers: Servers


class ErasedClient(TypedDict):
    client_id: str
    erased_at: str


class HistoryEntry(TypedDict):
    history_id: int
    event: str
    at: str
    kind: str
    text: str
    by: str
    source: str
    reason: str
    command_id: str
    revision: int
    facts: dict[str, Any]


class Matter(MatterView):
    client_id: str
    name: str
    site: str


class MatterAnswer(Matter):
    changed: bool
    message: str


class NewToken(TypedDict):
    token_id: str
    name: str
    role: Role
    sites: list[str] | None
    sources: list[str]
    created_at: str
    created_by: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None
    token: str


class RadiusCredentials(TypedDict):
    username: str
    password: str | None


class Readiness(TypedDict):
    ready: bool


class Servers(TypedDict):
    sip: str | None
    sip_domain: str
    radius: str | None


class SipCredentials(TypedDict):
    number: str
    username: str
    password: str | None


class Site(TypedDict):
    site_id: str
    name: str
    timezone: str
    country: str | None
    retired: bool
    systems: dict[str, Any]
    created_at: str


class SiteChange(TypedDict):
    at: str
    by: str
    text: str


class SystemState(TypedDict):
    system: str
    title: str
    instance: str
    # working, failing, recovering, unknown
    state: str
    since: str | None
    last_error: str
    last_failure_at: str | None
    last_success_at: str | None
    workers: int
    clients_in_attention: int
    oldest_attention_at: str | None
    clients_changing: int
    watch_error: str
    # "", some_fail, all_fail
    attempts_find: str
    attempts_error: str


class Token(TypedDict):
    token_id: str
    name: str
    role: Role
    sites: list[str] | None
    sources: list[str]
    created_at: str
    created_by: str
    expires_at: str | None
    last_used_at: str | None
    revoked_at: str | None


class WebhookDelivery(TypedDict):
    delivery_id: int
    at: str
    seq: int
    event_id: str
    # requested, effective, proven, failed, drifted
    kind: str
    client_id: str
    attempt: int
    status: int | None
    error: str
    seconds: float


class WebhookSecret(WebhookView):
    secret: str
