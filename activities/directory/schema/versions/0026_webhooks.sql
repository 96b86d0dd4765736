-- Webhooks (activities/webhooks): events are sent to addresses, in order for each client. Secrets are derived, not stored.

CREATE TABLE webhooks (
  webhook_id     text PRIMARY KEY,
  url            text NOT NULL,
  description    text NOT NULL DEFAULT '',
  kinds          text[] NOT NULL,                  -- of events; empty: all, also below
  sites          text[] NOT NULL,
  clients        text[] NOT NULL,
  secret_version integer NOT NULL DEFAULT 1,
  rotated_at     timestamptz,                      -- for a time after that, the secret before it signs, too
  position       bigint NOT NULL,                  -- events up to here are delivered, or wait in webhook_chains
  state          text NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'disabled')),
  why            text NOT NULL DEFAULT '',         -- it is disabled
  created_by     text NOT NULL,
  created_at     timestamptz NOT NULL DEFAULT now());

CREATE TABLE webhook_chains (                      -- the events of a client that a webhook is still to be told
  webhook_id    text NOT NULL REFERENCES webhooks ON DELETE CASCADE,
  client_id     text NOT NULL,
  done          bigint NOT NULL,                   -- it was told those up to here
  target        bigint NOT NULL,                   -- and is to be told those up to here
  failures      integer NOT NULL DEFAULT 0,        -- attempts in a row that failed
  failing_since timestamptz,
  begun_at      timestamptz,                       -- when its activity was last begun; null: it is to be begun
  PRIMARY KEY (webhook_id, client_id));

CREATE TABLE webhook_deliveries (                  -- every attempt, for as long as events are kept
  delivery_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  webhook_id  text NOT NULL REFERENCES webhooks ON DELETE CASCADE,
  seq         bigint NOT NULL,
  event_id    uuid NOT NULL,
  kind        text NOT NULL,
  client_id   text NOT NULL,
  at          timestamptz NOT NULL DEFAULT now(),
  attempt     integer NOT NULL,
  status      integer,                             -- of the receiver's answer; null: there was none
  error       text NOT NULL DEFAULT '',            -- empty: it was delivered
  seconds     double precision NOT NULL);
CREATE INDEX webhook_deliveries_of ON webhook_deliveries (webhook_id, delivery_id DESC);
CREATE INDEX webhook_deliveries_at ON webhook_deliveries (at);

-- Which request each line of the history is of, and which command and request each event follows from.
ALTER TABLE history ADD COLUMN request_id text NOT NULL DEFAULT '';
ALTER TABLE events
  ADD COLUMN command_id text NOT NULL DEFAULT '',
  ADD COLUMN request_id text NOT NULL DEFAULT '';
