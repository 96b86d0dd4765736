"""Tags and external ids in a form: each a list that one types, and what of it was changed."""

import re
from collections.abc import Mapping

from starter.console.forms.errors import FormErrors
from starter.console.rendering import Form
from workflows.domain.client.labels import external_ids_of, keys_of, tags_of
from workflows.domain.errors import InvalidField
from workflows.domain.text import folded
from workflows.wire.views import ClientView

LABELS = ("tags", "external_ids")


def labels_of(client: ClientView) -> dict[str, str]:
    """The tags of a client with commas between, its external ids one to a line."""
    return {"tags": ", ".join(client.tags), "external_ids": "\n".join(keys_of(client.external_ids).values())}


def read_tags(text: str, errors: FormErrors, name: str = "tags") -> list[str]:
    """The tags that a field says, one to a line or with commas between. Wrong ones refuse the field, and are none."""
    try:
        return tags_of(tag for tag in re.split(r"[,\n]", text) if tag.strip())
    except InvalidField as invalid:
        errors.refuse(name, str(invalid))
        return []


def read_external_ids(text: str, errors: FormErrors) -> dict[str, str]:
    """The external ids that a field says: ``crm:4711``, one to a line or with commas between."""
    ids: dict[str, str] = {}
    for entry in filter(None, map(str.strip, re.split(r"[,\n]", text))):
        system, colon, value = (part.strip() for part in entry.partition(":"))
        if not (system and colon and value):
            errors.refuse("external_ids", f"“{entry[:40]}” lacks something. Write system, colon and id: crm:4711")
            return {}
        if system in ids:
            errors.refuse("external_ids", f"{system} is given twice. Give each system once")
        ids[system] = value
    try:
        return {system: value for system, value in external_ids_of(ids).items() if value is not None}
    except InvalidField as invalid:
        errors.refuse("external_ids", str(invalid))
        return {}


def label_changes(form: Form, changes: Mapping[str, str | None], errors: FormErrors) -> dict[str, object]:
    """What an edit says of the labels that differ from when the form was opened: what others did meanwhile stays."""
    edit: dict[str, object] = {}
    if "tags" in changes:
        before, now = read_tags(form.was("tags"), errors), read_tags(form.text("tags"), errors)
        has, had = {folded(tag) for tag in now}, {folded(tag) for tag in before}
        edit["add_tags"] = [tag for tag in now if folded(tag) not in had]
        edit["remove_tags"] = [tag for tag in before if folded(tag) not in has]
    if "external_ids" in changes:
        was, ids = (read_external_ids(text, errors) for text in (form.was("external_ids"), form.text("external_ids")))
        gone = {system: None for system in was if folded(system) not in map(folded, ids)}
        edit["external_ids"] = gone | {system: value for system, value in ids.items() if was.get(system) != value}
    return {name: value for name, value in edit.items() if value}
