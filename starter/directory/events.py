"""Reads events, in their order, from the directory (activities/directory/numbering.py numbers them)."""

from activities.directory.events import COLUMNS, FROM, event_of
from starter.contract.events import EventFilter, EventPage
from starter.directory.paging import DirectoryDatabase, Where
from starter.errors import EventsForgotten
from workflows.domain.errors import InvalidField

SPAN = 20_000
"""So many numbers are looked at for one page: a filter that few events pass costs no more than another."""

# One statement, so that the newest number is of the same moment as the events.
_PAGE = """
WITH log AS (
  SELECT last, forgotten, coalesce($1, forgotten) AS after FROM event_log)
SELECT l.*, e.*
FROM log l LEFT JOIN LATERAL (
  SELECT {columns} FROM {tables}
  {where} AND e.seq > l.after AND e.seq <= l.after + $2 ORDER BY e.seq LIMIT $3) e ON true
ORDER BY e.seq"""


async def events(database: DirectoryDatabase, filters: EventFilter, span: int = SPAN) -> EventPage:
    """The events after the one that is asked for, as far as the caller sees them.

    Raises EventsForgotten, InvalidField for a number that there is not yet, or DirectoryAway.
    """
    where = Where(["e.seq > 0"], [filters.after, span, filters.limit])
    where.equal({"e.kind": filters.kind, "e.client_id": filters.client, "e.site_id": filters.site})
    rows = await database.read(_PAGE.format(where=where, columns=COLUMNS, tables=FROM), *where.values)
    last, after = rows[0]["last"], rows[0]["after"]
    if after < rows[0]["forgotten"]:
        raise EventsForgotten(after, rows[0]["forgotten"])
    if after > last:
        raise InvalidField(
            f"There is no event {after} yet: the newest is {last}",
            "Give a number that an answer had. If one had this, the directory is an earlier one, restored: read every "
            "client anew, and go on from the newest",
            field="after",
        )
    items = [event_of(row) for row in rows if row["seq"] is not None]
    reached = items[-1].seq if len(items) == filters.limit else min(last, after + span)
    return EventPage(items=items, next=reached, last=last)
