"""What of the read model a caller sees that is limited to sites: one mechanism under every read.

A query is run as it stands, with a common table expression in front that has the name of each table which the query
mentions, and holds the rows of these sites alone. No query knows of it, and none can forget it. What is unique in the
operator (numbers, billing references, external ids) stays whole, without saying whose it is.
"""

import re
from collections.abc import Sequence

_OF_CLIENT = "EXISTS (SELECT FROM clients own WHERE own.client_id = t.client_id)"
_OWN_ID = "coalesce((SELECT own.client_id FROM clients own WHERE own.client_id = t.client_id), '') AS client_id"
_SERVES = """(EXISTS (SELECT FROM sites s WHERE coalesce(s.systems->>t.system, 'main') = t.instance)
  OR EXISTS (SELECT FROM client_systems s WHERE (s.system, s.instance) = (t.system, t.instance)))"""

UNSAID = "It cannot look at everything there now."
"""Instead of an error of a system, which may name what belongs to others."""


def _rows(table: str, where: str = "", columns: str = "t.*") -> str:
    return f"SELECT {columns} FROM {table} t{f' WHERE {where}' if where else ''}"  # noqa: S608  # put together from constants


# In this order: each may use those above it.
SHADOWS = {
    **{table: _rows(table, "t.site_id = ANY({theirs})") for table in ("sites", "clients", "site_changes", "canaries")},
    "events": _rows("events", "t.site_id = ANY({theirs})"),
    "event_log": _rows("event_log"),
    **{
        table: _rows(table, _OF_CLIENT)
        for table in ("client_systems", "proofs", "history", "answers", "matters", "watched")
    },
    **{table: _rows(table, f"t.client_id = '' OR {_OF_CLIENT}") for table in ("matter_hands", "request_answers")},
    "numbers": _rows("numbers", columns=f"t.number, {_OWN_ID}, t.revision"),
    "billing_refs": _rows("billing_refs", columns=f"t.billing_ref, {_OWN_ID}, t.generated, t.key"),
    "external_ids": _rows("external_ids", columns=f"t.external_id, {_OWN_ID}"),
    "system_states": _rows(
        "system_states",
        _SERVES,
        "t.system, t.worker, t.state, t.since, '' AS last_error, t.last_failure_at, t.last_success_at, t.updated_at, "
        "t.instance",
    ),
    "watch_rounds": _rows(
        "watch_rounds",
        _SERVES,
        f"t.system, t.instance, t.begun_at, t.blind_since, CASE WHEN t.trouble <> '' THEN '{UNSAID}' ELSE '' END "
        "AS trouble",
    ),
}
"""Of each table that is read: the rows that clients of these sites have, or that are theirs."""

NOT_READ = frozenset(
    {
        "alembic_version",
        "console_sessions",
        "tokens",
        "events_waiting",
        "billable",
        "client_keys",
        "webhooks",
        "webhook_chains",
        "webhook_deliveries",
    }
)
"""Tables that no read of a caller's names."""

_WITH = re.compile(r"\s*WITH\s+", re.IGNORECASE)
_NAMES = {name: re.compile(rf"\b{name}\b") for name in SHADOWS}


def scoped(query: str, values: Sequence[object], sites: Sequence[str]) -> tuple[str, list[object]]:
    """The query as callers see it who are limited to these sites, and its values: with one more, the sites."""
    needed = {name for name, word in _NAMES.items() if word.search(query)}
    for name in reversed(SHADOWS):
        if name in needed:
            needed |= {other for other, word in _NAMES.items() if word.search(SHADOWS[name])}
    if not needed:
        return query, [*values]
    place = f"${len(values) + 1}::text[]"
    shadows = ", ".join(
        f"{name} AS NOT MATERIALIZED ({shadow.format(theirs=place)})"
        for name, shadow in SHADOWS.items()
        if name in needed
    )
    begun = _WITH.match(query)
    rest = f", {query[begun.end() :]}" if begun else f" {query}"
    return f"WITH {shadows}{rest}", [*values, [*sites]]
