"""The service behind every interface: create, command, read and wait, from the workflows and the directory."""

import asyncio
import re
from datetime import UTC, datetime
from typing import TypeVar

import structlog

from activities.watch import matters
from starter.contract.answers import ClientPage, Credentials, HistoryPage, NotePage, Servers
from starter.contract.bodies import ClientFilter, ClientGiven
from starter.contract.catalogue import ONLY_BUILT_IN, Catalogue
from starter.contract.ids import client_id_for
from starter.creating import client_of, digest_of, no_such_site
from starter.credentials import Keyring
from starter.directory.answers import Answers, Key, with_warnings
from starter.directory.listing import total_of
from starter.directory.reads import DirectoryReads
from starter.directory.watching import Watch, until_settled
from starter.errors import (
    CannotRun,
    DirectoryAway,
    NoSuchClient,
    NotRunning,
    StarterError,
    TemporalAway,
    WorkflowMissing,
    WorkflowStuck,
    id_taken,
)
from starter.request_ids import REQUEST_ID, with_request_id
from starter.temporal.gateway import Gateway, is_recorded
from starter.warnings import directory_warnings, taken_by_others
from workflows.domain.answers import CREATE, Answer
from workflows.domain.client.notes import NOTED, note_entry
from workflows.domain.client.planning import named_day
from workflows.domain.commands import Note, check_revision
from workflows.domain.dates import at_site, local_time, resolve
from workflows.domain.errors import (
    CommandIdReused,
    IllegalTransition,
    NumberNotValid,
    Refusal,
    Situation,
    Taken,
    TooManyWaiting,
    refusal_of,
)
from workflows.domain.journal import UNCHANGED, Event, entry_for
from workflows.domain.lifecycle import Status
from workflows.domain.provisioning.provisioning import Provisioned
from workflows.domain.provisioning.standing import Limits
from workflows.domain.state import ClientState
from workflows.wire.grammar import CLIENT_ID
from workflows.wire.matters import MatterView, RemedyView
from workflows.wire.messages import AboutSystem, AnyMessage, DatedMessage, Decommission
from workflows.wire.previews import PreviewView
from workflows.wire.views import ClientView, CommandAnswer, end_date_passed

NO_KEYS = Keyring(None, Servers(sip=None, sip_domain="", radius=None))
log = structlog.get_logger(__name__)

View = TypeVar("View", bound=ClientView)

NOBODY_THERE = "Temporal does not run the client's workflow."
STUCK = "The client's workflow cannot go on."
RECORDED_BY_THE_WORKFLOW = (Taken, NumberNotValid)  # it had accepted the command: the directory decided against it


class ClientService:
    """Carries out the requests of the API and the console. ``limits`` are the time limits of new clients."""

    def __init__(
        self,
        gateway: Gateway,
        directory: DirectoryReads,
        watch: Watch,
        limits: Limits,
        keyring: Keyring = NO_KEYS,
        catalogue: Catalogue = ONLY_BUILT_IN,
    ) -> None:
        self.gateway = gateway
        self.directory = directory
        self.watch = watch
        self.catalogue = catalogue
        self._answers = Answers(directory.database)
        self._limits = limits
        self.keyring = keyring

    async def create(self, new: ClientGiven, command_id: str, by: str = "", *, fresh: bool = False) -> ClientView:
        """Create a client, in the name of ``by``. The directory has it then. Raises a Refusal, Away or NotDecided.

        The first verdict on a ``command_id`` stands. ``fresh``: this one was never used.
        """
        key = Key(new.client_id or client_id_for(command_id), command_id, digest_of(new), CREATE, by)
        if not fresh and (known := await self._earlier_answer(key)):
            return with_warnings(await self.client(key.client_id), known)
        try:
            return await self._create(new, key, by, fresh=fresh)
        except Refusal as refusal:
            if known := await self._record_refusal(key, refusal, fresh=fresh):
                return with_warnings(await self.client(key.client_id), known)
            raise

    async def _create(self, new: ClientGiven, key: Key, by: str, *, fresh: bool) -> ClientView:
        client_id = key.client_id
        await asyncio.gather(self.directory.check_not_reserved(client_id), self.gateway.have_key(client_id))
        if await self.directory.incarnation(client_id):  # or a run that fails stands in front of that client's
            raise id_taken(client_id)
        site = await self.directory.site(new.site)
        if site is None or site.retired:
            raise no_such_site(site, new.site, await self.directory.sites())
        client = client_of(new, client_id, site, self.catalogue)
        state = ClientState.of_new(client, self._limits, key.command_id, by, key.fingerprint, REQUEST_ID.get())
        created = self._present(await self.gateway.create(state, key.fingerprint))
        warnings = await directory_warnings(self.directory, client_id, new, site.site_id)
        return await self._answers.with_warnings(created, warnings, None if fresh else key)

    async def command(self, client_id: str, message: AnyMessage, *, fresh: bool = False) -> CommandAnswer:
        """Send a command, and return the client's answer. Raises a Refusal, NoSuchClient, Away or NotDecided.

        The first verdict on a ``command_id`` stands: what was obeyed is answered so, with its warnings of then and the
        client as it is now; what was refused is refused with the same words. ``fresh``: this one was never used.
        """
        check_id(client_id)
        message = with_request_id(self.catalogue.complete(message))
        key = Key.of(client_id, message)
        if not fresh and (earlier := await self._earlier_answer(key)):
            return await self._repeat_answer(earlier, client_id, message)
        message = await self._with_instant(client_id, message)
        try:
            try:
                answer = self._present(await self.gateway.command(client_id, message), message)
                warnings = await directory_warnings(self.directory, client_id, message)
                return await self._answers.with_warnings(answer, warnings, None if fresh else key)
            except NotRunning:
                return self._present(await self._command_closed(client_id, message, key))
        except (WorkflowStuck, TemporalAway) as trouble:
            raise await self._why_not(client_id, trouble) from trouble
        except Refusal as refusal:
            if earlier := await self._record_refusal(key, refusal, fresh=fresh):
                return await self._repeat_answer(earlier, client_id, message)
            if not isinstance(refusal, RECORDED_BY_THE_WORKFLOW) and not is_recorded(refusal):
                await self._note(client_id, message, refusal)
            raise

    async def preview(self, client_id: str, message: AnyMessage) -> PreviewView:
        """What a command would do; nothing is done. A refusal is part of the answer. Raises NoSuchClient, Away."""
        check_id(client_id)
        try:
            message = await self.directory.at_site(client_id, self.catalogue.complete(message))
            preview = await self.gateway.preview(client_id, await self._with_instant(client_id, message))
            conflict = await taken_by_others(self.directory, client_id, message) if preview.changed else None
            warnings = [] if preview.refusal else await directory_warnings(self.directory, client_id, message)
            preview = preview.model_copy(update={"warnings": [*preview.warnings, *warnings]})
            return PreviewView.refused(conflict) if conflict else preview
        except NotRunning:
            try:
                answer = await self._command_closed(client_id, message)
            except Refusal as refusal:
                return PreviewView.refused(refusal)
            return PreviewView(
                changed=answer.changed, message=answer.message, status_before=answer.status, status_after=answer.status
            )
        except (WorkflowStuck, TemporalAway) as trouble:
            raise await self._why_not(client_id, trouble) from trouble

    async def client(self, client_id: str) -> ClientView:
        """The client, from its workflow while that runs, from the directory while it cannot, and afterwards. Raises
        NoSuchClient, Away."""
        check_id(client_id)
        try:
            view = await self.gateway.client(client_id)
        except (NotRunning, WorkflowStuck, TemporalAway) as trouble:
            return self._present(await self._without_workflow(client_id, trouble))
        now = datetime.now(UTC)  # a query's clock may stand still
        passed = end_date_passed(view.end_date, now, view.timezone)
        view = view.model_copy(update={"end_date_passed": passed})
        try:
            return self._present(await self.directory.with_proofs(view, now))
        except DirectoryAway:
            return self._present(view)

    async def credentials(self, client_id: str, by: str) -> Credentials:
        """The credentials of a client, once its history says who looks. Raises NoSuchClient, Away, NoMasterKey."""
        credentials = self.keyring.credentials(await self.client(client_id), await self.directory.logins(client_id))
        await self.directory.note_look(client_id, by, datetime.now(UTC))
        return credentials

    async def wait_settled(self, view: View, seconds: float) -> View:
        """The client when its decision is done and shown, or as it is when the time is over first."""
        published = await until_settled(self.directory, self.watch, view, seconds)
        if published is None:
            try:
                published = await self.directory.client(view.client_id, datetime.now(UTC))
            except DirectoryAway:
                return view
        if published is None or published.revision < view.revision:
            return view
        warnings = view.warnings  # an answer has those of its command
        if not isinstance(view, CommandAnswer):
            warnings = [*published.warnings, *(it for it in view.warnings if it not in published.warnings)]
        return self._present(view.model_copy(update={**dict(published), "warnings": warnings}).with_actions())

    async def clients(self, filters: ClientFilter) -> ClientPage:
        """A page of the list, and the number of all clients. Raises NoSuchPage, DirectoryAway."""
        counting = self.directory.counts(filters, datetime.now(UTC))
        (items, cursor), counts = await asyncio.gather(self.list_page(filters), counting)
        return ClientPage(items=items, next=cursor, total=total_of(counts, filters))

    async def list_page(self, filters: ClientFilter) -> tuple[list[ClientView], str | None]:
        """A page of the list and the cursor of the next one; nothing is counted. Raises NoSuchPage, DirectoryAway."""
        items, cursor = await self.directory.clients(filters, datetime.now(UTC))
        return [self._present(view) for view in items], cursor

    async def these(self, client_ids: list[str]) -> list[ClientView]:
        """These clients, as the list has them; without those that there are not. Raises DirectoryAway."""
        return [self._present(view) for view in await self.directory.those(client_ids, datetime.now(UTC))]

    async def history(self, client_id: str, limit: int, cursor: str | None, event: str = "") -> HistoryPage:
        """A page of a client's history, newest first, all of it or one kind of line.

        Raises NoSuchClient, NoSuchPage, DirectoryAway.
        """
        check_id(client_id)
        page = await self.directory.history(client_id, limit, cursor, event)
        if page is None:
            raise NoSuchClient(client_id)
        return self.catalogue.history_with_titles(page)

    async def notes(self, client_id: str, limit: int, cursor: str | None) -> NotePage:
        """A page of what people had to say about a client, newest first. Raises NoSuchClient, NoSuchPage,
        DirectoryAway."""
        check_id(client_id)
        page = await self.directory.notes(client_id, limit, cursor)
        if page is None:
            raise NoSuchClient(client_id)
        return page

    async def country(self, client: ClientView) -> str | None:
        """That of a client's site, for numbers which people type without a plus. Raises DirectoryAway."""
        site = await self.directory.site(client.site)
        return site.country if site else None

    # -- inside -----------------------------------------------------------------------------------------------------

    async def _with_instant(self, client_id: str, message: AnyMessage) -> AnyMessage:
        """The message with its day as an instant, by the zone rules that we have now. While the directory is away, or
        does not know the client, its workflow resolves the day."""
        if not isinstance(message, DatedMessage) or (day := named_day(message.command())) is None:
            return message
        try:
            timezone = await self.directory.timezone(client_id)
        except DirectoryAway:
            return message
        return message.dated(resolve(day, timezone)) if timezone else message

    async def _earlier_answer(self, key: Key) -> Answer | None:
        """The earlier answer to the same command, whose the key is from now on. Raises its earlier refusal, or
        CommandIdReused.

        While the directory is away, only the client's workflow knows its earlier commands.
        """
        try:
            return await self._answers.claim(key)
        except DirectoryAway as away:
            log.warning("answer_not_looked_up", client_id=key.client_id, command=key.kind, error=str(away))
            return None

    async def _repeat_answer(self, known: Answer, client_id: str, message: AnyMessage) -> CommandAnswer:
        view = await self.client(client_id)
        return self._present(CommandAnswer.to(known, view), message)

    async def _record_refusal(self, key: Key, refusal: Refusal, *, fresh: bool) -> Answer | None:
        """Record a refusal as the verdict. If the key was carried out meanwhile, returns that answer.

        A refusal that may be over at the next attempt is not kept, nor is one of the key itself. Raises DirectoryAway:
        a verdict that could not be kept is not given to who may ask again.
        """
        if isinstance(refusal, TooManyWaiting | CommandIdReused):
            return None
        try:
            return await self._answers.keep(key, refusal)
        except DirectoryAway as away:
            if not fresh:
                raise
            log.warning("refusal_not_kept", client_id=key.client_id, command=key.kind, error=str(away))
            return None

    async def _read_client(self, client_id: str) -> ClientView:
        view = await self.directory.client(client_id, datetime.now(UTC))
        if view is None:
            raise NoSuchClient(client_id)
        return view

    def _present(self, view: View, message: AnyMessage | None = None) -> View:
        """The client as people are shown it: linked to its workflow, with titles, also in an answer."""
        link, systems = self.gateway.ui_link(view.client_id), self.catalogue.present(view.systems)
        update: dict[str, object] = {"temporal_ui_url": link, "systems": systems}
        update["warnings"] = self.catalogue.warnings(view)
        if isinstance(view, CommandAnswer) and isinstance(message, AboutSystem):
            update["message"] = self.catalogue.sentence(view.message, message.system)
        return view.model_copy(update=update)

    async def _without_workflow(self, client_id: str, trouble: StarterError) -> ClientView:
        """The client as the directory has it, because its workflow did not answer. A living one needs attention, and
        no action is possible. Raises ``trouble`` when Temporal is away and nothing is known against the workflow."""
        try:
            view = (await self._read_client(client_id)).with_actions()
        except (DirectoryAway, NoSuchClient) as unknown:
            raise (unknown if isinstance(trouble, NotRunning) else trouble) from unknown
        if isinstance(trouble, NotRunning) and view.status is Status.DECOMMISSIONED:
            return view
        matter, why = await self._matter(view, trouble), NOBODY_THERE if isinstance(trouble, NotRunning) else STUCK
        if matter is None:
            raise trouble
        actions = [action.model_copy(update={"possible": False, "why": why}) for action in view.actions]
        other_matters = [other for other in view.matters if other.matter != matter.matter]
        return view.model_copy(
            update={"provisioning": Provisioned.ATTENTION, "actions": actions, "matters": [matter, *other_matters]}
        )

    async def _why_not(self, client_id: str, trouble: StarterError) -> StarterError:
        """The error with the matter that stands behind it, where one is known."""
        try:
            matter = await self._matter(await self._read_client(client_id), trouble)
        except (DirectoryAway, NoSuchClient):
            return trouble
        return _cannot_run(client_id, matter, WorkflowStuck) if matter else trouble

    async def _matter(self, view: ClientView, trouble: StarterError) -> MatterView | None:
        """Why a client's workflow cannot run: as the watch found it, or as Temporal says now. None: it is Temporal that
        does not answer, or no worker does."""
        if known := next((matter for matter in view.matters if matter.matter == matters.WORKFLOW), None):
            return known
        try:
            found = await self.gateway.diagnose(view.client_id, await self.directory.incarnation(view.client_id))
        except TemporalAway:
            return None
        if found is None and isinstance(trouble, TemporalAway):
            return None
        found = found or matters.Matter(view.client_id, matters.FAILS, str(trouble))
        return MatterView(
            matter=matters.WORKFLOW,
            kind=found.kind,
            system=None,
            since=at_site(found.since or datetime.now(UTC), view.timezone),
            text=found.text,
            remedies=[RemedyView(text=remedy.text, command=remedy.command) for remedy in found.remedies],
        )

    async def _command_closed(self, client_id: str, message: AnyMessage, key: Key | None = None) -> CommandAnswer:
        """The answer of a client whose workflow has ended. Decommissioned is final, and decommissioning again changes
        nothing. What is not refused stands in its history, under ``key``; without one, nothing is written."""
        view = await self._read_client(client_id)
        check_revision(command := message.command(), view.revision, lambda: Situation(view.status))
        now = datetime.now(UTC)
        ended = local_time(view.decommissioned_at, view.timezone) if view.decommissioned_at else "an earlier time"
        if isinstance(command, Note):
            entry = note_entry(command, now, view.revision)
            answer = CommandAnswer(**dict(view), changed=True, message=NOTED)
        elif view.status is not Status.DECOMMISSIONED:
            closed = NotRunning(client_id)
            matter = await self._matter(view, closed)
            raise _cannot_run(client_id, matter, WorkflowMissing) if matter else closed
        elif isinstance(message, Decommission) and message.last_day is message.at is None:
            answer = CommandAnswer(**dict(view), changed=False, message=f"Already decommissioned at {ended}")
            entry = entry_for(command, Event.ASKED, f"{answer.message}; {UNCHANGED}", now, view.revision)
        else:
            raise IllegalTransition(
                f"Cannot {message.kind.spoken}: the client was already decommissioned at {ended}",
                situation=Situation(view.status),
            )
        if key is not None:
            await self.directory.write_after_end(client_id, entry, key.fingerprint, answer)
        return answer

    async def _note(self, client_id: str, message: AnyMessage, refusal: Refusal) -> None:
        """Write a refusal to the history. The caller gets it also when that fails."""
        try:
            await self.directory.note_refusal(client_id, message, refusal, datetime.now(UTC))
        except DirectoryAway as away:
            log.warning("refusal_not_noted", client_id=client_id, command=message.kind, error=str(away))


def refusal_in(preview: PreviewView) -> Refusal | None:
    """The refusal in a preview, if there is one."""
    return refusal_of(preview.refusal["type"], preview.refusal) if preview.refusal else None


def _cannot_run(client_id: str, matter: MatterView, kind: type[CannotRun]) -> CannotRun:
    return kind(client_id, matter.text, [(remedy.text, remedy.command) for remedy in matter.remedies])


def check_id(client_id: str) -> None:
    """Raises NoSuchClient for an id that no client can have."""
    if not re.fullmatch(CLIENT_ID, client_id):
        raise NoSuchClient(client_id)
