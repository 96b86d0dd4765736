-- Proofs of changes, of parts of them, and of second looks; the priority of what waits for a system.

ALTER TABLE proofs ADD COLUMN kind text NOT NULL DEFAULT 'change'     -- part: not everything was proven; look: the second
  CHECK (kind IN ('change', 'part', 'look'));
ALTER TABLE proofs DROP CONSTRAINT proofs_pkey, ADD PRIMARY KEY (client_id, system, revision, kind);

ALTER TABLE clients ADD COLUMN priority smallint NOT NULL DEFAULT 2;  -- of its newest decision: 2 operator, 3 timer, 5 bulk
CREATE INDEX clients_unsettled ON clients (client_id) WHERE provisioning <> 'settled';
CREATE INDEX clients_skipped ON clients (client_id) WHERE document @? '$.systems[*] ? (@.state == "skipped")';
