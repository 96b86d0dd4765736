"""The service as one caller may use it: what it sees, and which commands it may send, whatever the interface.

Whoever is limited to sites is told of another site's client what is told of none: the same error, found by the same
query, before anything is asked of a workflow.
"""

from typing import TypeVar

from starter.clients import ClientService, check_id
from starter.contract.bodies import ClientGiven
from starter.contract.callers import OF_KINDS, Caller, Permission, Role, roles_of
from starter.directory.answers import Key
from starter.errors import NoSuchClient, NotAllowed, id_taken
from workflows.domain.lifecycle import Kind
from workflows.wire.messages import AnyMessage, CancelPlanned, Suspend, Unsuspend
from workflows.wire.previews import PreviewView
from workflows.wire.views import ClientView, CommandAnswer, PlannedView

View = TypeVar("View", bound=ClientView)


def check_may(caller: Caller, permission: Permission) -> None:
    """Raises NotAllowed, which says what it takes."""
    if caller.may(permission):
        return
    limited = "" if caller.sees_all else " for some sites"
    everywhere = " for all sites" if caller.role.value in roles_of(permission) and limited else ""
    raise NotAllowed(
        f"Nothing was done: {caller.name} has the role {caller.role.value}{limited}. "
        f"To {permission.value} takes the role {roles_of(permission)}{everywhere}."
    )


class CallerService(ClientService):
    """What a ``ClientService`` does, as far as this caller may see and do it.

    Its methods raise NotAllowed, and NoSuchClient for clients of other sites, besides what they raise there.
    """

    def __init__(self, everything: ClientService, caller: Caller) -> None:
        vars(self).update(vars(everything))
        self.caller, self._everything = caller, everything
        self.directory = everything.directory.within(caller.sites)

    async def create(self, new: ClientGiven, command_id: str, by: str = "", *, fresh: bool = False) -> ClientView:
        check_may(self.caller, Permission.COMMAND)
        return await super().create(new, command_id, by, fresh=fresh)

    async def _create(self, new: ClientGiven, key: Key, by: str, *, fresh: bool) -> ClientView:
        if await self._everything.directory.incarnation(key.client_id):  # anywhere: ids are unique in the operator
            raise id_taken(key.client_id)
        return await super()._create(new, key, by, fresh=fresh)

    async def command(self, client_id: str, message: AnyMessage, *, fresh: bool = False) -> CommandAnswer:
        message = await self._in_own_name(client_id, message)
        if self.caller.role is Role.SERVICE and plan_meant(message):
            key = Key.of(client_id, message)
            if fresh or await self._earlier_answer(key) is None:
                await self._check_plans(client_id, message)
        return await super().command(client_id, message, fresh=fresh)

    async def preview(self, client_id: str, message: AnyMessage) -> PreviewView:
        message = await self._in_own_name(client_id, message)
        if self.caller.role is Role.SERVICE:
            await self._check_plans(client_id, message)
        return await super().preview(client_id, message)

    async def client(self, client_id: str) -> ClientView:
        await self.check_visible(client_id)
        return await super().client(client_id)

    async def check_visible(self, client_id: str) -> None:
        """Raises NoSuchClient for a client that there is not, or that is another site's."""
        check_id(client_id)
        if not self.caller.sees_all and not await self.directory.visible([client_id]):
            raise NoSuchClient(client_id)

    # -- inside -----------------------------------------------------------------------------------------------------

    async def _in_own_name(self, client_id: str, message: AnyMessage) -> AnyMessage:
        """The message, in the name of a source of the caller's where it names none. Raises NotAllowed, NoSuchClient."""
        check_may(self.caller, OF_KINDS[message.kind])
        if self.caller.role is Role.SERVICE and "source" not in message.model_fields_set:
            message = message.model_copy(update={"source": self.caller.sources[0]})
        if not self.caller.owns(message.source):
            raise self._not_its_own(f"source {message.source} is not one of its own")
        await self.check_visible(client_id)
        return message

    async def _check_plans(self, client_id: str, message: AnyMessage) -> None:
        """Raises NotAllowed when a service would cancel, or replace, a plan that is not its own."""
        if not (plan_name := plan_meant(message)):
            return
        for plan in (await self.client(client_id)).planned:
            if plan_name in (plan.change_id, plan.kind) and not self._owns(plan):
                raise self._not_its_own(f"what is planned, to {Kind(plan.kind).spoken}, is not its own")

    def _owns(self, plan: PlannedView) -> bool:
        source = plan.details.get("source")  # only suspending and unsuspending have one
        return source is not None and self.caller.owns(source)

    def _not_its_own(self, why: str) -> NotAllowed:
        own = ", ".join(self.caller.sources)
        return NotAllowed(
            f"Nothing was done: {self.caller.name} has the role service, and {why}. It places, lifts and cancels what "
            f"is of {own}; anything else takes the role {roles_of(Permission.COMMAND)}."
        )

    def _present(self, view: View, message: AnyMessage | None = None) -> View:
        view = super()._present(view, message)
        why = f"It takes the role {roles_of(Permission.COMMAND)}"
        actions = [
            action
            if self.caller.may(OF_KINDS[Kind(action.kind)])
            else action.model_copy(update={"possible": False, "why": why})
            for action in view.actions
        ]
        return view.model_copy(update={"actions": actions})


def plan_meant(message: AnyMessage) -> str:
    """The kind, or the change_id, of the plan that a service's command would cancel or replace; empty: none."""
    match message:
        case CancelPlanned():
            return message.change
        case Suspend() | Unsuspend() if message.last_day or message.at:
            return message.kind
    return ""
