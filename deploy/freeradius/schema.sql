-- What a FreeRADIUS 3 server needs in PostgreSQL (rlm_sql). Names are FreeRADIUS's. The UNIQUE constraints are ours: its
-- own schema has none, and Connect needs none. Then load ../fence.sql, and grants.sql for the roles.
CREATE TABLE IF NOT EXISTS radcheck (              -- per account: what must hold, and its password
  id        bigserial PRIMARY KEY,
  username  text NOT NULL DEFAULT '',
  attribute text NOT NULL DEFAULT '',
  op        varchar(2) NOT NULL DEFAULT '==',
  value     text NOT NULL DEFAULT '',
  UNIQUE (username, attribute));
-- Connect looks for other spellings of an account: case, blanks, realm. The four indexes ..._spelling have the same
-- expression; `connect systems prepare` adds them to tables that were there before.
CREATE INDEX IF NOT EXISTS radcheck_spelling ON radcheck
  (lower(btrim(regexp_replace(username, '^.*(/|\\|=5C)|(@|%|=25).*$', '', 'g'))));

CREATE TABLE IF NOT EXISTS radreply (              -- per account: what a router is told
  id        bigserial PRIMARY KEY,
  username  text NOT NULL DEFAULT '',
  attribute text NOT NULL DEFAULT '',
  op        varchar(2) NOT NULL DEFAULT '=',
  value     text NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS radreply_username ON radreply (username, attribute);

CREATE TABLE IF NOT EXISTS radusergroup (
  id        bigserial PRIMARY KEY,
  username  text NOT NULL DEFAULT '',
  groupname text NOT NULL DEFAULT '',
  priority  integer NOT NULL DEFAULT 0,
  UNIQUE (username, groupname));
CREATE INDEX IF NOT EXISTS radusergroup_spelling ON radusergroup
  (lower(btrim(regexp_replace(username, '^.*(/|\\|=5C)|(@|%|=25).*$', '', 'g'))));

CREATE TABLE IF NOT EXISTS radgroupcheck (
  id        bigserial PRIMARY KEY,
  groupname text NOT NULL DEFAULT '',
  attribute text NOT NULL DEFAULT '',
  op        varchar(2) NOT NULL DEFAULT '==',
  value     text NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS radgroupcheck_groupname ON radgroupcheck (groupname, attribute);

CREATE TABLE IF NOT EXISTS radgroupreply (
  id        bigserial PRIMARY KEY,
  groupname text NOT NULL DEFAULT '',
  attribute text NOT NULL DEFAULT '',
  op        varchar(2) NOT NULL DEFAULT '=',
  value     text NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS radgroupreply_groupname ON radgroupreply (groupname, attribute);

CREATE TABLE IF NOT EXISTS radacct (              -- sessions; open while acctstoptime is null
  radacctid           bigserial PRIMARY KEY,
  acctsessionid       text NOT NULL,
  acctuniqueid        text NOT NULL UNIQUE,
  username            text,
  realm               text,
  nasipaddress        inet NOT NULL,
  nasportid           text,
  nasporttype         text,
  acctstarttime       timestamptz,
  acctupdatetime      timestamptz,
  acctstoptime        timestamptz,
  acctinterval        bigint,
  acctsessiontime     bigint,
  acctauthentic       text,
  connectinfo_start   text,
  connectinfo_stop    text,
  acctinputoctets     bigint,
  acctoutputoctets    bigint,
  calledstationid     text,
  callingstationid    text,
  acctterminatecause  text,
  servicetype         text,
  framedprotocol      text,
  framedipaddress     inet,
  framedipv6address   inet,
  framedipv6prefix    inet,
  framedinterfaceid   text,
  delegatedipv6prefix inet,
  class               text);
ALTER TABLE radacct                              -- what accounting.conf needs, and FreeRADIUS's own table has not
  ADD COLUMN IF NOT EXISTS nasidentifier text,        -- tells NASes apart that share an address
  ADD COLUMN IF NOT EXISTS accteventtime timestamptz; -- of the newest event, by the clock of the NAS
CREATE INDEX IF NOT EXISTS radacct_spelling ON radacct
  (lower(btrim(regexp_replace(username, '^.*(/|\\|=5C)|(@|%|=25).*$', '', 'g'))), acctstoptime);
CREATE INDEX IF NOT EXISTS radacct_active_session_idx ON radacct (username) WHERE acctstoptime IS NULL;
CREATE INDEX IF NOT EXISTS radacct_bulk_close ON radacct (nasipaddress, acctstarttime) WHERE acctstoptime IS NULL;
CREATE INDEX IF NOT EXISTS radacct_alive_spelling ON radacct  -- what may still be in use
  (lower(btrim(regexp_replace(username, '^.*(/|\\|=5C)|(@|%|=25).*$', '', 'g'))))
  WHERE acctstoptime IS NULL OR acctupdatetime > acctstoptime;

CREATE TABLE IF NOT EXISTS radpostauth (              -- one row per attempt to log in
  id               bigserial PRIMARY KEY,
  username         text NOT NULL,
  pass             text,
  reply            text,
  calledstationid  text,
  callingstationid text,
  authdate         timestamptz NOT NULL DEFAULT now(),
  class            text);
CREATE INDEX IF NOT EXISTS radpostauth_username ON radpostauth (username, authdate);

CREATE TABLE IF NOT EXISTS nas (              -- read once, when FreeRADIUS starts
  id          bigserial PRIMARY KEY,
  nasname     text NOT NULL,
  shortname   text NOT NULL,
  type        text NOT NULL DEFAULT 'other',
  ports       integer,
  secret      text NOT NULL,
  server      text,
  community   text,
  description text);
