"""The Nexus service ClientLifecycle: what workflows of other namespaces ask of clients, and what they are answered.

Inputs have the fields of HTTP's bodies, and answers are those of HTTP (PRODUCT.md section 7.2). Changes are additive.
"""

from typing import Annotated, Any, Self

from nexusrpc import Operation, service
from pydantic import Field, ModelWrapValidatorHandler, StringConstraints, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from workflows.wire.fields import CommandId, PlanName
from workflows.wire.grammar import CLIENT_ID, sentence
from workflows.wire.messages import Body, PlannableBody, Strict
from workflows.wire.views import ClientView, CommandAnswer

ENDPOINT = "connect"
"""The Nexus endpoint that `connect up` makes, and that a deployment should have."""


class ClientInput(Strict):
    """Which client. What is wrong with an input is said in the words of every other interface."""

    client_id: Annotated[str, StringConstraints(pattern=CLIENT_ID)]

    @model_validator(mode="wrap")
    @classmethod
    def _in_our_words(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(data)
        except ValidationError as wrong:
            errors = ((".".join(map(str, error["loc"])) or "The input", error) for error in wrong.errors())
            text = ". ".join(sentence(field, error) for field, error in errors)
            raise PydanticCustomError("input", "{text}", {"text": f"{text}."}) from None


class CommandInput(PlannableBody, ClientInput):
    """A command that happens now, or as planned. Without a ``command_id`` it has that of the operation's request, which
    stays the same when Temporal sends the operation again."""

    command_id: CommandId = ""


class CancelInput(Body, ClientInput):
    """Which planned change is cancelled: its kind, such as ``decommission``, or its change_id."""

    change: PlanName = Field(examples=["decommission"])
    command_id: CommandId = ""


@service(name="ClientLifecycle")
class ClientLifecycleService:
    """Its operations answer as soon as the command is decided: ``provisioning`` says whether it is proven, too."""

    suspend: Operation[CommandInput, CommandAnswer]
    unsuspend: Operation[CommandInput, CommandAnswer]
    decommission: Operation[CommandInput, CommandAnswer]
    cancel: Operation[CancelInput, CommandAnswer]
    view: Operation[ClientInput, ClientView]
