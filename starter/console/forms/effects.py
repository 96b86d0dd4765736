"""What a command would touch, as a preview names it."""

from starter.contract.catalogue import Catalogue
from workflows.domain.preview import Effect

THINGS = {
    "line": "Line",
    "account": "Internet",
    "service": "Service",
    "office": "Office",
    "hold": "Hold",
    "detail": "Record",
}
"""The things, in the order in which they are read."""


def named(catalogue: Catalogue, effect: Effect) -> tuple[str, str]:
    """What a thing is, and which: a service of a further kind goes by the title of that."""
    if effect.kind != "service":
        return THINGS[effect.kind], effect.subject
    kind, _, name = effect.subject.partition(":")
    return catalogue.title(kind), name
