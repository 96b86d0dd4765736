"""Which clients need a person, and the state of the systems: SELECTs on the read model and on the workers' reports.

No workflow is queried. The lists show what workflows last published, without what was proven since.
"""

import asyncio

import asyncpg

from starter.contract.answers import Attention, AttentionPage, SystemPage, SystemState
from starter.contract.bodies import AttentionFilter
from starter.directory.canaries import canaries
from starter.directory.paging import DirectoryDatabase, Where, opened, sealed
from workflows.domain.dates import at_site
from workflows.domain.systems import BUILT_IN

SILENCE = 60  # seconds after which a worker that reports nothing is gone
ORDER = "attention"  # what a cursor of this list is sealed with

# Every system of every client that is not proven to be as decided, and that nobody accepted as it is.
WAITING = "s.provisioning <> 'settled' AND s.proven < s.wanted AND s.state <> 'skipped'"
SKIPPED = "s.provisioning = 'skipped'"

# When something began to be unproven is published nowhere: its first evidence has the time.
BEGUN = """coalesce(s.attention_since, (s.skipped->>'at')::timestamptz,
      (SELECT min(p.at) FROM proofs p WHERE (p.client_id, p.system, p.kind) = (s.client_id, s.system, 'part')
        AND p.revision >= s.wanted), c.updated_at)"""

_FOUND = f"""
WITH found AS (
  SELECT s.client_id, c.name, c.site_id AS site, s.system, s.instance, s.state, s.attempts, s.last_error, s.skipped,
    s.next_attempt_at, coalesce(array_position(ARRAY['telephony', 'internet'], s.system), 3) AS place,
    {BEGUN} AS since
  FROM client_systems s JOIN clients c USING (client_id)
  WHERE s.state IN ('attention', 'not_proven', 'skipped') AND ({{waiting}}) AND NOT is_canary(s.client_id))
"""  # noqa: S608  # put together from constants

# Those whose workflow cannot run come first: nothing at all is attempted for them. What the watch has to end again and
# again stands with its system (activities/watch/proofs.py).
_ALL = """,
listed AS (
  SELECT f.*, '[]'::jsonb AS remedies FROM found f
  UNION ALL
  SELECT m.client_id, coalesce(c.name, m.client_id), coalesce(c.site_id, ''), m.matter, 'main', 'cannot_run', 0, m.text,
    NULL, NULL, 0, m.since, m.remedies
  FROM matters m LEFT JOIN clients c USING (client_id) WHERE m.matter = 'workflow' AND NOT is_canary(m.client_id)
  UNION ALL
  SELECT m.client_id, c.name, c.site_id, m.system, s.instance, 'attention', 0, m.text, NULL, NULL,
    coalesce(array_position(ARRAY['telephony', 'internet'], m.system), 3), m.since, m.remedies
  FROM matters m JOIN clients c USING (client_id) JOIN client_systems s USING (client_id, system)
  WHERE m.matter <> 'workflow' AND NOT is_canary(m.client_id))
"""

_PLACE = ("place", "system", "instance", "sort_key", "client_id")

_PAGE = """SELECT f.*, f.since::text AS sort_key, coalesce(t.timezone, 'UTC') AS timezone
FROM listed f LEFT JOIN sites t ON t.site_id = f.site"""

# The systems that come with Connect, that a worker has reported lately, or that some client is not settled on. Workers
# report of a system, whichever instances of it they serve.
_REPORTS = f"""
WITH unsettled AS (
  SELECT s.system, s.instance, count(*) FILTER (WHERE {WAITING} AND s.state = 'attention') AS clients_in_attention,
    min(s.attention_since) FILTER (WHERE {WAITING} AND s.state = 'attention') AS oldest_attention_at,
    (array_agg(s.last_error ORDER BY s.attention_since DESC)
      FILTER (WHERE {WAITING} AND s.state = 'attention'))[1] AS attempts_error,
    count(*) FILTER (WHERE {WAITING} AND s.state <> 'attention') AS clients_changing
  FROM client_systems s WHERE s.provisioning <> 'settled' AND NOT is_canary(s.client_id) GROUP BY s.system, s.instance),
live AS (
  SELECT *, array_position(ARRAY['working', 'recovering', 'failing'], state) AS badness
  FROM system_states WHERE updated_at > now() - make_interval(secs => $1)),
workers AS (
  SELECT system, instance, (array_agg(state ORDER BY badness DESC, since))[1] AS state,
    (array_agg(since ORDER BY badness DESC, since))[1] AS since,
    (array_agg(last_error ORDER BY last_failure_at DESC NULLS LAST, badness DESC))[1] AS last_error,
    max(last_failure_at) AS last_failure_at, max(last_success_at) AS last_success_at, count(*) AS workers
  FROM live GROUP BY system, instance),
known AS (
  SELECT unnest($2::text[]) AS system, 'main' AS instance UNION SELECT system, instance FROM workers
  UNION SELECT system, instance FROM unsettled)
SELECT system, instance, coalesce(w.state, 'unknown') AS state, w.since, coalesce(w.last_error, '') AS last_error,
  w.last_failure_at, w.last_success_at, coalesce(w.workers, 0) AS workers,
  coalesce(c.clients_in_attention, 0) AS clients_in_attention, c.oldest_attention_at,
  coalesce(c.clients_changing, 0) AS clients_changing,
  CASE WHEN c.oldest_attention_at IS NULL THEN ''
    WHEN w.last_success_at > c.oldest_attention_at THEN 'some_fail' ELSE 'all_fail' END AS attempts_find,
  coalesce(c.attempts_error, '') AS attempts_error,
  CASE WHEN r.blind_since IS NULL THEN '' ELSE r.trouble END AS watch_error
FROM known LEFT JOIN workers w USING (system, instance) LEFT JOIN unsettled c USING (system, instance)
  LEFT JOIN watch_rounds r USING (system, instance)
ORDER BY array_position($2, system), system, instance
"""  # noqa: S608  # put together from constants


async def those_waiting(database: DirectoryDatabase, filters: AttentionFilter) -> AttentionPage:
    """A page of these clients, by system and instance, the oldest first. Raises NoSuchPage."""
    found = _FOUND.format(waiting=f"{WAITING} OR {SKIPPED}" if filters.skipped else WAITING) + _ALL
    where = Where()
    where.equal({"f.site": filters.site, "f.system": filters.system})
    # every name comes from here; what a caller gave is a parameter
    counting = f"{found} SELECT count(*) AS total FROM listed f {where}"  # noqa: S608  # see above
    total = (await database.read(counting, *where.values))[0]["total"]
    if filters.cursor:
        where.beyond(
            "(f.place, f.system, f.instance, f.since, f.client_id) > ({}::bigint, {}, {}, {}::text::timestamptz, {})",
            opened(filters.cursor, ORDER, (int, str, str, str, str)),
        )
    order = f"ORDER BY f.place, f.system, f.instance, f.since, f.client_id LIMIT {where.parameter(filters.limit + 1)}"
    rows, last = await database.page(f"{found} {_PAGE} {where} {order}", where.values, filters.limit)
    return AttentionPage(
        items=[_attention(row) for row in rows],
        next=last and sealed(ORDER, tuple(last[name] for name in _PLACE)),
        total=total,
    )


async def systems(database: DirectoryDatabase) -> SystemPage:
    """Every instance of a system that is switched, the silent ones too, and every canary."""
    rows, found = await asyncio.gather(database.read(_REPORTS, SILENCE, list(BUILT_IN)), canaries(database))
    return SystemPage(items=[SystemState(**row) for row in rows], next=None, total=len(rows), canaries=found)


def _attention(row: asyncpg.Record) -> Attention:
    zone, again = row["timezone"], row["next_attempt_at"]
    times = {"since": at_site(row["since"], zone), "next_attempt_at": again and at_site(again, zone)}
    return Attention(**{name: row[name] for name in Attention.model_fields if name != "title"} | times)
