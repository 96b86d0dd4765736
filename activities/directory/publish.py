"""The directory: the read model in Connect's own database. The workflows are the truth; this follows them."""

from dataclasses import asdict, replace
from typing import Any

import asyncpg
import structlog
from temporalio import activity

from activities.database import Database
from activities.directory.claims import Holdings, Lost
from activities.directory.folding import search_text, sort_name
from activities.errors import attempt_on, rejected, stale_revision
from workflows.domain.answers import CREATE
from workflows.domain.client.labels import keys_of
from workflows.domain.lifecycle import Status
from workflows.domain.text import folded
from workflows.ports import Claim, Directory, Publish, Published
from workflows.wire.views import ClientView

_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended('client:' || $1, 0))"

_ONE_KEY_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended('key:' || $1, 0))"

_CREATED_BY_KEY = """
SELECT client_id FROM answers WHERE command_id = $1 AND kind = 'create' AND client_id <> $2 AND refusal IS NULL"""

_KNOWN = "SELECT incarnation, revision, billing_ref FROM clients WHERE client_id = $1 FOR UPDATE"

_COLUMNS = (
    *("client_id", "incarnation", "revision", "site_id", "name", "type", "status", "billing_ref", "start_date"),
    *("end_date", "management", "offices", "numbers", "next_change_at", "next_change_kind", "document", "search"),
    *("created_at", "sort_name", "priority"),
)
"""The columns of table clients: the first parameters of a publication."""

# The client's row, a row for each system of its document, what it holds, new lines of its history and the answers that
# they are of (arrays of JSON objects), and word to the listeners: one round trip. A proof among these lines is one that
# could not be recorded when it was made; what it says is off is watched from here on. All of it hangs on the client's
# row, which only its own workflow may write, and no older revision: otherwise nothing is written and no row comes back.
# The client takes the numbers $23, and keeps those of $24 and the references $25 alone. $26 and $27 are the revisions
# since when each system is to do what it is to do, and that it was proven to do. A result replaces a refusal that the
# API wrote meanwhile under its key. A claim is answered with the instances that serve the site. $28 are the tags,
# folded. The client goes by the external ids $29, and keeps those of $30 alone; $31 is the key of its reference.
_TEMPLATE = """
WITH shown AS ({shown} RETURNING client_id),
switched AS (
INSERT INTO client_systems AS k (client_id, system, instance, wanted, proven, state, attempts, last_error,
  next_attempt_at, attention_since, skipped)
SELECT s.client_id, e.system, e.instance, ($26::jsonb->>e.system)::bigint, coalesce($27::jsonb->>e.system, '0')::bigint,
  e.state, e.attempts, e.last_error, e.next_attempt_at, e.attention_since, e.skipped
FROM shown s, jsonb_to_recordset($16->'systems') AS e(system text, instance text, state text, attempts int,
  last_error text, next_attempt_at timestamptz, attention_since timestamptz, skipped jsonb)
ON CONFLICT (client_id, system) DO UPDATE SET instance = excluded.instance, wanted = excluded.wanted,
  proven = greatest(k.proven, excluded.proven), state = excluded.state, attempts = excluded.attempts,
  last_error = excluded.last_error, next_attempt_at = excluded.next_attempt_at,
  attention_since = excluded.attention_since, skipped = excluded.skipped),
freed AS (
DELETE FROM numbers n USING shown s
WHERE n.client_id = s.client_id AND n.number <> ALL($24::text[]) AND n.revision <= $3),
renamed AS (
DELETE FROM billing_refs b USING shown s WHERE b.client_id = s.client_id AND b.billing_ref <> ALL($25::text[])
  AND b.key <> ALL($25::text[])),
named AS (
INSERT INTO billing_refs (billing_ref, client_id, generated, key) SELECT $8, client_id, false, $31 FROM shown
ON CONFLICT DO NOTHING),
unlisted AS (
DELETE FROM external_ids x USING shown s WHERE x.client_id = s.client_id AND x.external_id <> ALL($30::text[])),
listed AS (
INSERT INTO external_ids (external_id, client_id)
SELECT w.id, s.client_id FROM shown s, unnest($29::text[]) AS w(id) ORDER BY w.id ON CONFLICT DO NOTHING),
held AS (
INSERT INTO numbers AS n (number, client_id, revision) SELECT w.number, s.client_id, $3
FROM shown s, unnest($23::text[]) AS w(number) ORDER BY w.number
ON CONFLICT (number) DO UPDATE SET revision = greatest(n.revision, excluded.revision)
WHERE n.client_id = excluded.client_id),
written AS (
INSERT INTO history (client_id, entry, event, at, kind, text, by, source, reason, command_id, revision, facts,
  request_id)
SELECT s.client_id, e.entry, e.event, e.at, e.kind, e.text, e.by, e.source, e.reason, e.command_id, e.revision, e.facts,
  e.request_id
FROM shown s, jsonb_to_recordset($21) AS e(entry bigint, event text, at timestamptz, kind text, text text, by text,
  source text, reason text, command_id text, revision bigint, facts jsonb, request_id text)
ORDER BY e.entry ON CONFLICT DO NOTHING),
kept AS (
INSERT INTO watched AS w (system, client_id, subject, instance, revision, since)
SELECT DISTINCT ON (e.kind, f.key) e.kind, s.client_id, f.key, x.instance, e.revision, e.at
FROM shown s, jsonb_to_recordset($21) AS e(event text, at timestamptz, kind text, revision bigint, facts jsonb),
  jsonb_each_text(e.facts) f, jsonb_to_recordset($16->'systems') AS x(system text, instance text)
WHERE e.event = 'proven' AND f.value = 'off' AND x.system = e.kind ORDER BY e.kind, f.key, e.revision DESC
ON CONFLICT (system, client_id, subject) DO UPDATE
SET instance = excluded.instance, revision = excluded.revision, since = excluded.since, seen = excluded.seen
WHERE w.revision < excluded.revision),
answered AS (
INSERT INTO answers AS k (client_id, command_id, fingerprint, kind, changed, message, refusal, warnings)
SELECT s.client_id, a.command_id, a.fingerprint, a.kind, a.changed, a.message, a.refusal, a.warnings
FROM shown s, jsonb_to_recordset($22) AS a(command_id text, fingerprint text, kind text, changed boolean, message text,
  refusal jsonb, warnings jsonb)
ON CONFLICT (client_id, command_id) DO UPDATE SET fingerprint = excluded.fingerprint, kind = excluded.kind,
  changed = excluded.changed, message = excluded.message, refusal = NULL, warnings = excluded.warnings
WHERE k.refusal IS NOT NULL AND excluded.refusal IS NULL)
SELECT pg_notify('connect_clients', client_id),
  ARRAY(SELECT number FROM numbers WHERE number = ANY($23) AND client_id <> $1
    UNION ALL SELECT billing_ref FROM billing_refs WHERE key = $31 AND client_id <> $1
    UNION ALL SELECT external_id FROM external_ids WHERE external_id = ANY($29) AND client_id <> $1) AS strangers
{site} FROM shown"""

NOTHING = Claim()

_MINE = "c.incarnation = $2 AND c.revision <= $3"

_CHANGES = (
    ", ".join(f"{name} = ${number}" for number, name in enumerate(_COLUMNS[1:], 2)) + ", tags = $28, updated_at = now()"
)

# Beside a proof, which may write the same row at this moment, an INSERT could meet its own client's reference in the
# other unique index and fail: a client that is known is updated.
_UPDATE = _TEMPLATE.format(
    shown=f"UPDATE clients c SET {_CHANGES} WHERE c.client_id = $1 AND {_MINE}",  # noqa: S608  # names of ours
    site="",
)

_UPSERT = _TEMPLATE.format(
    shown=f"INSERT INTO clients AS c ({', '.join(_COLUMNS)}, tags) "  # noqa: S608  # names of ours
    f"VALUES ({', '.join(f'${number}' for number in range(1, len(_COLUMNS) + 1))}, $28) "
    f"ON CONFLICT (client_id) DO UPDATE SET {_CHANGES} WHERE {_MINE}",
    site=", (SELECT systems FROM sites WHERE site_id = $4) AS instances",
)

log = structlog.get_logger(__name__)


class PostgresDirectory(Directory):
    """The directory, in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="publish")
    async def publish(self, order: Publish) -> Published:
        """Write the client at this revision to the directory, and decide its claim.

        Raises StaleRevision when the directory has a later revision. A client that the directory has lost is restored.
        """
        async with attempt_on(self._database):
            try:
                published = await self._publish(order)
            except Lost as lost:
                return Published(order.revision, order.first_entry - 1, lost=lost.claim)
        log.info("client_published", client_id=order.client_id, revision=order.revision)
        return published

    async def _publish(self, order: Publish) -> Published:
        """A claim is decided in a transaction with the publication; one without takes a single statement. That one is
        silent where it may not write, or knows no such client: then the transaction says why, or adds it. Raises Lost
        for a client that is not registered.
        """
        claim, ref, granted, lost = order.claim or Claim(), order.view.billing_ref, None, None
        alone = not (order.claim or order.register)
        rows = await self._database.write(_UPDATE, *_row(order, ref)) if alone else []
        if not rows:
            async with self._database.transaction() as connection:
                known = await self._lock_client(connection, order)
                holdings = Holdings(connection, order.client_id, order.revision)
                if order.register:  # again: with the same answer as then
                    await _check_key(connection, order)
                    await _check_site(connection, order.view)
                    requested = known["billing_ref"] if known else claim.billing_ref or ref
                    numbers = sorted({*order.numbers, *claim.numbers})
                    granted = await holdings.take(replace(claim, billing_ref=requested, numbers=numbers), ())
                    ref = granted or ref
                else:
                    try:
                        refs = {ref, known["billing_ref"]} if known else {ref}
                        granted = await holdings.take(claim, refs)
                    except Lost as refusal:  # the rest of the publication stands
                        lost = refusal.claim
                rows = await connection.fetch(_UPSERT, *_row(order, ref, granted, Claim() if lost else claim))
                if not rows:
                    raise asyncpg.SerializationError(f"{order.client_id} was published meanwhile")
        if strangers := rows[0]["strangers"]:
            log.error("held_by_another_client", client_id=order.client_id, revision=order.revision, what=strangers)
        last, instances = order.first_entry + len(order.entries) - 1, rows[0].get("instances") or {}
        return Published(order.revision, last, granted, lost, instances)

    async def _lock_client(self, connection: asyncpg.Connection, order: Publish) -> asyncpg.Record | None:
        """The client in the directory. Raises Lost, or an error, if this order may not overwrite it."""
        if order.register:
            await connection.execute(_ONE_AT_A_TIME, order.client_id)
        known = await connection.fetchrow(_KNOWN, order.client_id)
        if known is None:
            return None
        if known["incarnation"] != order.incarnation:
            conflict = f"Client id {order.client_id} belongs to another client, present or past"
            remedy = "Choose another, or leave it blank to have one generated"
            if order.register:
                raise Lost("ClientIdTaken", "client_id", conflict, remedy)
            failure = rejected(
                f"The {self._database} shows another workflow's client {order.client_id} (first run "
                f"{known['incarnation']}, ours {order.incarnation}). Terminate the workflow that should not be"
            )
            log.warning("attempt_failed", system=self._database.name, type=failure.type, error=failure.message)
            raise failure
        if known["revision"] > order.revision:
            raise stale_revision("The directory", order.client_id, order.revision, known["revision"])
        return known


async def _check_site(connection: asyncpg.Connection, view: ClientView) -> None:
    """No client comes to a site that was retired, or given another time zone, while it was on its way. Raises Lost."""
    site = await connection.fetchrow("SELECT timezone, retired FROM sites WHERE site_id = $1 FOR SHARE", view.site)
    if site and (site["retired"] or site["timezone"] != view.timezone):
        why = (
            "is retired: it takes no new client" if site["retired"] else f"is in {site['timezone']} since a moment ago"
        )
        raise Lost(
            "InvalidField", "site", f"Site {view.site} {why}", "Ask again under another key, or name another site"
        )


async def _check_key(connection: asyncpg.Connection, order: Publish) -> None:
    """One key creates one client. Raises Lost when it created another."""
    for answer in order.answers:
        if answer.kind != CREATE:
            continue
        await connection.execute(_ONE_KEY_AT_A_TIME, answer.command_id)
        if other := await connection.fetchval(_CREATED_BY_KEY, answer.command_id, order.client_id):
            why = f"Idempotency-Key {answer.command_id} was used before, to create client {other}"
            raise Lost("CommandIdReused", "Idempotency-Key", why, "Use a new one for each client")


def _row(order: Publish, ref: str, granted: str | None = None, claimed: Claim = NOTHING) -> tuple[Any, ...]:
    """The parameters of a publication. The reference is blank in the view of a client about to be registered.

    What is switched off is only kept, not taken again: the proof that it is off may have freed it a moment ago.
    """
    view = order.view if order.view.billing_ref else order.view.model_copy(update={"billing_ref": ref})
    planned = view.planned[0] if view.planned else None
    numbers = [line.number for line in view.lines]
    ids = keys_of(view.external_ids)
    contracted_numbers = (
        () if view.status is Status.DECOMMISSIONED else numbers
    )  # whose lines stay in its record, for good
    ceasing = {subject for s in view.systems for subject, word in s.desired.items() if word == "off"} - {
        *contracted_numbers
    }
    words = [*view.offices, *view.tags, *ids.values()]
    search = search_text(view.name, view.billing_ref, view.client_id, numbers, words)
    refs = [ref, granted or ref, folded(ref), folded(granted or ref)]
    return (
        *(order.client_id, order.incarnation, order.revision, view.site, view.name, view.type, view.status, ref),
        *(view.start_date, view.end_date, view.management, view.offices, numbers),
        *(planned and planned.at, planned and planned.kind),
        *(view.model_dump(mode="json"), search, view.created_at, sort_name(view.name)),
        *(order.priority, _lines(order), [asdict(answer) for answer in order.answers]),
        *(sorted({*order.numbers} - ceasing), sorted({*order.numbers, *claimed.numbers}), refs),
        *(order.wanted, order.proven, [folded(tag) for tag in view.tags], [*ids]),
        *([*ids, *map(folded, claimed.external_ids)], folded(ref)),
    )


def _lines(order: Publish) -> list[dict[str, Any]]:
    """The rows of table history."""
    return [
        {**asdict(entry), "entry": number, "at": entry.at.isoformat()}
        for number, entry in enumerate(order.entries, order.first_entry)
    ]
