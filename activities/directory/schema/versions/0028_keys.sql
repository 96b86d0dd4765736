-- Keys of requests, and those of refused new clients, as digests: callers may have put anything into them, and no client
-- is ever erased with them. A digest is of the command_id that a key is (starter/web/keys.py).

WITH named AS (
  SELECT r.ctid AS place, r.caller, r.key, replace(replace(r.caller, '%', '%25'), ':', '%3A') AS whose
  FROM request_answers r)
UPDATE request_answers r SET key = encode(sha256(convert_to(CASE
  WHEN n.caller = 'api' THEN n.key
  WHEN length(n.whose) + length(n.key) < 200 THEN n.whose || ':' || n.key
  ELSE left(n.whose, 100) || ':' || encode(sha256(convert_to(n.whose || ':' || n.key, 'UTF8')), 'hex')
  END, 'UTF8')), 'hex')
FROM named n WHERE n.place = r.ctid;

UPDATE answers SET command_id = encode(sha256(convert_to(command_id, 'UTF8')), 'hex')
WHERE kind = 'create' AND refusal IS NOT NULL;

COMMENT ON COLUMN request_answers.key IS 'SHA-256 of the command_id that the Idempotency-Key is';
