-- How each worker finds the systems that it switches: one row per worker and system, written anew every few seconds.

CREATE TABLE system_states (
  system          text NOT NULL CHECK (system IN ('telephony', 'internet')),
  worker          text NOT NULL,                   -- host and process
  state           text NOT NULL CHECK (state IN ('working', 'failing', 'recovering')),
  since           timestamptz NOT NULL,            -- when the state began
  last_error      text NOT NULL DEFAULT '',
  last_failure_at timestamptz,
  last_success_at timestamptz,
  updated_at      timestamptz NOT NULL DEFAULT now(),  -- a worker that says nothing for a minute is gone
  PRIMARY KEY (system, worker));
