"""What is said to FreeRADIUS's database: ``radcheck``, ``radreply`` and ``radacct``, and our fence beside them."""

# Whether this client was switched within a minute, perhaps by an attempt that died before it was done: logins of that
# moment may still be under way. Read under the lock at which orders of one client wait for each other.
LATELY = """
SELECT changed_at > now() - interval '1 minute' FROM connect_fence
WHERE system = 'internet' AND subject = 'client:' || $1 FOR UPDATE"""

LOCK = """
SELECT username, attribute ILIKE '%password%' AS secret, attribute = 'Auth-Type' AS way,
  (attribute, op, value) = ('Auth-Type', ':=', 'Reject') AS bar
FROM radcheck WHERE username = ANY($1) ORDER BY username, id FOR UPDATE"""

FORGET_SECRETS = "DELETE FROM radcheck WHERE username = ANY($1) AND attribute ILIKE '%password%'"

SET_SECRETS = """
INSERT INTO radcheck (username, attribute, op, value)
SELECT w.username, 'Cleartext-Password', ':=', w.value FROM unnest($1::text[], $2::text[]) AS w(username, value)"""

# Admit $1 and reject $2, in one round trip, which also tells what routers are told about all of them. The parts see the
# tables as they were before: what is deleted here is never the one row that the insertion looks for. It waits for the
# deletion, or an account could have two ways to log in for a moment, which a unique constraint forbids.
SWITCH = """
WITH cleared AS (
  DELETE FROM radcheck WHERE attribute = 'Auth-Type' AND (
    (username = ANY($1) AND value = 'Reject') OR (username = ANY($2) AND (op, value) <> (':=', 'Reject')))
  RETURNING id),
rejected AS (
  INSERT INTO radcheck (username, attribute, op, value) SELECT w.username, 'Auth-Type', ':=', 'Reject'
  FROM unnest($2::text[]) AS w(username), (SELECT count(*) FROM cleared) AS first
  WHERE NOT EXISTS (SELECT FROM radcheck c
    WHERE (c.username, c.attribute, c.op, c.value) = (w.username, 'Auth-Type', ':=', 'Reject')))
SELECT username, attribute, op, value FROM radreply WHERE username = ANY($1 || $2::text[]) AND attribute = ANY($3)"""

# Drop what should not be there, and every copy but the first of what should; add what is not there in any copy.
REPLY = """
WITH dropped AS (
  DELETE FROM radreply r WHERE r.username = ANY($4) AND r.attribute = ANY($5) AND (
    NOT EXISTS (SELECT FROM unnest($1::text[], $2::text[], $3::text[]) AS w(username, attribute, value)
      WHERE (w.username, w.attribute, ':=', w.value) = (r.username, r.attribute, r.op, r.value))
    OR EXISTS (SELECT FROM radreply e
      WHERE (e.username, e.attribute, e.op, e.value) = (r.username, r.attribute, r.op, r.value) AND e.id < r.id)))
INSERT INTO radreply (username, attribute, op, value)
SELECT w.username, w.attribute, ':=', w.value
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS w(username, attribute, value, position)
WHERE NOT EXISTS (SELECT FROM radreply r
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
