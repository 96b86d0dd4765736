"""What is said to Kamailio's database: its tables ``subscriber`` and ``location``, and our fence beside them."""

KNOWN = """
  SELECT username FROM subscriber WHERE domain = $5 AND username = ANY($6) AND EXISTS (SELECT FROM passed)
  ORDER BY username FOR UPDATE"""

TRUST_SECRETS = """
UPDATE connect_fence SET secret_version = $3
WHERE system = 'telephony' AND subject = ANY($1) AND client_id = $2 AND secret_version = $3 - 1"""

# Those that are still off, or have a secret that was just made, as long as no later order of their client was obeyed.
STILL = """
SELECT w.username FROM unnest($2::text[], $3::text[]) AS w(username, subject)
LEFT JOIN subscriber s ON s.domain = $1 AND s.username = w.username
LEFT JOIN connect_fence f ON f.system = 'telephony' AND f.subject = w.subject
WHERE coalesce(f.client_id, $4) = $4 AND (w.username = ANY($6) OR s.in_service IS DISTINCT FROM 1)
  AND NOT EXISTS (SELECT FROM connect_fence
    WHERE system = 'telephony' AND subject = 'client:' || $4 AND revision > $5)"""

REKEY = """
INSERT INTO subscriber (username, domain, password, ha1, ha1b)
SELECT w.username, $1, '', w.ha1, w.ha1b
FROM unnest($2::text[], $3::text[], $4::text[]) AS w(username, ha1, ha1b) ORDER BY w.username
ON CONFLICT (username, domain) DO UPDATE SET password = '', ha1 = excluded.ha1, ha1b = excluded.ha1b"""

# The registrations of what ended go in the same round trip.
SWITCH = """
WITH unregistered AS (DELETE FROM location WHERE coalesce(domain, '') IN ($1, '') AND username = ANY($4))
UPDATE subscriber s SET in_service = w.wanted::int
FROM unnest($2::text[], $3::boolean[]) AS w(username, wanted)
WHERE s.domain = $1 AND s.username = w.username AND s.in_service IS DISTINCT FROM w.wanted::int"""

READ = """
SELECT w.number, s.in_service, f.client_id, f.secret_version, f.secret_derived,
  (SELECT c.revision FROM connect_fence c
    WHERE c.system = 'telephony' AND c.subject = 'client:' || $4) AS newest,
  (SELECT count(*) FROM location l
    WHERE l.username = w.username AND coalesce(l.domain, '') IN ($1, '')) AS registrations
FROM unnest($2::text[], $3::text[]) AS w(number, username)
LEFT JOIN subscriber s ON s.domain = $1 AND s.username = w.username
LEFT JOIN connect_fence f ON f.system = 'telephony' AND f.subject = 'line:' || w.number"""
