"""Delivers the events of one client to one webhook, in their order: an activity of its own for each such chain.

Temporal repeats it, after pauses that grow up to an hour. What is delivered, and how it went, stands in the directory:
the activity begins where the last one ended. An answer of 2xx takes an event; it may be sent more than once, under the
same ``webhook-id``.
"""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.database import Database
from activities.directory.events import COLUMNS, FROM, event_of
from activities.webhooks.message import body_of, headers_of, secret
from activities.webhooks.sending import NotSent, Sender

OVERLAP = timedelta(hours=24)
"""For so long after a rotation both secrets sign."""

GIVE_UP = timedelta(days=3)
"""A webhook whose receiver takes nothing of a client for so long is disabled."""

SHARE, FEW = 5, 2
"""So many attempts at once does a worker make for one webhook, and for one whose receiver took nothing the last time:
while that hangs, or is slow, there is room for the others."""

LONGEST_RUN = timedelta(minutes=5)
"""A run that takes longer ends, and another goes on: Temporal would take it for lost, and begin one beside it."""

GONE = 410  # the receiver wants no more (Standard Webhooks)

MATCHES = """(w.kinds = '{}' OR e.kind = ANY(w.kinds)) AND (w.sites = '{}' OR e.site_id = ANY(w.sites))
  AND (w.clients = '{}' OR e.client_id = ANY(w.clients))"""
"""Whether a webhook gets an event."""

_NEXT = f"""
SELECT w.url, w.state, w.secret_version, w.rotated_at, c.done, c.target, c.failures, c.failing_since, e.*
FROM webhook_chains c JOIN webhooks w USING (webhook_id) LEFT JOIN LATERAL (
  SELECT {COLUMNS} FROM {FROM}
  WHERE e.client_id = c.client_id AND e.seq > c.done AND e.seq <= c.target AND {MATCHES}
  ORDER BY e.seq LIMIT 1) e ON true
WHERE c.webhook_id = $1 AND c.client_id = $2"""  # noqa: S608  # put together from constants

# A chain whose place was changed meanwhile, by a replay, stays where it was put.
_DELIVERED = """
WITH log AS (
  INSERT INTO webhook_deliveries (webhook_id, client_id, seq, event_id, kind, attempt, status, seconds)
  VALUES ($1, $2, $4, $5, $6, $7, $8, $9))
UPDATE webhook_chains SET done = $4, failures = 0, failing_since = NULL
WHERE webhook_id = $1 AND client_id = $2 AND done = $3"""

_FAILED = """
WITH log AS (
  INSERT INTO webhook_deliveries (webhook_id, client_id, seq, event_id, kind, attempt, status, seconds, error)
  VALUES ($1, $2, $4, $5, $6, $7, $8, $9, $10))
UPDATE webhook_chains SET failures = failures + 1, failing_since = coalesce(failing_since, $11)
WHERE webhook_id = $1 AND client_id = $2 AND done = $3"""

_ENDED = "DELETE FROM webhook_chains WHERE webhook_id = $1 AND client_id = $2 AND done = $3 AND target = $4 RETURNING 1"

_GO_ON = "UPDATE webhook_chains SET begun_at = NULL WHERE webhook_id = $1 AND client_id = $2"

_DISABLE = """
WITH disabled AS (
  UPDATE webhooks SET state = 'disabled', why = $2 WHERE webhook_id = $1 AND state = 'active' RETURNING webhook_id, url)
INSERT INTO matters (client_id, matter, kind, since, text, remedies)
SELECT '', 'webhook:' || webhook_id, 'webhook_disabled', now(), $3, $4 FROM disabled
ON CONFLICT (client_id, matter) DO UPDATE SET text = excluded.text, since = excluded.since"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Chain:
    """The events of a client that a webhook is to get."""

    webhook_id: str
    client_id: str

    @property
    def activity_id(self) -> str:
        return f"webhook-{self.webhook_id}-{self.client_id}"


@dataclass(frozen=True)
class Patience:
    """How long to wait after an attempt that failed, in seconds: twice as long each time; and when to give up."""

    first: float = 5.0
    longest: float = 3600.0
    give_up: timedelta = GIVE_UP

    def pause(self, failures: int, chance: float) -> timedelta:
        """After so many failures in a row; jittered, so that many chains do not come back together."""
        return timedelta(seconds=min(self.longest, self.first * 2 ** min(failures - 1, 30)) * (0.8 + 0.4 * chance))


class Deliveries:
    """The activity. ``source`` is the CloudEvents' own. ``share``: see SHARE. ``now`` is the clock by which a
    receiver is away, and a run is long."""

    def __init__(
        self,
        directory: Database,
        master_key: bytes,
        sender: Sender,
        source: str,
        patience: Patience | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        share: int = SHARE,
    ) -> None:
        self._directory, self._master_key, self._sender, self._source = directory, master_key, sender, source
        self._patience, self._now, self._share = patience or Patience(), now, share
        self._failing, self._waiting = set[str](), Counter[str]()

    @activity.defn(name="deliver_webhook")
    async def deliver(self, chain: Chain) -> None:
        """Deliver every event that waits in the chain; of many, those of LONGEST_RUN, and have it begun again. Raises
        an ApplicationError when the receiver does not take one: Temporal comes back after its ``next_retry_delay``."""
        end = self._now() + LONGEST_RUN
        while True:
            if activity.in_activity():
                activity.heartbeat()
            rows = await self._directory.read(_NEXT, chain.webhook_id, chain.client_id)
            if not rows or rows[0]["state"] != "active":
                return  # deleted, or somebody has to enable it first
            row = rows[0]
            if row["seq"] is not None and self._now() >= end:
                await self._directory.write(_GO_ON, chain.webhook_id, chain.client_id)
                return
            if row["seq"] is not None:
                await self._deliver_one(chain, row)
            elif await self._directory.write(_ENDED, chain.webhook_id, chain.client_id, row["done"], row["target"]):
                return
            # otherwise more was added, or it was set back: it is read anew

    async def _deliver_one(self, chain: Chain, row: asyncpg.Record) -> None:
        event, began, now = event_of(row), time.monotonic(), self._now()
        body = body_of(event, self._source)
        secrets = self._secrets(chain.webhook_id, row, now)
        headers = headers_of(event.event_id, body, secrets, datetime.now(UTC))
        status, error = None, ""
        if self._waiting[chain.webhook_id] >= (FEW if chain.webhook_id in self._failing else self._share):
            tried = activity.info().attempt if activity.in_activity() else 1
            raise self._later("Others wait for this receiver, which is slow, or took nothing the last time", tried)
        self._waiting[chain.webhook_id] += 1
        try:
            status = await self._sender.send(row["url"], body, headers)
        except NotSent as why:
            error = str(why)
        finally:
            self._waiting[chain.webhook_id] -= 1
        if status is not None and not 200 <= status < 300:
            error = f"The receiver answered {status}"
        attempt = row["failures"] + 1
        values = (chain.webhook_id, chain.client_id, row["done"], event.seq, row["event_id"], event.kind, attempt)
        took = time.monotonic() - began
        (self._failing.add if error else self._failing.discard)(chain.webhook_id)
        if not error:
            await self._directory.write(_DELIVERED, *values, status, took)
            return
        await self._directory.write(_FAILED, *values, status, took, error, now)
        since = row["failing_since"] or now
        if status == GONE or now - since >= self._patience.give_up:
            gone = "its receiver wants no more"
            for_long = f"nothing of a client was taken since {since:%d %b %Y %H:%M} UTC"
            await self._disable(chain.webhook_id, error, gone if status == GONE else for_long)
            return
        log.warning("webhook_not_delivered", webhook=chain.webhook_id, client_id=chain.client_id, error=error)
        raise self._later(error, attempt)

    def _later(self, why: str, attempt: int) -> ApplicationError:
        """Has Temporal come back, later each time."""
        pause = self._patience.pause(attempt, random.random())
        benign = ApplicationErrorCategory.BENIGN
        return ApplicationError(why, type="NotDelivered", next_retry_delay=pause, category=benign)

    def _secrets(self, webhook_id: str, row: asyncpg.Record, now: datetime) -> list[str]:
        """The secret, and for a while the one before it."""
        version, rotated = row["secret_version"], row["rotated_at"]
        versions = [version, version - 1] if rotated and now - rotated < OVERLAP else [version]
        return [secret(self._master_key, webhook_id, it) for it in versions]

    async def _disable(self, webhook_id: str, error: str, why: str) -> None:
        text = f"Webhook {webhook_id} is disabled: {why}. {error}."
        remedies = [
            {"text": "See how the attempts went", "command": f"connect webhook deliveries {webhook_id}"},
            {"text": "Enable it again; it is told what it missed", "command": f"connect webhook enable {webhook_id}"},
            {"text": "Remove it", "command": f"connect webhook remove {webhook_id}"},
        ]
        await self._directory.write(_DISABLE, webhook_id, error, text, remedies)
        log.error("webhook_disabled", webhook=webhook_id, error=error)
