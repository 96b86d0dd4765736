"""What the update ``command`` takes: any command, by its kind."""

from typing import Annotated, Any, Self, get_args

from pydantic import (
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PrivateAttr,
    RootModel,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from workflows.domain import commands
from workflows.wire.grammar import AS_IN_0_1
from workflows.wire.messages import AnyMessage

OfAnyKind = Annotated[AnyMessage, Field(discriminator="kind")]
_OF_ANY_KIND: TypeAdapter[AnyMessage] = TypeAdapter(OfAnyKind, config=ConfigDict(hide_input_in_errors=True))


class Message(RootModel[OfAnyKind | None]):
    """Any command; its ``kind`` says which, and is never left out.

    An update is decoded before anybody looks at its client, so here it is read as in 0.1.0. None: not even so.
    """

    model_config = ConfigDict(hide_input_in_errors=True)
    _raw: Any = PrivateAttr(None)

    @model_validator(mode="wrap")
    @classmethod
    def _as_in_0_1(cls, raw: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(raw, (cls, *get_args(AnyMessage))):
            return handler(raw)
        try:
            message = handler(_OF_ANY_KIND.validate_python(raw, context=AS_IN_0_1))
        except ValidationError:
            message = handler(None)
        message._raw = raw
        return message

    def read(self) -> AnyMessage:
        """The message by the grammar of now. Raises ValidationError."""
        return self.root if self.root and self._raw is None else _OF_ANY_KIND.validate_python(self._raw)

    def command(self) -> commands.AnyCommand:
        """The command, as 0.1.0 read it."""
        assert self.root
        return self.root.command()
