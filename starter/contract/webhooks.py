"""Webhooks in HTTP: what is asked for, and how they and their deliveries are shown."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from activities.directory.events import EventKind
from activities.webhooks.sending import LONGEST_URL, check_url
from starter.contract.answers import Page
from starter.contract.bodies import Cursor, Limit
from starter.contract.events import FARTHEST
from workflows.wire.grammar import LINE, OPTIONAL_LINE, Flag, Whole
from workflows.wire.messages import Model, Strict

MOST = 200  # kinds, sites or clients in one filter


def _url(url: str) -> str:
    check_url(url)
    return url


Url = Annotated[
    str,
    StringConstraints(max_length=LONGEST_URL),
    LINE,
    AfterValidator(_url),
    Field(description="Where events are sent to by POST, with https", examples=["https://billing.example.net/connect"]),
]
Description = Annotated[str, StringConstraints(max_length=200, strip_whitespace=True), OPTIONAL_LINE]
Name = Annotated[str, StringConstraints(max_length=63), LINE]
Kinds = Annotated[list[EventKind], Field(max_length=MOST, description="Of events; empty: all")]
Sites = Annotated[list[Name], Field(max_length=MOST, description="Whose events; empty: all")]
Clients = Annotated[list[Name], Field(max_length=MOST, description="Whose events; empty: all")]
After = Annotated[Whole, Field(ge=0, le=FARTHEST, description="The `seq` of an event: those after it are sent")]


class WebhookGiven(Strict):
    """A new webhook. It receives what happens from now on, or after an event."""

    url: Url
    description: Description = ""
    kinds: Kinds = Field(default_factory=list)
    sites: Sites = Field(default_factory=list)
    clients: Clients = Field(default_factory=list)
    after: After | None = None


class WebhookEdit(Strict):
    """What is to be otherwise. What is left out stays. One that is enabled receives what it missed."""

    url: Url | None = None
    description: Description | None = None
    kinds: Kinds | None = None
    sites: Sites | None = None
    clients: Clients | None = None
    enabled: Flag | None = Field(None, description="False: nothing is sent until it is enabled again")


class ReplayBody(Strict):
    """From where on events are sent again."""

    after: After


class WebhookView(Model):
    """A webhook. ``state``: active; paused, by a person; disabled, because its receiver took nothing for three days or
    wants no more: ``why``. ``waiting`` clients have events that are still to be sent, ``failing_since`` the oldest of
    those that it did not take. ``given_up`` clients (a hundred at most) wait until it is enabled again: nothing of them
    was taken for three days, though events of others were. ``position``: every event up to there is delivered or waits.
    ``lost`` events, numbered from ``lost_from`` to ``lost_to``, were forgotten before they were delivered."""

    webhook_id: str
    url: str
    description: str
    kinds: list[EventKind]
    sites: list[str]
    clients: list[str]
    state: Literal["active", "paused", "disabled"]
    why: str
    position: int
    waiting: int
    failing_since: datetime | None
    given_up: list[str]
    lost: int
    lost_from: int | None
    lost_to: int | None
    created_by: str
    created_at: datetime
    rotated_at: datetime | None


class WebhookSecret(WebhookView):
    """A webhook with its secret, which is shown this once: the receiver verifies with it (Standard Webhooks)."""

    secret: str


class WebhookPage(Page[WebhookView]): ...


class WebhookDelivery(Model):
    """An attempt to deliver an event to a webhook. ``status`` is that of the answer, null where there was none;
    ``error`` is empty where it was delivered."""

    delivery_id: int
    at: datetime
    seq: int
    event_id: str
    kind: EventKind
    client_id: str
    attempt: int
    status: int | None
    error: str
    seconds: float


class DeliveryPage(Page[WebhookDelivery]): ...


class DeliveryFilter(Strict):
    """Which page of the deliveries, newest first."""

    limit: Limit = 100
    cursor: Cursor = None
