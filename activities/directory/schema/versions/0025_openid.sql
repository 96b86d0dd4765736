-- Sessions of people who sign in at an OpenID provider (starter/web/openid.py): who they were said to be then.

ALTER TABLE console_sessions
  ADD COLUMN role    text CHECK (role IN ('viewer', 'service', 'operator', 'admin')),  -- null: the token says it
  ADD COLUMN sites   text[] CHECK (sites <> '{}'),                                      -- null: all
  ADD COLUMN sources text[] NOT NULL DEFAULT '{}';
