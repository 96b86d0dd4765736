#!/bin/sh
# Kamailio, with its two secrets in files that only its account reads: what stands in a variable becomes a define, and
# core.ppdefines_full shows those.
set -eu
umask 077
cd "${RUN:-/run/kamailio}"

secret() { # name; letters, digits, - and _ only: nothing in it needs quoting
  value=$(cat "${SECRETS:-/run/secrets}/$1")
  case $value in
    '' | *[!A-Za-z0-9_-]*) echo "secret $1: letters, digits, - and _ only" >&2 && exit 1 ;;
  esac
  printf %s "$value"
}

password=$(secret sip-daemon-password)
path=$(secret sip-rpc-secret)
printf '*:*:*:sip_daemon:%s\n' "$password" >pgpass
printf 'route[RPC_PATH] { $var(rpc_path) = "/RPC/%s"; }\n' "$path" >rpc-path.cfg
export PGPASSFILE="$PWD/pgpass"
exec kamailio -f "${CONFIGURATION:-/etc/connect/kamailio.cfg}" -DD -E -m 64 -M 8 -w "$PWD" -Y "$PWD" -P "$PWD/kamailio.pid"
