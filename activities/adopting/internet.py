"""Accounts that a FreeRADIUS has: what is seen of those to be taken on, and what there is to mend in all of them."""

from collections.abc import Sequence

import asyncpg

from activities.adopting.belongings import Belonging, Kind, Seen
from activities.adopting.report import first_lines
from activities.database import Database
from activities.settings import Settings

_LOOK = """
SELECT w.account, f.client_id AS owner,
  ARRAY(SELECT DISTINCT c.attribute::text FROM radcheck c
    WHERE c.username = w.account AND c.attribute ILIKE '%password%' ORDER BY 1) AS passwords,
  ARRAY(SELECT c.value::text FROM radcheck c
    WHERE c.username = w.account AND c.attribute = 'Auth-Type' ORDER BY 1) AS auth_types,
  EXISTS (SELECT FROM radcheck c WHERE c.username = w.account) AS there,
  ARRAY(SELECT DISTINCT c.username::text FROM radcheck c WHERE c.username <> w.account
    AND lower(split_part(c.username, '@', 1)) = lower(split_part(w.account, '@', 1)) ORDER BY 1) AS others,
  (SELECT count(*) FROM radacct a WHERE a.username = w.account AND a.acctstoptime IS NULL) AS sessions
FROM unnest($1::text[]) AS w(account)
LEFT JOIN connect_fence f ON f.system = 'internet' AND f.subject = 'account:' || w.account"""

_TWINS = """
SELECT array_agg(username ORDER BY username) AS names FROM (SELECT DISTINCT username::text FROM radcheck) c
GROUP BY lower(split_part(username, '@', 1)) HAVING count(*) > 1 ORDER BY 1"""

_AUTH_TYPES = """
SELECT username || ': ' || value AS name FROM radcheck WHERE attribute = 'Auth-Type' AND value <> 'Reject' ORDER BY 1"""

_GROUPS = """
SELECT groupname || ': ' || attribute
  || CASE WHEN attribute ILIKE '%password%' THEN '' ELSE ' ' || op || ' ' || value END
  || ', of ' || (SELECT count(*) FROM radusergroup u WHERE u.groupname = g.groupname) || ' accounts' AS name
FROM radgroupcheck g
WHERE (attribute = 'Auth-Type' AND value <> 'Reject') OR attribute ILIKE '%password%' ORDER BY 1"""


async def look(database: Database, _: Settings, belongings: Sequence[Belonging]) -> dict[str, Seen]:
    """These accounts, by name, as the tables have them."""
    clients = {it.name: it.client_id for it in belongings}
    return {row["account"]: _seen(row, clients[row["account"]]) for row in await database.read(_LOOK, list(clients))}


def _seen(row: asyncpg.Record, client_id: str) -> Seen:
    account, owner = row["account"], row["owner"] or ""
    other_logins, foreign = ", ".join(row["others"]), [it for it in row["auth_types"] if it != "Reject"]
    if account != client_id:
        remedy = f"Give it to a client with the id {account}, or rename it there"
        return Seen(owner, "", f"the account of {client_id} has the client's id. {remedy}")
    if other_logins and not row["there"]:
        return Seen(owner, "", f"radcheck has {other_logins} instead. Rename it to {account}, there and in its router")
    if other_logins:
        return Seen(owner, "", f"radcheck has {other_logins}, too: one login is enough. Delete, or rename, the others")
    if not row["there"]:
        return Seen(owner)
    if foreign:
        why = f"it logs in by Auth-Type {', '.join(foreign)}, which would be lost at its first suspension"
        return Seen(owner, "", f"{why}. Delete that row where the server finds the way by itself")
    if not row["passwords"]:
        return Seen(owner, "", "it has no password in radcheck, so Connect would give it one. Give it one there first")
    found = f"radcheck with {', '.join(row['passwords'])}"
    found += ", rejected now" if row["auth_types"] else ""
    return Seen(owner, f"{found}, {row['sessions']} online" if row["sessions"] else found)


async def survey(database: Database, _: Settings) -> list[str]:
    """What there is to know, or to mend, of all accounts of this system before Connect takes them on."""
    twins = [f"{', '.join(row['names'])} are one name" for row in await database.read(_TWINS)]
    auth_types = [row["name"] for row in await database.read(_AUTH_TYPES)]
    groups = [row["name"] for row in await database.read(_GROUPS)]
    return [
        *first_lines("twins: whoever is refused as one logs in as the other; keep one of each", twins),
        *first_lines("Auth-Types of their own: they are not taken on as long as they have them", auth_types),
        *first_lines("groups that may let their members in, whatever the account says: take this out of them", groups),
    ]


KIND = Kind("account", ("radcheck", "radacct", "radusergroup", "radgroupcheck", "connect_fence"), look, survey)
