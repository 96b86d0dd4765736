-- External ids, tags and notes of clients; country and retirement of sites, and who changed what of them.

CREATE TABLE external_ids (                        -- unique in the operator: what a client goes by, or has just claimed
  external_id text PRIMARY KEY,                    -- folded: crm:4711
  client_id   text NOT NULL REFERENCES clients DEFERRABLE INITIALLY DEFERRED);
CREATE INDEX external_ids_by_client ON external_ids (client_id);

ALTER TABLE clients ADD COLUMN tags text[] NOT NULL DEFAULT '{}';   -- folded, for filters
CREATE INDEX clients_by_tag ON clients USING gin (tags) WHERE tags <> '{}';
CREATE INDEX clients_by_office ON clients USING gin (offices) WHERE status <> 'decommissioned' AND offices <> '{}';

ALTER TABLE history
  DROP CONSTRAINT history_event_check,
  ADD CONSTRAINT history_event_check
    CHECK (event IN ('asked', 'refused', 'decided', 'attempted', 'proven', 'noted')) NOT VALID;  -- those there are fit

ALTER TABLE sites
  ADD COLUMN country text,                         -- ISO 3166: of numbers that are typed without a plus
  ADD COLUMN retired boolean NOT NULL DEFAULT false;  -- it takes no new client

CREATE TABLE site_changes (                        -- append-only: who changed what of a site
  change_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  site_id   text NOT NULL REFERENCES sites,
  at        timestamptz NOT NULL DEFAULT now(),
  by        text NOT NULL,
  text      text NOT NULL);
CREATE INDEX changes_of_site ON site_changes (site_id, change_id DESC);
