"""A planned change as the console says it."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from starter.wording import rates_word
from workflows.domain.dates import LAST_DAY, first_instant, local_day
from workflows.domain.systems import spoken

A_DAY = timedelta(days=1)
FOREVER = first_instant(LAST_DAY, "UTC")


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


def last_day_before(at: datetime, zone: str) -> date | None:
    """The last day before a moment, when that is the first instant of a day at the site."""
    day = local_day(at, zone)
    return day - A_DAY if first_instant(day, zone) == at else None


def touched(plan: Planned, phrase: Callable[[str], str] = spoken) -> str:
    """What services and offices a planned change is about; empty where that is all of them. ``phrase`` names a kind."""
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
    return ", ".join([*added, *removed, *placed, *offices, *internet, *services])


def _line(line: dict[str, Any]) -> str:
    return f"{line['number']} in {line['office']}" if line.get("office") else str(line["number"])
