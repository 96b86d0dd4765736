-- What a Kamailio 5.6 registrar needs in PostgreSQL (a registrar with auth_db, usrloc in db_mode 3 and dialog in db_mode
-- 1), and two switches that Connect adds. Names, and the rows of table version, are Kamailio's: at start each module
-- compares its table's number there and refuses to run when it differs. What is there already stays. Then load
-- ../fence.sql, and grants.sql for the roles.
CREATE TABLE IF NOT EXISTS version (
  id            serial PRIMARY KEY,
  table_name    varchar(32) NOT NULL UNIQUE,
  table_version integer NOT NULL DEFAULT 0);
INSERT INTO version (table_name, table_version) VALUES
  ('version', 1), ('subscriber', 7), ('location', 9), ('location_attrs', 1),
  ('dialog', 7), ('dialog_vars', 1) ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS subscriber (            -- one row per telephone line
  id           serial PRIMARY KEY,
  username     varchar(64) NOT NULL DEFAULT '',    -- the E.164 number without the plus
  domain       varchar(64) NOT NULL DEFAULT '',
  password     varchar(64) NOT NULL DEFAULT '',    -- left empty: ha1 is what counts (calculate_ha1 = 0)
  ha1          varchar(128) NOT NULL DEFAULT '',   -- md5(username:realm:password)
  ha1b         varchar(128) NOT NULL DEFAULT '',   -- md5(username@domain:realm:password)
  in_service   smallint NOT NULL DEFAULT 1 CHECK (in_service IN (0, 1)),    -- Connect's: may register, call, be called
  may_call_out smallint NOT NULL DEFAULT 1 CHECK (may_call_out IN (0, 1)),  -- the operator's: outgoing calls
  CONSTRAINT subscriber_account_idx UNIQUE (username, domain));

-- Connect's: a line in every spelling of its number (activities/telephony/spelling.py).
CREATE INDEX IF NOT EXISTS connect_spelling ON subscriber
  (regexp_replace(username, '^(sips?|tel):|[@;].*$|\(0\)|[^0-9a-zA-Z]', '', 'gi'));

CREATE TABLE IF NOT EXISTS location (              -- who is registered, and where (db_mode 3: nowhere else)
  id            serial PRIMARY KEY,
  ruid          varchar(64) NOT NULL DEFAULT '' UNIQUE,
  username      varchar(64) NOT NULL DEFAULT '',
  domain        varchar(64),
  contact       varchar(512) NOT NULL DEFAULT '',
  received      varchar(128),
  path          varchar(512),
  expires       timestamp NOT NULL DEFAULT '2030-01-01',
  q             real NOT NULL DEFAULT 1.0,
  callid        varchar(255) NOT NULL DEFAULT '',
  cseq          integer NOT NULL DEFAULT 1,
  last_modified timestamp NOT NULL DEFAULT '2000-01-01',
  flags         integer NOT NULL DEFAULT 0,
  cflags        integer NOT NULL DEFAULT 0,
  user_agent    varchar(255) NOT NULL DEFAULT '',
  socket        varchar(64),
  methods       integer,
  instance      varchar(255),
  reg_id        integer NOT NULL DEFAULT 0,
  server_id     integer NOT NULL DEFAULT 0,
  connection_id integer NOT NULL DEFAULT 0,
  keepalive     integer NOT NULL DEFAULT 0,
  partition     integer NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS location_account_contact_idx ON location (username, domain, contact);
CREATE INDEX IF NOT EXISTS location_expires_idx ON location (expires);
CREATE INDEX IF NOT EXISTS connect_registered ON location
  (regexp_replace(username, '^(sips?|tel):|[@;].*$|\(0\)|[^0-9a-zA-Z]', '', 'gi'));

CREATE TABLE IF NOT EXISTS location_attrs (        -- must exist; stays empty here
  id            serial PRIMARY KEY,
  ruid          varchar(64) NOT NULL DEFAULT '',
  username      varchar(64) NOT NULL DEFAULT '',
  domain        varchar(64),
  aname         varchar(64) NOT NULL DEFAULT '',
  atype         integer NOT NULL DEFAULT 0,
  avalue        varchar(512) NOT NULL DEFAULT '',
  last_modified timestamp NOT NULL DEFAULT '2000-01-01');
CREATE INDEX IF NOT EXISTS location_attrs_account_record_idx ON location_attrs (username, domain, ruid);

CREATE TABLE IF NOT EXISTS dialog (                -- calls in progress: what a restarted server knows of them
  id               serial PRIMARY KEY,
  hash_entry       integer NOT NULL,
  hash_id          integer NOT NULL,
  callid           varchar(255) NOT NULL,
  from_uri         varchar(255) NOT NULL,
  from_tag         varchar(128) NOT NULL,
  to_uri           varchar(255) NOT NULL,
  to_tag           varchar(128) NOT NULL,
  caller_cseq      varchar(20) NOT NULL,
  callee_cseq      varchar(20) NOT NULL,
  caller_route_set varchar(512),
  callee_route_set varchar(512),
  caller_contact   varchar(255) NOT NULL,
  callee_contact   varchar(255) NOT NULL,
  caller_sock      varchar(64) NOT NULL,
  callee_sock      varchar(64) NOT NULL,
  state            integer NOT NULL,
  start_time       integer NOT NULL,
  timeout          integer NOT NULL DEFAULT 0,
  sflags           integer NOT NULL DEFAULT 0,
  iflags           integer NOT NULL DEFAULT 0,
  toroute_name     varchar(32),
  req_uri          varchar(255) NOT NULL,
  xdata            varchar(512));
CREATE INDEX IF NOT EXISTS dialog_hash_idx ON dialog (hash_entry, hash_id);

CREATE TABLE IF NOT EXISTS dialog_vars (           -- whose calls they are
  id           serial PRIMARY KEY,
  hash_entry   integer NOT NULL,
  hash_id      integer NOT NULL,
  dialog_key   varchar(128) NOT NULL,
  dialog_value varchar(512) NOT NULL);
CREATE INDEX IF NOT EXISTS dialog_vars_hash_idx ON dialog_vars (hash_entry, hash_id);
