-- Workers report each instance of a system by itself, and of any kind.

ALTER TABLE system_states
  DROP CONSTRAINT system_states_system_check,
  DROP CONSTRAINT system_states_pkey,
  ADD COLUMN instance text NOT NULL DEFAULT 'main',
  ADD PRIMARY KEY (system, instance, worker);
