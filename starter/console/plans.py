"""A planned change as the console says it, and where it is moved to another day, with everything that it says."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urlencode

from starter.console.labels import comes_twice, kind_word
from workflows.domain.dates import at_site, first_instant, local_day, zone

A_DAY = timedelta(days=1)
ENDS = ("suspend", "decommission")  # what they end has a last day
Said = Iterator[tuple[str, object]]


class Planned(Protocol):
    """A planned change, wherever it was read."""

    @property
    def kind(self) -> str: ...
    @property
    def at(self) -> datetime: ...
    @property
    def reason(self) -> str: ...
    @property
    def details(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class At:
    """The moment of a planned change in the time of its site."""

    plan: Planned
    timezone: str

    @property
    def day(self) -> date:
        return local_day(self.plan.at, self.timezone)

    @property
    def begins_a_day(self) -> bool:
        return first_instant(self.day, self.timezone) == self.plan.at

    @property
    def last_day(self) -> date | None:
        """The last day of what the change ends, when it comes with the first instant of a day."""
        return self.day - A_DAY if self.begins_a_day and self.plan.kind in ENDS else None


def elsewhere(client_id: str, plan: Planned, timezone: str) -> tuple[str, str]:
    """What moves a planned change, and where: the Edit status page, filled in as it was. An activation moves with the
    start date."""
    if plan.kind == "activate":
        return "Edit start date", f"/clients/{client_id}/edit"
    at = At(plan, timezone)
    local = at_site(plan.at, timezone)
    moment = {"when": "at", "at": f"{local:%Y-%m-%dT%H:%M}", "second": "yes" if _second(plan, timezone) else ""}
    if at.begins_a_day:
        moment = {"when": "day", "last_day": str(at.day - A_DAY)}
    said = [("action", plan.kind), *moment.items(), *_said(plan), ("reason", plan.reason)]
    return "Reschedule", f"/clients/{client_id}/status?{urlencode([(name, value) for name, value in said if value])}"


def plan_word(plan: Planned) -> str:
    """What a planned change does, in a few words: ``convert to virtual``."""
    match plan.kind, plan.details:
        case "convert", {"to": to}:
            return f"convert to {to}"
        case "suspend" | "unsuspend" as kind, {"source": source} if source != "operator":
            return f"{kind} ({source})"
        case kind, _:
            return kind_word(kind)


def touched(plan: Planned) -> str:
    """What lines, offices and internet access a planned change is about; empty where that is all of them."""
    details = plan.details
    added = [f"add {_line(line)}" for line in details.get("add_lines", ())]
    removed = [f"remove {number}" for number in details.get("remove_lines", ())]
    placed = [_line(line) for line in details.get("lines", ())]
    offices = [f"office {office}" for office in details.get("offices", ())]
    return ", ".join([*added, *removed, *placed, *offices, *_internet_word(details.get("internet"))])


def _second(plan: Planned, timezone: str) -> bool:
    local = plan.at.astimezone(zone(timezone))
    return local.fold == 1 and comes_twice(local)


def _line(line: dict[str, Any]) -> str:
    return f"{line['number']} in {line['office']}" if line.get("office") else str(line["number"])


def _internet_word(internet: object) -> list[str]:
    if not isinstance(internet, dict):
        return ["end internet access"] if internet == "none" else []
    vlan = f", VLAN {internet['vlan']}" if internet.get("vlan") else ""
    return [f"internet {internet['down_mbps']}/{internet['up_mbps']} Mbit/s{vlan}"]


def _said(plan: Planned) -> Said:
    """The fields of the Edit status page that say the same (wishes.py)."""
    details = plan.details
    yield "source", details.get("source")
    yield "to", details.get("to")
    for line in details.get("lines", ()):
        yield f"office-{line['number']}", line["office"]
    yield "offices", ", ".join(details.get("offices", ()))
    for row, line in enumerate(details.get("add_lines", ())):
        yield f"number-{row}", line["number"]
        yield f"place-{row}", line["office"]
        yield f"protected-{row}", "true" if line["protected"] else None
    for number in details.get("remove_lines", ()):
        yield "remove", number
    internet = details.get("internet")
    if isinstance(internet, dict):
        yield "internet", "set" if plan.kind == "change_services" else None
        yield "down", internet["down_mbps"]
        yield "up", internet["up_mbps"]
        yield "vlan", internet["vlan"]
    else:
        yield "internet", internet
