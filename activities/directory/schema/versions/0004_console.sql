-- Who is signed in to the console. Only digests: what lies here lets nobody in.

CREATE TABLE console_sessions (
  session_digest bytea PRIMARY KEY,                -- SHA-256 of the cookie
  link_digest    bytea UNIQUE,                     -- of the link that it was begun with: each works once
  caller         text NOT NULL,                    -- as the history names them
  created_at     timestamptz NOT NULL DEFAULT now(),
  expires_at     timestamptz NOT NULL,
  ended_at       timestamptz);                     -- signed out
CREATE INDEX console_sessions_expired ON console_sessions (expires_at);
