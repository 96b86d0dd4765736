-- What people did with open matters (starter/directory/hands.py). A row is about one occurrence: a new error since, an
-- end date or a plan of another day is another one, of which nobody has said anything yet.

CREATE TABLE matter_hands (
  client_id       text NOT NULL,                   -- empty: a matter of an instance
  matter          text NOT NULL,
  about           text NOT NULL,                   -- which occurrence: its kind, and its day or since when
  assigned_to     text NOT NULL DEFAULT '',
  snoozed_text    text,                            -- what it said when it was snoozed: anything else is news
  snoozed_until   timestamptz,                     -- and until when; null: until it says something else
  acknowledged_at timestamptz,
  by              text NOT NULL,                   -- who did the last of these, and when
  at              timestamptz NOT NULL,
  PRIMARY KEY (client_id, matter));

-- What a client's own row says is open: a New client that no plan activates. Lists and the number in the menu find these
-- by an index. What was done by hand is a word of its own.
ALTER TABLE clients
  ADD COLUMN plan_matters jsonb GENERATED ALWAYS AS (
    CASE WHEN document @? '$.matters[*]' THEN document->'matters' END) STORED,
  ADD COLUMN waits_to_start boolean NOT NULL GENERATED ALWAYS AS (
    status = 'new' AND NOT document @? '$.planned[*] ? (@.kind == "activate")') STORED,
  ADD COLUMN by_hand boolean NOT NULL GENERATED ALWAYS AS (
    document @? '$.systems[*] ? (@.state == "settled" && @.method == "by hand")') STORED;
CREATE INDEX clients_waiting_to_start ON clients (site_id, start_date) WHERE waits_to_start;
CREATE INDEX clients_by_hand ON clients (client_id) WHERE by_hand;

-- Plans that cannot happen, or were refused when they were due, are in what the client's workflow publishes, without
-- the moment since when: rows of table matters keep that.
CREATE FUNCTION keep_plan_matters() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM matters m WHERE m.client_id = NEW.client_id AND m.matter LIKE 'plan:%' AND NOT EXISTS (
    SELECT FROM jsonb_array_elements(NEW.plan_matters) e WHERE e->>'matter' = m.matter);
  INSERT INTO matters AS m (client_id, matter, kind, since, text, remedies)
  SELECT NEW.client_id, e.matter, e.kind, e.since, e.text, coalesce(e.remedies, '[]')
  FROM jsonb_to_recordset(NEW.plan_matters) AS e(matter text, kind text, since timestamptz, text text, remedies jsonb)
  ON CONFLICT (client_id, matter) DO UPDATE SET kind = excluded.kind, text = excluded.text,
    remedies = excluded.remedies, since = CASE WHEN m.kind = excluded.kind THEN m.since ELSE excluded.since END;
  RETURN NULL;
END $$;
CREATE TRIGGER plan_matters_added AFTER INSERT ON clients
  FOR EACH ROW WHEN (NEW.plan_matters IS NOT NULL) EXECUTE FUNCTION keep_plan_matters();
CREATE TRIGGER plan_matters_changed AFTER UPDATE OF document ON clients
  FOR EACH ROW WHEN (OLD.plan_matters IS NOT NULL OR NEW.plan_matters IS NOT NULL) EXECUTE FUNCTION keep_plan_matters();
