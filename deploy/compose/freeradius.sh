#!/bin/sh
# FreeRADIUS, with its two secrets in files that only its account reads, and none in its environment.
set -eu
umask 077
cd "$RADIUS_RUN"

secret() { # name; letters, digits, - and _ only: nothing in it needs quoting
  value=$(cat "${SECRETS:-/run/secrets}/$1")
  case $value in
    '' | *[!A-Za-z0-9_-]*) echo "secret $1: letters, digits, - and _ only" >&2 && exit 1 ;;
  esac
  printf %s "$value"
}

password=$(secret radius-daemon-password)
shared=$(secret radius-secret)
printf '*:*:*:radius_daemon:%s\n' "$password" >pgpass
printf 'radius_secret = "%s"\n' "$shared" >secret.conf
if [ -n "${RADIUS_CLIENTS_IPV6:-}" ]; then
  cp "${CONFIGURATION:-/etc/connect}/ipv6.conf" ipv6.conf
fi
exec freeradius -f -l stdout -d "${CONFIGURATION:-/etc/connect}"
