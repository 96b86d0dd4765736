"""What people write on the command line, as the API takes it. What the API can judge better is left to it."""

import math
import re
from typing import Any

import typer

from starter.wording import read_settings
from workflows.domain.lifecycle import Status

KINDS = {"services": "change_services"}
CLIENT_SORTS = ("name", "billing_ref", "status", "start_date", "end_date", "next_change")
WHOLE = r"(0|[1-9][0-9]{0,8})"
SERVICE = re.compile(r"([^:]+):([^=]+?)(?::([^:=,]+:?=.*))?")


def external_id(text: str) -> tuple[str, str]:
    """``SYSTEM:ID``; with nothing after the colon, none."""
    system, colon, value = text.partition(":")
    if not (system.strip() and colon):
        raise typer.BadParameter(f"{text!r} is not SYSTEM:ID, for example crm:4711")
    return system, value


def internet(text: str) -> dict[str, int]:
    """``DOWN/UP`` or ``DOWN/UP:VLAN``, rates in Mbit/s."""
    found = re.fullmatch(rf"{WHOLE}/{WHOLE}(?::{WHOLE})?", text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is not DOWN/UP or DOWN/UP:VLAN, for example 100/20:110")
    down, up, vlan = found.groups()
    return {"down_mbps": int(down), "up_mbps": int(up), **({"vlan": int(vlan)} if vlan else {})}


def internet_or_none(text: str) -> dict[str, int] | str:
    """The rates of internet access, as ``internet`` reads them; ``none``, which ends it, stays a word."""
    return text if text == "none" else internet(text)


def service(text: str) -> dict[str, Any]:
    """``KIND:NAME``, or ``KIND:NAME:KEY=TEXT,KEY:=true,KEY:=12`` with settings of the service."""
    found = SERVICE.fullmatch(text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is not KIND:NAME or KIND:NAME:KEY=TEXT,…, for example doors:main-entrance")
    kind, name, settings = found.groups()
    try:
        return {"kind": kind, "name": name, **({"settings": read_settings(settings)} if settings else {})}
    except ValueError as wrong:
        raise typer.BadParameter(str(wrong)) from None


def instance(text: str) -> tuple[str, str]:
    """The kind of service and the name of its instance of ``KIND=INSTANCE``. Raises BadParameter."""
    kind, equals, name = text.partition("=")
    if not (kind and equals and name):
        raise typer.BadParameter(f"{text!r} is not KIND=INSTANCE, for example telephony=london")
    return kind, name


def seconds(text: str) -> float:
    """A number of seconds, 0 or more, with or without a fraction. Raises BadParameter."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise typer.BadParameter(f"{text!r} is no number of seconds: give 0 or more, for example 30")
    return number


def port_number(text: str | int) -> int:
    """A port, 1 to 65535; a default is one already."""
    digits = str(text)
    if not (digits.isascii() and digits.isdecimal() and 0 < int(digits) < 65536):
        raise typer.BadParameter(f"{text!r} is no port: choose one from 1 to 65535")
    return int(digits)


def status(text: str) -> str:
    """A status as lists print it, or as the API calls it."""
    name = text.lower()
    if name == "inactive":
        return Status.DECOMMISSIONED.value
    if name not in set(Status):
        raise typer.BadParameter(f"{text!r} is none of new, active, suspended, inactive")
    return name


def client_sort(text: str) -> str:
    """What a list of clients is sorted by, with a minus in front for downwards."""
    name = text.replace("-", "_")
    down, name = ("-", name[1:]) if name.startswith("_") else ("", name)
    if name not in CLIENT_SORTS:
        raise typer.BadParameter(f"{text!r} is none of {', '.join(CLIENT_SORTS)}", param_hint="--sort")
    return down + name


def kind(text: str) -> str:
    """A kind of planned change as the API calls it, or a change_id as it is."""
    return KINDS.get(text, text)


def filled(**values: Any) -> dict[str, Any]:
    """The options that have a value. Zero and an empty text are values; an option that was not given is None, a flag
    False, a list empty."""
    return {
        name: value
        for name, value in values.items()
        if value is not None and value is not False and value not in ([], {})
    }


def require_text(text: str, option: str, example: str) -> None:
    """Refuse a blank text where it stands in the history for good, and so cannot be left out."""
    if not text.strip():
        raise typer.BadParameter(f'it stands in the history for good: give it, {option} "{example}"', param_hint=option)
