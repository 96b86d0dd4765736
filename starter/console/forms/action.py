"""The Edit status form: its actions, and how its fields become a command.

The same fields are read from an address as one types and from the form that confirms: what was previewed is what is
done.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from pydantic import BaseModel

from starter.console.forms.errors import FormErrors
from starter.console.forms.internet import CHOICE, RATES, read_choice, read_internet
from starter.console.forms.internet import fields_of_plan as fields_of_internet
from starter.console.forms.lines import (
    REMOVED,
    ROOMS,
    ROW_NAMES,
    LineRow,
    filled_rows,
    office_rows,
    order_of,
    read_lines,
    read_rooms,
)
from starter.console.forms.lines import fields_of_plan as fields_of_lines
from starter.console.forms.moment import DAY, LAST_DAY, NOW, WHEN, Moment
from starter.console.forms.moment import fields_of_plan as fields_of_moment
from starter.console.labels import moment_word
from starter.console.plans import At, Planned
from starter.console.rendering import Form
from starter.contract.bodies import CommandBody, ConvertBody, PlannableBody, ServicesBody, message_of
from workflows.domain.lifecycle import Kind
from workflows.domain.services import ClientType
from workflows.wire.messages import BY_NAME, AnyMessage
from workflows.wire.views import ClientView, LineView

DETAILS = {"reason", ROOMS, *RATES, CHOICE, REMOVED}
"""The fields that say more than what is to be done and when, besides those of lines."""


@dataclass(frozen=True)
class Action:
    """One thing to do: its name and what it does.

    ``plan`` is the word for it on a future date; none: it happens now or not at all.
    """

    kind: Kind
    name: str
    about: str
    plan: str = ""
    danger: bool = False
    second: bool = False

    @property
    def plannable(self) -> bool:
        return bool(self.plan)


ACTIONS = (
    Action(Kind.ACTIVATE, "Activate", "Provide all contracted services, ahead of the start date if need be."),
    Action(Kind.SUSPEND, "Suspend", "Cease all lines and internet access until the hold is lifted.", plan="suspension"),
    Action(
        Kind.UNSUSPEND,
        "Unsuspend",
        "Lift a hold. Services come back when the last one goes.",
        plan="unsuspension",
    ),
    Action(
        Kind.DECOMMISSION,
        "Decommission",
        "Close the contract and cease all services, for good.",
        plan="decommission",
        danger=True,
    ),
    Action(
        Kind.CANCEL_SCHEDULED_DECOMMISSION,
        "Cancel scheduled decommission",
        "Remove the planned decommission. The status stays as it is.",
    ),
    Action(Kind.CONVERT, "Convert", "Become virtual or residential.", plan="conversion"),
    Action(
        Kind.CHANGE_SERVICES,
        "Change services",
        "Add, move or remove lines; set or end internet access.",
        plan="change of services",
        second=True,
    ),
    Action(
        Kind.ROTATE_CREDENTIALS,
        "Rotate credentials",
        "New secrets for every line and the account: telephones and router must then be configured anew.",
        second=True,
    ),
)
TO_VIRTUAL = "Become a virtual client: offices and internet end, lines and numbers stay."
TO_RESIDENTIAL = "Become a residential client: every line gets an office, internet may be added."
BODIES: dict[Kind, type[BaseModel]] = {
    Kind.SUSPEND: PlannableBody,
    Kind.UNSUSPEND: PlannableBody,
    Kind.DECOMMISSION: PlannableBody,
    Kind.CONVERT: ConvertBody,
    Kind.CHANGE_SERVICES: ServicesBody,
}


def actions_for(client: ClientView) -> list[Action]:
    """Every action, named as this client would see it."""
    to = other_type(client)
    about = TO_VIRTUAL if to is ClientType.VIRTUAL else TO_RESIDENTIAL
    convert = Action(Kind.CONVERT, f"Convert to {to}", about, plan=f"conversion to {to}")
    return [convert if action.kind is Kind.CONVERT else action for action in ACTIONS]


def other_type(client: ClientView) -> ClientType:
    """What a conversion makes of a client."""
    return ClientType.VIRTUAL if client.type is ClientType.RESIDENTIAL else ClientType.RESIDENTIAL


@dataclass(frozen=True)
class ActionForm:
    """An action, with what the form says of it."""

    action: Action
    client: ClientView
    form: Form

    @classmethod
    def of(cls, client: ClientView, form: Form) -> "ActionForm | None":
        """What the form asks for; None while no action is chosen."""
        named = {action.kind.value: action for action in actions_for(client)}
        action = named.get(form.text("action"))
        return cls(action, client, form) if action else None

    @cached_property
    def moment(self) -> Moment:
        return Moment(self.form, self.client.timezone, self.action.plannable)

    @cached_property
    def rows(self) -> Sequence[LineRow]:
        """The lines that get an office, or the rows for lines to add."""
        match self.action.kind:
            case Kind.CONVERT if self.client.type is ClientType.VIRTUAL:
                return office_rows(self.form, self._placed)
            case Kind.CHANGE_SERVICES:
                return filled_rows(self.form)
            case _:
                return ()

    @property
    def removed(self) -> Sequence[str]:
        """The numbers of the lines that are to be removed."""
        return self.form.many.get(REMOVED, ())

    @property
    def order(self) -> tuple[str, ...]:
        """The fields, in the order of the page."""
        return ("last_day", "at", "source", *order_of(self.rows), ROOMS, *RATES, "reason", "confirmed")

    @property
    def source(self) -> str:
        """Who asks for it; of an unsuspension, whose hold is lifted: empty while that is to be chosen."""
        if self.action.kind is not Kind.UNSUSPEND:
            return self.form.text("source") or "operator"
        return self.form.text("source") or (self.sources[0][0] if len(self.sources) == 1 else "")

    @property
    def sources(self) -> list[tuple[str, str]]:
        """Whose holds can be lifted, and why they stand: those that do, those that are planned, and what was asked."""
        known = {hold.source: hold.reason for hold in self.client.holds}
        planned = [plan for plan in self.client.planned if plan.kind == Kind.SUSPEND and "source" in plan.details]
        zone = self.client.timezone
        known = {plan.details["source"]: f"planned for {moment_word(plan.at, zone)} {zone}" for plan in planned} | known
        asked = self.form.text("source")
        return [*known.items(), *([(asked, "")] if asked and asked not in known and asked != "all" else [])]

    @property
    def button(self) -> str:
        """What confirming does, in words."""
        if self.moment.at is None:
            named = {Kind.CANCEL_SCHEDULED_DECOMMISSION: "Cancel the planned decommission"}
            return named.get(self.action.kind, f"{self.action.name} now")
        return f"Plan {self.action.plan} for {moment_word(self.moment.at)} {self.client.timezone}"

    @property
    def carried(self) -> list[tuple[str, str]]:
        """What the form that confirms carries: exactly what was previewed."""
        fields = [("action", self.action.kind.value), ("when", self.moment.when)]
        fields += [*self.moment.read(FormErrors()).items()]
        if self.action.kind in (Kind.SUSPEND, Kind.UNSUSPEND):
            fields.append(("source", self.source))
        details = {
            name: values for name, values in self.form.many.items() if name in DETAILS or ROW_NAMES.fullmatch(name)
        }
        return [*fields, *((name, value) for name, values in details.items() for value in values if value)]

    def message(self, by: str, command_id: str, errors: FormErrors) -> AnyMessage | None:
        """The command; None when there cannot be such a one yet, which the errors say."""
        values = {"reason": self.form.text("reason"), **self._details(errors), **self.moment.read(errors)}
        body = None if errors.stopped else errors.read(BODIES.get(self.action.kind, CommandBody), values)
        if body is None or errors.stopped:
            return None
        return message_of(BY_NAME[self.action.kind], body, by=by, command_id=command_id)

    # -- inside -----------------------------------------------------------------------------------------------------

    @property
    def _placed(self) -> list[LineView]:
        """The lines that get an office: those that the client has, and those that it will have by then."""
        plans = self.client.planned if self.moment.when != NOW else ()
        added = [line for plan in plans for line in plan.details.get("add_lines", ())]
        lines = {line["number"]: LineView.model_validate(line) for line in added}
        return list(({line.number: line for line in self.client.lines} | lines).values())

    def _details(self, errors: FormErrors) -> dict[str, Any]:
        match self.action.kind:
            case Kind.SUSPEND | Kind.UNSUSPEND:
                if not self.source:
                    errors.miss("source", "Choose whose hold is lifted")
                return {"source": self.source}
            case Kind.CONVERT if self.form.text("to") == self.client.type:
                errors.refuse("", f"The client is {self.client.type} already: there is nothing to convert")
                return {}
            case Kind.CONVERT if self.client.type is ClientType.RESIDENTIAL:
                return {"to": other_type(self.client)}
            case Kind.CONVERT:
                return {"to": other_type(self.client), **self._offices(errors)}
            case Kind.CHANGE_SERVICES:
                return self._changed(errors)
            case _:
                return {}

    def _offices(self, errors: FormErrors) -> dict[str, Any]:
        """Offices for every line, offices without one, and internet access."""
        lines = read_lines(self.rows, ClientType.RESIDENTIAL, errors)
        offices, internet = read_rooms(self.form, errors), read_internet(self.form, errors)
        if not lines and not offices:
            where = self.rows[0].office_field if self.client.lines else ROOMS
            errors.miss(where, "Give each line its office" if self.client.lines else "Give at least one office")
        return {"lines": [*lines.values()], "offices": offices, **({"internet": internet} if internet else {})}

    def _changed(self, errors: FormErrors) -> dict[str, Any]:
        """Lines to add, move or remove, and what becomes of internet access."""
        added = read_lines(self.rows, self.client.type, errors)
        internet = read_choice(self.form, errors)
        if not (added or self.removed or internet or errors.stopped):
            errors.miss("", "Say what is to change")
        changes = {"add_lines": [*added.values()], "remove_lines": list(self.removed), "internet": internet}
        return {name: value for name, value in changes.items() if value}


def reschedule(client_id: str, plan: Planned, timezone: str) -> tuple[str, str]:
    """What moves a planned change, and where: the Edit status page, filled in as it was. An activation moves with the
    start date."""
    if plan.kind == Kind.ACTIVATE:
        return "Edit start date", f"/clients/{client_id}/edit"
    details = plan.details
    fields: list[tuple[str, object]] = [("action", plan.kind), *fields_of_moment(At(plan, timezone)).items()]
    fields += [("source", details.get("source")), ("to", details.get("to")), *fields_of_lines(details)]
    fields += [*fields_of_internet(plan.kind, details.get("internet")), ("reason", plan.reason)]
    return "Reschedule", f"/clients/{client_id}/status?{urlencode([(name, value) for name, value in fields if value])}"


def plan_decommission(client_id: str, last_day: date | None) -> str:
    """Where a decommission is planned, after this last day."""
    fields = {"action": Kind.DECOMMISSION.value, WHEN: DAY, **({LAST_DAY: str(last_day)} if last_day else {})}
    return f"/clients/{client_id}/status?{urlencode(fields)}"
