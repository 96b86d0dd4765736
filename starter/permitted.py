"""The service as one caller may use it: what it sees, and which commands it may send, whatever the interface.

Whoever is limited to sites is told of another site's client what is told of none: the same error, found by the same
query, before anything is asked of a workflow.
"""

from typing import TypeVar

from starter.clients import ClientService, check_id, refusal_in
from starter.contract.bodies import ClientGiven
from starter.contract.callers import OF_KINDS, Caller, Permission, Role, roles_of
from starter.directory.answers import Key
from starter.errors import NoSuchClient, NotAllowed, id_taken
from workflows.domain.errors import PlanOfAnother
from workflows.domain.lifecycle import Kind
from workflows.wire.messages import AnyMessage
from workflows.wire.previews import PreviewView
from workflows.wire.views import ClientView, CommandAnswer

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
        try:
            return await super().command(client_id, message, fresh=fresh)
        except PlanOfAnother as refusal:
            raise self._not_its_own(refusal.why) from refusal

    async def preview(self, client_id: str, message: AnyMessage) -> PreviewView:
        message = await self._in_own_name(client_id, message)
        preview = await super().preview(client_id, message)
        if isinstance(refusal := refusal_in(preview), PlanOfAnother):
            raise self._not_its_own(refusal.why)
        return preview

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
        """The message, in the name of a source of the caller's where it names none. A service's says whose
        plans are its own: by that the client's workflow decides. Raises NotAllowed, NoSuchClient."""
        check_may(self.caller, OF_KINDS[message.kind])
        if self.caller.role is Role.SERVICE:
            source = message.source if "source" in message.model_fields_set else self.caller.sources[0]
            message = message.model_copy(update={"source": source, "own_sources": [*self.caller.sources]})
        if not self.caller.owns(message.source):
            raise self._not_its_own(f"Source {message.source} is not one of its own")
        await self.check_visible(client_id)
        return message

    def _not_its_own(self, why: str) -> NotAllowed:
        own = ", ".join(self.caller.sources)
        return NotAllowed(
            f"Nothing was done: {self.caller.name} has the role service. {why}. It places, lifts and cancels what is "
            f"of {own}; anything else takes the role {roles_of(Permission.COMMAND)}."
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
