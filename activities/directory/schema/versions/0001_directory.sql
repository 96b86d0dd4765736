-- The directory: what lists, searches and keeps the history. The workflows are the truth; this follows them.

CREATE EXTENSION IF NOT EXISTS pg_trgm;

CREATE TABLE sites (
  site_id    text PRIMARY KEY,
  name       text NOT NULL,
  timezone   text NOT NULL,                        -- IANA
  created_at timestamptz NOT NULL DEFAULT now());

CREATE SEQUENCE billing_ref_numbers;               -- for those that are left blank: C000001, C000002, …

CREATE TABLE clients (
  client_id        text PRIMARY KEY,
  incarnation      text NOT NULL,                  -- which workflow (first run id) may write this row
  revision         bigint NOT NULL,                -- of the newest publication; an older one changes nothing
  site_id          text NOT NULL REFERENCES sites,
  name             text NOT NULL,
  sort_name        text COLLATE "C" NOT NULL,     -- in the order of a dictionary, whatever the database's collation
  type             text NOT NULL CHECK (type IN ('residential', 'virtual')),
  status           text NOT NULL CHECK (status IN ('new', 'active', 'suspended', 'decommissioned')),
  billing_ref      text NOT NULL UNIQUE,           -- what it goes by; table billing_refs says who holds one
  start_date       date NOT NULL,
  end_date         date,
  management       boolean NOT NULL,
  offices          text[] NOT NULL,
  numbers          text[] NOT NULL,                -- contracted, for search; table numbers says who holds one
  next_change_at   timestamptz,
  next_change_kind text,
  attention        boolean NOT NULL,
  telephony_wanted bigint NOT NULL,                -- since which revision it is to do what it is to do
  telephony_proven bigint NOT NULL DEFAULT 0,      -- the newest revision it was proven to do
  internet_wanted  bigint NOT NULL,
  internet_proven  bigint NOT NULL DEFAULT 0,
  provisioning     text NOT NULL GENERATED ALWAYS AS (
    CASE WHEN attention THEN 'attention'
         WHEN telephony_proven >= telephony_wanted AND internet_proven >= internet_wanted THEN 'settled'
         ELSE 'changing' END) STORED,
  document         jsonb NOT NULL,                 -- ClientView as published
  search           text NOT NULL,                  -- lower-cased name, ref, id, numbers and offices
  created_at       timestamptz NOT NULL,
  updated_at       timestamptz NOT NULL DEFAULT now());
CREATE INDEX clients_by_site ON clients (site_id, management DESC, sort_name, client_id);
CREATE INDEX clients_by_name ON clients (management DESC, sort_name, client_id);
CREATE INDEX clients_search ON clients USING gin (search gin_trgm_ops);
CREATE INDEX clients_by_status ON clients (status);
CREATE INDEX clients_upcoming ON clients (next_change_at) WHERE next_change_at IS NOT NULL;

CREATE TABLE billing_refs (                        -- unique in the operator: what a client goes by, or has just claimed
  billing_ref text PRIMARY KEY,
  client_id   text NOT NULL REFERENCES clients DEFERRABLE INITIALLY DEFERRED,
  generated   boolean NOT NULL);                   -- by us, because it was left blank
CREATE INDEX billing_refs_by_client ON billing_refs (client_id);

CREATE TABLE numbers (                             -- unique among living clients: a row is a number somebody holds
  number    text PRIMARY KEY,
  client_id text NOT NULL REFERENCES clients DEFERRABLE INITIALLY DEFERRED,
  revision  bigint NOT NULL);                      -- at which it was last claimed; only a later one may release it
CREATE INDEX numbers_by_client ON numbers (client_id);

CREATE TABLE proofs (                              -- append-only: what each system was seen to do
  client_id text NOT NULL REFERENCES clients,
  system    text NOT NULL CHECK (system IN ('telephony', 'internet')),
  revision  bigint NOT NULL,
  at        timestamptz NOT NULL,
  method    text NOT NULL,
  findings  jsonb NOT NULL,
  PRIMARY KEY (client_id, system, revision));

CREATE TABLE history (                             -- append-only: asked, refused, decided, attempted, proven
  history_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  client_id  text NOT NULL,
  entry      bigint,                               -- the workflow's own number; null for what others wrote
  event      text NOT NULL CHECK (event IN ('asked', 'refused', 'decided', 'attempted', 'proven')),
  at         timestamptz NOT NULL,
  kind       text NOT NULL,
  text       text NOT NULL,
  by         text NOT NULL DEFAULT '',
  source     text NOT NULL DEFAULT '',
  reason     text NOT NULL DEFAULT '',
  command_id text NOT NULL DEFAULT '',
  revision   bigint NOT NULL DEFAULT 0,
  facts      jsonb NOT NULL DEFAULT '{}',
  UNIQUE (client_id, entry, at));                  -- each entry is taken once, however often it is published
CREATE INDEX history_of_client ON history (client_id, at DESC, history_id DESC);
