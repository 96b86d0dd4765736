"""The statements for Kamailio's database: its tables ``subscriber`` and ``location``, and our fence beside them.

A line is every row whose username spells its number (activities/telephony/spelling.py), in any domain. Arrays of
spellings are (number, plain spelling, whether that is certain).
"""

# ruff: noqa: S608  # put together from constants of this package alone; values are parameters
from activities.telephony.spelling import PLAIN

_SUBSCRIBER, _LOCATION = PLAIN.format("s.username"), PLAIN.format("l.username")

# A spelling that is the number of another line of ours is that line's.
_FORMS = """
  SELECT w.* FROM unnest(${}::text[], ${}::text[], ${}::boolean[]) AS w(number, plain, certain)
  WHERE NOT EXISTS (SELECT FROM connect_fence x WHERE x.system = 'telephony'
    AND x.subject = 'line:+' || w.plain AND x.subject <> 'line:' || w.number)"""

KNOWN = f"""
  SELECT m.number, m.certain, s.username, s.domain FROM ({_FORMS.format(5, 6, 7)}) m
  JOIN subscriber s ON {_SUBSCRIBER} = m.plain WHERE EXISTS (SELECT FROM passed)
  ORDER BY s.username, s.domain FOR UPDATE OF s"""

TRUST_SECRETS = """
UPDATE connect_fence SET secret_version = $3
WHERE system = 'telephony' AND subject = ANY($1) AND client_id = $2 AND secret_version = $3 - 1"""

# Those that are still off, or have a secret that was just made, as long as no later order of their client was obeyed.
STILL = f"""
WITH form AS ({_FORMS.format(5, 6, 7)})
SELECT w.number FROM unnest($1::text[]) AS w(number)
LEFT JOIN connect_fence f ON f.system = 'telephony' AND f.subject = 'line:' || w.number
WHERE coalesce(f.client_id, $2) = $2 AND (w.number = ANY($4) OR NOT EXISTS (SELECT FROM form m
    JOIN subscriber s ON {_SUBSCRIBER} = m.plain WHERE m.number = w.number AND m.certain AND s.in_service = 1))
  AND NOT EXISTS (SELECT FROM connect_fence
    WHERE system = 'telephony' AND subject = 'client:' || $2 AND revision > $3)"""

REKEY = """
INSERT INTO subscriber (username, domain, password, ha1, ha1b)
SELECT w.username, w.domain, '', w.ha1, w.ha1b
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS w(username, domain, ha1, ha1b)
ORDER BY w.username, w.domain
ON CONFLICT (username, domain) DO UPDATE SET password = '', ha1 = excluded.ha1, ha1b = excluded.ha1b"""

# The registrations of what ended go in the same round trip, which returns whose they were.
SWITCH = f"""
WITH form AS ({_FORMS.format(4, 5, 6)}),
unregistered AS (
  DELETE FROM location l USING form m WHERE {_LOCATION} = m.plain AND m.certain
  RETURNING m.number, l.username, l.domain),
switched AS (
  UPDATE subscriber s SET in_service = w.wanted::int
  FROM unnest($1::text[], $2::text[], $3::boolean[]) AS w(username, domain, wanted)
  WHERE s.username = w.username AND s.domain = w.domain AND s.in_service IS DISTINCT FROM w.wanted::int)
SELECT DISTINCT number, username, domain FROM unregistered"""

# Everything that the tables say of these lines, which belong to these clients. OFFSET 0: each spelling is looked up in
# the index, whatever PostgreSQL thinks of tables that nobody has analysed yet.
_READ = f"""
WITH form AS MATERIALIZED ({_FORMS.format(3, 4, 5)}),
known AS (
  SELECT m.number, jsonb_agg(jsonb_build_array(s.username, s.domain, s.in_service = 1, m.certain)
    ORDER BY s.username, s.domain) AS rows
  FROM form m CROSS JOIN LATERAL (SELECT * FROM subscriber s WHERE {_SUBSCRIBER} = m.plain OFFSET 0) s
  WHERE {{rows}} GROUP BY m.number),
registered AS (
  SELECT m.number, jsonb_agg(jsonb_build_array(l.username, coalesce(l.domain, ''), m.certain)
    ORDER BY l.username, l.domain) AS rows
  FROM form m CROSS JOIN LATERAL (SELECT * FROM location l WHERE {_LOCATION} = m.plain OFFSET 0) l
  GROUP BY m.number)
SELECT names.there AS other_names, line.* FROM (
  SELECT jsonb_object_agg(name, has_table_privilege(to_regclass(name), 'SELECT')) AS there
  FROM unnest(ARRAY['dbaliases', 'uri']) AS name WHERE to_regclass(name) IS NOT NULL) names
LEFT JOIN (
  SELECT w.number, w.client_id AS asked_for, f.client_id, f.secret_version, f.secret_derived, c.revision AS newest,
    coalesce(known.rows, '[]') AS rows, coalesce(registered.rows, '[]') AS registered
  FROM unnest($1::text[], $2::text[]) AS w(number, client_id)
  LEFT JOIN known USING (number) LEFT JOIN registered USING (number)
  LEFT JOIN connect_fence f ON f.system = 'telephony' AND f.subject = 'line:' || w.number
  LEFT JOIN connect_fence c ON c.system = 'telephony' AND c.subject = 'client:' || w.client_id
  WHERE {{lines}}) line ON true
ORDER BY line.number"""

READ = _READ.format(rows="true", lines="true")

# Of many lines that should be off: those that live, or that another client has by now.
ALIVE = _READ.format(
    rows="s.in_service = 1", lines="f.client_id <> w.client_id OR known.rows IS NOT NULL OR registered.rows IS NOT NULL"
)

_NAMES = {
    "dbaliases": ("alias_username", "a.alias_username || coalesce('@' || nullif(a.alias_domain, ''), '')"),
    "uri": ("uri_user", "a.uri_user"),
}


def other_names(tables: list[str]) -> str:
    """The statement for who is called, or may call, under a spelling of these lines without being one of their rows:
    alias_db's ``dbaliases`` and uri_db's ``uri`` of a stock Kamailio."""
    parts = [
        f"""
  SELECT m.number, '{table}' AS source, {name} AS name, t.username || '@' || t.domain AS target
  FROM form m JOIN {table} a ON {PLAIN.format(f"a.{column}")} = m.plain
  JOIN subscriber t ON t.username = a.username AND (t.domain = a.domain OR '' IN (t.domain, a.domain))
  WHERE t.in_service = 1 AND NOT EXISTS (
    SELECT FROM form o WHERE o.number = m.number AND o.certain AND o.plain = {PLAIN.format("t.username")})"""
        for table, (column, name) in _NAMES.items()
        if table in tables
    ]
    return f"WITH form AS MATERIALIZED ({_FORMS.format(1, 2, 3)}){' UNION ALL '.join(parts)} ORDER BY 1, 2, 3"


NAMES_THERE = """SELECT name FROM unnest(ARRAY['dbaliases', 'uri']) AS name
WHERE to_regclass(name) IS NOT NULL AND has_table_privilege(to_regclass(name), 'SELECT')"""
