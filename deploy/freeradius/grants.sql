-- Two roles, which must exist: what FreeRADIUS needs, and what Connect needs. Run as the owner of the tables.
GRANT SELECT ON radcheck, radreply, radusergroup, radgroupcheck, radgroupreply, nas TO radius_daemon;
GRANT SELECT, INSERT, UPDATE ON radacct TO radius_daemon;
GRANT INSERT ON radpostauth TO radius_daemon;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO radius_daemon, radius_prov;
GRANT SELECT, INSERT, UPDATE, DELETE ON radcheck, radreply TO radius_prov;
GRANT SELECT, INSERT, UPDATE ON connect_fence TO radius_prov;
GRANT SELECT ON radacct TO radius_prov;
