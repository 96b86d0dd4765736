"""What is odd about a client beside others of its site, though nothing forbids it: for warnings."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from activities.directory.folding import sort_name
from starter.directory.paging import DirectoryDatabase

MOST_NAMED = 3  # clients of each office, or of a name
MOST_OFFICES = 20

# Offices are compared without case, and are typed in any of these ways.
_IN_OFFICES = """
SELECT o.office, count(*) AS number,
  (array_agg(c.name || ' (' || c.client_id || ')' ORDER BY c.sort_name, c.client_id))[1:$4] AS clients
FROM clients c, unnest(c.offices) AS o(office)
WHERE c.site_id = coalesce($1, (SELECT site_id FROM clients WHERE client_id = $2)) AND c.client_id <> $2
  AND c.status <> 'decommissioned' AND NOT is_canary(c.client_id) AND c.offices <> '{}'
  AND c.offices && $3::text[] AND o.office = ANY($3)
GROUP BY o.office ORDER BY o.office LIMIT $5"""

_OF_THIS_NAME = """
SELECT client_id, name FROM clients
WHERE site_id = coalesce($1, (SELECT site_id FROM clients WHERE client_id = $2)) AND client_id <> $2
  AND management IN (false, true) AND status = 'decommissioned' AND sort_name = $3
  AND NOT is_canary(client_id) ORDER BY client_id LIMIT $4"""


@dataclass(frozen=True)
class Lookalikes:
    """By office, the clients that are in it already, as one calls them; and former clients of the same name."""

    offices: dict[str, str] = field(default_factory=dict)
    former: str = ""


async def lookalikes(
    database: DirectoryDatabase, client_id: str, site: str | None, offices: Collection[str], name: str | None
) -> Lookalikes:
    """Those of a site; of the client's own, if none is given."""
    typed = sorted({way for office in offices for way in (office, office.lower(), office.upper()) if "\0" not in way})
    values = site, client_id, typed, MOST_NAMED, MOST_OFFICES
    rows = await database.read(_IN_OFFICES, *values) if typed else []
    plain = name if name and "\0" not in name else None
    named = await database.read(_OF_THIS_NAME, site, client_id, sort_name(plain), MOST_NAMED) if plain else []
    return Lookalikes(
        {row["office"]: _first_names(row["clients"], row["number"]) for row in rows},
        _first_names([f"{row['name']} ({row['client_id']})" for row in named], len(named)),
    )


def _first_names(clients: Sequence[str], number: int) -> str:
    return ", ".join(clients) + (f" and {number - len(clients)} more" if number > len(clients) else "")
