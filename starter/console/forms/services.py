"""The services of further kinds in a form: its rows, what is wrong with them, and what others did meanwhile."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Any

from pydantic import ValidationError

from starter.console.forms.errors import FormErrors, sentence
from starter.console.parts import Part, part_of_rows
from starter.console.rendering import Form
from starter.contract.bodies import ServiceGiven
from starter.contract.catalogue import Catalogue
from starter.wording import read_settings, settings_text
from workflows.domain.errors import InvalidField
from workflows.domain.services import MOST_SERVICES, ClientType
from workflows.domain.systems import System
from workflows.wire.views import ServiceView

SERVICES = "services"
SERVICES_PER_PART = 20  # rows of a part: settings are long
REMOVED = "remove-service"  # of Edit status, which names each by kind:name
FILLED = re.compile(r"(?:service|settings|had)-(\d{1,4})")
IN_BUILDING = "A virtual client has no {}: it is in the building. Leave it out"


@dataclass(frozen=True)
class ServiceRow:
    """One row of a form's services; ``place`` stands in the names of its fields.

    ``was`` are the settings of a service that the client has, as the form was opened: only what differs is changed.
    """

    place: int
    kind: System = ""
    service: str = ""
    settings: str = ""
    was: str | None = None
    removed: bool = False

    @classmethod
    def read(cls, form: Form, place: int) -> "ServiceRow":
        row = cls(place)
        kind, service, settings = (form.text(row.name(field)) for field in ("kind", "service", "settings"))
        if not (had := form.text(row.name("had"))):
            return cls(place, kind, service, settings)
        kind, _, service = had.partition(":")
        return cls(place, kind, service, settings, form.text(row.name("were")), bool(form.text(row.name("drop"))))

    def name(self, field: str) -> str:
        """What a field of the row is called: ``kind``, ``service``, ``settings``, ``had``, ``were``, ``drop``."""
        return f"{field}-{self.place}"

    def __str__(self) -> str:
        return f"{self.kind}:{self.service}"

    @property
    def blank(self) -> bool:
        return not (self.service or self.settings)

    @property
    def field(self) -> str:
        """The field beside which something about the whole row is said."""
        return self.name("service" if self.was is None else "settings")

    @property
    def fields(self) -> Iterator[tuple[str, str]]:
        """What the row says, for a form that carries it without showing it: nothing of a service that stays."""
        if self.was is None:
            yield from ((self.name("kind"), self.kind), (self.name("service"), self.service))
        elif self.removed or self.settings != self.was:
            yield from ((self.name("had"), str(self)), (self.name("were"), self.was))
        else:
            return
        yield self.name("settings"), self.settings
        if self.removed:
            yield self.name("drop"), "yes"


def service_rows(form: Form) -> list[ServiceRow]:
    """The rows that a form has, and an empty one while there is room."""
    named = (FILLED.fullmatch(name) for name, value in form.items() if value)
    rows = [ServiceRow.read(form, place) for place in sorted({int(found[1]) for found in named if found})]
    return [*rows, *_empty(rows)]


def rows_of_services(services: Sequence[ServiceView]) -> list[ServiceRow]:
    """A client's services as a form to change them begins, with room for another."""
    texts = [settings_text(service.settings) for service in services]
    rows = [
        ServiceRow(place, service.kind, service.name, text, text)
        for place, (service, text) in enumerate(zip(services, texts, strict=True))
    ]
    return [*rows, *_empty(rows)]


def with_unsent_services(rows: Sequence[ServiceRow], services: Sequence[ServiceView]) -> list[ServiceRow]:
    """The rows of a form, and those of the client's services that it does not name: these are as they are."""
    sent = {str(row): row for row in rows if row.was is not None}
    used, new = {row.place for row in rows}, {str(row) for row in rows if row.was is None}
    free = (place for place in count() if place not in used)
    as_they_are = (row for row in rows_of_services(services) if row.was is not None and str(row) not in new)
    own = [sent.pop(str(row)) if str(row) in sent else replace(row, place=next(free)) for row in as_they_are]
    return [*own, *sent.values(), *(row for row in rows if row.was is None)]


def part_of_services(rows: Sequence[ServiceRow], form: Form, errors: FormErrors) -> Part[ServiceRow]:
    """The rows that a page shows, without those for new services that are empty. What is wrong comes first, once the
    form was sent; a few new ones, or the one that is being typed in, are shown with every part."""
    filled = [row for row in rows if row.was is not None or not row.blank]
    return part_of_rows(
        SERVICES,
        filled,
        form,
        lambda row: (str(row), row.settings),
        wrong=lambda row: errors.sent and bool({*order_of_services([row])} & errors.wrong.keys()),
        typed=lambda row: errors.typing in order_of_services([row]),
        size=SERVICES_PER_PART,
    )


def _empty(rows: Sequence[ServiceRow]) -> list[ServiceRow]:
    return [ServiceRow(rows[-1].place + 1 if rows else 0)] if len(rows) < MOST_SERVICES else []


def order_of_services(rows: Iterable[ServiceRow]) -> tuple[str, ...]:
    """The fields of the rows, in the order of the page."""
    return tuple(row.name(field) for row in rows for field in ("kind", "service", "settings"))


def fields_of_plan(details: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The fields that say what a planned change says about these services."""
    for place, service in enumerate(details.get("add_services", ())):
        row = ServiceRow(place)
        yield row.name("kind"), service["kind"]
        yield row.name("service"), service["name"]
        yield row.name("settings"), settings_text(service["settings"])
    for name in details.get("remove_services", ()):
        yield REMOVED, name


def read_services(
    rows: Iterable[ServiceRow], type_: ClientType, catalogue: Catalogue, errors: FormErrors
) -> list[ServiceGiven]:
    """The new and changed services that the rows say."""
    services: list[ServiceGiven] = []
    seen: set[str] = set()
    for row in rows:
        if (row.was is None and row.blank) or row.removed:
            continue
        if row.was is not None and row.settings == row.was:
            seen.add(str(row))
            continue
        if not row.service:
            errors.miss(row.name("service"), "The name is missing. Give it, or empty the row")
            continue
        entry = _read(row, errors)
        if entry is None:
            continue
        if str(row) in seen:
            errors.refuse(row.field, f"{row} is given twice. Give each service once", finished=True)
        seen.add(str(row))
        try:
            [service] = catalogue.services([entry], row.field)
            service.service()
        except InvalidField as invalid:
            errors.refuse(row.field, f"{invalid.why}. {invalid.remedy}")
            continue
        if service.in_building and type_ is ClientType.VIRTUAL:
            errors.refuse(row.field, IN_BUILDING.format(catalogue.phrase(row.kind)))
        services.append(entry)
    return services


def _read(row: ServiceRow, errors: FormErrors) -> ServiceGiven | None:
    try:
        settings = read_settings(row.settings)
    except ValueError as wrong:
        errors.refuse(row.name("settings"), str(wrong))
        return None
    try:
        return ServiceGiven(kind=row.kind, name=row.service, settings=settings)
    except ValidationError as invalid:
        for error in invalid.errors():
            field = {"kind": "kind", "name": "service"}.get(str(error["loc"][0]), "settings")
            errors.refuse(row.name(field), sentence(field, error))
        return None


def overtaken_services(
    services: Iterable[ServiceView], rows: Iterable[ServiceRow], errors: FormErrors
) -> list[ServiceRow]:
    """Refuse to undo what somebody else did to the same services meanwhile. The rows that are returned know it: sent
    again, they are meant."""
    now = {f"{service.kind}:{service.name}": settings_text(service.settings) for service in services}
    known: list[ServiceRow] = []
    for row in rows:
        theirs = now.get(str(row))
        known.append(row)
        if row.was is None or not (row.removed or row.settings != row.was) or (row.removed and theirs is None):
            continue
        if theirs is None:
            errors.refuse(row.field, f"{row} was removed meanwhile. Reload the page, or add it anew")
        elif theirs != row.was and (row.removed or theirs != row.settings):
            text = f"{row} was changed meanwhile: {theirs or 'no settings'}. Send it again to have yours instead"
            errors.refuse(row.field, text)
            known[-1] = replace(row, was=theirs)
    return known


def removed_services(rows: Iterable[ServiceRow]) -> list[str]:
    """What is to be removed, by kind and name."""
    return [str(row) for row in rows if row.removed]


def choices(catalogue: Catalogue, type_: ClientType, present: Iterable[ServiceRow | ServiceView]) -> dict[System, str]:
    """The kinds that a client of this type can contract, and those that are there, with their titles."""
    possible = [kind.system for kind in catalogue.further if type_ is ClientType.RESIDENTIAL or not kind.in_building]
    return {kind: catalogue.title(kind) for kind in (*possible, *(it.kind for it in present if it.kind))}
