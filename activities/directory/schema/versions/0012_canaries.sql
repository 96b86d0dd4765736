-- The canary of each site (activities/canary): whose turn its next round is, and how the last one went.

CREATE TABLE canaries (
  site_id      text PRIMARY KEY,                   -- no reference: the setting may name a site that there is not
  client_id    text NOT NULL UNIQUE,               -- its client, present or to be
  next_at      timestamptz NOT NULL,               -- from when on a worker may begin the next round
  due_at       timestamptz NOT NULL,               -- by when there must be a report, or no worker looks any more
  reported_at  timestamptz,
  state        text NOT NULL DEFAULT 'unknown' CHECK (state IN ('unknown', 'green', 'red')),
  since        timestamptz NOT NULL DEFAULT now(), -- when the state began
  stage        text NOT NULL DEFAULT '',           -- that fails; with the system's name and instance where it is one
  system       text NOT NULL DEFAULT '',
  instance     text NOT NULL DEFAULT '',
  text         text NOT NULL DEFAULT '',           -- what is wrong, in a sentence
  seconds      double precision,                   -- from a decision to its proof, in the last round that was green
  rounds       bigint NOT NULL DEFAULT 0,
  failures     bigint NOT NULL DEFAULT 0,          -- of these, that were red
  failed_at    timestamptz,
  failed_stage text NOT NULL DEFAULT '');

-- Canaries are clients that no list, count, search or calendar shows: by their ids, which nobody else can take.
CREATE FUNCTION is_canary(client_id text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
  SELECT starts_with(client_id, 'connect-canary-') $$;
