"""Telephone lines on the command line: a number, a range or a list, also as people of the site's country type them."""

import re
from collections.abc import Iterable
from typing import Any

import typer

from starter.cli.http import Service

NUMBERS = "+442079460001@3.12, once for each; or a range or list: '020 7946 0310-0329@3.12', '+442079460001, …'"


def lines(
    texts: Iterable[str] | None, service: Service, *, site: str = "", client_id: str = ""
) -> list[dict[str, Any]]:
    """The lines that these texts say, for the site or the client's. Raises BadParameter, which names the entry.

    What is simply a number is left to the API to judge.
    """
    texts = list(texts or ())
    country = _country(service, site, client_id) if any(map(_national, texts)) else None
    return [line for text in texts for line in _read(text, country)]


def numbers(texts: Iterable[str] | None, service: Service, client_id: str) -> list[str]:
    """The numbers that these texts say, for the client's site. Raises BadParameter."""
    return [line["number"] for line in lines(texts, service, client_id=client_id)]


def phone(number: str) -> str:
    """A number as people read it."""
    from starter.telephones import phone_word

    return phone_word(number)


def phones(text: str) -> str:
    """A sentence with its numbers as people read them."""
    from starter.telephones import phones_in

    return phones_in(text)


def _read(text: str, country: str | None) -> list[dict[str, Any]]:
    from starter.telephones import read_lines

    try:
        return [
            {"number": number, **({"office": office} if office else {})} for number, office in read_lines(text, country)
        ]
    except ValueError as wrong:
        if not (_national(text) or re.search("[,;\n\t]", text)):
            return [_as_it_is(text)]
        unknown = "; a number without a plus needs a country: connect site edit ID --country GB"
        raise typer.BadParameter(f"{wrong}{unknown if _national(text) and not country else ''}") from None


def _as_it_is(text: str) -> dict[str, Any]:
    number, at, office = text.partition("@")
    if at and not office:
        raise typer.BadParameter(f"{text!r} has no office after the @; leave the @ out for a virtual client")
    return {"number": number, "office": office} if at else {"number": number}


def _national(text: str) -> bool:
    """Whether any entry begins without a plus."""
    return any(re.match("[0-9(]", part.strip()) for part in re.split("[,;\n]", text))


def _country(service: Service, site: str, client_id: str) -> str | None:
    site = site or service.get("clients", client_id)["site"]
    known: dict[str, str | None] = {it["site_id"]: it["country"] for it in service.get("sites")["items"]}
    return known.get(site)
