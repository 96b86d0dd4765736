"""What people do with open matters, for API and console: acknowledge, assign, snooze.

Acknowledging hides a matter until it is another one: ``ACKNOWLEDGED`` says what that means for each kind. What closes
by itself when it is resolved is assigned or snoozed instead.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from starter.clients import ClientService, check_id
from starter.contract.answers import MatterAnswer, MatterPage
from starter.contract.bodies import MatterFilter
from starter.directory.matter_actions import Verb, acknowledged, begin_acknowledging, keep, keep_acknowledged
from starter.directory.matters import END, NOBODY, START, matter_named, matter_of_list
from starter.directory.paging import DirectoryDatabase
from starter.directory.reads import DirectoryReads
from starter.errors import NoSuchClient, NoSuchMatter, NotAcknowledged
from workflows.domain.dates import first_instant, local_time
from workflows.domain.errors import InvalidField
from workflows.wire.matters import PLAN_REFUSED
from workflows.wire.messages import Acknowledge

ACKNOWLEDGED = {
    "skipped": "It stays skipped, and is listed again when somebody skips it anew.",
    END: "It is listed again when another end date has passed.",
    START: "It is listed again when another start date has come.",
    "plan_blocked": "It is listed again when something else blocks the plan.",
    PLAN_REFUSED: "It is not listed again.",
}
"""The kinds that can be acknowledged, and what then follows."""

ME = "me"


async def open_matters(clients: ClientService, filters: MatterFilter, by: str) -> MatterPage:
    """A page of what is open, as ``by`` asks for it, with the titles that the settings give. Raises NoSuchPage,
    DirectoryAway."""
    if (filters.assigned_to or "").lower() == ME:
        filters = filters.model_copy(update={"assigned_to": by})
    page = await clients.directory.matters(filters, datetime.now(UTC))
    items = [
        item.model_copy(update={"text": clients.catalogue.sentence(item.text, item.system)}) if item.system else item
        for item in page.items
    ]
    return page.model_copy(update={"items": items})


@dataclass(frozen=True)
class MatterActions:
    """Who does something about which matter, under which key. ``client_id`` is empty for a matter of an instance."""

    clients: ClientService
    client_id: str
    matter: str
    by: str
    command_id: str
    reason: str = ""
    directory: DirectoryReads | None = None
    """Where to look and to write, if not in that of ``clients``."""

    async def acknowledge(self) -> MatterAnswer:
        """Hide it until it is another one. Raises NoSuchMatter, NotAcknowledged, Away, and what commands raise."""
        return await self.acknowledge_at_client(await self.hide())

    async def acknowledge_at_client(self, answer: MatterAnswer) -> MatterAnswer:
        """The answer, once the client has acknowledged what it keeps itself. Raises what commands raise."""
        if answer.kind != PLAN_REFUSED or not answer.changed:
            return answer
        own = hashlib.sha256(f"acknowledge {self.command_id}".encode()).hexdigest()[:32]  # the key is this request's
        fields = {"matter": self.matter, "reason": self.reason, "by": self.by, "command_id": own}
        verdict = await self.clients.command(self.client_id, Acknowledge.model_validate(fields))
        answer = answer.model_copy(update={"changed": verdict.changed, "message": verdict.message})
        await keep_acknowledged(self._database, answer, datetime.now(UTC))
        return answer

    async def hide(self) -> MatterAnswer:
        """As ``acknowledge``, but for what a client keeps itself: ``acknowledge_at_client`` has it do so."""
        try:
            row = await self._row()
        except NoSuchMatter:
            return await self._acknowledged_before()
        if row["kind"] not in ACKNOWLEDGED:
            raise NotAcknowledged(
                f"Matter {self.matter} closes by itself when it is resolved",
                "Do what its remedies say, or assign or snooze it",
                field="matter",
            )
        if row["kind"] == PLAN_REFUSED and row["acknowledged_at"] is not None:
            return await self._acknowledged_before()
        if row["kind"] == PLAN_REFUSED:
            await begin_acknowledging(self._database, row, self.by, datetime.now(UTC))
            return MatterAnswer(**dict(matter_of_list(row)), changed=True, message="")
        changed = {"acknowledged_at": datetime.now(UTC)} if row["acknowledged_at"] is None else {}
        return await self._record(row, changed, "acknowledge", f"Acknowledged. {ACKNOWLEDGED[row['kind']]}")

    async def assign(self, to: str | None) -> MatterAnswer:
        """Assign it to somebody; ``me``: to whoever asks, ``nobody`` or None: to nobody. Raises
        NoSuchMatter, DirectoryAway."""
        name = {ME: self.by, NOBODY: ""}.get((to or NOBODY).lower(), to or "")
        row = await self._row()
        changed = {"assigned_to": name} if row["assigned_to"] != name else {}
        return await self._record(row, changed, "assign", f"Assigned to {name}" if name else "Assigned to nobody")

    async def snooze(self, until: date | datetime | None, *, end: bool = False) -> MatterAnswer:
        """Snooze it until a moment, the first of a day at the site, or until its text changes, whichever comes first;
        None: until its text changes. ``end``: end the snooze. Raises InvalidField, NoSuchMatter, DirectoryAway."""
        row, now = await self._row(), datetime.now(UTC)
        zone = row["timezone"]
        moment = until if isinstance(until, datetime) or until is None else first_instant(until, zone)
        if moment and moment <= now:
            raise InvalidField("A matter is snoozed until a future moment", "Give a later one", field="snoozed_until")
        after = {"snoozed": not end, "snoozed_until": moment}
        changed = {} if all(row[name] == value for name, value in after.items()) else after
        if end:
            return await self._record(row, changed, "snooze", "Snooze ended")
        news = "until its text changes"
        text = f"Snoozed until {local_time(moment, zone)}, or {news}" if moment else f"Snoozed {news}"
        return await self._record(row, changed, "snooze", text)

    async def _acknowledged_before(self) -> MatterAnswer:
        """The answer of then. Raises NoSuchMatter where nobody has acknowledged it."""
        answer = await acknowledged(self._database, self.client_id, self.matter)
        if answer is None:
            raise NoSuchMatter(self.matter)
        return MatterAnswer.model_validate(answer | {"changed": False})

    @property
    def _database(self) -> DirectoryDatabase:
        return (self.directory or self.clients.directory).database

    async def _row(self) -> Mapping[str, Any]:
        directory, now = self.directory or self.clients.directory, datetime.now(UTC)
        if self.client_id:
            check_id(self.client_id)
        row = await matter_named(directory.database, self.client_id, self.matter, now)
        if row is None:
            if self.client_id and not await directory.incarnation(self.client_id):
                raise NoSuchClient(self.client_id)
            raise NoSuchMatter(self.matter)
        return row

    async def _record(self, row: Mapping[str, Any], changed: Mapping[str, Any], verb: Verb, text: str) -> MatterAnswer:
        matter = matter_of_list({**row, **changed})
        if changed:
            line = f"{text.rstrip('.')}: {matter.text}"
            await keep(
                self._database,
                row,
                changed,
                verb,
                line[:500],
                datetime.now(UTC),
                by=self.by,
                reason=self.reason,
                command_id=self.command_id,
            )
        return MatterAnswer(**dict(matter), changed=bool(changed), message=text)
