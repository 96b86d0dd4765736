-- The key of each client, under a key of the operator. A client that was erased keeps a row without a key.

CREATE TABLE IF NOT EXISTS client_keys (
  client_id    text PRIMARY KEY,                     -- '*': what belongs to no client
  key_id       text NOT NULL,                        -- of the operator's key
  wrapped      bytea,                                -- null: destroyed
  created_at   timestamptz NOT NULL DEFAULT now(),
  destroyed_at timestamptz,
  CHECK ((wrapped IS NULL) = (destroyed_at IS NOT NULL)));
CREATE INDEX IF NOT EXISTS client_keys_by_operator_key ON client_keys (key_id) WHERE wrapped IS NOT NULL;
