"""A new client like another one, present or former: the form that has what can be taken over, and what cannot."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from starter.clients import ClientService
from starter.console.forms.form import BoundForm
from starter.console.forms.internet import rates_of
from starter.console.forms.labels import labels_of
from starter.console.forms.lines import MOST_ROWS, ROOMS, LineRow
from starter.console.forms.services import ServiceRow
from starter.console.rendering import Form
from starter.contract.answers import Site
from starter.directory.console import ConsoleReads
from starter.telephones import phone_word
from starter.wording import few, settings_text
from workflows.domain.client.labels import keys_of
from workflows.wire.views import ClientView


@dataclass(frozen=True)
class Copied:
    """The filled form. ``taken_over`` is what of the client is in it, ``left_out`` what is not, with the reason."""

    like: ClientView
    bound: BoundForm
    taken_over: list[str]
    left_out: list[str]


async def copy_of_client(
    clients: ClientService, reads: ConsoleReads, like: ClientView, sites: Sequence[Site]
) -> Copied:
    """A form for a client like this one. Its billing ref and start date are new, and what others have is left out."""
    numbers = [line.number for line in like.lines]
    held = await reads.numbers_taken(numbers)
    keys = keys_of(like.external_ids)
    ids_held = await clients.directory.external_ids_taken(keys.values())
    free = [line for line in like.lines if line.number not in held]
    lines = free[:MOST_ROWS]
    ids = [name for name in keys.values() if name not in ids_held]
    rooms = [office for office in like.offices if office not in {line.office for line in like.lines}]
    here = like.site in {site.site_id for site in sites}
    fields = {"name": like.name, "type": like.type.value, "site": like.site if here else "", "activation": "automatic"}
    fields |= labels_of(like) | {"external_ids": "\n".join(ids), ROOMS: ", ".join(rooms)} | rates_of(like.internet)
    rows = [LineRow(place, line.number, line.office or "", line.protected) for place, line in enumerate(lines)]
    services = [
        ServiceRow(place, service.kind, service.name, settings_text(service.settings))
        for place, service in enumerate(like.services)
    ]
    after = len(rows)
    bound = BoundForm(
        Form(fields),
        rows=[*rows, *(LineRow(after + n) for n in range(3 if not rows else 1))],
        services=[*services, ServiceRow(len(services))],
    )
    taken_over = [
        "name and type",
        *(["site"] if here else []),
        *([f"{len(lines)} line{'' if len(lines) == 1 else 's'}"] if lines else []),
        *(["offices"] if rooms else []),
        *(["internet access"] if like.internet else []),
        *(["further services"] if services else []),
        *(["tags"] if like.tags else []),
        *(["external ids"] if ids else []),
    ]
    left_out = [
        *([] if here else [f"Site {like.site} is retired"]),
        *_holder_texts({phone_word(number): held[number] for number in numbers if number in held}, like),
        *_holder_texts(ids_held, like),
        *([f"{len(free) - len(lines)} more lines: add them once there is the client"] if free[MOST_ROWS:] else []),
    ]
    return Copied(like, bound, taken_over, left_out)


def _holder_texts(held: Mapping[str, str], like: ClientView) -> Iterator[str]:
    """A sentence for each client that has some of these."""
    for holder in dict.fromkeys(held.values()):
        theirs = [name for name, other in held.items() if other == holder]
        verb, that = ("is", "that") if len(theirs) == 1 else ("are", "those")
        whose = "still its own" if holder == like.client_id else f"{that} of {holder or 'another client'} now"
        yield f"{few(theirs)} {verb} {whose}"
