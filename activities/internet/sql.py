"""What is said to FreeRADIUS's database: ``radcheck``, ``radreply`` and ``radacct``, and our fence beside them."""

KNOWN = """
  SELECT username, attribute ILIKE '%password%' AS secret, attribute = 'Auth-Type' AS way,
    (attribute, op, value) = ('Auth-Type', ':=', 'Reject') AS bar
  FROM radcheck WHERE username = ANY($5) AND EXISTS (SELECT FROM passed) ORDER BY username, id FOR UPDATE"""

# Admit or reject accounts, with a new password where there is one, in one round trip, which also returns what routers
# are told about all of them. The parts see the tables as they were before: what is deleted here is never the one row
# that the insertion looks for. It waits for the deletion, or an account could have two ways to log in for a moment,
# which a unique constraint forbids.
SWITCH = """
WITH wanted AS (SELECT * FROM unnest($1::text[], $2::boolean[], $3::text[]) AS w(username, admitted, password)),
cleared AS (
  DELETE FROM radcheck c USING wanted w WHERE c.username = w.username AND (
    (w.password IS NOT NULL AND c.attribute ILIKE '%password%') OR (c.attribute = 'Auth-Type'
      AND CASE WHEN w.admitted THEN c.value = 'Reject' ELSE (c.op, c.value) <> (':=', 'Reject') END))
  RETURNING c.id),
checked AS (
  INSERT INTO radcheck (username, attribute, op, value)
  SELECT n.username, n.attribute, ':=', n.value FROM (SELECT count(*) FROM cleared) AS first, (
    SELECT username, 'Cleartext-Password', password FROM wanted WHERE password IS NOT NULL
    UNION ALL SELECT username, 'Auth-Type', 'Reject' FROM wanted WHERE NOT admitted) AS n(username, attribute, value)
  WHERE n.attribute <> 'Auth-Type' OR NOT EXISTS (SELECT FROM radcheck c
    WHERE (c.username, c.attribute, c.op, c.value) = (n.username, n.attribute, ':=', n.value)))
SELECT username, attribute, op, value FROM radreply WHERE username = ANY($1) AND attribute = ANY($4)"""

# Drop what should not be there, and every copy but the first of what should; add what is not there in any copy.
REPLY = """
WITH wanted AS (
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS w(username, attribute, value, position)),
dropped AS (
  DELETE FROM radreply r WHERE r.username = ANY($4) AND r.attribute = ANY($5) AND (
    NOT EXISTS (SELECT FROM wanted w
      WHERE (w.username, w.attribute, ':=', w.value) = (r.username, r.attribute, r.op, r.value))
    OR EXISTS (SELECT FROM radreply e
      WHERE (e.username, e.attribute, e.op, e.value) = (r.username, r.attribute, r.op, r.value) AND e.id < r.id)))
INSERT INTO radreply (username, attribute, op, value)
SELECT w.username, w.attribute, ':=', w.value FROM wanted w WHERE NOT EXISTS (SELECT FROM radreply r
  WHERE (r.username, r.attribute, r.op, r.value) = (w.username, w.attribute, ':=', w.value))
ORDER BY w.position"""

# What anybody else sees now of these accounts, in one round trip.
READ = """
SELECT clock.at, w.account, f.client_id, f.secret_version, f.secret_derived,
  extract(epoch FROM f.changed_at)::float8 AS owned_at,
  EXISTS (SELECT FROM radcheck c WHERE c.username = w.account) AS known,
  EXISTS (SELECT FROM radcheck c WHERE c.username = w.account AND c.attribute ILIKE '%password%') AS keyed,
  coalesce((SELECT bool_and((c.op, c.value) = (':=', 'Reject')) FROM radcheck c
    WHERE c.username = w.account AND c.attribute = 'Auth-Type'), false) AS rejected,
  EXISTS (SELECT FROM radcheck c
    WHERE c.username = w.account AND c.attribute = 'Auth-Type' AND c.value = 'Reject') AS barred,
  ARRAY(SELECT ARRAY[r.attribute::text, r.op::text, r.value::text] FROM radreply r
    WHERE r.username = w.account AND r.attribute = ANY($2) ORDER BY r.id) AS replies,
  (SELECT jsonb_agg(jsonb_build_array(a.acctuniqueid, a.acctsessionid, a.username, host(a.nasipaddress),
      extract(epoch FROM a.acctstarttime)::float8, extract(epoch FROM a.acctupdatetime)::float8) ORDER BY a.radacctid)
    FROM radacct a WHERE a.username = w.account AND a.acctstoptime IS NULL) AS sessions
FROM (VALUES (now())) AS clock(at) LEFT JOIN unnest($1::text[]) AS w(account) ON true
LEFT JOIN connect_fence f ON f.system = 'internet' AND f.subject = 'account:' || w.account"""
