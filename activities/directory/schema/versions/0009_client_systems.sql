-- A row for each client and system, of however many kinds: what is wanted of it, what it was proven to do, and how the
-- attempts went. Whoever writes one has locked the client's row before.

CREATE TABLE client_systems (
  client_id       text NOT NULL REFERENCES clients,
  system          text NOT NULL,
  instance        text NOT NULL DEFAULT 'main',
  wanted          bigint NOT NULL DEFAULT 0,         -- since which revision it is to do what it is to do
  proven          bigint NOT NULL DEFAULT 0,         -- the newest revision it was proven to do
  state           text NOT NULL DEFAULT 'settled',   -- from here on as last published (SystemView)
  attempts        integer NOT NULL DEFAULT 0,
  last_error      text NOT NULL DEFAULT '',
  next_attempt_at timestamptz,
  attention_since timestamptz,
  skipped         jsonb,
  provisioning    text NOT NULL GENERATED ALWAYS AS (
    CASE WHEN state IN ('attention', 'skipped') THEN state
         WHEN proven >= wanted THEN 'settled'
         ELSE 'changing' END) STORED,
  PRIMARY KEY (client_id, system));

INSERT INTO client_systems (client_id, system, instance, wanted, proven, state, attempts, last_error, next_attempt_at,
  attention_since, skipped)
SELECT c.client_id, r.system, coalesce(e.instance, 'main'), r.wanted, r.proven, coalesce(e.state, 'settled'),
  coalesce(e.attempts, 0), coalesce(e.last_error, ''), e.next_attempt_at, e.attention_since, e.skipped
FROM clients c,
  LATERAL (VALUES ('telephony', c.telephony_wanted, c.telephony_proven),
                  ('internet', c.internet_wanted, c.internet_proven)) AS r(system, wanted, proven)
  LEFT JOIN LATERAL jsonb_to_recordset(c.document->'systems') AS e(system text, instance text, state text, attempts int,
    last_error text, next_attempt_at timestamptz, attention_since timestamptz, skipped jsonb) ON e.system = r.system;

CREATE INDEX client_systems_open ON client_systems (system, instance, client_id) WHERE provisioning <> 'settled';
DROP INDEX clients_skipped;

-- The word for all systems of a client together stands in its own row, where lists filter and count by it. It is read
-- after the row was locked, and so with what everybody else has committed.
ALTER TABLE clients ALTER provisioning DROP EXPRESSION, ALTER provisioning SET DEFAULT 'settled';
ALTER TABLE clients DROP attention, DROP telephony_wanted, DROP telephony_proven, DROP internet_wanted,
  DROP internet_proven;

CREATE FUNCTION provisioning_of(client text) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN bool_or(provisioning = 'attention') THEN 'attention'
              WHEN bool_or(provisioning = 'changing') THEN 'changing'
              WHEN bool_or(provisioning = 'skipped') THEN 'skipped'
              ELSE 'settled' END
  FROM client_systems WHERE client_id = client $$;

UPDATE clients SET provisioning = provisioning_of(client_id) WHERE provisioning <> provisioning_of(client_id);

CREATE FUNCTION sum_up_systems() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE clients c SET provisioning = now.word FROM (SELECT provisioning_of(NEW.client_id) AS word) now
  WHERE c.client_id = NEW.client_id AND c.provisioning <> now.word;
  RETURN NULL;
END $$;
CREATE TRIGGER client_systems_added AFTER INSERT ON client_systems
  FOR EACH ROW WHEN (NEW.provisioning <> 'settled') EXECUTE FUNCTION sum_up_systems();
CREATE TRIGGER client_systems_changed AFTER UPDATE ON client_systems
  FOR EACH ROW WHEN (OLD.provisioning <> NEW.provisioning) EXECUTE FUNCTION sum_up_systems();

ALTER TABLE proofs DROP CONSTRAINT proofs_system_check;
