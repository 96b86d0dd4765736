#!/bin/sh
# A new .env for docker-compose.yml: every password and key, random. Keep it: databases and handsets depend on it.
set -eu
cd "$(dirname "$0")/../.."
while IFS= read -r line; do
  case $line in
    *=) printf '%s%s\n' "$line" "$(od -An -N32 -tx1 /dev/urandom | tr -d ' \n')" ;;
    *) printf '%s\n' "$line" ;;
  esac
done < .env.example
