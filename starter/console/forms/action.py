"""The Edit status form: its actions, and how its fields become a command.

The same fields are read from an address as one types and from the form that confirms: what was previewed is what is
done.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from pydantic import BaseModel

from starter.console.forms import internet, lines, moment, services
from starter.console.forms.errors import FormErrors
from starter.console.forms.form import COMMAND_ID, TYPING, BoundForm
from starter.console.forms.internet import RATES, read_choice, read_internet
from starter.console.forms.lines import (
    REMOVED,
    ROOMS,
    UNWANTED,
    LineRow,
    filled_rows,
    office_rows,
    order_of,
    read_lines,
    read_rooms,
)
from starter.console.forms.moment import DAY, LAST_DAY, NOW, WHEN, Moment
from starter.console.forms.pasted import EVERY_LINE, PASTED, pasted_lines, unwanted_numbers
from starter.console.forms.services import ServiceRow, order_of_services, read_services, service_rows
from starter.console.labels import moment_word
from starter.console.parts import FINDER, MORE
from starter.console.plans import Planned
from starter.console.rendering import Form
from starter.contract.bodies import CommandBody, ConvertBody, PlannableBody, ServicesBody, message_of
from starter.contract.catalogue import Catalogue
from workflows.domain.holds import EVERY_SOURCE, same_source
from workflows.domain.lifecycle import Kind
from workflows.domain.services import ClientType, check_office
from workflows.domain.text import GRAMMAR
from workflows.wire.messages import BY_NAME, AnyMessage
from workflows.wire.views import ClientView, LineView

PLAN = "plan"
"""The planned change that an address says is to be moved."""
EVERY_OFFICE = "every-office"
"""The office of each line for which none is given."""
OF_ONE_PAGE = {COMMAND_ID, TYPING, MORE, "seen", "confirmed"}
"""The fields that are not carried from one page to the next."""


ACTIONS = {
    Kind.ACTIVATE: "",
    Kind.SUSPEND: "suspension",
    Kind.UNSUSPEND: "unsuspension",
    Kind.DECOMMISSION: "decommission",
    Kind.CANCEL_SCHEDULED_DECOMMISSION: "",
    Kind.CONVERT: "conversion",
    Kind.CHANGE_SERVICES: "change of services",
    Kind.ROTATE_CREDENTIALS: "",
}
"""What can be done, with the word for it on a future date; none: it happens now or not at all."""
BODIES: dict[Kind, type[BaseModel]] = {Kind.CONVERT: ConvertBody, Kind.CHANGE_SERVICES: ServicesBody}


@dataclass(frozen=True)
class ActionForm:
    """One action on a client as a form says it: its fields, read, and the order in which the page has them."""

    kind: Kind
    client: ClientView
    form: Form
    catalogue: Catalogue
    country: str | None = None

    @classmethod
    def of(
        cls, client: ClientView, bound: BoundForm, catalogue: Catalogue, country: str | None = None
    ) -> "ActionForm | None":
        """What the form asks for, whose fields it then knows; None while no action is chosen. ``country`` is that of
        the site, where people type numbers without a plus."""
        kind = next((kind for kind in ACTIONS if kind == bound.form.text("action")), None)
        if kind is None:
            return None
        action = cls(kind, client, bound.form, catalogue, country)
        bound.errors.order, bound.rows = action.order, action.rows
        return action

    @property
    def to(self) -> ClientType:
        """What a conversion makes of the client."""
        return ClientType.VIRTUAL if self.client.type is ClientType.RESIDENTIAL else ClientType.RESIDENTIAL

    @property
    def plan(self) -> str:
        """The word for it on a future date; empty when it happens now or not at all."""
        return ACTIONS[self.kind] + (f" to {self.to}" if self.kind is Kind.CONVERT else "")

    @cached_property
    def moment(self) -> Moment:
        return Moment(self.form, self.client.timezone, bool(self.plan))

    @cached_property
    def rows(self) -> Sequence[LineRow]:
        """The lines that get an office, or the rows for lines to add."""
        match self.kind:
            case Kind.CONVERT if self.client.type is ClientType.VIRTUAL:
                rows, office = office_rows(self.form, self._lines_to_place), self.form.text(EVERY_OFFICE)
                return [replace(row, office=row.office or office) for row in rows]
            case Kind.CHANGE_SERVICES:
                return [row.dialled_in(self.country) for row in filled_rows(self.form)]
            case _:
                return ()

    @cached_property
    def services(self) -> Sequence[ServiceRow]:
        """The rows for services of further kinds to add."""
        return service_rows(self.form) if self.kind is Kind.CHANGE_SERVICES else ()

    @property
    def removed_services(self) -> Sequence[str]:
        """The services that are to be removed, by kind and name."""
        return self.form.getlist(services.REMOVED)

    @property
    def removed(self) -> Sequence[str]:
        """The numbers of the lines that are ticked to be removed."""
        return self.form.getlist(REMOVED)

    @property
    def order(self) -> tuple[str, ...]:
        """The names of the fields in the order of the page, by which problems are listed."""
        rows = (*order_of(self.rows), *order_of_services(self.services))
        return ("last_day", "at", "source", UNWANTED, EVERY_OFFICE, *rows, PASTED, ROOMS, *RATES, "reason", "confirmed")

    @property
    def source(self) -> str:
        """Who asks for it; of an unsuspension, whose hold is lifted: empty while that is to be chosen."""
        if self.kind is not Kind.UNSUSPEND:
            return self.form.text("source") or "operator"
        return self.form.text("source") or (self.sources[0][0] if len(self.sources) == 1 else "")

    @property
    def sources(self) -> list[tuple[str, str]]:
        """Whose holds can be lifted, and why they stand: those that do, those that are planned, and what was typed."""
        known = {hold.source: hold.reason for hold in self.client.holds}
        planned = [plan for plan in self.client.planned if plan.kind == Kind.SUSPEND and "source" in plan.details]
        zone = self.client.timezone
        known = {plan.details["source"]: f"planned for {moment_word(plan.at, zone)} {zone}" for plan in planned} | known
        typed = self.form.text("source")
        named = same_source(typed, [*known, EVERY_SOURCE], GRAMMAR)
        return [*known.items(), *([(typed, "")] if typed and not named else [])]

    @property
    def previewed_fields(self) -> list[tuple[str, str]]:
        """What the form that confirms carries: exactly what was previewed."""
        fields = {"action": self.kind.value, WHEN: self.moment.when, **self.moment.read(FormErrors())}
        if self.kind in (Kind.SUSPEND, Kind.UNSUSPEND):
            fields["source"] = self.source
        filled = [(name, value) for name, value in self.form.multi_items() if value]
        if self.form.text(EVERY_LINE):  # all those that were there
            filled = [(name, value) for name, value in filled if name not in (EVERY_LINE, REMOVED)]
            filled += [(REMOVED, number) for number in self._numbers]
        left_out = OF_ONE_PAGE | fields.keys()
        rest = [(name, value) for name, value in filled if name not in left_out and not FINDER.fullmatch(name)]
        return [*fields.items(), *rest]

    def message(self, by: str, command_id: str, errors: FormErrors) -> AnyMessage | None:
        """The command; None when there cannot be such a one yet, which the errors say."""
        model = BODIES.get(self.kind, PlannableBody if self.plan else CommandBody)
        values = {"reason": self.form.text("reason"), **self._details(errors), **self.moment.read(errors)}
        body = None if errors.stopped else errors.read(model, values)
        if body is None or errors.stopped:
            return None
        return message_of(BY_NAME[self.kind], body, by=by, command_id=command_id)

    # -- inside -----------------------------------------------------------------------------------------------------

    @property
    def _numbers(self) -> list[str]:
        return [line.number for line in self.client.lines]

    @property
    def _lines_to_place(self) -> list[LineView]:
        """The lines that get an office: those that the client has, and those that it will have by then."""
        plans = self.client.planned if self.moment.when != NOW else ()
        added = [line for plan in plans for line in plan.details.get("add_lines", ())]
        by_number = {line.number: line for line in self.client.lines}
        return list((by_number | {line["number"]: LineView.model_validate(line) for line in added}).values())

    def _details(self, errors: FormErrors) -> dict[str, Any]:
        match self.kind:
            case Kind.SUSPEND | Kind.UNSUSPEND:
                if not self.source:
                    errors.miss("source", "Choose whose hold is lifted")
                return {"source": self.source}
            case Kind.CONVERT if self.form.text("to") == self.client.type:
                errors.refuse("", f"The client is {self.client.type} already: there is nothing to convert")
                return {}
            case Kind.CONVERT if self.client.type is ClientType.RESIDENTIAL:
                return {"to": self.to}
            case Kind.CONVERT:
                return {"to": self.to, **self._offices(errors)}
            case Kind.CHANGE_SERVICES:
                return self._changes(errors)
            case _:
                return {}

    def _offices(self, errors: FormErrors) -> dict[str, Any]:
        """Offices for every line, offices without one, and internet access."""
        if office := self.form.text(EVERY_OFFICE):
            errors.meet(EVERY_OFFICE, check_office, office)
            if EVERY_OFFICE in errors.wrong:  # once, not beside each line
                return {}
        placed = read_lines(self.rows, ClientType.RESIDENTIAL, errors)
        offices, access = read_rooms(self.form, errors), read_internet(self.form, errors)
        if not placed and not offices:
            where = self.rows[0].field if self.client.lines else ROOMS
            errors.miss(where, "Give each line its office" if self.client.lines else "Give at least one office")
        return {"lines": [*placed.values()], "offices": offices, **({"internet": access} if access else {})}

    def _changes(self, errors: FormErrors) -> dict[str, Any]:
        """Lines to add, move or remove, what becomes of internet access, and services of further kinds."""
        unwanted = unwanted_numbers(self.form, self._numbers, self.country, errors)
        changes = {
            "add_lines": [
                *read_lines(self.rows, self.client.type, errors).values(),
                *pasted_lines(self.form, self.rows, self.client.type, self.country, errors),
            ],
            "remove_lines": [*dict.fromkeys((*self.removed, *unwanted))],
            "internet": read_choice(self.form, errors),
            "add_services": read_services(self.services, self.client.type, self.catalogue, errors),
            "remove_services": list(self.removed_services),
        }
        if not (any(changes.values()) or errors.stopped):
            errors.miss("", "Say what is to change")
        return {name: value for name, value in changes.items() if value}


def reschedule(client_id: str, plan: Planned) -> tuple[str, str]:
    """What moves a planned change, and where: the Edit status page, which is filled in as the plan is. An activation
    moves with the start date."""
    if plan.kind == Kind.ACTIVATE:
        return "Edit start date", f"/clients/{client_id}/edit"
    to = {"to": plan.details["to"]} if "to" in plan.details else {}  # never the opposite, when the plan is gone
    query = urlencode({"action": plan.kind, **to, PLAN: plan.change_id})
    return "Reschedule", f"/clients/{client_id}/status?{query}"


def form_of_plan(plan: Planned, timezone: str) -> Form:
    """The form that says what a planned change says, but for its reason."""
    details = plan.details
    fields: list[tuple[str, object]] = [("action", plan.kind), *moment.fields_of(plan.at, timezone).items()]
    fields += [("source", details.get("source")), ("to", details.get("to")), *lines.fields_of_plan(details)]
    fields += services.fields_of_plan(details)
    fields += internet.fields_of_plan(plan.kind, details.get("internet"))
    return Form([(name, str(value)) for name, value in fields if value])


def plan_decommission(client_id: str, last_day: date | None) -> str:
    """Where a decommission is planned, after this last day."""
    fields = {"action": Kind.DECOMMISSION.value, WHEN: DAY, **({LAST_DAY: str(last_day)} if last_day else {})}
    return f"/clients/{client_id}/status?{urlencode(fields)}"
