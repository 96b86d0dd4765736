"""The list of clients: its filter, its order (what is equal goes by name), and the number of clients of each status.

A page is selected from index entries alone (``clients_by_site``, ``clients_by_name``), and only its own rows are read.
The list is therefore fast over very many clients, for every sorting and every page.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from activities.directory.folding import searchable
from starter.contract.bodies import ClientFilter
from starter.directory.matters import clients_of_matters
from starter.directory.paging import Where, opened, sealed
from starter.wording import Standing
from workflows.domain.lifecycle import Status
from workflows.domain.text import folded

# What a list can be sorted by: the expression ascending and descending (what is missing comes last), and its type.
SORTS = {
    "name": ("c.sort_name", "c.sort_name", "text"),
    "billing_ref": ("c.billing_ref", "c.billing_ref", "text"),
    "status": ("c.status", "c.status", "text"),
    "start_date": ("c.start_date", "c.start_date", "date"),
    "end_date": ("coalesce(c.end_date, 'infinity')", "coalesce(c.end_date, '-infinity')", "date"),
    "next_change": (
        "coalesce(c.next_change_at, 'infinity')",
        "coalesce(c.next_change_at, '-infinity')",
        "timestamptz",
    ),
}
PHONE = re.compile(r"\+?[0-9 ()./-]+", re.ASCII)
SHORTEST_NUMBER = 5  # digits that are looked for as a number


@dataclass(frozen=True)
class Picked:
    """SQL that selects the clients of a page and one more, their order under the name ``l``, and the parameters."""

    query: str
    order: str
    values: list[Any]


def picking(filters: ClientFilter, days: Mapping[str, str]) -> Picked:
    """Pick ``client_id``, ``management`` and ``sort_key`` of a page. ``days``: which day it is in each zone. Raises
    NoSuchPage.

    Management clients come first and are selected apart, so that both parts have the order of an index.
    """
    falling = filters.sort.startswith("-")
    sort = SORTS[filters.sort.removeprefix("-")]
    key, kind = sort[falling], sort[2]
    direction = "DESC" if falling else "ASC"
    where = add_conditions(filters, _status_conditions(filters), days)
    beyond, after_management = "", False
    if filters.cursor:
        management, value, name, client_id = opened(filters.cursor, filters.sort, (bool, str, str, str))
        place = f"({where.parameter(value)}::text::{kind}, {where.parameter(name)}, {where.parameter(client_id)})"
        beyond = f"({key}, c.sort_name, c.client_id) {'<' if falling else '>'} {place}"
        after_management = not management
    most = where.parameter(filters.limit + 1)

    def part(ours: str, *terms: str) -> str:
        conditions = Where([*where.terms, ours, *terms])
        # every name comes from SORTS and the filter's own terms; what a caller gave is a parameter
        return (
            f"(SELECT c.client_id, c.management, {key} AS sort_key, c.sort_name "  # noqa: S608  # see above
            f"FROM clients c {conditions} "
            f"ORDER BY sort_key {direction}, c.sort_name {direction}, c.client_id {direction} LIMIT {most})"
        )

    beyond_first = [beyond] if beyond else []
    parts = [part("NOT c.management", *(beyond_first if after_management else ()))]
    if not after_management:
        parts.append(part("c.management", *beyond_first))
    order = f"l.management DESC, l.sort_key {direction}, l.sort_name {direction}, l.client_id {direction}"
    picked = f"SELECT * FROM ({' UNION ALL '.join(parts)}) l ORDER BY {order} LIMIT {most}"  # noqa: S608  # see above
    return Picked(picked, order, where.values)


def cursor_of(filters: ClientFilter, row: Mapping[str, Any]) -> str:
    """The opaque cursor of the page that begins after this row, in the filter's order."""
    return sealed(filters.sort, (row["management"], row["sort_text"], row["sort_name"], row["client_id"]))


def counting(filters: ClientFilter, days: Mapping[str, str]) -> tuple[str, list[Any]]:
    """SQL that counts clients by status. The filter applies, but for its status."""
    where = add_conditions(filters, Where(), days)
    return f"SELECT c.status, count(*) AS number FROM clients c {where} GROUP BY c.status", where.values  # noqa: S608  # the filter's own terms


def total_of(counts: Mapping[str, int], filters: ClientFilter) -> int:
    """The number of clients that a filter matches, from the counts by status."""
    if filters.status:
        return counts.get(filters.status.value, 0)
    return sum(number for status, number in counts.items() if filters.inactive or status != Status.DECOMMISSIONED)


def _status_conditions(filters: ClientFilter) -> Where:
    where = Where()
    where.equal({"c.status": filters.status})
    if not filters.status and not filters.inactive:
        where.terms.append(f"c.status <> {where.parameter(Status.DECOMMISSIONED.value)}")
    return where


def add_conditions(filters: ClientFilter, where: Where, days: Mapping[str, str]) -> Where:
    """The conditions so far and those of a filter, but for its status. Canaries meet none."""
    by_hand = filters.provisioning is Standing.DONE_BY_HAND
    standing = Standing.SETTLED if by_hand else filters.provisioning
    where.terms.append("NOT is_canary(c.client_id)")
    where.equal({"c.type": filters.type, "c.provisioning": standing, "c.site_id": filters.site})
    if by_hand:
        where.terms.append("c.by_hand")
    if filters.tag:
        where.terms.append(f"c.tags @> ARRAY[{where.parameter(folded(filters.tag))}] AND c.tags <> '{{}}'")
    if filters.external_id:
        called = where.parameter(folded(filters.external_id))
        where.terms.append(f"c.client_id = (SELECT client_id FROM external_ids WHERE external_id = {called})")  # noqa: S608  # a parameter
    if filters.open:
        where.terms.append(f"c.client_id = ANY (ARRAY({clients_of_matters(where.parameter(days))}))")
    if words := searchable(filters.q or "").split():
        every = " AND ".join(f"c.search LIKE {where.parameter(f'%{_literal(word)}%')}" for word in words)
        dialled = _digits_of(filters.q or "")
        where.terms.append(f"({every} OR c.search LIKE {where.parameter(f'%{dialled}%')})" if dialled else every)
    return where


def _literal(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _digits_of(text: str) -> str:
    """The digits of a telephone number as people write it, ``(020) 7946-0311``, without the prefix of the area code.

    Empty for any other text."""
    digits = re.sub(r"\D", "", text.replace("(0)", ""), flags=re.ASCII)
    return digits.lstrip("0") if PHONE.fullmatch(text.strip()) and len(digits) >= SHORTEST_NUMBER else ""
