-- Clients that were erased: what is left are ids, times and proofs (starter/directory/erasing.py).

ALTER TABLE clients ADD COLUMN erased_at timestamptz;
