"""The directory: the read model in Connect's own database. The workflows are the truth; this follows them."""

import dataclasses
import unicodedata
from typing import Any

import asyncpg
import structlog
from temporalio import activity

from activities.database import Database
from activities.directory.claims import Holdings, Lost, not_valid
from activities.errors import attempt_on, rejected, stale_revision
from workflows.domain.answers import CREATE
from workflows.domain.client.rules import LONGEST_NAME
from workflows.domain.provisioning.provisioning import Provisioned
from workflows.domain.systems import INTERNET, TELEPHONY
from workflows.ports import Claim, Directory, LostClaim, Publish, Published
from workflows.wire.views import ClientView

_ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended('client:' || $1, 0))"

_ONE_KEY_AT_A_TIME = "SELECT pg_advisory_xact_lock(hashtextextended('key:' || $1, 0))"

_CREATED_BY_KEY = """
SELECT client_id FROM answers WHERE command_id = $1 AND kind = 'create' AND client_id <> $2 AND refusal IS NULL"""

_KNOWN = "SELECT incarnation, revision, billing_ref FROM clients WHERE client_id = $1 FOR UPDATE"

# The client's row, new lines of its history and the answers that they are of (arrays of JSON objects), and word to
# the listeners: one round trip. A result replaces a refusal that the API wrote meanwhile under the same key.
_SHOW = """
WITH shown AS (
INSERT INTO clients AS c (client_id, incarnation, revision, site_id, name, type, status, billing_ref, start_date,
  end_date, management, offices, numbers, next_change_at, next_change_kind, attention, telephony_wanted,
  telephony_proven, internet_wanted, internet_proven, document, search, created_at, sort_name, priority)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
  $26)
ON CONFLICT (client_id) DO UPDATE SET
  incarnation = excluded.incarnation, revision = excluded.revision, site_id = excluded.site_id, name = excluded.name,
  sort_name = excluded.sort_name, type = excluded.type, status = excluded.status,
  billing_ref = excluded.billing_ref, start_date = excluded.start_date, end_date = excluded.end_date,
  management = excluded.management, offices = excluded.offices, numbers = excluded.numbers,
  next_change_at = excluded.next_change_at, next_change_kind = excluded.next_change_kind,
  attention = excluded.attention, telephony_wanted = excluded.telephony_wanted,
  telephony_proven = greatest(c.telephony_proven, excluded.telephony_proven),
  internet_wanted = excluded.internet_wanted,
  internet_proven = greatest(c.internet_proven, excluded.internet_proven),
  document = excluded.document, priority = excluded.priority, search = excluded.search,
  created_at = excluded.created_at, updated_at = now()
RETURNING client_id),
told AS (
INSERT INTO history (client_id, entry, event, at, kind, text, by, source, reason, command_id, revision, facts)
SELECT $1, e.entry, e.event, e.at, e.kind, e.text, e.by, e.source, e.reason, e.command_id, e.revision, e.facts
FROM jsonb_to_recordset($25) AS e(entry bigint, event text, at timestamptz, kind text, text text, by text, source text,
  reason text, command_id text, revision bigint, facts jsonb)
ORDER BY e.entry ON CONFLICT DO NOTHING),
answered AS (
INSERT INTO answers AS k (client_id, command_id, fingerprint, kind, changed, message, refusal)
SELECT $1, a.command_id, a.fingerprint, a.kind, a.changed, a.message, a.refusal
FROM jsonb_to_recordset($27) AS a(command_id text, fingerprint text, kind text, changed boolean, message text,
  refusal jsonb)
ON CONFLICT (client_id, command_id) DO UPDATE SET fingerprint = excluded.fingerprint, kind = excluded.kind,
  changed = excluded.changed, message = excluded.message, refusal = NULL
WHERE k.refusal IS NOT NULL AND excluded.refusal IS NULL)
SELECT pg_notify('connect_clients', client_id) FROM shown"""

log = structlog.get_logger(__name__)


@dataclasses.dataclass(frozen=True)
class Known:
    """A client in the directory before a publication."""

    incarnation: str
    revision: int
    billing_ref: str


class PostgresDirectory(Directory):
    """The directory, in PostgreSQL."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn(name="publish")
    async def publish(self, order: Publish) -> Published:
        """Write the client at this revision to the directory, and decide its claim.

        Raises StaleRevision when the directory has a later revision. A client that the directory has lost is restored.
        """
        claim = order.claim or Claim()
        invalid = not_valid([*claim.numbers, *(order.numbers if order.register else ())])
        if order.register and invalid:
            return _turned_away(order, invalid)
        async with attempt_on(self._database):
            try:
                async with self._database.transaction() as connection:
                    published = await self._publish(connection, order, claim, invalid)
            except Lost as lost:
                return _turned_away(order, lost.claim)
        log.info("client_published", client_id=order.client_id, revision=order.revision)
        return published

    async def _publish(
        self, connection: asyncpg.Connection, order: Publish, claim: Claim, invalid: LostClaim | None
    ) -> Published:
        known = await self._known(connection, order)
        holdings = Holdings(connection, order.client_id, order.revision)
        numbers, lost = {*order.numbers, *claim.numbers}, None
        granted: str | None
        if order.register:
            await _check_key(connection, order)
            ref = granted = await _registered(holdings, order, claim, known)
        else:
            ref = order.view.billing_ref
            shown = {ref, known.billing_ref} if known else {ref}
            granted, lost = (None, invalid) if invalid else await _decided(holdings, claim, shown)
            numbers = set(order.numbers) if lost else numbers
            await _hold(holdings, order, ref)
        await holdings.keep({ref, granted or ref}, numbers)
        await connection.execute(_SHOW, *_columns(order, ref), _lines(order), order.priority, _answers(order))
        return Published(order.revision, order.first_entry + len(order.entries) - 1, granted, lost)

    async def _known(self, connection: asyncpg.Connection, order: Publish) -> Known | None:
        """The client in the directory. Raises Lost, or an error, if this order may not overwrite it."""
        if order.register:
            await connection.execute(_ONE_AT_A_TIME, order.client_id)
        row = await connection.fetchrow(_KNOWN, order.client_id)
        if row is None:
            return None
        known = Known(**row)
        if known.incarnation != order.incarnation:
            taken = f"Client id {order.client_id} belongs to another client, present or past"
            remedy = "Choose another, or leave it blank to have one generated"
            if order.register:
                raise Lost(LostClaim("ClientIdTaken", "client_id", taken, remedy))
            failure = rejected(
                f"The {self._database} shows another workflow's client {order.client_id} (first run "
                f"{known.incarnation}, ours {order.incarnation}). Terminate the workflow that should not be"
            )
            log.warning("attempt_failed", system=self._database.name, type=failure.type, error=failure.message)
            raise failure
        if known.revision > order.revision:
            raise stale_revision("The directory", order.client_id, order.revision, known.revision)
        return known


def _turned_away(order: Publish, lost: LostClaim) -> Published:
    return Published(order.revision, order.first_entry - 1, lost=lost)


async def _check_key(connection: asyncpg.Connection, order: Publish) -> None:
    """One key creates one client. Raises Lost."""
    for answer in order.answers:
        if answer.kind != CREATE:
            continue
        await connection.execute(_ONE_KEY_AT_A_TIME, answer.command_id)
        if other := await connection.fetchval(_CREATED_BY_KEY, answer.command_id, order.client_id):
            raise Lost(key_reused(answer.command_id, other))


def key_reused(command_id: str, client_id: str) -> LostClaim:
    """The refusal when a key that created one client comes with another."""
    why = f"Idempotency-Key {command_id} was used before, to create client {client_id}"
    return LostClaim("CommandIdReused", "Idempotency-Key", why, "Use a new one for each client")


async def _registered(holdings: Holdings, order: Publish, claim: Claim, known: Known | None) -> str:
    """Take everything that a new client needs, and return its reference. Raises Lost; then nothing is written.

    A client that was registered before gets the same answer as then.
    """
    ref = known.billing_ref if known else claim.billing_ref or order.view.billing_ref
    if ref:
        await holdings.take_ref(ref)
    else:
        ref = await holdings.allot_ref(())
    await holdings.take_numbers({*order.numbers, *claim.numbers})
    return ref


async def _decided(holdings: Holdings, claim: Claim, shown: set[str]) -> tuple[str | None, LostClaim | None]:
    """Decide a claim: the granted reference, or the refusal. What it took stays only if it is then kept."""
    granted = claim.billing_ref
    try:
        if granted:
            await holdings.take_ref(granted)
        elif granted is not None:
            granted = await holdings.allot_ref(shown)
        if claim.numbers:
            await holdings.take_numbers(claim.numbers)
    except Lost as lost:
        return None, lost.claim
    return granted, None


async def _hold(holdings: Holdings, order: Publish, ref: str) -> None:
    """Keep holding what the client has. Numbers that are held only until they are proven off are never taken again
    here, because the proof may have freed them a moment ago."""
    switched = next((s.desired for s in order.view.systems if s.system == TELEPHONY), {})
    contracted = {line.number for line in order.view.lines}
    ceasing = {number for number, word in switched.items() if word == "off"} - contracted
    strangers = await holdings.missing_numbers(set(order.numbers) - ceasing)
    try:
        await holdings.take_ref(ref)
    except Lost:
        strangers.append(ref)
    if strangers:
        log.error("held_by_another_client", client_id=order.client_id, revision=order.revision, what=strangers)


def _columns(order: Publish, ref: str) -> tuple[Any, ...]:
    """The row of table clients. The reference is blank in the view of a client about to be registered."""
    view = order.view if order.view.billing_ref else order.view.model_copy(update={"billing_ref": ref})
    planned = view.planned[0] if view.planned else None
    numbers = [line.number for line in view.lines]
    return (
        *(order.client_id, order.incarnation, order.revision, view.site, view.name, view.type, view.status, ref),
        *(view.start_date, view.end_date, view.management, view.offices, numbers),
        *(planned and planned.at, planned and planned.kind, view.provisioning == Provisioned.ATTENTION),
        *(order.wanted.get(TELEPHONY, 0), order.proven.get(TELEPHONY, 0)),
        *(order.wanted.get(INTERNET, 0), order.proven.get(INTERNET, 0)),
        *(view.model_dump(mode="json"), _search(view, numbers), view.created_at, sort_name(view.name)),
    )


def _search(view: ClientView, numbers: list[str]) -> str:
    """The text that a search reads: name, reference, id, numbers with and without plus, offices."""
    bare = [number.removeprefix("+") for number in numbers]
    return " ".join([view.name, view.billing_ref, view.client_id, *numbers, *bare, *view.offices]).lower()


def sort_name(name: str) -> str:
    """The sort key of a name: letters without case and accents, so that Ärger is between alpha and Zeta.

    One character can become many, so the key is cut to the length that an index can hold.
    """
    letters = (mark for mark in unicodedata.normalize("NFKD", name.casefold()) if not unicodedata.combining(mark))
    return "".join(letters).strip()[:LONGEST_NAME]


def _answers(order: Publish) -> list[dict[str, Any]]:
    """The rows of table answers."""
    return [dataclasses.asdict(answer) for answer in order.answers]


def _lines(order: Publish) -> list[dict[str, Any]]:
    """The rows of table history."""
    return [
        {**dataclasses.asdict(entry), "entry": number, "at": entry.at.isoformat()}
        for number, entry in enumerate(order.entries, order.first_entry)
    ]
