"""Delivers the events of one client to one webhook, in their order: an activity of its own for each such chain.

Temporal repeats it, after pauses that grow up to an hour. What is delivered, and how it went, stands in the directory:
the activity begins where the last one ended. An answer of 2xx takes an event; it may be sent more than once, under the
same ``webhook-id``.

A person does not wait for a pause: whoever enables a webhook, gives it another address or filter, or replays events
raises its turn, and each of its chains has another activity at once. One of an earlier turn ends when it comes back.
"""

import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import asyncpg
import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.database import DRIVER_ERRORS, Database
from activities.directory.events import COLUMNS, FROM, event_of
from activities.errors import translated
from activities.webhooks.message import body_of, headers_of, secret
from activities.webhooks.sending import NotSent, Sender

OVERLAP = timedelta(hours=24)
"""For so long a secret signs after it was replaced."""

GIVE_UP = timedelta(days=3)
"""A client of whom a receiver takes nothing for so long is given up, if it took events of others meanwhile; otherwise
the webhook is disabled. Either is an open matter, until the webhook is enabled."""

SHARE, FEW = 5, 2
"""So many attempts at once does a worker make for one webhook, and for one whose receiver took nothing the last time:
while that hangs, or is slow, there is room for the others."""

LONGEST_RUN = timedelta(minutes=5)
"""A run that takes longer ends, and another goes on: Temporal would take it for lost, and begin one beside it."""

GONE = 410  # the receiver wants no more (Standard Webhooks)

_NEXT = f"""
SELECT w.url, w.state, w.secret_version, w.replaced_at, c.turn, c.done, c.target, c.failures, c.failing_since,
  c.given_up_at, e.*
FROM webhook_chains c JOIN webhooks w USING (webhook_id) LEFT JOIN LATERAL (
  SELECT {COLUMNS} FROM {FROM}
  WHERE e.client_id = c.client_id AND e.seq > c.done AND e.seq <= c.target AND is_told(w, e)
  ORDER BY e.seq LIMIT 1) e ON true
WHERE c.webhook_id = $1 AND c.client_id = $2"""  # noqa: S608  # put together from constants

# A chain whose place was changed meanwhile, by a replay, stays where it was put.
_DELIVERED = """
WITH log AS (
  INSERT INTO webhook_deliveries (webhook_id, client_id, seq, event_id, kind, attempt, status, seconds, at)
  VALUES ($1, $2, $4, $5, $6, $7, $8, $9, $10))
UPDATE webhook_chains SET done = $4, failures = 0, failing_since = NULL
WHERE webhook_id = $1 AND client_id = $2 AND done = $3"""

# It is begun again when it has paused; a chain that was set back, or is to be tried at once, stays so.
_FAILED = """
WITH log AS (
  INSERT INTO webhook_deliveries (webhook_id, client_id, seq, event_id, kind, attempt, status, seconds, at, error)
  VALUES ($1, $2, $4, $5, $6, $7, $8, $9, $10, $11)),
failed AS (
  UPDATE webhook_chains SET failures = failures + 1, failing_since = coalesce(failing_since, $10),
    begun_at = now() + $13::interval, given_up_at = CASE WHEN $14::jsonb IS NOT NULL THEN $10 END
  WHERE webhook_id = $1 AND client_id = $2 AND done = $3 AND turn = $12 RETURNING failing_since, given_up_at),
given_up AS (
  INSERT INTO matters (client_id, matter, kind, since, text, remedies)
  SELECT '', 'webhook-clients:' || $1, 'webhook_given_up', now(), format('Webhook %s receives nothing more of client '
    '%s%s: nothing of it was taken for long, though events of others were. %s', $1, $2, CASE WHEN others > 0 THEN
    format(' (and %s before it)', others) ELSE '' END, $11), $14
  FROM failed, (SELECT count(*) AS others FROM webhook_chains
    WHERE webhook_id = $1 AND client_id <> $2 AND given_up_at IS NOT NULL) o WHERE given_up_at IS NOT NULL
  ON CONFLICT (client_id, matter) DO UPDATE SET text = excluded.text, since = excluded.since)
SELECT FROM failed"""

_TOOK_OTHERS = "SELECT FROM webhook_deliveries WHERE webhook_id = $1 AND error = '' AND at > $2 LIMIT 1"

_ENDED = "DELETE FROM webhook_chains WHERE webhook_id = $1 AND client_id = $2 AND done = $3 AND target = $4 RETURNING 1"

_GO_ON = "UPDATE webhook_chains SET begun_at = NULL WHERE webhook_id = $1 AND client_id = $2"

_LATER = """
UPDATE webhook_chains SET begun_at = now() + $4::interval WHERE webhook_id = $1 AND client_id = $2 AND turn = $3"""

_DISABLE = """
WITH disabled AS (
  UPDATE webhooks SET state = 'disabled', why = $2 WHERE webhook_id = $1 AND state = 'active' AND turn = $5
  RETURNING webhook_id)
INSERT INTO matters (client_id, matter, kind, since, text, remedies)
SELECT '', 'webhook:' || webhook_id, 'webhook_disabled', now(), $3, $4 FROM disabled
ON CONFLICT (client_id, matter) DO UPDATE SET text = excluded.text, since = excluded.since"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Chain:
    """The events of a client that a webhook is to get, and whose turn it is: see above."""

    webhook_id: str
    client_id: str
    turn: int = 1

    @property
    def activity_id(self) -> str:
        return f"webhook-{self.webhook_id}-{self.client_id}.{self.turn}"


@dataclass(frozen=True)
class Patience:
    """How long to wait after an attempt that failed, in seconds: twice as long each time; and when to give up."""

    first: float = 5.0
    longest: float = 3600.0
    give_up: timedelta = GIVE_UP

    def pause(self, failures: int, chance: float) -> timedelta:
        """After so many failures in a row; jittered, so that many chains do not come back together."""
        return timedelta(seconds=min(self.longest, self.first * 2 ** min(failures - 1, 30)) * (0.8 + 0.4 * chance))


OUR_OWN = Patience(first=1.0, longest=60.0)
"""How long to wait after trouble that is not the receiver's."""


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
            rows = await self._read(_NEXT, chain.webhook_id, chain.client_id)
            if not rows or rows[0]["state"] != "active" or rows[0]["turn"] != chain.turn or rows[0]["given_up_at"]:
                return  # deleted, or somebody has to enable it first, or another activity delivers it
            row = rows[0]
            if row["seq"] is not None and self._now() >= end:
                await self._write(_GO_ON, chain.webhook_id, chain.client_id)
                return
            if row["seq"] is not None:
                await self._deliver_one(chain, row)
            elif await self._write(_ENDED, chain.webhook_id, chain.client_id, row["done"], row["target"]):
                return
            # otherwise more was added, or it was set back: it is read anew

    async def _deliver_one(self, chain: Chain, row: asyncpg.Record) -> None:
        if self._waiting[chain.webhook_id] >= (FEW if chain.webhook_id in self._failing else self._share):
            pause = self._patience.pause(_attempt(), random.random())
            await self._write(_LATER, chain.webhook_id, chain.client_id, chain.turn, pause)
            raise _again("Others wait for this receiver, which is slow, or took nothing the last time", pause)
        event, began, now = event_of(row), time.monotonic(), self._now()
        body = body_of(event, self._source)
        headers = headers_of(event.event_id, body, self._secrets(chain.webhook_id, row, now), datetime.now(UTC))
        status, error = None, ""
        self._waiting[chain.webhook_id] += 1
        try:
            status = await self._sender.send(row["url"], body, headers)
        except NotSent as why:
            error = str(why)
        finally:
            self._waiting[chain.webhook_id] -= 1
        if status is not None and not 200 <= status < 300:
            error = f"The receiver answered {status}"
        (self._failing.add if error else self._failing.discard)(chain.webhook_id)
        attempt, now = row["failures"] + 1, self._now()
        values = (chain.webhook_id, chain.client_id, row["done"], event.seq, row["event_id"], event.kind, attempt)
        took = time.monotonic() - began
        if not error:
            await self._write(_DELIVERED, *values, status, took, now)
            return
        since = row["failing_since"] or now
        for_long = now - since >= self._patience.give_up
        others = for_long and status != GONE and bool(await self._read(_TOOK_OTHERS, chain.webhook_id, since))
        failure = f"{error}. This client is given up" if others else error
        pause = self._patience.pause(attempt, random.random())
        matter = _remedies(chain.webhook_id) if others else None
        if not await self._write(_FAILED, *values, status, took, now, failure, chain.turn, pause, matter):
            return  # it was set back meanwhile, or another activity delivers it
        if others:
            log.error("webhook_client_given_up", webhook=chain.webhook_id, client_id=chain.client_id, error=error)
        elif status == GONE or for_long:
            gone, nothing = "its receiver wants no more", f"it took nothing since {since:%d %b %Y %H:%M} UTC"
            await self._disable(chain, error, gone if status == GONE else nothing)
        else:
            log.warning("webhook_not_delivered", webhook=chain.webhook_id, client_id=chain.client_id, error=error)
            raise _again(error, pause)

    def _secrets(self, webhook_id: str, row: asyncpg.Record, now: datetime) -> list[str]:
        """The secret, and for a while each one before it."""
        replaced = [place for place, at in enumerate(row["replaced_at"], 1) if now - at < OVERLAP]
        versions = [row["secret_version"] - place for place in (0, *replaced)]
        return [secret(self._master_key, webhook_id, it) for it in versions]

    async def _disable(self, chain: Chain, error: str, why: str) -> None:
        webhook_id = chain.webhook_id
        text = f"Webhook {webhook_id} is disabled: {why}. {error}."
        await self._write(_DISABLE, webhook_id, error, text, _remedies(webhook_id), chain.turn)
        log.error("webhook_disabled", webhook=webhook_id, error=error)

    async def _read(self, query: str, *values: object) -> list[asyncpg.Record]:
        return await self._answer(self._directory.read(query, *values))

    async def _write(self, statement: str, *values: object) -> list[asyncpg.Record]:
        return await self._answer(self._directory.write(statement, *values))

    async def _answer(self, rows: Awaitable[list[asyncpg.Record]]) -> list[asyncpg.Record]:
        """What the directory answers. While it is away nobody knows whether the receiver is: the pauses stay short."""
        try:
            return await rows
        except DRIVER_ERRORS as error:
            failure = translated(error, self._directory)
        raise _again(failure.message, OUR_OWN.pause(_attempt(), random.random()), failure.type)


def _attempt() -> int:
    return activity.info().attempt if activity.in_activity() else 1


def _again(why: str, pause: timedelta, kind: str | None = "NotDelivered") -> ApplicationError:
    """Has Temporal come back after this pause."""
    return ApplicationError(why, type=kind, next_retry_delay=pause, category=ApplicationErrorCategory.BENIGN)


def _remedies(webhook_id: str) -> list[dict[str, str]]:
    return [
        {"text": "See how the attempts went", "command": f"connect webhook deliveries {webhook_id}"},
        {"text": "Enable it again; it receives what it missed", "command": f"connect webhook enable {webhook_id}"},
        {"text": "Remove it", "command": f"connect webhook remove {webhook_id}"},
    ]
