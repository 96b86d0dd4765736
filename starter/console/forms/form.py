"""A form as it was sent: what was typed, what is wrong with it, and the command that it is."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar
from urllib.parse import parse_qsl
from uuid import uuid4

from fastapi import Request

from starter.console.forms.errors import FormErrors
from starter.console.forms.lines import LINES, LineRow, order_of, place_of, rows_of
from starter.console.forms.services import SERVICES, ServiceRow, order_of_services, service_rows
from starter.console.parts import MORE, asks_for_part
from starter.console.rendering import Form
from starter.errors import NoSuchClient, StarterError
from workflows.domain.errors import Refusal

CHECK = "/check"  # ends the address where a form is only looked at
TYPING = "typing"  # names the field that is being typed in
BESIDE = "beside"  # carries what was typed into the other form of a page
COMMAND_ID = "command_id"

Answer = TypeVar("Answer")


@dataclass
class BoundForm:
    """A form, to be shown as it was typed with what there is to say about it.

    ``command_id`` is that of the command that it is: sent twice, it is done once. ``code`` is the HTTP code of what
    kept it from being done, once that was tried. ``typed``: it was typed in, and another form of its page was sent.
    """

    form: Form
    errors: FormErrors = field(default_factory=FormErrors)
    command_id: str = field(default_factory=lambda: new_command_id())
    rows: Sequence[LineRow] = ()
    services: Sequence[ServiceRow] = ()
    code: int = 0
    typed: bool = False

    @classmethod
    async def read(cls, request: Request, order: Sequence[str] = ()) -> "BoundForm":
        """The form in a request: to be carried out when it was sent, or else only looked at as one types, or asks for
        more rows. ``order`` is that of its fields, with LINES and SERVICES in the place of its rows, if it has any."""
        form = await Form.read(request)
        sent = request.method == "POST" and not request.url.path.endswith(CHECK)
        return cls.of(form, order, sent=sent)

    @classmethod
    def beside(cls, form: Form, order: Sequence[str]) -> "BoundForm | None":
        """The other form of the page, which somebody has begun to fill in; None if nobody has."""
        fields = parse_qsl(form.text(BESIDE), keep_blank_values=True)
        return replace(cls.of(Form.of(fields), order, sent=False), typed=True) if fields else None

    @classmethod
    def of(cls, form: Form, order: Sequence[str], *, sent: bool) -> "BoundForm":
        """The form with these fields, as ``read`` makes it."""
        more = bool(form.text(MORE))
        rows = rows_of(form, more=more and not asks_for_part(form)) if LINES in order else ()
        services = service_rows(form) if SERVICES in order else ()
        rows_of_fields = {LINES: order_of(rows), SERVICES: order_of_services(services)}
        sent = sent and not more
        names = [name for field in order for name in rows_of_fields.get(field, (field,))]
        errors = FormErrors(tuple(names), "" if sent else form.text(TYPING), sent=sent)
        return cls(form, errors, command_id_of(form), rows, services)

    @property
    def sent(self) -> bool:
        return self.errors.sent

    @property
    def status(self) -> int:
        """The HTTP code of the form when it is shown again."""
        return (self.code or (422 if self.errors.stopped else 200)) if self.sent else 200

    def add_refusal(self, refusal: Refusal) -> None:
        """Say why the client refused. What is sent next is another command."""
        self.command_id = new_command_id()
        self.code = self.errors.add_refusal(refusal, place_of(refusal, self.rows))

    async def carry_out(
        self, command: Awaitable[Answer], look_up: Callable[[], Awaitable[None]] | None = None
    ) -> Answer | None:
        """The client's answer; None when it refuses, or something is away, which the form then says. What it refuses
        is said in the words of ``look_up``, where that finds it, too."""
        try:
            return await command
        except Refusal as refusal:
            if look_up is not None:
                await look_up()
            self.add_refusal(refusal)
        except NoSuchClient:
            raise
        except StarterError as undone:  # it may be under way: the same form then answers
            self.code = self.errors.undone(undone)
        return None


def command_id_of(form: Form) -> str:
    """The id that the form carries, so that sending it twice does it once."""
    command_id = form.text(COMMAND_ID)
    return command_id if re.fullmatch(r"[A-Za-z0-9-]{8,64}", command_id) else new_command_id()


def new_command_id() -> str:
    return uuid4().hex
