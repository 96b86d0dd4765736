"""What is given to the service. What may be left out is `NotRequired`.

Made by tests/architecture/shapes.py.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

# automatic, manual
Activation = str

# residential, virtual
ClientType = str

# viewer, service, operator, admin
Role = str


class ClientGiven(TypedDict):
    client_id: NotRequired[str | None]
    name: str
    type: ClientType
    site: str
    billing_ref: NotRequired[str | None]
    start_date: NotRequired[str | None]
    end_date: NotRequired[str | None]
    activation: NotRequired[Activation]
    management: NotRequired[bool]
    offices: NotRequired[list[str]]
    lines: NotRequired[list[LineGiven]]
    internet: NotRequired[InternetGiven | None]
    services: NotRequired[list[ServiceGiven]]
    external_ids: NotRequired[dict[str, str]]
    tags: NotRequired[list[str]]


class InternetGiven(TypedDict):
    down_mbps: int
    up_mbps: int
    vlan: NotRequired[int | None]


class LineGiven(TypedDict):
    number: str
    office: NotRequired[str | None]
    protected: NotRequired[bool]


class ServiceGiven(TypedDict):
    kind: str
    name: str
    settings: NotRequired[dict[str, bool | int | str | None]]


class SiteGiven(TypedDict):
    site_id: str
    name: str
    timezone: str
    country: NotRequired[str | None]
    systems: NotRequired[dict[str, Any]]


class TokenGiven(TypedDict):
    name: str
    role: Role
    sites: NotRequired[list[str] | None]
    sources: NotRequired[list[str]]
    expires_at: NotRequired[str | None]


class WebhookGiven(TypedDict):
    url: str
    description: NotRequired[str]
    kinds: NotRequired[list[str]]
    sites: NotRequired[list[str]]
    clients: NotRequired[list[str]]
    after: NotRequired[int | None]
