"""Whether a table of sessions can carry accounting that can be relied on (deploy/freeradius/accounting.conf).

What is missing there is no reason not to work: sessions are then found less surely, and the operator decides.
"""

import asyncpg

COLUMNS = {
    "acctsessionid": "text",
    "acctuniqueid": "text",
    "username": "text",
    "nasipaddress": "inet",
    "nasidentifier": "text",
    "acctstarttime": "timestamptz",
    "acctupdatetime": "timestamptz",
    "acctstoptime": "timestamptz",
    "accteventtime": "timestamptz",
    "acctsessiontime": "bigint",
    "acctinputoctets": "bigint",
    "acctoutputoctets": "bigint",
    "framedipaddress": "inet",
    "framedipv6address": "inet",
    "framedipv6prefix": "inet",
    "delegatedipv6prefix": "inet",
    "connectinfo_start": "text",
    "connectinfo_stop": "text",
    "acctterminatecause": "text",
}
"""The columns that the statements need, and the type that holds whatever access gear sends."""

LONG_ENOUGH = 253
"""Octets of a RADIUS attribute, at most (RFC 2865 section 5). A value that a column cannot hold is never stored."""

_COLUMNS = """
SELECT a.attname AS name, format_type(a.atttypid, NULL) AS type,
  CASE WHEN a.atttypid IN ('varchar'::regtype, 'bpchar'::regtype) THEN nullif(a.atttypmod, -1) - 4 END AS longest
FROM pg_attribute a WHERE a.attrelid = to_regclass('radacct') AND a.attnum > 0 AND NOT a.attisdropped"""

_INDEXES = """
SELECT pg_get_indexdef(indexrelid) AS definition, indisunique AND indpred IS NULL AND indnatts = 1 AS alone
FROM pg_index WHERE indrelid = to_regclass('radacct') AND indisvalid"""

# Roles that write sessions, but for those that may do everything.
_WRITERS = """
SELECT rolname AS role, array_remove(ARRAY[
  CASE WHEN NOT has_table_privilege(oid, 'radacct', 'SELECT') THEN 'SELECT' END,
  CASE WHEN NOT has_table_privilege(oid, 'radacct', 'UPDATE') THEN 'UPDATE' END], NULL) AS lacks
FROM pg_roles WHERE rolcanlogin AND NOT rolsuper AND has_table_privilege(oid, 'radacct', 'INSERT') ORDER BY rolname"""

_TYPES = {"timestamptz": "timestamp with time zone"}
_TEXTS = ("text", "character varying", "character", "citext")


async def weaknesses(connection: asyncpg.Connection) -> list[str]:
    """What keeps the table from carrying such accounting, each with the statement that mends it. It exists."""
    columns = {row["name"]: row for row in await connection.fetch(_COLUMNS)}
    found = []
    for name, needed in COLUMNS.items():
        if (column := columns.get(name)) is None:
            found.append(f"radacct has no column {name}: ALTER TABLE radacct ADD COLUMN {name} {needed}")
        elif not (column["type"] in _TEXTS if needed == "text" else column["type"] == _TYPES.get(needed, needed)):
            how = f"ALTER TABLE radacct ALTER {name} TYPE {needed} USING {name}::{needed}"
            found.append(f"radacct.{name} is {column['type']}, not {needed}: {how}")
    for name, column in columns.items():
        if column["longest"] and column["longest"] < LONG_ENOUGH:
            why = f"radacct.{name} holds {column['longest']} characters, and access gear may send {LONG_ENOUGH}"
            found.append(f"{why}: ALTER TABLE radacct ALTER {name} TYPE text")
    indexes = await connection.fetch(_INDEXES)
    if not any(row["alone"] and row["definition"].endswith("(acctuniqueid)") for row in indexes):
        found.append("radacct.acctuniqueid is not unique: ALTER TABLE radacct ADD UNIQUE (acctuniqueid)")
    if not any("(nasipaddress" in row["definition"] for row in indexes):
        how = "CREATE INDEX CONCURRENTLY radacct_bulk_close ON radacct (nasipaddress) WHERE acctstoptime IS NULL"
        found.append(f"radacct has no index by NAS, which Accounting-On and -Off need: {how}")
    for row in await connection.fetch(_WRITERS):
        if row["lacks"]:
            rights = ", ".join(row["lacks"])
            found.append(f"{row['role']} may not {rights} radacct: GRANT {rights} ON radacct TO {row['role']}")
    return found
