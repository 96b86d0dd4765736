"""What the Edit status page is asked for: its actions, and how its form becomes a command.

The same fields are read from an address as one types and from the form that confirms: what was previewed is what is
done.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

from pydantic import BaseModel, ValidationError

from starter.console.forms.checks import TOO_MANY, field_of, sentence
from starter.console.labels import comes_twice, moment_word
from starter.console.rendering import Form
from starter.contract.bodies import CommandBody, ConvertBody, PlannableBody, ServicesBody, message_of
from workflows.domain.dates import at_site, end_of, zone
from workflows.domain.errors import InvalidField
from workflows.domain.lifecycle import Kind
from workflows.domain.services import ClientType
from workflows.wire.messages import BY_NAME, AnyMessage
from workflows.wire.views import ClientView, LineView

NOW, DAY, AT = "now", "day", "at"
ROWS, MOST_ROWS = 3, 1000  # rows for lines to add, at first and at most: there is always an empty one
DETAIL = re.compile(
    r"reason|offices|down|up|vlan|internet|remove|office-\+\d{1,15}|(number|place|protected)-\d{1,3}|later"
)
"""The fields that say more than what is to be done and when."""


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
PLACES = {"internet.down_mbps": "down", "internet.up_mbps": "up", "internet.vlan": "vlan"}


class FormError(Exception):
    """The form cannot be read. ``wrong`` tells why, by field; ``missing``: it is only not filled in yet."""

    def __init__(self, wrong: Mapping[str, str], *, missing: bool = False) -> None:
        super().__init__(" ".join(wrong.values()))
        self.wrong, self.missing = dict(wrong), missing


def missing(field_: str, sentence: str) -> FormError:
    """Something is to be filled in first."""
    return FormError({field_: sentence}, missing=True)


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
    names: dict[str, str] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """What a field says."""
        return self.form.text(name)

    def chosen(self, name: str) -> Sequence[str]:
        """All that is chosen of several."""
        return self.form.many.get(name, ())

    @property
    def when(self) -> str:
        """Now, after a last day, or at an exact moment; the address of a day or moment alone means that."""
        said = self.text("when")
        if not self.action.plannable:
            return NOW
        if said in (NOW, DAY, AT):
            return said
        return DAY if self.text("last_day") else AT if self.text("at") else NOW

    @property
    def source(self) -> str:
        """Who stands behind it; of an unsuspension, whose hold is lifted: empty while that is to be chosen."""
        if self.action.kind is not Kind.UNSUSPEND:
            return self.text("source") or "operator"
        return self.text("source") or (self.sources[0][0] if len(self.sources) == 1 else "")

    @property
    def sources(self) -> list[tuple[str, str]]:
        """Whose holds can be lifted, and why they stand: those that do, those that are planned, and what was asked."""
        known = {hold.source: hold.reason for hold in self.client.holds}
        planned = [plan for plan in self.client.planned if plan.kind == Kind.SUSPEND and "source" in plan.details]
        known = {plan.details["source"]: f"planned for {plan.local_time}" for plan in planned} | known
        asked = self.text("source")
        return [*known.items(), *([(asked, "")] if asked and asked not in known and asked != "all" else [])]

    @property
    def moment(self) -> datetime | None:
        """When it would happen; None for now, or while that cannot be read."""
        try:
            said = self._moment()
            if DAY in said:
                return at_site(end_of(date.fromisoformat(said[DAY]), self.client.timezone), self.client.timezone)
            return datetime.fromisoformat(said[AT]) if AT in said else None
        except (FormError, InvalidField, ValueError, OverflowError):
            return None

    @property
    def twice(self) -> tuple[str, str] | None:
        """What the first and the second are called, of an exact moment whose time comes twice that day."""
        moment = self.moment if self.when == AT else None
        local = moment and moment.astimezone(zone(self.client.timezone))
        if local is None or not comes_twice(local):
            return None
        first, second = (f"{local.replace(fold=fold):%H:%M %Z}" for fold in (0, 1))
        return first, second

    @property
    def second(self) -> int:
        """Which of both it is, of a time that comes twice: 0 or 1."""
        moment = self.moment if self.when == AT else None
        return moment.astimezone(zone(self.client.timezone)).fold if moment else 0

    @property
    def placed(self) -> list[LineView]:
        """The lines that get an office: those that the client has, and those that it will have by then."""
        plans = self.client.planned if self.when != NOW else ()
        added = [line for plan in plans for line in plan.details.get("add_lines", ())]
        lines = {line["number"]: LineView.model_validate(line) for line in added}
        return list(({line.number: line for line in self.client.lines} | lines).values())

    @property
    def skipped(self) -> str:
        """The time that was typed, where the clocks of the site skip it on that day."""
        typed, moment = self.text("at"), self.moment if self.when == AT else None
        if moment is None or "T" not in typed or datetime.fromisoformat(typed).tzinfo:
            return ""
        clock = f"{datetime.fromisoformat(typed):%H:%M}"
        return clock if clock != f"{moment:%H:%M}" else ""

    @property
    def local_moment(self) -> str:
        """The exact moment as a browser's field has it: of the site, without an offset."""
        moment = self.moment if self.when == AT else None
        return f"{moment.replace(tzinfo=None):%Y-%m-%dT%H:%M}" if moment else self.text("at")

    @property
    def rows(self) -> int:
        """How many rows there are for lines to add."""
        filled = (
            re.fullmatch(r"(?:number|place)-(\d{1,3})", name) for name, value in self.form.fields.items() if value
        )
        return min(max([ROWS, *(int(found[1]) + 2 for found in filled if found)]), MOST_ROWS)

    @property
    def button(self) -> str:
        """What confirming does, in words."""
        if self.when == NOW or self.moment is None:
            named = {Kind.CANCEL_SCHEDULED_DECOMMISSION: "Cancel the planned decommission"}
            return named.get(self.action.kind, f"{self.action.name} now")
        return f"Plan {self.action.plan} for {moment_word(self.moment)} {self.client.timezone}"

    @property
    def carried(self) -> list[tuple[str, str]]:
        """What the form that confirms carries: exactly what was previewed."""
        moment = self._moment()
        told = [("action", self.action.kind.value), ("when", self.when)]
        told += [(name, moment[key]) for name, key in (("last_day", DAY), ("at", AT)) if key in moment]
        if self.action.kind in (Kind.SUSPEND, Kind.UNSUSPEND):
            told.append(("source", self.source))
        details = {name: values for name, values in self.form.many.items() if DETAIL.fullmatch(name)}
        return [*told, *((name, value) for name, values in details.items() for value in values if value)]

    def message(self, by: str, command_id: str) -> AnyMessage:
        """The command. Raises NotSaid."""
        said = {"reason": self.text("reason"), **self._details()}
        moment = self._moment()
        said |= {name: moment[key] for name, key in (("last_day", DAY), ("at", AT)) if key in moment}
        try:
            body = BODIES.get(self.action.kind, CommandBody).model_validate(said)
        except ValidationError as invalid:
            raise FormError(self._told(invalid)) from invalid
        return message_of(BY_NAME[self.action.kind], body, by=by, command_id=command_id)

    # -- inside -----------------------------------------------------------------------------------------------------

    def _moment(self) -> dict[str, str]:
        if self.when == DAY:
            day = self.text("last_day")
            if not day:
                raise missing("last_day", "Give the last day of service, inclusive.")
            return {DAY: day}
        if self.when == AT:
            at = self.text("at")
            if not at:
                raise missing("at", "Give the day and time.")
            return {AT: instant(at, self.client.timezone, second=bool(self.text("second")))}
        return {}

    def _details(self) -> dict[str, Any]:
        match self.action.kind:
            case Kind.SUSPEND | Kind.UNSUSPEND:
                if not self.source:
                    raise missing("source", "Choose whose hold is lifted.")
                return {"source": self.source}
            case Kind.CONVERT if self.text("to") == self.client.type:
                raise FormError({"": f"The client is {self.client.type} already: there is nothing to convert."})
            case Kind.CONVERT if self.client.type is ClientType.RESIDENTIAL:
                return {"to": other_type(self.client)}
            case Kind.CONVERT:
                return {"to": other_type(self.client), **self._placed()}
            case Kind.CHANGE_SERVICES:
                return self._changed()
            case _:
                return {}

    def _placed(self) -> dict[str, Any]:
        """Offices for every line, offices without one, and internet access."""
        lines = [
            {"number": line.number, "office": office, "protected": line.protected}
            for line in self.placed
            if (office := self._in_row("lines", "office", line.number))
        ]
        offices = [office for part in self.text("offices").split(",") if (office := part.strip())]
        if not lines and not offices:
            where = f"office-{self.client.lines[0].number}" if self.client.lines else "offices"
            raise missing(where, "Give each line its office." if self.client.lines else "Give at least one office.")
        internet = self._internet()
        return {"lines": lines, "offices": offices, **({"internet": internet} if internet else {})}

    def _changed(self) -> dict[str, Any]:
        """Lines to add, move or remove, and what becomes of internet access."""
        residential = self.client.type is ClientType.RESIDENTIAL
        added: list[dict[str, Any]] = []
        for row in range(self.rows):
            number = self._in_row("add_lines", "number", row)
            if not number:
                if self.text(f"place-{row}"):
                    raise FormError(
                        {f"number-{row}": "An office is given without a telephone number. Give the number."}
                    )
                continue
            office = self.text(f"place-{row}") or None
            if residential and not office:
                raise missing(f"place-{row}", f"Give {number} its office.")
            self.names[f"add_lines.{len(added)}.office"] = f"place-{row}"
            added.append({"number": number, "office": office, "protected": self.text(f"protected-{row}") == "true"})
        said: dict[str, Any] = {"add_lines": added, "remove_lines": list(self.chosen("remove"))}
        if self.text("internet") == "none":
            said["internet"] = "none"
        elif self.text("internet") == "set":
            said["internet"] = self._internet()
            if said["internet"] is None:
                raise missing("down", "Give the rates of the internet access.")
        if not (added or said["remove_lines"] or said.get("internet")):
            raise missing("", "Say what is to change.")
        return said

    def _in_row(self, list_: str, name: str, row: int | str) -> str:
        """A field of a row; a complaint about it in the body is then known to be about that field."""
        value = self.text(f"{name}-{row}")
        if value:
            place = len([known for known in self.names if known.startswith(list_) and known.endswith(name)])
            self.names[f"{list_}.{place}.{name}"] = f"{name}-{row}"
        return value

    def _internet(self) -> dict[str, Any] | None:
        names = {"down_mbps": "down", "up_mbps": "up", "vlan": "vlan"}
        said = {name: self.text(place) for name, place in names.items() if self.text(place)}
        if unread := {names[name]: text for name, text in said.items() if not re.fullmatch(r"[0-9]{1,7}", text)}:
            raise FormError(dict.fromkeys(unread, "Write it as a whole number, such as 100."))
        return {name: int(text) for name, text in said.items()} or None

    def _told(self, invalid: ValidationError) -> dict[str, str]:
        told: dict[str, str] = {}
        for error in invalid.errors():
            name = ".".join(str(part) for part in error["loc"] if part != "InternetGiven")
            place = "" if error["type"] == TOO_MANY else {**PLACES, **self.names}.get(name, name)
            told.setdefault(place, f"{sentence(field_of(place or name), error)}.")
        return told


def instant(text: str, timezone: str, *, second: bool = False) -> str:
    """A local day and time of the site, or an instant with offset, as an exact instant. Raises NotSaid.

    A time that comes twice (clocks go back) is the first, or the ``second``; one that never does is as long after the
    change.
    """
    try:
        at = datetime.fromisoformat(text)
        at = at if at.tzinfo else at.replace(tzinfo=zone(timezone), fold=int(second))
        return at_site(at.astimezone(UTC), timezone).isoformat()
    except (ValueError, OverflowError) as unreadable:
        raise FormError({"at": "That is not a day and time. Write it as 2027-03-31T18:00."}) from unreadable
