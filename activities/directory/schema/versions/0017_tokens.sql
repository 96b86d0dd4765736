-- API tokens of services and people (starter/directory/tokens.py). Only digests: what lies here lets nobody in.

CREATE TABLE tokens (
  token_id     text PRIMARY KEY,
  name         text NOT NULL,                      -- as the history has it
  key          text NOT NULL,                      -- folded
  role         text NOT NULL CHECK (role IN ('viewer', 'service', 'operator', 'admin')),
  sources      text[] NOT NULL DEFAULT '{}',       -- whose holds a service places and lifts
  sites        text[] CHECK (sites <> '{}'),       -- whose clients it sees alone; null: all
  digest       bytea NOT NULL UNIQUE,              -- SHA-256 of the whole token
  created_at   timestamptz NOT NULL DEFAULT now(),
  created_by   text NOT NULL,
  expires_at   timestamptz,                        -- null: never
  last_used_at timestamptz,                        -- to the minute
  revoked_at   timestamptz,
  revoked_by   text NOT NULL DEFAULT '');
CREATE UNIQUE INDEX tokens_by_name ON tokens (key) WHERE revoked_at IS NULL;

ALTER TABLE console_sessions ADD COLUMN token_id text REFERENCES tokens;  -- null: begun with the token of the settings
