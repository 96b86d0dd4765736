"""What a command would touch, as a preview names it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
MOST_SHOWN = 100  # of a kind, beyond the first few


def thing_and_name(catalogue: Catalogue, effect: Effect) -> tuple[str, str]:
    """What a thing is, and which: a service of a further kind goes by the title of that."""
    if effect.kind != "service":
        return THINGS[effect.kind], effect.subject
    kind, _, name = effect.subject.partition(":")
    return catalogue.title(kind), name


@dataclass(frozen=True)
class Alike:
    """Things that are touched in the same way."""

    thing: str
    subjects: Sequence[str]
    before: str
    after: str


def alike(catalogue: Catalogue, effects: Iterable[Effect]) -> tuple[list[Alike], str]:
    """What is touched in the same way, together; and how many of what kind are not among them, because a page does not
    show thousands."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    left_out: Counter[str] = Counter()
    for effect in effects:
        thing, subject = thing_and_name(catalogue, effect)
        same = (thing, effect.before, effect.after)
        if same in groups or len(groups) < MOST_SHOWN:
            groups.setdefault(same, []).append(subject)
        else:
            left_out[thing] += 1
    for (thing, _, _), subjects in groups.items():
        left_out[thing] += len(subjects[MOST_SHOWN:])
        del subjects[MOST_SHOWN:]
    words = [f"{number} more of: {thing.lower()}" for thing, number in left_out.items() if number]
    return [Alike(thing, named, before, after) for (thing, before, after), named in groups.items()], ", ".join(words)
