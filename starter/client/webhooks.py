"""`Connect.webhooks`: the addresses that receive events."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Protocol, TypedDict, Unpack, cast

from .answers import WebhookDelivery, WebhookSecret
from .given import WebhookGiven
from .views import WebhookView

PATH = "webhooks"
ONE = ("webhook_id",)  # what an answer about a webhook has


class Requests(Protocol):
    """What of `Connect` is needed here."""

    async def request(self, method: str, *path: str, needs: tuple[str, ...] = ()) -> dict[str, Any]: ...

    async def send(
        self,
        method: str,
        *path: str,
        body: Mapping[str, Any] | None = None,
        key: str = "",
        needs: tuple[str, ...] = (),
    ) -> dict[str, Any]: ...

    def items(self, *path: str, most: int | None = None) -> AsyncIterator[dict[str, Any]]: ...


class WebhookChanges(TypedDict, total=False):
    """What is to be otherwise; what is left out stays. ``enabled``: False sends nothing until it is True again,
    which has all that waits tried at once, also of one that is active."""

    url: str
    description: str
    kinds: list[str]
    sites: list[str]
    clients: list[str]
    enabled: bool


class Webhooks:
    """The webhooks of a service. A method that changes something is safe to call again with the same ``key``, but the
    secret of a webhook is answered once: ``rotate`` it where that answer was lost (Conflict)."""

    def __init__(self, connect: Requests) -> None:
        self._connect = connect

    async def all(self) -> list[WebhookView]:
        """Every webhook, the oldest first."""
        return cast("list[WebhookView]", (await self._connect.request("GET", PATH, needs=("items",)))["items"])

    async def one(self, webhook_id: str) -> WebhookView:
        """One webhook."""
        return cast("WebhookView", await self._connect.request("GET", PATH, webhook_id, needs=ONE))

    async def add(self, webhook: WebhookGiven, *, key: str = "") -> WebhookSecret:
        """Add a webhook: its ``url``, and what it receives (``kinds`` ``sites`` ``clients`` ``after``). Its receiver
        verifies with ``secret`` (Standard Webhooks)."""
        return cast("WebhookSecret", await self._send("POST", body=dict(webhook), key=key))

    async def edit(self, webhook_id: str, *, key: str = "", **changes: Unpack[WebhookChanges]) -> WebhookView:
        """Change a webhook, pause it or enable it: then it receives what it missed, and at once."""
        return cast("WebhookView", await self._send("PATCH", webhook_id, body=dict(changes), key=key))

    async def rotate(self, webhook_id: str, *, key: str = "") -> WebhookSecret:
        """Give it another ``secret``. For a day the one before it signs, too."""
        return cast("WebhookSecret", await self._send("POST", webhook_id, "rotate-secret", key=key))

    async def replay(self, webhook_id: str, after: int, *, key: str = "") -> WebhookView:
        """Have every event after this number sent again: now, or once it is enabled."""
        return cast("WebhookView", await self._send("POST", webhook_id, "replay", body={"after": after}, key=key))

    async def remove(self, webhook_id: str, *, key: str = "") -> WebhookView:
        """Remove a webhook. Nothing more is sent to it."""
        return cast("WebhookView", await self._send("DELETE", webhook_id, key=key))

    def deliveries(self, webhook_id: str, *, most: int | None = None) -> AsyncIterator[WebhookDelivery]:
        """How every delivery went, the newest first."""
        found = self._connect.items(PATH, webhook_id, "deliveries", most=most)
        return cast("AsyncIterator[WebhookDelivery]", found)

    async def _send(self, method: str, *path: str, body: Mapping[str, Any] | None = None, key: str) -> dict[str, Any]:
        return await self._connect.send(method, PATH, *path, body=body, key=key, needs=ONE)
