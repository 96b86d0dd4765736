-- Events for other services (activities/directory/numbering.py): what the history tells of clients, numbered without gaps
-- in the order in which it was committed. Who, what and why stand in the history alone.

CREATE TABLE event_log (                           -- one row: who locks it may number
  single    boolean PRIMARY KEY DEFAULT true CHECK (single),
  last      bigint NOT NULL DEFAULT 0,             -- the newest number; the first is 1
  forgotten bigint NOT NULL DEFAULT 0);            -- up to here they are no longer kept
INSERT INTO event_log DEFAULT VALUES;

CREATE TABLE events (
  seq            bigint PRIMARY KEY,
  event_id       uuid NOT NULL DEFAULT gen_random_uuid(),  -- the same however often it is told
  kind           text NOT NULL CHECK (kind IN ('requested', 'effective', 'proven', 'failed', 'drifted')),
  history_id     bigint NOT NULL,                  -- the line that it is of
  client_id      text NOT NULL,
  site_id        text NOT NULL DEFAULT '',
  settled        boolean NOT NULL,                 -- with this one, all that was decided for the client was proven
  billable_from  timestamptz,
  billable_until timestamptz,
  numbered_at    timestamptz NOT NULL DEFAULT now());
CREATE INDEX events_of_client ON events (client_id, seq);

CREATE TABLE events_waiting (                      -- lines of the history that are not numbered yet
  history_id bigint PRIMARY KEY,
  since      timestamptz NOT NULL DEFAULT now());

CREATE TABLE billable (                            -- from when to when each client is billed, once that has come to be
  client_id      text PRIMARY KEY,
  billable_from  timestamptz,                      -- it was activated; null: it never was
  billable_until timestamptz);                     -- its service ended
INSERT INTO billable
SELECT client_id,
  min(coalesce((facts->>'planned_for')::timestamptz, at)) FILTER (WHERE facts->>'status' IN ('active', 'suspended')),
  min(coalesce((facts->>'planned_for')::timestamptz, at)) FILTER (WHERE facts->>'status' = 'decommissioned')
FROM history
WHERE event = 'decided' AND facts->>'status' IN ('active', 'suspended', 'decommissioned') AND NOT is_canary(client_id)
GROUP BY client_id;

CREATE FUNCTION queue_events() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO events_waiting (history_id) SELECT history_id FROM added WHERE NOT is_canary(client_id);
  IF FOUND THEN PERFORM pg_notify('connect_history', ''); END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER history_queued AFTER INSERT ON history
  REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION queue_events();
