"""A form as it was sent: what was typed, what is wrong with it, and the command that it is."""

import re
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import uuid4

from starter.console.forms.errors import FormErrors
from starter.console.forms.lines import MORE, LineRow, place_of
from starter.console.rendering import Form
from starter.errors import NoSuchClient, StarterError
from workflows.domain.errors import Refusal

TYPING = "typing"  # names the field that is being typed in
COMMAND_ID = "command_id"

Answer = TypeVar("Answer")


@dataclass
class BoundForm:
    """A form, to be shown as it was typed with what there is to say about it.

    ``command_id`` is that of the command that it is: sent twice, it is done once.
    """

    form: Form
    errors: FormErrors = field(default_factory=FormErrors)
    command_id: str = field(default_factory=lambda: new_command_id())
    rows: Sequence[LineRow] = ()

    @classmethod
    def sent(cls, form: Form, order: Sequence[str], rows: Sequence[LineRow] = ()) -> "BoundForm":
        """A form that is to be carried out."""
        return cls(form, FormErrors(tuple(order)), command_id_of(form), rows)

    @classmethod
    def typed(cls, form: Form, order: Sequence[str], rows: Sequence[LineRow] = ()) -> "BoundForm":
        """A form that is only looked at as one types."""
        return cls(form, FormErrors(tuple(order), form.text(TYPING), sent=False), command_id_of(form), rows)

    def refused(self, refusal: Refusal) -> int:
        """Say why the client refused, and return the HTTP code. What is sent next is another command."""
        self.command_id = new_command_id()
        return self.errors.refused(refusal, place_of(refusal, self.rows))

    async def carried_out(self, command: Awaitable[Answer]) -> Answer | int:
        """The client's answer; when it refuses, or something is away, the HTTP code of that, said in the form."""
        try:
            return await command
        except Refusal as refusal:
            return self.refused(refusal)
        except NoSuchClient:
            raise
        except StarterError as undone:  # it may be under way: the same form then answers
            return self.errors.undone(undone)


def more_rows(form: Form) -> bool:
    """Whether more rows for lines are asked for."""
    return bool(form.text(MORE))


def command_id_of(form: Form) -> str:
    """The id that the form carries, so that sending it twice does it once."""
    given = form.text(COMMAND_ID)
    return given if re.fullmatch(r"[A-Za-z0-9-]{8,64}", given) else new_command_id()


def new_command_id() -> str:
    return uuid4().hex
