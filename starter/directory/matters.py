"""Open matters: everything that a person should see to, found at the moment of reading (PRODUCT.md section 1).

They come from rows of table ``matters``, which watches write, and publications for plans; from the systems of clients;
from their dates, by the day at their site; and from the reports of workers. Table ``matter_hands`` says
to whom a matter is assigned, and which are snoozed (matter_actions.py).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from starter.contract.answers import Matter, MatterPage
from starter.contract.bodies import MatterFilter
from starter.directory.attention import BEGUN, SILENCE, SKIPPED, WAITING
from starter.directory.paging import DirectoryDatabase, Where, opened, sealed
from starter.wording import day_word
from workflows.domain.dates import at_site, first_instant, local_day
from workflows.domain.systems import BUILT_IN, MAIN, spoken
from workflows.wire.matters import MatterView, RemedyView
from workflows.wire.views import ClientView

ORDER = "matters"  # what a cursor of this list is sealed with
UNPROVEN = timedelta(minutes=10)
"""After so long without proof a person should look."""

END, START, UNSERVED, BLOCKED = "end_date_passed", "start_reached", "unserved", "plan_blocked"
OF_SYSTEMS = ("attention", "not_proven", "skipped")
PLAN = "plan:"
"""How the names of matters of plans begin."""

NOBODY = "nobody"
"""Whom a matter is assigned to that is assigned to no one, in a filter."""

_OF_CLIENTS = f"""
  SELECT m.client_id, m.matter, m.kind, m.system, m.since, NULL::date AS day, m.text, m.remedies
  FROM matters m WHERE {{m}}
  UNION ALL
  SELECT s.client_id, s.system, s.state, s.system, {BEGUN}, NULL, coalesce(s.skipped->>'reason', s.last_error), '[]'
  FROM client_systems s JOIN clients c USING (client_id) WHERE {{s}} AND s.provisioning <> 'settled' AND ({SKIPPED}
    OR ({WAITING} AND (s.state = 'attention'
      OR (s.state = 'not_proven' AND {BEGUN} < now() - make_interval(secs => {UNPROVEN.total_seconds():.0f})))))
  UNION ALL
  SELECT c.client_id, '{END}', '{END}', '', (c.end_date + 1)::timestamp AT TIME ZONE 'UTC', c.end_date, c.status, '[]'
  FROM today d JOIN clients c USING (site_id)
  WHERE c.end_date < d.day AND c.end_date < (SELECT max(day) FROM today) AND c.status <> 'decommissioned' AND {{c}}
  UNION ALL
  SELECT c.client_id, '{START}', '{START}', '', c.start_date::timestamp AT TIME ZONE 'UTC', c.start_date, c.status, '[]'
  FROM today d JOIN clients c USING (site_id) WHERE c.start_date <= d.day AND c.waits_to_start AND {{c}}"""  # noqa: S608  # put together from constants

# An instance that something was switched at, and of which no worker reports any more.
_OF_INSTANCES = f"""
  UNION ALL
  SELECT '', '{UNSERVED}:' || u.system || ':' || u.instance, '{UNSERVED}', u.system, u.since, NULL, u.instance, '[]'
  FROM (
    SELECT k.system, k.instance, coalesce(
      (SELECT r.begun_at FROM watch_rounds r WHERE (r.system, r.instance) = (k.system, k.instance)),
      (SELECT max(r.updated_at) FROM system_states r WHERE (r.system, r.instance) = (k.system, k.instance)),
      (SELECT min(created_at) FROM sites), now()) AS since
    FROM (
      SELECT unnest(ARRAY{list(BUILT_IN)}) AS system, '{MAIN}' AS instance
      UNION SELECT system, instance FROM watch_rounds UNION SELECT system, instance FROM system_states
      UNION SELECT e.key, e.value FROM sites, jsonb_each_text(systems) e) k
    WHERE NOT EXISTS (SELECT FROM system_states r WHERE (r.system, r.instance) = (k.system, k.instance)
      AND r.updated_at > now() - make_interval(secs => {SILENCE}))
    OFFSET 0) u
  WHERE u.since < now() - make_interval(secs => {SILENCE}) AND (SELECT true FROM client_systems s
    WHERE (s.system, s.instance) = (u.system, u.instance) AND s.wanted > 0 LIMIT 1)"""  # noqa: S608  # put together from constants

# What people do is about one occurrence. A snooze ends at its moment, and when the text of the matter changes.
_OPEN = """
WITH today AS (
  SELECT t.site_id, d.value::date AS day FROM sites t JOIN jsonb_each_text({days}) d ON d.key = t.timezone),
found AS ({found}),
matter AS (
  SELECT f.*, a.about, coalesce(h.assigned_to, '') AS assigned_to, h.acknowledged_at,
    coalesce(h.snoozed_text = f.text AND coalesce(h.snoozed_until > now(), true), false) AS snoozed, h.snoozed_until
  FROM found f
  CROSS JOIN LATERAL (SELECT f.kind || ' ' || coalesce(f.day::text, extract(epoch FROM f.since)::text)
    || CASE WHEN f.kind = '{BLOCKED}' THEN ' ' || md5(f.text) ELSE '' END) a(about)
  LEFT JOIN matter_hands h ON (h.client_id, h.matter, h.about) = (f.client_id, f.matter, a.about)
  WHERE NOT is_canary(f.client_id))"""

UNACKNOWLEDGED = "m.acknowledged_at IS NULL"
NOW = f"{UNACKNOWLEDGED} AND NOT m.snoozed"

_ROW = """
SELECT m.client_id, m.matter, m.kind, m.system, m.since, m.day, m.text, m.remedies, m.assigned_to, m.about,
  m.snoozed, CASE WHEN m.snoozed THEN m.snoozed_until END AS snoozed_until, m.acknowledged_at,
  m.since::text AS sort_key, coalesce(c.name, '') AS name, coalesce(c.site_id, '') AS site,
  coalesce(t.timezone, 'UTC') AS timezone
FROM matter m LEFT JOIN clients c USING (client_id) LEFT JOIN sites t USING (site_id)"""

_SYSTEM = (
    RemedyView(text="Attempt again at once", command="connect client retry {client} {system}"),
    RemedyView(text="Accept the difference", command="connect client skip {client} {system} --reason …"),
    RemedyView(text="Say that it was done by hand", command="connect client mark-done {client} {system} --note …"),
)
_REMEDIES: dict[str, Sequence[RemedyView]] = {
    "attention": _SYSTEM,
    "not_proven": _SYSTEM,
    "skipped": (
        _SYSTEM[0],
        _SYSTEM[2],
        RemedyView(text="Accept it, and list it no more", command="connect client acknowledge {client} {matter}"),
    ),
    END: (
        RemedyView(text="Close the contract", command="connect client decommission {client}"),
        RemedyView(text="Give it another end date", command="connect client edit {client} --end-date …"),
        RemedyView(text="Accept it until the end date changes", command="connect client acknowledge {client} {matter}"),
    ),
    START: (
        RemedyView(text="Activate it", command="connect client activate {client}"),
        RemedyView(text="Give it another start date", command="connect client edit {client} --start-date …"),
        RemedyView(
            text="Accept it until the start date changes", command="connect client acknowledge {client} {matter}"
        ),
    ),
    UNSERVED: (
        RemedyView(text="Start a worker whose settings name it", command="connect worker"),
        RemedyView(text="See which workers report", command="connect systems"),
    ),
}
"""What to do, where whoever found the matter does not say it."""


def open_matters_sql(days: str, some: str = "") -> str:
    """SQL that defines ``matter``: those of all, or of ``some`` clients. Both are parameters: ``days`` maps zones to
    the day there, ``some`` is an array of ids."""
    who = {alias: f"{alias}.client_id = ANY({some})" if some else "true" for alias in "msc"}
    return _OPEN.format(days=days, BLOCKED=BLOCKED, found=_OF_CLIENTS.format(**who) + ("" if some else _OF_INSTANCES))


def clients_of_matters(days: str) -> str:
    """SQL that selects the ids of clients with a matter that is not snoozed."""
    return f"{open_matters_sql(days)} SELECT m.client_id FROM matter m WHERE {NOW}"  # noqa: S608  # put together from constants


def days_in(zones: Iterable[str], now: datetime) -> dict[str, str]:
    """Which day it is in each of these zones."""
    return {zone: local_day(now, zone).isoformat() for zone in {*zones}}


async def days_at_sites(database: DirectoryDatabase, now: datetime) -> dict[str, str]:
    """Which day it is in the zones of all sites."""
    return days_in([row["timezone"] for row in await database.read("SELECT DISTINCT timezone FROM sites")], now)


async def open_matters(database: DirectoryDatabase, filters: MatterFilter, now: datetime) -> MatterPage:
    """A page of them, the oldest first, and how many there are of each kind. Raises NoSuchPage."""
    where = Where([UNACKNOWLEDGED if filters.snoozed else NOW], [await days_at_sites(database, now)])
    where.equal({"c.site_id": filters.site})
    if filters.assigned_to:
        assignee = "" if filters.assigned_to == NOBODY else filters.assigned_to
        where.terms.append(f"lower(m.assigned_to) = lower({where.parameter(assignee)})")
    opening = open_matters_sql("$1")
    # every name comes from here; what a caller gave is a parameter
    counting = (
        f"{opening} SELECT m.kind, count(*) AS number FROM matter m LEFT JOIN clients c USING (client_id) "  # noqa: S608  # see above
        f"{where} GROUP BY m.kind"
    )
    kinds = {row["kind"]: row["number"] for row in await database.read(counting, *where.values)}
    where.equal({"m.kind": filters.kind})
    if filters.cursor:
        where.beyond(
            "(m.since, m.client_id, m.matter) > ({}::text::timestamptz, {}, {})",
            opened(filters.cursor, ORDER, (str, str, str)),
        )
    order = f"ORDER BY m.since, m.client_id, m.matter LIMIT {where.parameter(filters.limit + 1)}"
    rows, last = await database.page(f"{opening} {_ROW} {where} {order}", where.values, filters.limit)
    return MatterPage(
        items=[matter_of_list(row) for row in rows],
        next=last and sealed(ORDER, (last["sort_key"], last["client_id"], last["matter"])),
        total=kinds.get(filters.kind, 0) if filters.kind else sum(kinds.values()),
        kinds=dict(sorted(kinds.items())),
    )


async def with_matters(database: DirectoryDatabase, views: Sequence[ClientView], now: datetime) -> Sequence[ClientView]:
    """These clients, each with its open matters, snoozed ones too. Of plans it has those that it says itself."""
    if not views:
        return views
    query = f"{open_matters_sql('$1', '$2')} {_ROW} WHERE {UNACKNOWLEDGED} ORDER BY m.since, m.matter"
    days, found = days_in([view.timezone for view in views], now), dict[str, list[MatterView]]()
    for row in await database.read(query, days, [view.client_id for view in views]):
        found.setdefault(row["client_id"], []).append(matter_of(row))
    return [view.model_copy(update={"matters": [*_its_own(view, found.get(view.client_id, ()))]}) for view in views]


def _its_own(view: ClientView, found: Iterable[MatterView]) -> Iterable[MatterView]:
    plans = {matter.matter for matter in view.matters}
    return (matter for matter in found if matter.matter in plans or not matter.matter.startswith(PLAN))


async def matter_named(
    database: DirectoryDatabase, client_id: str, name: str, now: datetime
) -> Mapping[str, Any] | None:
    """A client's matter, also one that somebody has acknowledged; None where there is none of that name."""
    days = await days_at_sites(database, now)
    query = f"{open_matters_sql('$1', '$2' if client_id else '')} {_ROW} WHERE m.client_id = ANY($2) AND m.matter = $3"
    return next(iter(await database.read(query, days, [client_id], name)), None)


def matter_of(row: Mapping[str, Any]) -> MatterView:
    """A row of them, in the time of the client's site."""
    zone, client, system, kind = row["timezone"], row["client_id"], row["system"], row["kind"]
    remedies = [RemedyView.model_validate(it) for it in row["remedies"]] or [
        way.model_copy(update={"command": way.command.format(client=client, system=system, matter=row["matter"])})
        for way in _REMEDIES.get(kind, ())
    ]
    until = row["snoozed_until"]
    return MatterView(
        matter=row["matter"],
        kind=kind,
        system=system or None,
        since=_since(row),
        text=_sentence(row),
        remedies=remedies,
        assigned_to=row["assigned_to"] or None,
        snoozed_until=until and at_site(until, zone),
        snoozed=row["snoozed"],
    )


def matter_of_list(row: Mapping[str, Any]) -> Matter:
    """A matter as the list of all clients' matters has it: with its client and site."""
    return Matter(**dict(matter_of(row)), client_id=row["client_id"], name=row["name"], site=row["site"])


def _since(row: Mapping[str, Any]) -> datetime:
    """A date begins, or is over, with a day of the site."""
    day, zone = row["day"], row["timezone"]
    if day is None:
        return at_site(row["since"], zone)
    return at_site(first_instant(day + timedelta(days=row["kind"] == END), zone), zone)


def _sentence(row: Mapping[str, Any]) -> str:
    text: str = row["text"]
    match row["kind"]:
        case "end_date_passed":
            return f"The end date, {day_word(row['day'])}, has passed, and the client is still {text.capitalize()}."
        case "start_reached":
            return (
                f"The start date, {day_word(row['day'])}, has come, and the client waits for somebody to activate it."
            )
        case "unserved":
            system, instance = row["system"], "" if text == MAIN else f" at {text}"
            return (
                f"No worker serves {spoken(system)}{instance}: nothing is switched there, and nobody sees "
                "whether what is off stays off."
            )
        case "not_proven":
            return text or "What it really does could not be seen yet."
        case _:
            return text
