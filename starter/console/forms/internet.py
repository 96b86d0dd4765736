"""Internet access in a form: its rates, what is to become of it, and what others did meanwhile."""

from collections.abc import Iterator
from typing import Any, Literal

from starter.console.forms.errors import FormErrors
from starter.console.rendering import Form
from starter.wording import rates_word
from workflows.wire.grammar import whole_of
from workflows.wire.messages import InternetGiven
from workflows.wire.views import InternetView

RATES = {"down": "down_mbps", "up": "up_mbps", "vlan": "vlan"}  # the fields, and what the contract calls them
CHOICE, SET, NONE = "internet", "set", "none"  # of Edit status: keep it, set it, or end it
ENDED = "end-internet"  # of Edit client, whose rates are those of the client to begin with
CHOICES = (("", "Keep as it is"), (SET, "Set"), (NONE, "End"))


def rates_of(internet: InternetView | None) -> dict[str, str]:
    """The rates of a client, as the form has them."""
    return {name: str(getattr(internet, rate, None) or "") for name, rate in RATES.items()}


def fields_of_plan(kind: str, internet: Any) -> Iterator[tuple[str, object]]:
    """The fields that say what a planned change says about internet access."""
    if not isinstance(internet, dict):
        yield CHOICE, internet
        return
    yield CHOICE, SET if kind == "change_services" else None
    yield from ((name, internet[rate]) for name, rate in RATES.items())


def read_internet(form: Form, errors: FormErrors) -> InternetGiven | None:
    """The internet access that a form says; None when it says none, or none that can be."""
    values = {rate: whole_of(form.text(name)) for name, rate in RATES.items() if form.text(name)}
    return errors.read(InternetGiven, values) if values else None


def read_choice(form: Form, errors: FormErrors) -> InternetGiven | Literal["none"] | None:
    """What is chosen for internet access; None when it stays."""
    if form.text(CHOICE) != SET:
        return "none" if form.text(CHOICE) == NONE else None
    if not any(form.text(name) for name in RATES):
        errors.miss("down", "Give the rates of the internet access")
    return read_internet(form, errors)


def read_change(form: Form, errors: FormErrors) -> InternetGiven | Literal["none"] | None:
    """What becomes of internet access whose rates were edited; None when it stays."""
    if form.text(ENDED):
        return "none"
    if all(form.text(name) == form.was(name) for name in RATES):
        return None
    if not any(form.text(name) for name in RATES):
        errors.refuse("down", "To end internet access, tick “End internet access”; to keep it, give its rates")
    internet = read_internet(form, errors)
    if internet is not None:
        errors.hint("down", f"It becomes {rates_word(internet.down_mbps, internet.up_mbps, internet.vlan)}.")
    return internet


def overtaken(internet: InternetView | None, form: Form, errors: FormErrors) -> Form:
    """Refuse to undo what somebody else did to internet access meanwhile. The form that is returned knows it: sent
    again, it is meant."""
    theirs = rates_of(internet)
    was = {name: form.was(name) for name in RATES}
    ours = {name: "" if form.text(ENDED) else form.text(name) for name in RATES}
    if ours == was or theirs in (was, ours):
        return form
    change = f"changed to {rates_word(**theirs)}" if any(theirs.values()) else "ended"
    errors.refuse("down", f"Internet access was {change} meanwhile. Send it again to have yours instead")
    return form.opened(theirs)
