"""The details of a client's record in a form: what a change of them means, and what others did meanwhile."""

from collections.abc import Mapping
from datetime import UTC, date, datetime

from starter.console.forms.errors import FormErrors
from starter.console.forms.labels import LABELS, label_changes, labels_of
from starter.console.labels import day_word, label, moment_word
from starter.console.rendering import Form
from starter.contract.bodies import EditBody
from starter.directory.console import ConsoleReads
from starter.wording import client_word
from workflows.domain.client import rules
from workflows.domain.dates import first_instant, local_day
from workflows.domain.lifecycle import Activation, Status
from workflows.wire.grammar import read_day
from workflows.wire.views import ClientView

DETAILS = ("name", "billing_ref", "start_date", "end_date", "activation", *LABELS)
RULES = {"name": rules.check_name, "client_id": rules.check_client_id, "billing_ref": rules.check_billing_ref}


def details_of(client: ClientView) -> dict[str, str]:
    """The details of a client, as the form has them."""
    values = {name: getattr(client, name) for name in DETAILS if name not in LABELS}
    return {name: "" if value is None else str(value) for name, value in values.items()} | labels_of(client)


def changes_in(form: Form) -> dict[str, str | None]:
    """The details that differ from when the form was opened. An end date that was emptied is none."""
    changed = [name for name in DETAILS if name in form and form.text(name) != form.was(name)]
    return {name: form.text(name) or (None if name == "end_date" else "") for name in changed}


def meet_rules(fields: Mapping[str, str | None], errors: FormErrors) -> None:
    """Hold what was typed against the rules of the domain."""
    for name, rule in RULES.items():
        if value := fields.get(name):
            errors.meet(name, rule, value)


def read_details(
    client: ClientView, form: Form, changes: Mapping[str, str | None], errors: FormErrors
) -> EditBody | None:
    """The edit that the form says; None when there cannot be such a one, which the errors say."""
    meet_rules(changes, errors)
    fields = {name: value for name, value in changes.items() if name not in LABELS}
    body = errors.read(EditBody, {**fields, **label_changes(form, changes, errors), **reason_in(form)})
    _hint_changes(client, form, changes, errors)
    return None if errors.stopped else body


def overtaken(client: ClientView, form: Form, changes: Mapping[str, str | None], errors: FormErrors) -> Form:
    """Refuse to undo what somebody else did to the same fields meanwhile. The form that is returned knows it: sent
    again, it is meant."""
    now = details_of(client)
    for name, ours in changes.items():
        if name in LABELS:
            continue  # what others did to these stays
        theirs = now[name]
        if ours != "" and theirs not in (form.was(name), ours or ""):
            value = getattr(client, name)
            change = f"changed to “{day_word(value) if isinstance(value, date) else value}”" if theirs else "removed"
            label = name.replace("_", " ")
            errors.refuse(name, f"The {label} was {change} meanwhile. Save again to have yours instead")
    return form.opened({name: now[name] for name in changes})


def hint_start(start: date | None, activation: str, zone: str, now: datetime) -> str:
    """When a client that is New activates, with the exact instant and its zone."""
    if activation == Activation.MANUAL:
        return "The client then stays New until somebody activates it."
    today = local_day(now, zone)
    at = first_instant(start or today, zone)
    if at <= now:
        return f"Activates at once: the start date is {'today' if (start or today) == today else 'past'}."
    return f"Activates on {moment_word(at, zone)} {zone}."


def hint_end(start: date | None, end: date | None, zone: str, now: datetime, errors: FormErrors) -> None:
    """Say what is odd about dates that are allowed."""
    today = local_day(now, zone)
    if end is not None and end < (start or today):
        errors.hint("end_date", "It is before the start date. It can be saved; is that intended?", "caution")
    elif end is not None and end < today:
        errors.hint("end_date", "It is past, and will be shown in red.", "caution")


async def check_billing_ref(ref: str, reads: ConsoleReads, errors: FormErrors, own: str | None = None) -> None:
    """Say whether a billing reference is free."""
    if not ref or "billing_ref" in errors.wrong:
        return
    holder = await reads.billing_ref_taken(ref)
    if holder not in (None, own):
        text = f"{ref} is taken by {client_word(holder)}. Give another, or leave it empty to have one generated"
        errors.refuse("billing_ref", text, finished=True)
    elif holder is None and not errors.unfinished:
        errors.hint("billing_ref", f"{ref} is free.", "right")


def reason_in(form: Form) -> dict[str, str]:
    """The reason that a form gives; nothing when it gives none."""
    return {"reason": form.text("reason")} if form.text("reason") else {}


def day_in(form: Form, name: str) -> date | None:
    """The day that a field says; None while it says none."""
    try:
        return read_day(form.text(name))
    except ValueError:
        return None


def _hint_changes(client: ClientView, form: Form, changes: Mapping[str, str | None], errors: FormErrors) -> None:
    now = datetime.now(UTC)
    start, end = day_in(form, "start_date"), day_in(form, "end_date")
    if "start_date" in changes and start is not None:
        if client.status is Status.NEW:
            activation = form.text("activation") or client.activation
            errors.hint("start_date", hint_start(start, activation, client.timezone, now))
        else:
            text = f"Information only: the client is {label(client.status).lower()}, nothing is switched."
            errors.hint("start_date", text)
    if "end_date" in changes and "end_date" not in errors.wrong:
        if end is None and not form.text("end_date"):
            errors.hint("end_date", "It is removed. Planned changes stay as they are.")
        hint_end(start, end, client.timezone, now, errors)
    if "activation" in changes and start is not None:
        errors.hint("activation", hint_start(start, changes["activation"] or "", client.timezone, now))
    if changes.get("billing_ref") == "":
        errors.hint("billing_ref", "A new one is generated when this is saved.")
