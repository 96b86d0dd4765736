"""What people and other services label a client with: tags to filter by, and what other systems call it (PRODUCT.md
section 2). Both are compared after case folding and shown as typed."""

from collections.abc import Iterable, Mapping, Sequence

from workflows.domain.commands import Edit
from workflows.domain.errors import InvalidField
from workflows.domain.text import check_text, composed, folded, has_visible, trimmed

LONGEST_LABEL = 64
LONGEST_EXTERNAL_ID = 100
MOST_LABELS = 20
"""So many tags, and so many external ids, has a client at most."""


def tags_of(texts: Iterable[str], field: str = "tags") -> list[str]:
    """These tags as they are kept: composed (NFC), without blanks around them, each once. Raises InvalidField."""
    tags: dict[str, str] = {}
    for text in texts:
        tag = _tag(text, field)
        tags.setdefault(folded(tag), tag)
    return [*tags.values()]


def external_ids_of(values: Mapping[str, str | None]) -> dict[str, str | None]:
    """These external ids as they are kept, by system; None for one that is removed. Raises InvalidField."""
    ids: dict[str, str | None] = {}
    for system, value in values.items():
        name = _text(system, "name of a system", LONGEST_LABEL, "external_ids", "crm")
        if ":" in name:
            raise InvalidField(f"The name of a system, {name!r}, has a colon", "Leave it out: crm", "external_ids")
        if folded(name) in map(folded, ids):
            raise InvalidField(f"System {name} is given twice", "Give each system once", "external_ids")
        what = f"external id of {name}"
        ids[name] = None if value is None else _text(value, what, LONGEST_EXTERNAL_ID, "external_ids", "4711")
    return ids


def new_labels(tags: Iterable[str], external_ids: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """The tags and external ids of a client about to be made, as they are kept. Raises InvalidField."""
    return _few_tags(tags_of(tags)), _external_ids_after({}, external_ids)


def labels_after(edit: Edit, tags: Sequence[str], external_ids: Mapping[str, str]) -> dict[str, object]:
    """The tags and external ids of a client that has these after an edit, by field; what stays is not in it.

    External ids are merged as in RFC 7396: those left out stay, None removes one. Raises InvalidField.
    """
    after: dict[str, object] = {}
    if edit.tags is not None or edit.add_tags or edit.remove_tags:
        after["tags"] = _tags_after(edit, tags)
    if edit.external_ids:
        after["external_ids"] = _external_ids_after(external_ids, edit.external_ids)
    return after


def keys_of(external_ids: Mapping[str, str]) -> dict[str, str]:
    """What is unique of external ids, and how each is shown: ``crm:4711``."""
    names = (f"{system}:{value}" for system, value in external_ids.items())
    return {folded(name): name for name in names}


def keys_wanted(edit: Edit, external_ids: Mapping[str, str]) -> tuple[str, ...]:
    """The external ids, as people see them, that an edit gives a client and that it does not have."""
    try:
        ids = {system: value for system, value in external_ids_of(edit.external_ids).items() if value is not None}
    except InvalidField:
        return ()  # the edit is refused for it
    present = keys_of(external_ids)
    return tuple(name for key, name in keys_of(ids).items() if key not in present)


def change_text(field: str, before: object, after: object) -> str:
    """How the history calls a changed field: of tags and external ids with what came and went."""
    earlier, now = (_by_key(value) if field in ("tags", "external_ids") else {} for value in (before, after))
    added = [f"+{name}" for key, name in now.items() if key not in earlier]
    removed = [f"-{name}" for key, name in earlier.items() if key not in now]
    return " ".join([field.replace("_", " "), *added, *removed])


def _by_key(labels: object) -> dict[str, str]:
    if isinstance(labels, Mapping):
        return keys_of(labels)
    return {folded(tag): tag for tag in labels} if isinstance(labels, Sequence) else {}


def _tags_after(edit: Edit, tags: Sequence[str]) -> list[str]:
    added, removed = tags_of(edit.add_tags, "add_tags"), tags_of(edit.remove_tags, "remove_tags")
    gone = {folded(tag) for tag in removed}
    if both := next((tag for tag in added if folded(tag) in gone), None):
        raise InvalidField(f"Tag {both} is both added and removed", "Say one of the two", "remove_tags")
    base = tags if edit.tags is None else tags_of(edit.tags)
    return _few_tags([tag for tag in tags_of([*base, *added]) if folded(tag) not in gone])


def _few_tags(tags: list[str]) -> list[str]:
    if len(tags) > MOST_LABELS:
        raise InvalidField(f"{len(tags)} tags are too many", f"Give at most {MOST_LABELS}; remove some first", "tags")
    return tags


def _external_ids_after(present: Mapping[str, str], patch: Mapping[str, str | None]) -> dict[str, str]:
    changes = external_ids_of(patch)
    anew = {folded(system) for system in changes}
    others = {system: value for system, value in present.items() if folded(system) not in anew}
    merged = others | {system: value for system, value in changes.items() if value is not None}
    if len(merged) > MOST_LABELS:
        why = f"{len(merged)} external ids are too many"
        raise InvalidField(why, f"Give at most {MOST_LABELS}; remove some with null", "external_ids")
    return merged


def _tag(text: str, field: str) -> str:
    tag = _text(text, "tag", LONGEST_LABEL, field, "vip")
    if "," in tag:
        raise InvalidField(f"Tag {tag!r} has a comma", "Give several tags, or leave it out", field)
    return tag


def _text(text: str, what: str, longest: int, field: str, example: str) -> str:
    """A text as it is kept. Raises InvalidField for one that is blank, too long, or has what nobody would see."""
    text = trimmed(composed(text))
    check_text(text, field)
    if len(text) > longest or not has_visible(text):
        why = f"A {what} has {len(text)} characters" if len(text) > longest else f"A {what} is blank"
        raise InvalidField(why, f"Give 1 to {longest} characters, such as {example}", field)
    return text
