-- Two roles, which must exist: what Kamailio needs, and what Connect needs. Run as the owner of the tables.
GRANT SELECT ON version, subscriber TO sip_daemon;
GRANT SELECT, INSERT, UPDATE, DELETE ON location, location_attrs, dialog, dialog_vars TO sip_daemon;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO sip_daemon, sip_prov;
GRANT SELECT, INSERT, UPDATE ON subscriber, connect_fence TO sip_prov;
GRANT SELECT, DELETE ON location TO sip_prov;
