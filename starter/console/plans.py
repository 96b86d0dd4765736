"""A planned change as the console says it."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from starter.console.labels import kind_word
from workflows.domain.dates import first_instant, local_day

A_DAY = timedelta(days=1)
ENDS = ("suspend", "decommission")  # what they end has a last day


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


def _line(line: dict[str, Any]) -> str:
    return f"{line['number']} in {line['office']}" if line.get("office") else str(line["number"])


def _internet_word(internet: object) -> list[str]:
    if not isinstance(internet, dict):
        return ["end internet access"] if internet == "none" else []
    vlan = f", VLAN {internet['vlan']}" if internet.get("vlan") else ""
    return [f"internet {internet['down_mbps']}/{internet['up_mbps']} Mbit/s{vlan}"]
