-- Lists over very many clients: what they filter, sort and count by stands in the indexes, and the rows are not read.

DROP INDEX clients_by_site, clients_by_name, clients_by_status;
CREATE INDEX clients_by_site ON clients (site_id, management DESC, sort_name, client_id)
  INCLUDE (status, type, provisioning, billing_ref, start_date, end_date, next_change_at);
CREATE INDEX clients_by_name ON clients (management DESC, sort_name, client_id) INCLUDE (status, type, provisioning);

-- A search for a letter or two, which no index helps, reads the rows: documents lie apart from them.
ALTER TABLE clients ALTER search SET STORAGE MAIN;
ALTER TABLE clients SET (toast_tuple_target = 512);

-- Entries of an index are enough only where rows were vacuumed since they changed: here, after one in fifty changed.
ALTER TABLE clients SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_insert_scale_factor = 0.02);
