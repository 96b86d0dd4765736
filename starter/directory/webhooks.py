"""Webhooks in the directory (activities/webhooks sends to them)."""

from dataclasses import dataclass

import asyncpg

from starter.contract.webhooks import (
    DeliveryFilter,
    DeliveryPage,
    WebhookDelivery,
    WebhookEdit,
    WebhookGiven,
    WebhookPage,
    WebhookView,
)
from starter.directory.paging import DirectoryDatabase, opened, sealed
from starter.errors import EventsForgotten, NoSuchWebhook
from workflows.domain.errors import InvalidField

ORDER = "deliveries"  # what a cursor of this list is sealed with

_SELECT = """
SELECT w.*, c.waiting, c.failing_since, coalesce(c.given_up, '{}') AS given_up FROM webhooks w CROSS JOIN LATERAL (
  SELECT count(*) AS waiting, min(failing_since) AS failing_since,
    (array_agg(client_id ORDER BY client_id) FILTER (WHERE given_up_at IS NOT NULL))[:100] AS given_up
  FROM webhook_chains c WHERE c.webhook_id = w.webhook_id) c"""

_ADD = """
INSERT INTO webhooks (webhook_id, url, description, kinds, sites, clients, position, created_by)
SELECT $1, $2, $3, $4, $5, $6, coalesce($7, last), $8 FROM event_log
ON CONFLICT DO NOTHING"""

_EDIT = """
UPDATE webhooks SET url = coalesce($2, url), description = coalesce($3, description), kinds = coalesce($4, kinds),
  sites = coalesce($5, sites), clients = coalesce($6, clients),
  state = CASE WHEN $7 THEN 'active' WHEN NOT $7 AND state = 'active' THEN 'paused' ELSE state END,
  why = CASE WHEN $7 THEN '' ELSE why END
WHERE webhook_id = $1"""

# What pauses, or is given up, is tried at once, and what a person should have seen to is seen to.
_WAKE = """
WITH woken AS (
  UPDATE webhooks SET turn = turn + 1 WHERE webhook_id = $1 AND state = 'active' RETURNING webhook_id, turn),
begun AS (
  UPDATE webhook_chains c
  SET turn = w.turn, begun_at = NULL, failures = 0, failing_since = NULL, given_up_at = NULL
  FROM woken w WHERE c.webhook_id = w.webhook_id),
mended AS (DELETE FROM matters USING woken WHERE client_id = '' AND matter = ANY($2))
SELECT pg_notify('connect_webhooks', webhook_id) FROM woken"""

_REMOVE = """
WITH removed AS (DELETE FROM webhooks WHERE webhook_id = $1 RETURNING webhook_id),
mended AS (DELETE FROM matters USING removed WHERE client_id = '' AND matter = ANY($2))
SELECT webhook_id FROM removed"""

_ROTATE = """
UPDATE webhooks SET secret_version = secret_version + 1, rotated_at = now(), replaced_at = now() || ARRAY(
  SELECT at FROM unnest(replaced_at) at WHERE at > now() - interval '1 day' ORDER BY at DESC LIMIT 9)
WHERE webhook_id = $1 AND secret_version = coalesce($2, secret_version)"""

_SET_BACK = """
UPDATE webhooks w SET position = least(w.position, $2) FROM event_log l WHERE w.webhook_id = $1 AND $2 <= l.last"""

# What waits of before that is sent all the same; what comes after it is added anew.
_CHAINS_SET_BACK = """
UPDATE webhook_chains SET done = least(done, $2), target = least(target, $2) WHERE webhook_id = $1"""

_DELIVERIES = """
SELECT delivery_id, at, seq, event_id::text AS event_id, kind, client_id, attempt, status, error, seconds
FROM webhook_deliveries WHERE webhook_id = $1 AND delivery_id < $2 ORDER BY delivery_id DESC LIMIT $3"""

FARTHEST = 2**62


@dataclass(frozen=True)
class Versioned:
    """A webhook, and which version of its secret counts."""

    view: WebhookView
    version: int


class Webhooks:
    """Every method raises NoSuchWebhook for an unknown one, and DirectoryAway."""

    def __init__(self, database: DirectoryDatabase) -> None:
        self._database = database

    async def all(self) -> WebhookPage:
        """Every webhook, the oldest first."""
        rows = await self._database.read(f"{_SELECT} ORDER BY w.created_at, w.webhook_id")
        return WebhookPage(items=[_view(row) for row in rows], next=None, total=len(rows))

    async def one(self, webhook_id: str) -> Versioned:
        rows = await self._database.read(f"{_SELECT} WHERE w.webhook_id = $1", webhook_id)
        if not rows:
            raise NoSuchWebhook(webhook_id)
        return Versioned(_view(rows[0]), rows[0]["secret_version"])

    async def add(self, webhook_id: str, new: WebhookGiven, by: str) -> Versioned:
        """Add it. Raises EventsForgotten, InvalidField."""
        if new.after is not None:
            await self._check_not_forgotten(new.after)
        filters = [*new.kinds], new.sites, new.clients
        await self._database.write(_ADD, webhook_id, new.url, new.description, *filters, new.after, by)
        return await self.one(webhook_id)

    async def edit(self, webhook_id: str, edit: WebhookEdit) -> WebhookView:
        """Change it. One that is enabled receives what it missed; that, another address and another filter have all
        that waits tried at once."""
        fields = edit.url, edit.description, edit.kinds, edit.sites, edit.clients, edit.enabled
        tried = edit.enabled or any(it is not None for it in (edit.url, edit.kinds, edit.sites, edit.clients))

        async def change(database: DirectoryDatabase) -> None:
            await database.write(_EDIT, webhook_id, *fields)
            if tried:
                await database.write(_WAKE, webhook_id, _matters(webhook_id))

        await self._database.as_a_whole(change)
        return (await self.one(webhook_id)).view

    async def remove(self, webhook_id: str) -> WebhookView:
        """Nothing more is sent to it. Returns it as it was."""
        view = (await self.one(webhook_id)).view
        await self._database.write(_REMOVE, webhook_id, _matters(webhook_id))
        return view

    async def rotate(self, webhook_id: str, version: int | None = None) -> Versioned:
        """From now on another secret signs; each before it does so for a day after it was replaced, the ten newest:
        if the secret has this version, or none is given."""
        await self._database.write(_ROTATE, webhook_id, version)
        return await self.one(webhook_id)

    async def replay(self, webhook_id: str, after: int) -> WebhookView:
        """Have every event after this one sent again: now, or once it is active. Raises EventsForgotten,
        InvalidField."""
        await self._check_not_forgotten(after)

        async def set_back(database: DirectoryDatabase) -> None:
            await database.write(_SET_BACK, webhook_id, after)
            # by itself: it sees the chains of whoever added some while this waited for the webhook
            await database.write(_CHAINS_SET_BACK, webhook_id, after)
            await database.write(_WAKE, webhook_id, _matters(webhook_id))

        await self._database.as_a_whole(set_back)
        return (await self.one(webhook_id)).view

    async def deliveries(self, webhook_id: str, filters: DeliveryFilter) -> DeliveryPage:
        """How the attempts went, the newest first. Raises NoSuchPage."""
        await self.one(webhook_id)
        before = opened(filters.cursor, ORDER, (int,))[0] if filters.cursor else FARTHEST
        rows, last = await self._database.page(_DELIVERIES, [webhook_id, before, filters.limit + 1], filters.limit)
        counted = await self._database.read(
            "SELECT count(*) AS total FROM webhook_deliveries WHERE webhook_id = $1", webhook_id
        )
        return DeliveryPage(
            items=[WebhookDelivery(**dict(row)) for row in rows],
            next=last and sealed(ORDER, (last["delivery_id"],)),
            total=counted[0]["total"],
        )

    async def _check_not_forgotten(self, after: int) -> None:
        [log] = await self._database.read("SELECT last, forgotten FROM event_log")
        if after < log["forgotten"]:
            raise EventsForgotten(after, log["forgotten"])
        if after > log["last"]:
            raise InvalidField(
                f"There is no event {after} yet: the newest is {log['last']}", "Give the seq of one", field="after"
            )


def _matters(webhook_id: str) -> list[str]:
    """The names of what may be open about it."""
    return [f"{what}:{webhook_id}" for what in ("webhook", "webhook-clients", "webhook-lost")]


def _view(row: asyncpg.Record) -> WebhookView:
    return WebhookView(**{name: row[name] for name in WebhookView.model_fields})
