"""The statements for FreeRADIUS's database: its tables for logins, ``radacct``, and our fence beside them."""

TABLES = ("radcheck", "radreply", "radusergroup", "radgroupcheck", "radgroupreply", "radacct")

KNOWN = """
  SELECT username, attribute ILIKE '%password%' AS secret, lower(attribute) = 'auth-type' AS auth_type,
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
    (w.password IS NOT NULL AND c.attribute ILIKE '%password%') OR (lower(c.attribute) = 'auth-type'
      AND CASE WHEN w.admitted THEN lower(c.value) = 'reject'
        ELSE (c.attribute, c.op, c.value) <> ('Auth-Type', ':=', 'Reject') END))
  RETURNING c.id),
checked AS (
  INSERT INTO radcheck (username, attribute, op, value)
  SELECT n.username, n.attribute, ':=', n.value FROM (SELECT count(*) FROM cleared) AS first, (
    SELECT username, 'Cleartext-Password', password FROM wanted WHERE password IS NOT NULL
    UNION ALL SELECT username, 'Auth-Type', 'Reject' FROM wanted WHERE NOT admitted) AS n(username, attribute, value)
  WHERE n.attribute <> 'Auth-Type' OR NOT EXISTS (SELECT FROM radcheck c
    WHERE (c.username, c.attribute, c.op, c.value) = (n.username, n.attribute, ':=', n.value)))
SELECT username, attribute, op, value FROM radreply WHERE username = ANY($1) AND lower(attribute) = ANY($4)"""

# Drop what should not be there, and every copy but the first of what should; add what is not there in any copy.
REPLY = """
WITH wanted AS (
  SELECT * FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY AS w(username, attribute, value, position)),
dropped AS (
  DELETE FROM radreply r WHERE r.username = ANY($4) AND lower(r.attribute) = ANY($5) AND (
    NOT EXISTS (SELECT FROM wanted w
      WHERE (w.username, w.attribute, ':=', w.value) = (r.username, r.attribute, r.op, r.value))
    OR EXISTS (SELECT FROM radreply e
      WHERE (e.username, e.attribute, e.op, e.value) = (r.username, r.attribute, r.op, r.value) AND e.id < r.id)))
INSERT INTO radreply (username, attribute, op, value)
SELECT w.username, w.attribute, ':=', w.value FROM wanted w WHERE NOT EXISTS (SELECT FROM radreply r
  WHERE (r.username, r.attribute, r.op, r.value) = (w.username, w.attribute, ':=', w.value))
ORDER BY w.position"""

# A session that changes wait for: what began before then has other rates, or another VLAN, than its account. It waits
# in the fence until its NAS has changed or ended it, also when the attempt dies.
PLANNED = """
INSERT INTO connect_fence (system, subject, client_id, revision, changed_at)
SELECT 'internet', w.subject, $2, $3, clock_timestamp() FROM unnest($1::text[]) AS w(subject) ORDER BY w.subject
ON CONFLICT (system, subject) DO UPDATE SET client_id = excluded.client_id, revision = excluded.revision,
  changed_at = excluded.changed_at"""

LOOKED_AT = "internet:looked"
"""The ``system`` of rows of the fence that say which sessions were changed: those from before ``changed_at``, as far as
``radacct`` had them, up to the row number ``revision``. Subjects ``endedN:NAME`` are each the row of a session that was
ended, and when that was seen."""

# All sessions of these ($1: accounts that are on) that began before a change are changed or gone, as far as radacct
# has them up to these rows ($4): nothing waits any more. What is accounted for later is looked for from now on; so is
# what was ended ($6, $8: the open rows of such sessions) and is heard of after $7. Of $5 nothing is looked for: all
# sessions of an account that is off are ended, and watched.
LOOKED = f"""
WITH known AS (SELECT * FROM unnest($1::text[], $4::bigint[]) AS k(subject, number)),
waited AS (
  SELECT subject, changed_at FROM connect_fence
  WHERE system = 'internet' AND subject = ANY($1::text[] || $5::text[]) AND revision <= $2 AND isfinite(changed_at)
    AND (subject NOT LIKE 'account:%' OR changed_at > now() - interval '1 minute') ORDER BY subject FOR UPDATE),
looked AS (
  INSERT INTO connect_fence (system, subject, client_id, revision, changed_at)
  SELECT '{LOOKED_AT}', subject, $3, number, changed_at FROM waited JOIN known USING (subject)
  ON CONFLICT (system, subject) DO UPDATE SET client_id = excluded.client_id, revision = excluded.revision,
    changed_at = excluded.changed_at),
ended AS (
  INSERT INTO connect_fence (system, subject, client_id, revision, changed_at)
  SELECT '{LOOKED_AT}', subject, $3, number, $7 FROM unnest($6::text[], $8::bigint[]) AS e(subject, number)
  ON CONFLICT (system, subject) DO UPDATE SET client_id = excluded.client_id, revision = excluded.revision,
    changed_at = excluded.changed_at),
again AS (
  UPDATE connect_fence f SET revision = k.number FROM known k
  WHERE f.system = '{LOOKED_AT}' AND f.subject = k.subject AND k.subject NOT IN (SELECT subject FROM waited)),
over AS (
  UPDATE connect_fence SET changed_at = '-infinity' WHERE system = '{LOOKED_AT}' AND subject = ANY($5))
UPDATE connect_fence f SET changed_at = '-infinity' FROM waited w
WHERE f.system = 'internet' AND f.subject = w.subject AND w.subject NOT LIKE 'account:%'"""  # noqa: S608

FOLD = r"lower(btrim(regexp_replace({}, '^.*(/|\\|=5C)|(@|%|=25).*$', '', 'g')))"
"""A name without realm, case and blanks at its ends: what all spellings of one account have in common. The indexes of
deploy/freeradius/schema.sql have the same expression."""

LATELY = "1 day"
"""So long a closed row is still looked at: it may have been closed by somebody else than its NAS."""

_SESSION = """jsonb_build_object('account', w.account, 'key', a.acctuniqueid, 'session', a.acctsessionid,
      'username', a.username, 'nas', host(a.nasipaddress), 'started', extract(epoch FROM a.acctstarttime)::float8,
      'updated', extract(epoch FROM a.acctupdatetime)::float8, 'stopped', extract(epoch FROM a.acctstoptime)::float8,
      'gap', to_jsonb(a)->'acctinterval', 'row', to_jsonb(a))"""

_ALIVE = f"""FROM unnest($1::text[]) AS w(account) JOIN radacct a
    ON {FOLD.format("a.username")} = {FOLD.format("w.account")}
  WHERE a.acctstoptime IS NULL OR a.acctstoptime > now() - interval '{LATELY}'"""

_INTERIM = """
interims AS (
  SELECT w.account, max(nullif(substring(v.value FROM '^[0-9]{1,6}$'), '')::int) AS seconds
  FROM unnest($1::text[]) AS w(account), LATERAL (
    SELECT r.value FROM radreply r WHERE r.username = w.account AND lower(r.attribute) = 'acct-interim-interval'
    UNION ALL SELECT g.value FROM radusergroup m JOIN radgroupreply g USING (groupname)
      WHERE m.username IN (w.account, $2) AND lower(g.attribute) = 'acct-interim-interval') AS v GROUP BY w.account)"""

# Every session of these accounts ($1), however they are spelt, that could be alive, with the moment and the Interim
# interval that each is told ($2: the account whose groups everybody has). Of any number of accounts, in one round trip.
ALIVE = f"""
WITH {_INTERIM}
SELECT clock.at, (SELECT jsonb_object_agg(account, seconds) FROM interims) AS interims,
  (SELECT jsonb_agg({_SESSION} ORDER BY a.radacctid) {_ALIVE}) AS sessions
FROM (VALUES (extract(epoch FROM now())::float8)) AS clock(at)"""  # noqa: S608  # made of our own words

_ITEMS = "jsonb_agg(jsonb_build_array({0}.id, {1}, {0}.attribute, {0}.op, {0}.value) ORDER BY {0}.id)"

# All that could let these accounts ($1) in, however they are spelt, with the groups of everybody ($2).
_LET_IN = f"""
folded AS (SELECT DISTINCT {FOLD.format("w.account")} AS fold FROM unnest($1::text[]) AS w(account)),
checks AS MATERIALIZED (
  SELECT c.id, c.username, c.attribute, c.op, c.value, w.fold
  FROM folded w JOIN radcheck c ON {FOLD.format("c.username")} = w.fold),
profiles AS (
  SELECT $2 AS username UNION SELECT value FROM checks WHERE lower(attribute) = 'user-profile'
  UNION SELECT value FROM radgroupcheck WHERE lower(attribute) = 'user-profile'),
members AS MATERIALIZED (
  SELECT m.username, m.groupname, m.priority, w.fold
  FROM folded w JOIN radusergroup m ON {FOLD.format("m.username")} = w.fold
  UNION SELECT m.username, m.groupname, m.priority, NULL FROM profiles p JOIN radusergroup m USING (username))"""  # noqa: S608

_MEMBERS = "(SELECT jsonb_agg(jsonb_build_array(m.username, m.priority, m.groupname)) FROM members m)"

_GROUP_CHECKS = f"""(SELECT {_ITEMS.format("g", "g.groupname")} FROM radgroupcheck g
    WHERE g.groupname IN (SELECT groupname FROM members))"""  # noqa: S608

# What anybody else sees now of these accounts ($1): all that could let them in, with the groups of everybody ($2), what
# a router is told of the attributes $3, their owners, and all sessions that could be alive. In one round trip.
READ = f"""
WITH {_INTERIM},{_LET_IN},
names AS (SELECT username FROM checks UNION SELECT username FROM members UNION SELECT unnest($1::text[]))
SELECT now() AS at, (SELECT jsonb_object_agg(account, seconds) FROM interims) AS interims,
  (SELECT jsonb_agg(jsonb_build_object('system', f.system, 'subject', f.subject, 'client_id', f.client_id,
      'revision', f.revision, 'secret_version', f.secret_version, 'secret_derived', f.secret_derived,
      'changed_at', CASE WHEN isfinite(f.changed_at) THEN extract(epoch FROM f.changed_at)::float8 END))
    FROM names n, unnest('{{account,rates,vlan,ended1,ended2,ended3,ended4}}'::text[]) AS kind,
      unnest('{{internet,{LOOKED_AT}}}'::text[]) AS part, LATERAL (
        SELECT * FROM connect_fence f WHERE f.system = part AND f.subject = kind || ':' || n.username OFFSET 0) AS f
  ) AS fence,
  (SELECT {_ITEMS.format("c", "c.username")} FROM checks c) AS checks,
  (SELECT {_ITEMS.format("r", "r.username")} FROM names n, LATERAL (
    SELECT * FROM radreply r WHERE r.username = n.username
      AND (lower(r.attribute) = ANY($3) OR lower(r.attribute) = 'fall-through') OFFSET 0) AS r) AS replies,
  {_MEMBERS} AS members,
  {_GROUP_CHECKS} AS group_checks,
  (SELECT {_ITEMS.format("g", "g.groupname")} FROM radgroupreply g WHERE g.groupname IN (SELECT groupname FROM members)
    AND (lower(g.attribute) = ANY($3) OR lower(g.attribute) = 'fall-through')) AS group_replies,
  (SELECT jsonb_agg({_SESSION} ORDER BY a.radacctid) {_ALIVE}) AS sessions"""  # noqa: S608  # made of our own words

# What there is to say of accounts that are off ($1), however they are spelt: who owns them now; what could let them in
# ($2: the account whose groups everybody has), unless it is plain that nothing does; and the sessions that may live
# ($3: the accounts, folded); and the accounts whose sessions were changed, or ended for a new secret, less than $4 ago.
# The condition on radacct is that of an index of ours, which has no other rows, however
# many there are. In one round trip.
WATCH = f"""
WITH {_LET_IN.lstrip()},
plainly_off AS (
  SELECT fold FROM checks GROUP BY fold HAVING count(DISTINCT username) = 1 AND bool_and(op = ':=')
    AND bool_or(attribute = 'Auth-Type') AND bool_and(lower(attribute) <> 'auth-type' OR value = 'Reject')
  EXCEPT SELECT CASE WHEN m.fold IS NULL THEN c.fold ELSE m.fold END
    FROM members m LEFT JOIN checks c ON m.fold IS NULL),
doubtful AS MATERIALIZED (SELECT * FROM checks WHERE fold NOT IN (SELECT fold FROM plainly_off)),
living AS MATERIALIZED (
  SELECT a.* FROM radacct a WHERE (a.acctstoptime IS NULL OR a.acctupdatetime > a.acctstoptime)
    AND {FOLD.format("a.username")} = ANY($3)),
names AS (
  SELECT username FROM doubtful UNION SELECT username FROM members WHERE fold IS NOT NULL
  UNION SELECT username FROM living UNION SELECT unnest($1::text[]))
SELECT now() AS at,
  (SELECT jsonb_object_agg(n.username, f.client_id) FROM names n JOIN connect_fence f
    ON f.system = 'internet' AND f.subject = 'account:' || n.username) AS owners,
  (SELECT {_ITEMS.format("c", "c.username")} FROM doubtful c) AS checks,
  (SELECT {_ITEMS.format("r", "r.username")} FROM (SELECT DISTINCT username FROM doubtful) n
    JOIN radreply r USING (username) WHERE lower(r.attribute) = 'fall-through') AS replies,
  {_MEMBERS} AS members,
  {_GROUP_CHECKS} AS group_checks,
  (SELECT {_ITEMS.format("g", "g.groupname")} FROM radgroupreply g WHERE g.groupname IN (SELECT groupname FROM members)
    AND lower(g.attribute) = 'fall-through') AS group_replies,
  (SELECT jsonb_agg(jsonb_build_array(acctuniqueid, username, acctsessionid, host(nasipaddress),
    extract(epoch FROM coalesce(acctupdatetime, acctstarttime))::float8, acctstoptime IS NULL, acctinterval))
    FROM living) AS sessions,
  (SELECT jsonb_agg(jsonb_build_object('subject', subject, 'client_id', client_id, 'revision', revision,
    'changed_at', extract(epoch FROM changed_at)::float8))
    FROM connect_fence WHERE system = '{LOOKED_AT}' AND changed_at > now() - $4::interval) AS looked"""  # noqa: S608  # made of our own words
