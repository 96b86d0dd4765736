-- Upcoming shows the end dates of living clients: those of a few weeks among very many clients.

CREATE INDEX clients_ending ON clients (end_date) WHERE end_date IS NOT NULL AND status <> 'decommissioned';
