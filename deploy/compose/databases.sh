#!/bin/sh
# Make every database and role, once, when the PostgreSQL volume is new. Run by the image's own start script.
set -eu

database() { # name, owner
  psql --quiet --set=ON_ERROR_STOP=1 --username=postgres --command="CREATE DATABASE $1 OWNER $2"
  closed "$1"
}

closed() { # database: nobody but its owner and those named by `opened` may connect to it
  psql --quiet --set=ON_ERROR_STOP=1 --username=postgres --dbname="$1" \
    --command="REVOKE ALL ON DATABASE $1 FROM PUBLIC; REVOKE CREATE ON SCHEMA public FROM PUBLIC"
}

opened() { # database, roles
  psql --quiet --set=ON_ERROR_STOP=1 --username=postgres --command="GRANT CONNECT ON DATABASE $1 TO $2"
}

role() { # name, password
  psql --quiet --set=ON_ERROR_STOP=1 --set=password="$2" --username=postgres <<SQL
CREATE ROLE $1 LOGIN PASSWORD :'password';
SQL
}

system() { # database, folder with its schema and grants; the fence is the same for both
  psql --quiet --set=ON_ERROR_STOP=1 --single-transaction --username=postgres --dbname="$1" \
    --file="$2/schema.sql" --file="$2/../fence.sql" --file="$2/grants.sql"
}

role connect "$CONNECT_DB_PASSWORD"
role connect_keys "$CONNECT_KEYS_DB_PASSWORD"
role temporal "$TEMPORAL_DB_PASSWORD"
role sip_prov "$SIP_PROV_DB_PASSWORD"
role sip_daemon "$SIP_DAEMON_DB_PASSWORD"
role radius_prov "$RADIUS_PROV_DB_PASSWORD"
role radius_daemon "$RADIUS_DAEMON_DB_PASSWORD"
database connect connect
database connect_keys connect_keys
database temporal temporal
database temporal_visibility temporal
database kamailio postgres
database radius postgres
closed postgres
closed template1
opened kamailio sip_prov,sip_daemon
opened radius radius_prov,radius_daemon
system kamailio "${DEPLOY:-/deploy}/kamailio"
system radius "${DEPLOY:-/deploy}/freeradius"
