-- Two roles, which must exist: what FreeRADIUS needs, and what Connect needs. Run as the owner of the tables, as often as
-- you like. Table nas is read only with `read_clients = yes` (radiusd.conf): then GRANT SELECT ON nas TO radius_daemon.
GRANT SELECT ON radcheck, radreply, radusergroup, radgroupcheck, radgroupreply TO radius_daemon;
GRANT SELECT, INSERT, UPDATE ON radacct TO radius_daemon;
GRANT INSERT ON radpostauth TO radius_daemon;
GRANT USAGE ON SEQUENCE radacct_radacctid_seq, radpostauth_id_seq TO radius_daemon;

GRANT SELECT, INSERT, UPDATE, DELETE ON radcheck TO radius_prov;  -- UPDATE: to lock rows
GRANT SELECT, INSERT, DELETE ON radreply TO radius_prov;
GRANT USAGE ON SEQUENCE radcheck_id_seq, radreply_id_seq TO radius_prov;
GRANT SELECT ON radacct, radusergroup, radgroupcheck, radgroupreply TO radius_prov;
GRANT SELECT, INSERT, UPDATE ON connect_fence TO radius_prov;

-- An earlier version gave these, and every sequence to both.
REVOKE SELECT ON nas FROM radius_daemon;
REVOKE UPDATE ON radreply FROM radius_prov;
REVOKE USAGE ON SEQUENCE radcheck_id_seq, radreply_id_seq, radusergroup_id_seq, radgroupcheck_id_seq,
  radgroupreply_id_seq, nas_id_seq FROM radius_daemon;
REVOKE USAGE ON SEQUENCE radusergroup_id_seq, radgroupcheck_id_seq, radgroupreply_id_seq, radacct_radacctid_seq,
  radpostauth_id_seq, nas_id_seq FROM radius_prov;
