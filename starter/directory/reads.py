"""What Connect shows without asking a workflow: SELECTs on the read model (PRODUCT.md sections 1 and 7.2).

Only two things are written here: a new site, and a refusal that no workflow could record.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import asyncpg

from activities.database import Database
from activities.directory.publish import sort_name
from activities.fence import SeenLogin
from starter.contract.answers import AttentionPage, HistoryEntry, HistoryPage, MatterPage, Site, SitePage, SystemPage
from starter.contract.bodies import AttentionFilter, ClientFilter, MatterFilter, SiteEdit, SiteGiven
from starter.directory.attention import systems, those_waiting
from starter.directory.listing import counting, cursor_of, picking
from starter.directory.matters import matter_of, open_matters
from starter.directory.paging import DirectoryDatabase, Where, opened, sealed
from starter.errors import InstanceInUse, NoSuchSite, SiteIdTaken
from workflows.domain.commands import Contracting
from workflows.domain.dates import at_site
from workflows.domain.errors import BillingRefTaken, NumberTaken, Refusal, Taken
from workflows.domain.provisioning.provisioning import Provisioned
from workflows.domain.systems import MAIN, spoken
from workflows.wire.messages import AnyMessage, ContractingMessage
from workflows.wire.views import ClientView, SystemView, end_date_passed

# With the newest proof of each system that is proven to do what is wanted; done by hand, it has none.
_CLIENT = """
SELECT c.client_id, c.revision, c.document::text AS document, c.provisioning, c.management,
  (SELECT jsonb_object_agg(s.system, to_jsonb(p)) FROM client_systems s LEFT JOIN proofs p
     ON (p.client_id, p.system, p.revision, p.kind) = (s.client_id, s.system, s.proven, 'change')
   WHERE s.client_id = c.client_id AND s.proven >= s.wanted) AS proofs,
  (SELECT jsonb_agg(to_jsonb(m) - 'client_id' ORDER BY m.since) FROM matters m WHERE m.client_id = c.client_id)
    AS matters
"""
_ONE = f"{_CLIENT} FROM clients c WHERE c.client_id = $1"
_SITES = "SELECT site_id, name, timezone, systems, created_at FROM sites"

# The living clients of a site that have, or are about to have, services which another instance would serve then.
_SERVED = """
SELECT k.key AS system, coalesce(s.systems->>k.key, 'main') AS instance, count(*) AS clients
FROM sites s JOIN clients c USING (site_id), jsonb_each_text($2::jsonb) k
WHERE s.site_id = $1 AND c.status <> 'decommissioned' AND k.value <> coalesce(s.systems->>k.key, 'main')
  AND CASE k.key
    WHEN 'telephony' THEN c.document @? '$.lines[*]' OR c.document @? '$.planned[*].details.add_lines[*]'
    WHEN 'internet' THEN c.document @? '$.internet.account'
      OR c.document @? '$.planned[*].details.internet.down_mbps'
    ELSE jsonb_path_exists(c.document, '$.services[*] ? (@.kind == $kind)', jsonb_build_object('kind', k.key))
      OR jsonb_path_exists(c.document, '$.planned[*].details.add_services[*] ? (@.kind == $kind)',
        jsonb_build_object('kind', k.key)) END
GROUP BY 1, 2
"""
_EDIT = f"""
WITH served AS ({_SERVED}),
edited AS (
  UPDATE sites SET name = coalesce($3, name), systems = systems || $2::jsonb
  WHERE site_id = $1 AND NOT EXISTS (SELECT FROM served)
  RETURNING site_id, name, timezone, systems, created_at)
SELECT e.*, s.served FROM (SELECT jsonb_agg(to_jsonb(served)) AS served FROM served) s LEFT JOIN edited e ON true
"""  # noqa: S608  # put together from constants

_LINE = """
SELECT history_id, event, at, at::text AS sort_key, kind, text, by, source, reason, command_id, revision, facts
FROM history h
"""


def view_of(row: asyncpg.Record, now: datetime) -> ClientView:
    """A client of the directory, with its open matters and the proofs since it was published."""
    published = ClientView.model_validate_json(row["document"])
    passed = end_date_passed(published.end_date, now, published.timezone)
    return proven(with_matters(published.model_copy(update={"end_date_passed": passed}), row), row)


def with_matters(view: ClientView, row: asyncpg.Record) -> ClientView:
    """The client with its open matters."""
    return view.model_copy(update={"matters": [matter_of(matter, view.timezone) for matter in row["matters"] or ()]})


def proven(view: ClientView, row: asyncpg.Record) -> ClientView:
    """The client with the directory's newest proofs, which are there before the workflow publishes them."""
    systems = [_proven_system(system, row["proofs"] or {}, view.timezone) for system in view.systems]
    return view.model_copy(update={"systems": systems, "provisioning": Provisioned(row["provisioning"])})


def _proven_system(system: SystemView, proofs: Mapping[str, Any], zone: str) -> SystemView:
    """The system with its newest proof, if it is proven. What is skipped is not, though the directory has no more to
    wait for."""
    if system.system not in proofs or system.skipped:
        return system
    proof = proofs[system.system] or {}
    proven_at = at_site(datetime.fromisoformat(proof["at"]), zone) if proof else system.proven_at
    seen = {finding["subject"]: finding["seen"] for finding in proof.get("findings", ())}
    subjects = [
        subject.model_copy(
            update={
                "actual": subject.desired,
                "state": "proven",
                "why": "",
                "proven_at": proven_at if subject.subject in seen else subject.proven_at,
                "seen": seen.get(subject.subject, subject.seen),  # done by hand, its evidence is a note
            }
        )
        for subject in system.subjects
    ]
    update: dict[str, object] = {"actual": dict(system.desired), "proven_at": proven_at, "subjects": subjects}
    if proof:
        update |= {"method": proof["method"], "by": "", "note": ""}
    if system.state != "attention":  # the end of attention is published, and then shown
        update |= {"state": "settled", "attempts": 0, "last_error": "", "next_attempt_at": None}
    return system.model_copy(update=update)


class DirectoryReads:
    """The read model. Every method raises DirectoryAway when its database does not answer."""

    def __init__(self, database: Database, timeout: float = 5.0) -> None:
        self.database = DirectoryDatabase(database, timeout)

    async def ready(self) -> None:
        """Return when the database has our tables, and a write of ours is committed there."""
        await self.database.try_write("sites")

    # -- sites ------------------------------------------------------------------------------------------------------

    async def sites(self) -> SitePage:
        rows = await self.database.read(_SITES)
        items = sorted(map(_site, rows), key=lambda site: (sort_name(site.name), site.site_id))
        return SitePage(items=items, next=None, total=len(items))

    async def site(self, site_id: str) -> Site | None:
        rows = await self.database.read(f"{_SITES} WHERE site_id = $1", site_id)
        return _site(rows[0]) if rows else None

    async def add_site(self, new: SiteGiven) -> Site:
        """Add the site. The same site twice is no error. Raises SiteIdTaken when another site has the id."""
        await self.database.write(
            "INSERT INTO sites (site_id, name, timezone, systems) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
            *(new.site_id, new.name, new.timezone, new.systems),
        )
        site = await self.site(new.site_id)
        if site is None or any(getattr(site, name) != getattr(new, name) for name in new.model_fields_set):
            raise SiteIdTaken(f"There is another site {new.site_id}", "Choose another id", field="site_id")
        return site

    async def edit_site(self, site_id: str, edit: SiteEdit) -> Site:
        """Change a site. Raises NoSuchSite, or InstanceInUse when a client of it has what another instance serves."""
        [row] = await self.database.write(_EDIT, site_id, edit.systems, edit.name)
        if row["site_id"]:
            return _site(row)
        if not row["served"]:
            raise NoSuchSite(site_id)
        raise InstanceInUse(
            "; ".join(
                f"Instance {it['instance']} serves {spoken(it['system'])} of {it['clients']} living "
                f"client{'s' * (it['clients'] != 1)} of the site"
                for it in row["served"]
            ),
            "Have these services removed first, or add another site",
            field="systems",
        )

    async def at_site(self, client_id: str, message: AnyMessage) -> AnyMessage:
        """The message with the instances that serve the client's site now, where it does not say them."""
        command = message.command()
        if not (isinstance(message, ContractingMessage) and isinstance(command, Contracting)):
            return message
        if not (unsaid := {*command.systems} - message.instances.keys()):
            return message
        rows = await self.database.read(
            "SELECT s.systems FROM clients c JOIN sites s USING (site_id) WHERE c.client_id = $1", client_id
        )
        named = {system: row["systems"].get(system, MAIN) for row in rows for system in unsaid}
        return message.model_copy(update={"instances": message.instances | named})

    # -- clients ----------------------------------------------------------------------------------------------------

    async def timezone(self, client_id: str) -> str | None:
        """The time zone that the client's days are of; None where there is no such client. Raises DirectoryAway."""
        rows = await self.database.read(
            "SELECT s.timezone FROM clients c JOIN sites s ON s.site_id = c.site_id WHERE c.client_id = $1", client_id
        )
        return rows[0]["timezone"] if rows else None

    async def client(self, client_id: str, now: datetime) -> ClientView | None:
        rows = await self.database.read(_ONE, client_id)
        return view_of(rows[0], now) if rows else None

    async def with_proofs(self, view: ClientView) -> ClientView:
        """A client as its workflow shows it, with the proofs that are ahead of the workflow."""
        rows = await self.database.read(_ONE, view.client_id)
        if not rows:
            return view
        view = with_matters(view, rows[0])
        return proven(view, rows[0]) if rows[0]["revision"] >= view.revision else view

    async def incarnation(self, client_id: str) -> str:
        """The first run of a client's workflow; empty for an id that no client has, or ever had."""
        rows = await self.database.read("SELECT incarnation FROM clients WHERE client_id = $1", client_id)
        return rows[0]["incarnation"] if rows else ""

    async def clients(self, filters: ClientFilter, now: datetime) -> tuple[list[ClientView], str | None]:
        """A page of the list, the management client of a site first, and the cursor of the next one.

        Raises NoSuchPage.
        """
        picked = picking(filters)
        rows, last = await self.database.page(
            f"{_CLIENT}, l.sort_key::text AS sort_text, l.sort_name "
            f"FROM ({picked.query}) l JOIN clients c USING (client_id) ORDER BY {picked.order}",
            picked.values,
            filters.limit,
        )
        return [view_of(row, now) for row in rows], last and cursor_of(filters, last)

    async def counts(self, filters: ClientFilter) -> dict[str, int]:
        """The number of clients of each status. The filter applies, but for its status."""
        query, values = counting(filters)
        return {row["status"]: row["number"] for row in await self.database.read(query, *values)}

    async def settled(self, client_id: str, revision: int, now: datetime) -> ClientView | None:
        """The client, if everything that was decided up to ``revision`` is done, or accepted as it is, and shown."""
        rows = await self.database.read(
            f"{_ONE} AND c.revision >= $2 AND c.provisioning IN ('settled', 'skipped')", client_id, revision
        )
        return view_of(rows[0], now) if rows else None

    async def logins(self, client_id: str) -> dict[str, SeenLogin]:
        """The logins of a client's lines and accounts as they were last seen; those never seen are not in it."""
        rows = await self.database.read(
            "SELECT DISTINCT ON (f->>'subject') f->>'subject' AS subject, f->'seen'->>'secret' AS secret, "
            "f->'seen'->>'known_as' AS known_as FROM proofs p, jsonb_array_elements(p.findings) f "
            "WHERE p.client_id = $1 AND p.kind <> 'look' AND f->'seen' ? 'secret' "
            "ORDER BY f->>'subject', p.revision DESC, p.at DESC",
            client_id,
        )
        return {row["subject"]: SeenLogin.of(row["secret"], row["known_as"] or "") for row in rows}

    async def taken(self, client_id: str, numbers: Sequence[str], billing_ref: str | None) -> Taken | None:
        """The refusal, if another client holds one of these numbers or this billing reference."""
        sql = "SELECT number FROM numbers WHERE number = ANY($1) AND client_id <> $2 ORDER BY number"
        if rows := await self.database.read(sql, list(numbers), client_id):
            return NumberTaken(
                f"{', '.join(row['number'] for row in rows)} belong{'s' * (len(rows) == 1)} to another client",
                "Choose another number, or have it ceased there first",
                field="lines",
            )
        if billing_ref and await self.database.read(
            "SELECT 1 FROM billing_refs WHERE billing_ref = $1 AND client_id <> $2", billing_ref, client_id
        ):
            return BillingRefTaken(
                f"Billing reference {billing_ref} belongs to another client",
                "Choose another, or leave it blank to have one generated",
                field="billing_ref",
            )
        return None

    # -- systems ----------------------------------------------------------------------------------------------------

    async def attention(self, filters: AttentionFilter) -> AttentionPage:
        """A page of the clients that need a person, by system, the oldest first. Raises NoSuchPage."""
        return await those_waiting(self.database, filters)

    async def matters(self, filters: MatterFilter) -> MatterPage:
        """A page of the open matters, the oldest first, and how many there are of each kind. Raises NoSuchPage."""
        return await open_matters(self.database, filters)

    async def systems(self) -> SystemPage:
        """The state of each system as the workers find it, and the number of clients that wait for it."""
        return await systems(self.database)

    # -- history ----------------------------------------------------------------------------------------------------

    async def history(self, client_id: str, limit: int, cursor: str | None, event: str = "") -> HistoryPage | None:
        """A page of a client's history, or of its lines of one kind, newest first; None for an unknown client.

        Raises NoSuchPage.
        """
        where = Where(["h.client_id = $1"], [client_id])
        where.equal({"h.event": event})
        counting = f"SELECT count(*) FROM history h {where}"  # noqa: S608  # the terms are ours, the values parameters
        known = await self.database.read(
            f"SELECT s.timezone, ({counting}) AS total "  # noqa: S608  # see above
            "FROM clients c JOIN sites s USING (site_id) WHERE c.client_id = $1",
            *where.values,
        )
        if not known:
            return None
        if cursor:
            where.beyond(
                "(h.at, h.history_id) < ({}::text::timestamptz, {}::bigint)", opened(cursor, "history", (str, int))
            )
        order = f"ORDER BY h.at DESC, h.history_id DESC LIMIT {where.parameter(limit + 1)}"
        rows, last = await self.database.page(f"{_LINE} {where} {order}", where.values, limit)
        return HistoryPage(
            items=[_entry(row, known[0]["timezone"]) for row in rows],
            next=last and sealed("history", (last["sort_key"], last["history_id"])),
            total=known[0]["total"],
        )

    async def note_refusal(self, client_id: str, message: AnyMessage, refusal: Refusal, now: datetime) -> None:
        """Append a refusal to a client's history, with who asked and why. The same command is noted once."""
        await self.database.write(
            "INSERT INTO history (client_id, event, at, kind, text, by, source, reason, command_id, revision, facts) "
            "SELECT client_id, 'refused', $2, $3, $4, $5, $6, $7, $8, revision, $9 FROM clients "
            "WHERE client_id = $1 AND NOT EXISTS (SELECT FROM history h WHERE h.client_id = $1 "
            "AND (h.event, h.kind, h.command_id, h.text) = ('refused', $3, $8, $4))",
            *(client_id, now, message.kind.value, str(refusal), message.by, message.source, message.reason),
            *(message.command_id, refusal.facts),
        )


def _site(row: asyncpg.Record) -> Site:
    fields = {name: row[name] for name in Site.model_fields}
    return Site(**{**fields, "created_at": at_site(row["created_at"], row["timezone"])})


def _entry(row: asyncpg.Record, timezone: str) -> HistoryEntry:
    return HistoryEntry(**{**row, "at": at_site(row["at"], timezone)})
