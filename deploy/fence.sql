-- The only table Connect adds beside a system's own: who may change what, told in the transaction of the change itself.
-- System internet:looked says which sessions were changed with their account (activities/internet/sql.py).
CREATE TABLE IF NOT EXISTS connect_fence (
  system         text NOT NULL,                    -- telephony or internet: both may live in one database
  subject        text NOT NULL,                    -- client:<id>, line:<number>, account:<name>, rates:<name>, vlan:<name>
  client_id      text NOT NULL,                    -- of a line or account: who owns it
  revision       bigint NOT NULL,                  -- of a client: the newest obeyed; an older one is refused
  secret_version integer NOT NULL DEFAULT 0,       -- of a line or account: the newest its secret was seen to for
  secret_derived boolean NOT NULL DEFAULT false,   -- false: it had a secret before Connect, and keeps it
  changed_at     timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (system, subject));
