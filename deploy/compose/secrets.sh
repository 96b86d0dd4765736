#!/bin/sh
# The secrets of .env that services read as files, in ./secrets: docker compose gives a container whose file system is
# read-only no other kind. The folder is its owner's alone; the files in it are for the accounts in the containers. So is
# .env from now on: the shell that wrote it most likely let everybody read it.
set -eu
cd "${1:-$(dirname "$0")/../..}"
umask 077
chmod 600 .env
mkdir -p secrets
while read -r name variable; do
  value=$(sed -n "s/^$variable=//p" .env)
  [ -n "$value" ] || { echo "$variable is not set in .env: see .env.example" >&2 && exit 1; }
  rm -f "secrets/$name"
  printf %s "$value" >"secrets/$name"
  chmod 444 "secrets/$name"
done <<LIST
postgres-password POSTGRES_PASSWORD
master-key MASTER_KEY
encryption-keys ENCRYPTION_KEYS
token API_TOKEN
sip-daemon-password SIP_DAEMON_DB_PASSWORD
sip-rpc-secret SIP_RPC_SECRET
radius-daemon-password RADIUS_DAEMON_DB_PASSWORD
radius-secret RADIUS_SECRET
LIST
