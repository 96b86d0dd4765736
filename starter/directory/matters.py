"""Open matters: rows of table ``matters``, and the systems of clients that need a person or were skipped."""

from collections.abc import Mapping
from typing import Any

from starter.contract.answers import Matter, MatterPage
from starter.contract.bodies import MatterFilter
from starter.directory.attention import FOUND, SKIPPED, WAITING
from starter.directory.paging import DirectoryDatabase, Where, opened, sealed
from workflows.domain.dates import at_site
from workflows.wire.views import MatterView, RemedyView

ORDER = "matters"  # what a cursor of this list is sealed with

OPEN_CLIENTS = """
SELECT client_id FROM matters
UNION SELECT client_id FROM client_systems WHERE provisioning IN ('attention', 'skipped')"""

_OPEN = f"""
{FOUND.format(waiting=f"{WAITING} OR {SKIPPED}")},
matter AS (
  SELECT m.client_id, m.matter, m.kind, m.system, m.since, m.text, m.remedies, m.assigned_to, m.snoozed_until,
    coalesce(c.name, '') AS name, coalesce(c.site_id, '') AS site
  FROM matters m LEFT JOIN clients c USING (client_id)
  UNION ALL
  SELECT client_id, system, state, system, since, coalesce(skipped->>'reason', last_error), '[]', '', NULL, name, site
  FROM found WHERE state IN ('attention', 'skipped'))
"""  # noqa: S608  # put together from constants

_PAGE = f"""{_OPEN}
SELECT m.*, m.since::text AS sort_key, coalesce(t.timezone, 'UTC') AS timezone
FROM matter m LEFT JOIN sites t ON t.site_id = m.site"""  # noqa: S608  # put together from constants

_WAYS = (
    RemedyView(text="Attempt again at once", command="connect client retry {client} {system}"),
    RemedyView(text="Accept the difference", command="connect client skip {client} {system} --reason …"),
    RemedyView(text="Say that it was done by hand", command="connect client mark-done {client} {system} --note …"),
)


async def open_matters(database: DirectoryDatabase, filters: MatterFilter) -> MatterPage:
    """A page of them, the oldest first, and how many there are of each kind. Raises NoSuchPage."""
    where = Where()
    where.equal({"m.site": filters.site, "m.kind": filters.kind})
    # every name comes from here; what a caller gave is a parameter
    counting = f"{_OPEN} SELECT m.kind, count(*) AS number FROM matter m {where} GROUP BY m.kind"  # noqa: S608  # see above
    kinds = {row["kind"]: row["number"] for row in await database.read(counting, *where.values)}
    if filters.cursor:
        where.beyond(
            "(m.since, m.client_id, m.matter) > ({}::text::timestamptz, {}, {})",
            opened(filters.cursor, ORDER, (str, str, str)),
        )
    order = f"ORDER BY m.since, m.client_id, m.matter LIMIT {where.parameter(filters.limit + 1)}"
    rows, last = await database.page(f"{_PAGE} {where} {order}", where.values, filters.limit)
    return MatterPage(
        items=[_listed(row) for row in rows],
        next=last and sealed(ORDER, (last["sort_key"], last["client_id"], last["matter"])),
        total=sum(kinds.values()),
        kinds=kinds,
    )


def matter_of(row: Mapping[str, Any], zone: str) -> MatterView:
    """A row of table ``matters``, read as such or as JSON, in the time of a client's site."""
    matter = MatterView.model_validate(
        {
            **{name: row[name] for name in ("matter", "kind", "since", "text", "remedies", "snoozed_until")},
            "system": row["system"] or None,
            "assigned_to": row["assigned_to"] or None,
        }
    )
    return matter.model_copy(update={"since": at_site(matter.since, zone)})


def _listed(row: Mapping[str, Any]) -> Matter:
    client, system = row["client_id"], row["system"]
    matter = matter_of(row, row["timezone"])
    if not matter.remedies:
        ways = [way.model_copy(update={"command": way.command.format(client=client, system=system)}) for way in _WAYS]
        matter = matter.model_copy(update={"remedies": ways})
    return Matter(**dict(matter), client_id=client, name=row["name"], site=row["site"])
