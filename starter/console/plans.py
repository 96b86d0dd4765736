"""A planned change as the console says it."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from starter.console.labels import day_word, moment_word
from starter.wording import few, rates_word
from workflows.domain.dates import LAST_DAY, first_instant, local_day
from workflows.domain.lifecycle import Kind
from workflows.domain.systems import spoken

ENDING = (Kind.SUSPEND, Kind.DECOMMISSION)
A_DAY = timedelta(days=1)
FOREVER = first_instant(LAST_DAY, "UTC")


CANCELLED = {
    Kind.ACTIVATE: "activation",
    Kind.SUSPEND: "planned suspension",
    Kind.UNSUSPEND: "planned unsuspension",
    Kind.DECOMMISSION: "decommission",
    Kind.CONVERT: "conversion",
    Kind.CHANGE_SERVICES: "change of services",
}
"""What is cancelled, by the kind of the plan: no button says merely Cancel, which reads like closing a dialog."""


class Planned(Protocol):
    """A planned change, wherever it was read."""

    @property
    def change_id(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def at(self) -> datetime: ...
    @property
    def reason(self) -> str: ...
    @property
    def details(self) -> dict[str, Any]: ...


def cancel_words(plan: Planned) -> str:
    """What the button says that cancels a plan: ``Cancel decommission``."""
    return f"Cancel {CANCELLED[Kind(plan.kind)]}"


def last_day_before(at: datetime, zone: str) -> date | None:
    """The last day before a moment, when that is the first instant of a day at the site."""
    day = local_day(at, zone)
    return day - A_DAY if first_instant(day, zone) == at else None


def when_word(plan: Planned, zone: str) -> str:
    """When a planned change happens: what ends a service by its last day, ``last day 11 Jan 2027``, else the moment."""
    last = last_day_before(plan.at, zone) if plan.kind in ENDING else None
    return f"last day {day_word(last)}" if last else moment_word(plan.at, zone)


def subjects_text(plan: Planned, phrase: Callable[[str], str] = spoken) -> str:
    """What services and offices a planned change is about, the first ones of many; empty where that is all of them.
    ``phrase`` names a kind."""
    details = plan.details
    added = [f"add {_line(line)}" for line in details.get("add_lines", ())]
    removed = [f"remove {number}" for number in details.get("remove_lines", ())]
    placed = [_line(line) for line in details.get("lines", ())]
    offices = [f"office {office}" for office in details.get("offices", ())]
    match details.get("internet"):
        case {"down_mbps": down, "up_mbps": up, "vlan": vlan}:
            internet = [f"internet {rates_word(down, up, vlan)}"]
        case "none":
            internet = ["end internet access"]
        case _:
            internet = []
    services = [f"add {phrase(it['kind'])} {it['name']}" for it in details.get("add_services", ())]
    removed_services = (name.partition(":") for name in details.get("remove_services", ()))
    services += [f"remove {phrase(kind)} {name}" for kind, _, name in removed_services]
    return few([*internet, *services, *added, *removed, *placed, *offices])


def _line(line: dict[str, Any]) -> str:
    return f"{line['number']} in {line['office']}" if line.get("office") else str(line["number"])
