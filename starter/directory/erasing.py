"""Erasing a client from the directory: what was said of it goes; ids, times and results stay as proof.

One table says of each column that holds text what becomes of it. A column that is missing there fails a test, so that
no new one is forgotten.
"""

import hashlib
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias

import asyncpg

from starter.directory.paging import DirectoryDatabase
from starter.errors import NoSuchClient, NotErasable
from workflows.domain.lifecycle import Status
from workflows.domain.systems import BUILT_IN
from workflows.wire.views import ClientView

ERASED = "Erased client"
"""The name of every client that was erased."""

DIGITS = 12
"""What is left of a service's name: it tells the service from the client's others."""


@dataclass(frozen=True)
class Kept:
    """A column, or a table that is about no client, that stays as it is, and why that says nothing of the client."""

    why: str


@dataclass(frozen=True)
class Becomes:
    """What a column holds afterwards: an expression of SQL. ``$1`` is the client's id; ``$2`` of table ``clients`` its
    document, of others a word that nobody keeps."""

    sql: str


@dataclass(frozen=True)
class Removed:
    """The rows of the client go."""


Columns: TypeAlias = Mapping[str, Kept | Becomes]

ID, WORD = Kept("an id"), Kept("one of a few words of ours")
NOT_OURS = Kept("not about a client")
NOTHING, NO_TEXT, NO_TEXTS = Becomes("NULL"), Becomes("''"), Becomes("'{}'")


def _key(of: str) -> str:
    """An expression for an id that callers may have chosen (their keys): another one, the same for the same. Those that
    we made, and none, stay."""
    return f"CASE WHEN {of} ~ '^([0-9a-f]{{32}})?$' THEN {of} ELSE encode(sha256(convert_to({of}, 'UTF8')), 'hex') END"


_NUMBERED = f"IN {BUILT_IN}"
"""Of systems that know numbers and ids. Services of further kinds have names, which people choose."""


def _service(of: str, system: str) -> str:
    """An expression for what a system switches: what was a name is one no longer, and nobody can try which it was."""
    digest = f"left(encode(sha256(convert_to($2 || {of}, 'UTF8')), 'hex'), {DIGITS})"
    return f"CASE WHEN {system} {_NUMBERED} THEN {of} ELSE {digest} END"


TABLES: Mapping[str, Kept | Removed | Columns] = {
    "clients": {
        "client_id": ID,
        "incarnation": ID,
        "site_id": ID,
        "name": Becomes(f"'{ERASED}'"),
        "sort_name": Becomes(f"lower('{ERASED}')"),
        "type": WORD,
        "status": WORD,
        "provisioning": WORD,
        "billing_ref": Becomes("'erased:' || $1"),
        "offices": NO_TEXTS,
        "numbers": NO_TEXTS,
        "tags": NO_TEXTS,
        "next_change_kind": WORD,
        "document": Becomes("$2::jsonb"),
        "plan_matters": Kept("made from the document"),
        "search": Becomes("$1"),
    },
    "client_systems": {
        "client_id": ID,
        "system": ID,
        "instance": ID,
        "state": WORD,
        "provisioning": WORD,
        "last_error": NO_TEXT,
        "skipped": NOTHING,
    },
    "proofs": {
        "client_id": ID,
        "system": ID,
        "kind": WORD,
        "method": WORD,
        "findings": Becomes(f"""
            (SELECT coalesce(jsonb_agg(jsonb_build_object('subject', {_service("(f->>'subject')", "system")},
               'in_service', f->'in_service', 'proof', f->'proof', 'why', '', 'seen', '{{}}'::jsonb)), '[]')
             FROM jsonb_array_elements(findings) f)"""),  # noqa: S608  # put together from constants
    },
    "history": {
        "client_id": ID,
        "event": WORD,
        "kind": WORD,
        "text": Becomes(
            "CASE WHEN (event = 'proven' AND facts <> '{}') OR kind = 'erase' THEN text ELSE 'Erased' END"
        ),  # what is proven without facts is in a system's words
        "by": Kept("who did it, not about whom"),
        "source": Kept("who stood behind it, not about whom"),
        "reason": NO_TEXT,
        "command_id": Becomes(_key("command_id")),
        "request_id": Becomes(_key("request_id")),
        "facts": Becomes(f"""
            CASE WHEN event = 'proven' THEN (
              SELECT coalesce(jsonb_object_agg({_service("f.key", "kind")}, f.value), '{{}}') FROM jsonb_each(facts) f)
            ELSE (SELECT coalesce(jsonb_object_agg(f.key,
                CASE WHEN f.key = 'change_id' THEN to_jsonb({_key("(f.value #>> '{}')")}) ELSE f.value END), '{{}}')
              FROM jsonb_each(facts) f WHERE f.key IN ('status', 'system', 'planned_for', 'change_id')) END"""),  # noqa: S608  # put together from constants
    },
    "answers": Removed(),
    "request_answers": Removed(),
    "billing_refs": Removed(),
    "external_ids": Removed(),
    "matters": Removed(),
    "matter_hands": Removed(),
    "numbers": dict.fromkeys(("number", "client_id"), Kept("held until it is proven off; nobody is erased before")),
    "watched": {
        **dict.fromkeys(
            ("system", "client_id", "subject", "instance"),
            Kept("of what is off, until it is quiet; the rows go by themselves"),
        ),
        "seen": Becomes(f"""
            (SELECT coalesce(jsonb_object_agg(f.key, f.value), '{{}}') FROM jsonb_each(seen) f
             WHERE system {_NUMBERED} AND f.key IN ('known_as', 'open_sessions'))"""),  # noqa: S608  # as above
    },
    "client_keys": dict.fromkeys(("client_id", "key_id", "wrapped"), Kept("destroyed by activities/keys")),
    "sites": NOT_OURS,
    "site_changes": NOT_OURS,
    "system_states": NOT_OURS,
    "watch_rounds": NOT_OURS,
    "canaries": NOT_OURS,
    "console_sessions": NOT_OURS,
    "tokens": NOT_OURS,
    "event_log": NOT_OURS,
    "events": {
        "event_id": ID,
        "kind": WORD,
        "client_id": ID,
        "site_id": ID,
        **{name: Becomes(_key(name)) for name in ("command_id", "request_id")},
    },
    "billable": {"client_id": ID},
    "webhooks": NOT_OURS,
    "webhook_chains": {"webhook_id": ID, "client_id": ID},
    "webhook_deliveries": {
        "webhook_id": ID,
        "event_id": ID,
        "kind": WORD,
        "client_id": ID,
        "error": Kept("what a receiver, which received ids alone, answered"),
    },
    "alembic_version": NOT_OURS,
}

_KNOWN = """
SELECT status, provisioning, document::text AS document, revision, erased_at,
  EXISTS (SELECT FROM numbers n WHERE n.client_id = c.client_id) AS holds_numbers
FROM clients c WHERE client_id = $1 FOR UPDATE"""

_ERASED = """
SELECT client_id, erased_at IS NOT NULL AS erased FROM clients WHERE client_id = ANY($1) OR erased_at IS NOT NULL"""

_MARK = "UPDATE clients SET erased_at = $2 WHERE client_id = $1"

_ADD_TO_HISTORY = """
INSERT INTO history (client_id, event, at, kind, text, by, revision)
VALUES ($1, 'noted', $2, 'erase', 'Erased for good: ids, times and proofs are left', $3, $4)"""

_STANDING = (
    *("client_id", "type", "site", "timezone", "status", "provisioning", "start_date", "end_date", "activation"),
    *("end_date_passed", "management", "revision", "created_at", "decommissioned_at"),
)
_OF_SYSTEM = ("system", "instance", "proven_at", "attempts", "state", "method")
_OF_SUBJECT = ("desired", "actual", "state", "proven_at", "protected")
_EMPTY = ("offices", "lines", "services", "holds", "planned")


async def erase(
    database: DirectoryDatabase, client_id: str, by: str, now: datetime, retention: timedelta | None
) -> datetime:
    """Erase a client from the directory, all of it or nothing, and record that in its history. Returns when it was.

    Without a ``retention`` it is erased however it stands: it was before, and the directory is an older one. Raises
    NoSuchClient, or NotErasable when it is not decommissioned, not proven off, or not for so long. An erased one stays
    as it is.
    """

    async def erase_in(connection: asyncpg.Connection) -> datetime:
        known = await connection.fetchrow(_KNOWN, client_id)
        if known is None:
            raise NoSuchClient(client_id)
        if known["erased_at"]:
            erased_at: datetime = known["erased_at"]
            return erased_at
        view = ClientView.model_validate_json(known["document"])
        if retention is not None:
            _check(view, known, now, retention)
        await connection.execute(_MARK, client_id, now)
        word = secrets.token_hex()
        documents = {"clients": _left_of(view, word)}
        for table, rule in TABLES.items():
            if (statement := statement_for(table, rule)) and await _exists(connection, table):
                values = [documents.get(table, word)] if "$2" in statement else []
                await connection.execute(statement, client_id, *values)
        await connection.execute(_ADD_TO_HISTORY, client_id, now, by, known["revision"])
        await connection.execute("SELECT pg_notify('connect_clients', $1)", client_id)
        return now

    return await database.transact(erase_in)


async def check_erasable(
    database: DirectoryDatabase, client_id: str, now: datetime, retention: timedelta
) -> datetime | None:
    """Since when a client is erased; None: it may be. Nothing is done. Raises NoSuchClient, NotErasable."""
    known = next(iter(await database.read(_KNOWN.removesuffix(" FOR UPDATE"), client_id)), None)
    if known is None:
        raise NoSuchClient(client_id)
    if not known["erased_at"]:
        _check(ClientView.model_validate_json(known["document"]), known, now, retention)
    erased_at: datetime | None = known["erased_at"]
    return erased_at


async def which_are_erased(database: DirectoryDatabase, those: Collection[str]) -> dict[str, bool]:
    """Whether each of these clients is erased, as far as they are there, and of all others those that are."""
    rows = await database.read(_ERASED, list(those))
    return {row["client_id"]: row["erased"] for row in rows}


def statement_for(table: str, rule: Kept | Removed | Columns) -> str:
    """What is done to the rows of one client in a table; empty: nothing."""
    match rule:
        case Kept():
            return ""
        case Removed():
            return f"DELETE FROM {table} WHERE client_id = $1"  # noqa: S608  # names of ours
        case _:
            changes = ", ".join(f"{name} = {it.sql}" for name, it in rule.items() if isinstance(it, Becomes))
            return changes and f"UPDATE {table} SET {changes} WHERE client_id = $1"  # noqa: S608  # names and values of ours


def _check(view: ClientView, known: asyncpg.Record, now: datetime, retention: timedelta) -> None:
    """Raises NotErasable, which says what is missing."""
    client_id = view.client_id
    if view.status is not Status.DECOMMISSIONED or view.decommissioned_at is None:
        raise NotErasable(
            f"Client {client_id} is {view.status}", f"Decommission it first: connect client decommission {client_id}"
        )
    if known["holds_numbers"] or known["provisioning"] != "settled":
        raise NotErasable(
            f"Client {client_id} is not proven off yet", f"See what its systems say: connect client show {client_id}"
        )
    if (free := view.decommissioned_at + retention) > now:
        raise NotErasable(
            f"Client {client_id} was decommissioned on {view.decommissioned_at:%d %B %Y}, and is kept until "
            f"{free:%d %B %Y}",
            "Erase it then; CONNECT_ERASE_AFTER_DAYS says for how long clients are kept",
        )


def _left_of(view: ClientView, word: str) -> dict[str, Any]:
    """The document of an erased client: by name, so that nothing new in it is left by oversight."""
    whole = view.model_dump(mode="json")
    left = {name: whole[name] for name in _STANDING} | {name: [] for name in _EMPTY}
    left |= {"name": ERASED, "billing_ref": f"erased:{view.client_id}", "office_label": "", "internet": None}
    systems = [_left_of_system(system, word) for system in whole["systems"]]
    return ClientView.model_validate({**left, "systems": systems}).model_dump(mode="json")


def _left_of_system(system: Mapping[str, Any], word: str) -> dict[str, Any]:
    def of(subject: str) -> str:  # as _service has it
        if system["system"] in BUILT_IN:
            return subject
        return hashlib.sha256(f"{word}{subject}".encode()).hexdigest()[:DIGITS]

    return {
        **{name: system[name] for name in _OF_SYSTEM},
        **{name: {of(subject): on for subject, on in system[name].items()} for name in ("desired", "actual")},
        "last_error": "",
        "next_attempt_at": None,
        "subjects": [
            {**{name: it[name] for name in _OF_SUBJECT}, "subject": of(it["subject"]), "why": ""}
            for it in system["subjects"]
        ],
    }


async def _exists(connection: asyncpg.Connection, table: str) -> bool:
    """Whether there is such a table: some come with a later schema."""
    return await connection.fetchval("SELECT to_regclass($1)", table) is not None
