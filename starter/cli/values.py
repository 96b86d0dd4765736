"""What people write on the command line, as the API takes it. What the API can judge better is left to it."""

import re
from typing import Any

import typer

from starter.wording import read_settings

KINDS = {"services": "change_services"}
SERVICE = re.compile(r"([^:]+):([^=]+?)(?::([^:=,]+:?=.*))?")


def line(text: str) -> dict[str, Any]:
    """``+442079460001@3.12``, or without an office."""
    number, at, office = text.partition("@")
    if at and not office:
        raise typer.BadParameter(f"{text!r} has no office after the @; leave the @ out for a virtual client")
    return {"number": number, "office": office} if at else {"number": number}


def internet(text: str) -> dict[str, int]:
    """``DOWN/UP`` or ``DOWN/UP:VLAN``, rates in Mbit/s."""
    found = re.fullmatch(r"(\d+)/(\d+)(?::(\d+))?", text)
    if found is None:
        raise typer.BadParameter(f"{text!r} is not DOWN/UP or DOWN/UP:VLAN, for example 100/20:110")
    down, up, vlan = found.groups()
    return {"down_mbps": int(down), "up_mbps": int(up), **({"vlan": int(vlan)} if vlan else {})}


def internet_or_none(text: str) -> dict[str, int] | str:
    """As ``internet``, or ``none`` to end it."""
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
    """``KIND=INSTANCE``."""
    kind, equals, name = text.partition("=")
    if not (kind and equals and name):
        raise typer.BadParameter(f"{text!r} is not KIND=INSTANCE, for example telephony=london")
    return kind, name


def kind(text: str) -> str:
    """A kind of planned change as the API calls it, or a change_id as it is."""
    return KINDS.get(text, text)


def filled(**values: Any) -> dict[str, Any]:
    """The options that have a value."""
    return {name: value for name, value in values.items() if value not in (None, [], False)}


def needed(text: str, option: str, example: str) -> None:
    """Refuse a blank text where it stands in the history for good, and so cannot be left out."""
    if not text.strip():
        raise typer.BadParameter(f'it stands in the history for good: give it, {option} "{example}"', param_hint=option)
