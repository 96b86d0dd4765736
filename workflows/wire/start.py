"""What starts a client's workflow, and where it runs."""

from workflows.domain.state import ClientState
from workflows.domain.systems import System
from workflows.wire.messages import Model

ID_PREFIX = "client-"
TASK_QUEUE = "provisioning"


def queue_of(system: System, instance: str, clients: str = TASK_QUEUE) -> str:
    """The task queue of those who serve an instance of a system for these clients."""
    return f"{clients}-{system}-{instance}"


def workflow_id(client_id: str) -> str:
    """The id of a client's workflow."""
    return f"{ID_PREFIX}{client_id}"


def client_id_of(workflow_id: str) -> str:
    """The client whose workflow this is."""
    return workflow_id.removeprefix(ID_PREFIX)


class ClientStart(Model):
    """What a run begins with: a new client's state, or the state the run before it passed on.

    A model, not a dataclass: pydantic compiles its schema once, and not anew for each client a worker takes up.
    """

    state: ClientState
