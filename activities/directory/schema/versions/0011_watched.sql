-- What was proven off, and is watched until nothing can come of it any more (activities/watch/proofs.py). Written in the
-- statement that records the proof; whoever writes a row for a proof has locked the client's row before.

CREATE TABLE watched (
  system    text NOT NULL,
  client_id text NOT NULL,
  subject   text NOT NULL,                         -- a number, an account, a name
  instance  text NOT NULL,                         -- of the system, at which it was proven off
  revision  bigint NOT NULL,                       -- at which it was last proven off
  since     timestamptz NOT NULL,                  -- when, by the clock that the system's records go by
  seen      jsonb NOT NULL DEFAULT '{}',           -- what was seen of it then
  ended     integer NOT NULL DEFAULT 0,            -- so often the watch itself had to end it: no workflow does any more
  PRIMARY KEY (system, client_id, subject));

-- The rounds of the watch: one row for each instance. Who moves begun_at has the turn.
CREATE TABLE watch_rounds (
  system      text NOT NULL,
  instance    text NOT NULL,
  begun_at    timestamptz NOT NULL,
  blind_since timestamptz,                         -- since when not everything could be looked at; null: it could
  trouble     text NOT NULL DEFAULT '',            -- why not
  PRIMARY KEY (system, instance));
