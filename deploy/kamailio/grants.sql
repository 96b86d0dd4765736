-- Two roles, which must exist: what Kamailio needs, and what Connect needs. Run as the owner of the tables, as often as
-- you like. Modules of your own (acc, …) need their own grants beside these.
GRANT SELECT ON version, subscriber TO sip_daemon;
GRANT SELECT, INSERT, UPDATE, DELETE ON location, location_attrs, dialog, dialog_vars TO sip_daemon;
GRANT USAGE ON SEQUENCE location_id_seq, location_attrs_id_seq, dialog_id_seq, dialog_vars_id_seq TO sip_daemon;

REVOKE INSERT, UPDATE ON subscriber FROM sip_prov;  -- an earlier version gave all columns: may_call_out is the operator's
GRANT SELECT, INSERT (username, domain, password, ha1, ha1b), UPDATE (password, ha1, ha1b, in_service)
  ON subscriber TO sip_prov;
GRANT USAGE ON SEQUENCE subscriber_id_seq TO sip_prov;
GRANT SELECT, DELETE ON location TO sip_prov;
-- Where other names of lines are kept (modules alias_db and uri_db): Connect looks whether they let a ceased line in.
DO $$ BEGIN
  IF to_regclass('dbaliases') IS NOT NULL THEN GRANT SELECT ON dbaliases TO sip_prov; END IF;
  IF to_regclass('uri') IS NOT NULL THEN GRANT SELECT ON uri TO sip_prov; END IF;
END $$;
GRANT SELECT, INSERT, UPDATE ON connect_fence TO sip_prov;

-- An earlier version gave every sequence to both.
REVOKE USAGE ON SEQUENCE version_id_seq, subscriber_id_seq FROM sip_daemon;
REVOKE USAGE ON SEQUENCE version_id_seq, location_id_seq, location_attrs_id_seq, dialog_id_seq, dialog_vars_id_seq
  FROM sip_prov;
