#!/bin/sh
# Bring Temporal's own databases to the schema of this release. On existing ones only the updates are applied.
set -eu
for database in temporal temporal_visibility; do
  versions=${database#temporal_}
  temporal-sql-tool --db "$database" setup-schema -v 0.0
  temporal-sql-tool --db "$database" update-schema -d "/etc/temporal/schema/postgresql/v12/$versions/versioned"
done
