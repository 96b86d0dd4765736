"""Which clients need a person, and the state of the systems: SELECTs on the read model and on the workers' reports.

No workflow is queried. The lists show what workflows last published, without what was proven since.
"""

import asyncpg

from starter.contract.answers import Attention, AttentionPage, SystemPage, SystemState
from starter.contract.bodies import AttentionFilter
from starter.directory.paging import DirectoryDatabase, Where, opened, sealed
from workflows.domain.dates import at_site
from workflows.domain.systems import BUILT_IN

SILENCE = 60  # seconds after which a worker that reports nothing is gone
ORDER = "attention"  # what a cursor of this list is sealed with

# Every system of every client that is not proven to be as decided: of the rest the documents are not even read.
WAITING = """
SELECT c.client_id, c.name, c.site_id, c.updated_at, s.document, s.document->>'system' AS system, w.wanted
FROM clients c, jsonb_array_elements(c.document->'systems') s(document),
  LATERAL (SELECT CASE s.document->>'system' WHEN 'telephony' THEN c.telephony_wanted ELSE c.internet_wanted END,
                  CASE s.document->>'system' WHEN 'telephony' THEN c.telephony_proven ELSE c.internet_proven END
  ) w(wanted, proven)
WHERE c.provisioning <> 'settled' AND w.proven < w.wanted AND s.document->>'state' <> 'skipped'
"""

# What is skipped does not keep a client from being settled.
SKIPPED = """
SELECT c.client_id, c.name, c.site_id, c.updated_at, s.document, s.document->>'system' AS system, 0 AS wanted
FROM clients c, jsonb_array_elements(c.document->'systems') s(document)
WHERE c.document @? '$.systems[*] ? (@.state == "skipped")' AND s.document->>'state' = 'skipped'
"""

# When something began to be unproven is published nowhere: its first evidence has the time.
FOUND = """
WITH found AS (
  SELECT x.client_id, x.name, x.site_id AS site, x.system, x.document->>'state' AS state,
    x.document->'skipped' AS skipped, (x.document->>'attempts')::int AS attempts,
    x.document->>'last_error' AS last_error,
    (x.document->>'next_attempt_at')::timestamptz AS next_attempt_at,
    array_position(ARRAY['telephony', 'internet'], x.system) AS place,
    coalesce((x.document->>'attention_since')::timestamptz, (x.document->'skipped'->>'at')::timestamptz,
      (SELECT min(p.at) FROM proofs p WHERE (p.client_id, p.system, p.kind) = (x.client_id, x.system, 'part')
        AND p.revision >= x.wanted), x.updated_at) AS since
  FROM ({waiting}) x WHERE x.document->>'state' IN ('attention', 'not_proven', 'skipped'))
"""

# Those whose workflow cannot run come first: nothing at all is attempted for them.
_ALL = """,
listed AS (
  SELECT f.*, '[]'::jsonb AS remedies FROM found f
  UNION ALL
  SELECT m.client_id, coalesce(c.name, m.client_id), coalesce(c.site_id, ''), m.matter, 'cannot_run', NULL, 0, m.text,
    NULL, 0, m.since, m.remedies
  FROM matters m LEFT JOIN clients c USING (client_id) WHERE m.matter = 'workflow')
"""

_PAGE = """SELECT f.*, f.since::text AS sort_key, coalesce(t.timezone, 'UTC') AS timezone
FROM listed f LEFT JOIN sites t ON t.site_id = f.site"""

_REPORTS = f"""
WITH waiting AS ({WAITING}),
clients AS (
  SELECT system, count(*) FILTER (WHERE document->>'state' = 'attention') AS clients_in_attention,
    min((document->>'attention_since')::timestamptz) FILTER (WHERE document->>'state' = 'attention')
      AS oldest_attention_at,
    count(*) FILTER (WHERE document->>'state' <> 'attention') AS clients_changing
  FROM waiting GROUP BY system),
live AS (
  SELECT *, array_position(ARRAY['working', 'recovering', 'failing'], state) AS badness
  FROM system_states WHERE updated_at > now() - make_interval(secs => $1)),
workers AS (
  SELECT system, (array_agg(state ORDER BY badness DESC, since))[1] AS state,
    (array_agg(since ORDER BY badness DESC, since))[1] AS since,
    (array_agg(last_error ORDER BY last_failure_at DESC NULLS LAST, badness DESC))[1] AS last_error,
    max(last_failure_at) AS last_failure_at, max(last_success_at) AS last_success_at, count(*) AS workers
  FROM live GROUP BY system)
SELECT s.system, coalesce(w.state, 'unknown') AS state, w.since, coalesce(w.last_error, '') AS last_error,
  w.last_failure_at, w.last_success_at, coalesce(w.workers, 0) AS workers,
  coalesce(c.clients_in_attention, 0) AS clients_in_attention, c.oldest_attention_at,
  coalesce(c.clients_changing, 0) AS clients_changing
FROM unnest($2::text[]) WITH ORDINALITY s(system, place)
LEFT JOIN workers w USING (system) LEFT JOIN clients c USING (system) ORDER BY s.place
"""  # noqa: S608  # put together from constants


async def those_waiting(database: DirectoryDatabase, filters: AttentionFilter) -> AttentionPage:
    """A page of these clients, by system, the oldest first. Raises NoSuchPage."""
    found = FOUND.format(waiting=f"{WAITING} UNION ALL {SKIPPED}" if filters.skipped else WAITING) + _ALL
    where = Where()
    where.equal({"f.site": filters.site, "f.system": filters.system})
    # every name comes from here; what a caller gave is a parameter
    counting = f"{found} SELECT count(*) AS total FROM listed f {where}"  # noqa: S608  # see above
    total = (await database.read(counting, *where.values))[0]["total"]
    if filters.cursor:
        where.beyond(
            "(f.place, f.since, f.client_id) > ({}::bigint, {}::text::timestamptz, {})",
            opened(filters.cursor, ORDER, (int, str, str)),
        )
    order = f"ORDER BY f.place, f.since, f.client_id LIMIT {where.parameter(filters.limit + 1)}"
    rows, last = await database.page(f"{found} {_PAGE} {where} {order}", where.values, filters.limit)
    return AttentionPage(
        items=[_attention(row) for row in rows],
        next=last and sealed(ORDER, (last["place"], last["sort_key"], last["client_id"])),
        total=total,
    )


async def systems(database: DirectoryDatabase) -> SystemPage:
    """Every system that is switched, the silent ones too."""
    rows = await database.read(_REPORTS, SILENCE, list(BUILT_IN))
    return SystemPage(items=[SystemState(**row) for row in rows], next=None, total=len(rows))


def _attention(row: asyncpg.Record) -> Attention:
    zone, again = row["timezone"], row["next_attempt_at"]
    times = {"since": at_site(row["since"], zone), "next_attempt_at": again and at_site(again, zone)}
    return Attention(**{name: row[name] for name in Attention.model_fields} | times)
