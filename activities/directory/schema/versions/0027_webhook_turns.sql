-- Webhooks (activities/webhooks): what pauses is tried at once when a person says so; a client that a receiver refuses for
-- long is given up alone; and what was forgotten before it was told is known.

ALTER TABLE webhooks
  ADD COLUMN turn bigint NOT NULL DEFAULT 1,       -- raised to have all that pauses tried at once
  ADD COLUMN lost bigint NOT NULL DEFAULT 0,       -- so many events were forgotten before it was told of them:
  ADD COLUMN lost_from bigint,                     -- the first of these,
  ADD COLUMN lost_to bigint;                       -- and the last

ALTER TABLE webhook_chains
  ADD COLUMN turn bigint NOT NULL DEFAULT 1,       -- of the activity that counts: one of an earlier turn ends
  ADD COLUMN given_up_at timestamptz;              -- nothing of this client was taken for long, but of others

-- Of a webhook that was removed they go a part at a time (dispatch.py): there may be millions.
ALTER TABLE webhook_deliveries DROP CONSTRAINT webhook_deliveries_webhook_id_fkey;

CREATE FUNCTION is_told(w webhooks, e events) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT (w.kinds = '{}' OR e.kind = ANY(w.kinds)) AND (w.sites = '{}' OR e.site_id = ANY(w.sites))
    AND (w.clients = '{}' OR e.client_id = ANY(w.clients))
$$;

CREATE FUNCTION keep_lost_events() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  l record;
BEGIN
  FOR l IN
    SELECT w.webhook_id, count(*) AS events, min(e.seq) AS first, max(e.seq) AS last
    FROM gone e JOIN webhooks w ON is_told(w, e::events) AND (e.seq > w.position OR EXISTS (
      SELECT FROM webhook_chains c
      WHERE (c.webhook_id, c.client_id) = (w.webhook_id, e.client_id) AND e.seq > c.done AND e.seq <= c.target))
    GROUP BY w.webhook_id ORDER BY w.webhook_id
  LOOP
    UPDATE webhooks SET lost = lost + l.events, lost_from = least(lost_from, l.first), lost_to = greatest(lost_to, l.last)
    WHERE webhook_id = l.webhook_id;
    INSERT INTO matters AS m (client_id, matter, kind, since, text, remedies)
    SELECT '', 'webhook-lost:' || webhook_id, 'webhook_lost', now(), format(
        'Webhook %s was never told of %s event%s (numbers %s to %s): events are kept for so long, and it took them no '
        'sooner.', webhook_id, lost, CASE WHEN lost = 1 THEN '' ELSE 's' END, lost_from, lost_to),
      jsonb_build_array(
        jsonb_build_object('text', 'Have its receiver read anew how clients are', 'command', 'connect client list --json'),
        jsonb_build_object('text', 'Enable it, and see no more of this', 'command', 'connect webhook enable ' || webhook_id),
        jsonb_build_object('text', 'Remove it', 'command', 'connect webhook remove ' || webhook_id))
    FROM webhooks WHERE webhook_id = l.webhook_id
    ON CONFLICT (client_id, matter) DO UPDATE SET text = excluded.text;
  END LOOP;
  RETURN NULL;
END $$;
CREATE TRIGGER events_lost AFTER DELETE ON events
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION keep_lost_events();
