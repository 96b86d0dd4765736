"""The sites in the directory: what there is of them, and what is changed of one, with who changed it."""

from collections.abc import Mapping
from typing import Any

import asyncpg

from activities.directory.folding import sort_name
from starter.contract.answers import Site, SiteChange, SiteHistory, SitePage
from starter.contract.bodies import SiteEdit, SiteGiven
from starter.directory.paging import DirectoryDatabase
from starter.errors import InstanceInUse, NoSuchSite, SiteIdTaken, SiteInUse
from workflows.domain.dates import at_site
from workflows.domain.systems import spoken

FIELDS = ("name", "timezone", "country", "retired", "systems")
MOST_CHANGES = 200

_SITES = "SELECT site_id, name, timezone, country, retired, systems, created_at FROM sites"

_LIVING = "SELECT count(*) FROM clients WHERE site_id = $1 AND status <> 'decommissioned' AND NOT is_canary(client_id)"

# The living clients of a site that have, or are about to have, services which another instance would serve then.
_SERVED = """
SELECT k.key AS system, coalesce(s.systems->>k.key, 'main') AS instance, count(*) AS clients
FROM sites s JOIN clients c USING (site_id), jsonb_each_text($2::jsonb) k
WHERE s.site_id = $1 AND c.status <> 'decommissioned' AND NOT is_canary(c.client_id)
  AND k.value <> coalesce(s.systems->>k.key, 'main')
  AND CASE k.key
    WHEN 'telephony' THEN c.document @? '$.lines[*]' OR c.document @? '$.planned[*].details.add_lines[*]'
    WHEN 'internet' THEN c.document @? '$.internet.account'
      OR c.document @? '$.planned[*].details.internet.down_mbps'
    ELSE jsonb_path_exists(c.document, '$.services[*] ? (@.kind == $kind)', jsonb_build_object('kind', k.key))
      OR jsonb_path_exists(c.document, '$.planned[*].details.add_services[*] ? (@.kind == $kind)',
        jsonb_build_object('kind', k.key)) END
GROUP BY 1, 2
"""

_WRITE = """
UPDATE sites SET name = $2, timezone = $3, country = $4, retired = $5, systems = $6 WHERE site_id = $1
RETURNING site_id, name, timezone, country, retired, systems, created_at"""

_NOTE = "INSERT INTO site_changes (site_id, by, text) VALUES ($1, $2, $3)"

_ADD = """
WITH added AS (
  INSERT INTO sites (site_id, name, timezone, country, systems) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING
  RETURNING site_id, name, timezone)
INSERT INTO site_changes (site_id, by, text) SELECT site_id, $6, 'Added: ' || name || ', ' || timezone FROM added"""


async def every_site(database: DirectoryDatabase) -> SitePage:
    """All sites, retired ones included, by name."""
    items = sorted(map(_site, await database.read(_SITES)), key=lambda site: (sort_name(site.name), site.site_id))
    return SitePage(items=items, next=None, total=len(items))


async def one_site(database: DirectoryDatabase, site_id: str) -> Site | None:
    rows = await database.read(f"{_SITES} WHERE site_id = $1", site_id)
    return _site(rows[0]) if rows else None


async def add_site(database: DirectoryDatabase, new: SiteGiven, by: str) -> Site:
    """Add the site. The same site twice is no error. Raises SiteIdTaken when another site has the id."""
    await database.write(_ADD, new.site_id, new.name, new.timezone, new.country, new.systems, by)
    site = await one_site(database, new.site_id)
    if site is None or any(getattr(site, name) != getattr(new, name) for name in new.model_fields_set):
        raise SiteIdTaken(f"There is another site {new.site_id}", "Choose another id", field="site_id")
    return site


async def edit_site(database: DirectoryDatabase, site_id: str, edit: SiteEdit, by: str) -> Site:
    """Change a site, and write down who did. Raises NoSuchSite; SiteInUse where living clients keep it from that;
    InstanceInUse when one of them has what another instance would serve."""
    return await database.transact(lambda connection: _edit(connection, site_id, edit, by))


async def changes_of_site(database: DirectoryDatabase, site_id: str) -> SiteHistory:
    """Who changed what of a site, the newest first. Raises NoSuchSite."""
    site = await one_site(database, site_id)
    if site is None:
        raise NoSuchSite(site_id)
    rows = await database.read(
        "SELECT at, by, text, count(*) OVER () AS total FROM site_changes WHERE site_id = $1 "
        "ORDER BY change_id DESC LIMIT $2",
        *(site_id, MOST_CHANGES),
    )
    items = [SiteChange(at=at_site(row["at"], site.timezone), by=row["by"], text=row["text"]) for row in rows]
    return SiteHistory(items=items, next=None, total=rows[0]["total"] if rows else 0)


async def _edit(connection: asyncpg.Connection, site_id: str, edit: SiteEdit, by: str) -> Site:
    """The site is locked first: a client that comes to it now is seen here, or sees what is changed."""
    row = await connection.fetchrow(f"{_SITES} WHERE site_id = $1 FOR NO KEY UPDATE", site_id)
    if row is None:
        raise NoSuchSite(site_id)
    edits = {name: getattr(edit, name) for name in edit.model_fields_set & {*FIELDS}}
    edits = {name: value for name, value in edits.items() if value is not None or name == "country"}
    after = {**row, **edits, "systems": {**row["systems"], **edit.systems}}
    changed = {name for name in FIELDS if after[name] != row[name]}
    if not changed:
        return _site(row)
    await _check_use(connection, row, after, changed)
    if served := await connection.fetch(_SERVED, site_id, edit.systems) if "systems" in changed else []:
        raise InstanceInUse(
            "; ".join(
                f"Instance {it['instance']} serves {spoken(it['system'])} of {_living(it['clients'])} of the site"
                for it in served
            ),
            "Have these services removed first, or add another site",
            field="systems",
        )
    await connection.execute(
        _NOTE, site_id, by, "; ".join(_change_text(name, row, after) for name in FIELDS if name in changed)
    )
    written = await connection.fetchrow(_WRITE, site_id, *(after[name] for name in FIELDS))
    return _site(written)


async def _check_use(
    connection: asyncpg.Connection, before: Mapping[str, Any], after: Mapping[str, Any], changed: set[str]
) -> None:
    """Raises SiteInUse when living clients keep the site from being retired, or its zone from being another."""
    retiring = after["retired"] and "retired" in changed
    if not (retiring or "timezone" in changed):
        return
    living: int = await connection.fetchval(_LIVING, before["site_id"])
    if living and retiring:
        why = f"{_living(living)} {'is' if living == 1 else 'are'} at site {before['site_id']}"
        raise SiteInUse(why, "Decommission them first; the site can then be retired", field="retired")
    if living:
        why = f"The days of {_living(living)} are those of {before['timezone']}"
        raise SiteInUse(why, "Decommission them first, or add another site with the right zone", field="timezone")


def _living(number: int) -> str:
    return f"{number} living client{'' if number == 1 else 's'}"


def _change_text(name: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    match name:
        case "retired":
            return "Retired: it takes no new client" if after["retired"] else "Opened again"
        case "systems":
            moved = {kind: it for kind, it in after["systems"].items() if before["systems"].get(kind) != it}
            return "Served by " + ", ".join(f"{spoken(kind)} {instance}" for kind, instance in sorted(moved.items()))
    called = {"timezone": "Time zone"}.get(name, name.capitalize())
    return f"{called}: {after[name] or 'none'}, before: {before[name] or 'none'}"


def _site(row: Mapping[str, Any]) -> Site:
    fields = {name: row[name] for name in Site.model_fields}
    return Site(**{**fields, "created_at": at_site(row["created_at"], row["timezone"])})
