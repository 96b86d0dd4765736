"""Edit client: the record's details, and the contracted services, with what there is to say about them as one types.

Forms carry what each field was when they were opened: only what somebody changed is sent, so that nobody undoes what
another one did meanwhile without knowing it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response

from starter.clients import ClientService, refusal_in
from starter.console.forms.checks import (
    MORE,
    ROWS,
    TYPING,
    FormErrors,
    LineRow,
    check_billing_ref,
    check_days,
    check_numbers,
    command_id_of,
    internet_of,
    lines_of,
    new_command_id,
    remembered,
    rows_of,
    start_told,
)
from starter.console.labels import status_word
from starter.console.rendering import Form, Page, caller_of, page, read_form, reads_of, redirect
from starter.contract.bodies import EditBody, InternetGiven, LineGiven, ServicesBody
from starter.errors import NoSuchClient, StarterError
from starter.web.dependencies import Clients
from workflows.domain.client.rules import check_billing_ref as meet_billing_ref
from workflows.domain.client.rules import check_name
from workflows.domain.dates import local_day
from workflows.domain.errors import Refusal
from workflows.domain.lifecycle import Activation, Status
from workflows.domain.preview import Effect
from workflows.wire.messages import AnyMessage, ChangeServices, Edit
from workflows.wire.views import ClientView, CommandAnswer

DETAILS = ("name", "billing_ref", "start_date", "end_date", "activation")
CALLED = {name: name.replace("_", " ") for name in DETAILS}
RATES = ("down", "up", "vlan")

edit_pages = APIRouter(include_in_schema=False, route_class=Page)


@dataclass
class BoundForm:
    """One form of the page: as it was typed, what there is to say about it, and the command that it is."""

    form: Form
    checks: FormErrors
    command_id: str
    rows: Sequence[LineRow] = ()
    effects: Sequence[Effect] = ()


@edit_pages.get("/clients/{client_id}/edit")
async def show_edit(request: Request, clients: Clients, client_id: str) -> Response:
    return _asking(request, await clients.client(client_id))


@edit_pages.post("/clients/{client_id}/edit")
async def edit_client(request: Request, clients: Clients, client_id: str) -> Response:
    """The details that were changed; or the same form, with what is wrong beside its fields."""
    form, client = await read_form(request), await clients.client(client_id)
    bound = BoundForm(form, FormErrors((*DETAILS, "reason")), command_id_of(form))
    said = _edited(form)
    body = _details(client, form, said, bound.checks)
    if not said:
        return redirect(f"/clients/{client_id}", notice="Nothing was changed: the details are as they were.")
    if body is None:
        await check_billing_ref(said.get("billing_ref") or "", reads_of(request), bound.checks, client_id)
        return _asking(request, client, 422, details=bound)
    if _overtaken(client, form, said, bound.checks):
        bound.form = _renewed(form, client)
        return _asking(request, client, 409, details=bound)
    message = Edit.model_validate({**_given(body), "by": caller_of(request), "command_id": bound.command_id})
    status = await _told(clients, client, message, bound)
    return _asking(request, client, status, details=bound) if isinstance(status, int) else _done(status)


@edit_pages.post("/clients/{client_id}/edit/check")
async def check_edit(request: Request, clients: Clients, client_id: str) -> Response:
    """The form as it is, with what there is to say about it. Nothing is done."""
    form, client = await read_form(request), await clients.client(client_id)
    bound = BoundForm(form, FormErrors((*DETAILS, "reason"), form.text(TYPING), sent=False), command_id_of(form))
    said = _edited(form)
    body = _details(client, form, said, bound.checks)
    ref = said.get("billing_ref") or ""
    await check_billing_ref(ref, reads_of(request), bound.checks, client_id)
    if said and body is not None and not bound.checks.stopped:
        refusal = refusal_in(await clients.preview(client_id, Edit.model_validate(_given(body))))
        if refusal is not None:
            bound.checks.turned_away(refusal)
    return _asking(request, client, details=bound)


@edit_pages.post("/clients/{client_id}/edit/services")
async def change_services(request: Request, clients: Clients, client_id: str) -> Response:
    """The change of services, now; or the same form, with what is wrong beside its fields."""
    form, client = await read_form(request), await clients.client(client_id)
    if form.text(MORE):
        return await _services_checked(request, clients, client, form)
    rows = rows_of(form)
    bound = BoundForm(form, FormErrors(_order(rows)), command_id_of(form), rows)
    body, lines = _services(client, bound)
    if body is None:
        await check_numbers(lines, reads_of(request), bound.checks, client_id)
        return _asking(request, client, 422, services=bound)
    if _services_overtaken(client, bound):
        return _asking(request, client, 409, services=bound)
    message = ChangeServices.model_validate({**_given(body), "by": caller_of(request), "command_id": bound.command_id})
    status = await _told(clients, client, message, bound)
    return _asking(request, client, status, services=bound) if isinstance(status, int) else _done(status)


@edit_pages.post("/clients/{client_id}/edit/services/check")
async def check_services(request: Request, clients: Clients, client_id: str) -> Response:
    """The form as it is, with what there is to say about it. Nothing is done."""
    return await _services_checked(request, clients, await clients.client(client_id), await read_form(request))


# -- details ----------------------------------------------------------------------------------------------------------


def _edited(form: Form) -> dict[str, str | None]:
    """What differs from when the form was opened."""
    said: dict[str, str | None] = {}
    for name in DETAILS:
        if name in form.fields and form.text(name) != form.text(f"was-{name}"):
            said[name] = form.text(name) or (None if name == "end_date" else "")
    return said


def _details(client: ClientView, form: Form, said: Mapping[str, Any], checks: FormErrors) -> EditBody | None:
    """The edit that the form says; None when there cannot be such a one, which is told."""
    for name, check in (("name", check_name), ("billing_ref", meet_billing_ref)):
        if said.get(name):
            checks.meet(name, check, said[name])
    reason = {"reason": form.text("reason")} if form.text("reason") else {}
    body = checks.read(EditBody, {**said, **reason})
    _tell_details(client, form, said, checks)
    return None if checks.stopped else body


def _tell_details(client: ClientView, form: Form, said: Mapping[str, Any], checks: FormErrors) -> None:
    """Say what each change would mean."""
    now = datetime.now(UTC)
    start, end = (_day(form.text(name)) for name in ("start_date", "end_date"))
    if "start_date" in said and start is not None:
        if client.status is Status.NEW:
            activation = form.text("activation") or client.activation
            checks.tell("start_date", start_told(start, activation, client.timezone, now))
        else:
            text = f"Information only: the client is {status_word(client.status).lower()}, nothing is switched."
            checks.tell("start_date", text)
    if "end_date" in said and "end_date" not in checks.wrong:
        if end is None and not form.text("end_date"):
            checks.tell("end_date", "It is removed. Planned changes stay as they are.")
        check_days(start, end, client.timezone, now, checks)
    if "activation" in said and start is not None:
        checks.tell("activation", start_told(start, said["activation"], client.timezone, now))
    if said.get("billing_ref") == "":
        checks.tell("billing_ref", "A new one is generated when this is saved.")


def _overtaken(client: ClientView, form: Form, said: Mapping[str, Any], checks: FormErrors) -> bool:
    """Whether somebody has changed the same field meanwhile; it is told, and saving again is then meant."""
    now = _fields(client)
    for name, wanted in said.items():
        theirs = now[name]
        if wanted != "" and theirs not in (form.text(f"was-{name}"), wanted or ""):
            told = f"changed to “{theirs}”" if theirs else "removed"
            checks.refuse(name, f"The {CALLED[name]} was {told} meanwhile. Save again to have yours instead")
    return bool(checks.wrong)


def _renewed(form: Form, client: ClientView) -> Form:
    """The form as it was typed, opened now."""
    return Form({**form.fields, **{f"was-{name}": value for name, value in _fields(client).items()}}, form.many)


def _fields(client: ClientView) -> dict[str, str]:
    values = {name: getattr(client, name) for name in DETAILS}
    return {name: "" if value is None else str(value) for name, value in values.items()}


# -- services ---------------------------------------------------------------------------------------------------------


async def _services_checked(request: Request, clients: ClientService, client: ClientView, form: Form) -> Response:
    rows = rows_of(form, more=ROWS if form.text(MORE) else 0)
    bound = BoundForm(form, FormErrors(_order(rows), form.text(TYPING), sent=False), command_id_of(form), rows)
    body, lines = _services(client, bound)
    await check_numbers(lines, reads_of(request), bound.checks, client.client_id)
    if body is not None and not bound.checks.stopped:
        shown = await clients.preview(client.client_id, ChangeServices.model_validate(_given(body)))
        refusal = refusal_in(shown)
        if refusal is not None:
            bound.checks.turned_away(refusal, rows)
        bound.effects = shown.effects
    return _asking(request, client, services=bound)


def _services(client: ClientView, bound: BoundForm) -> tuple[ServicesBody | None, dict[str, LineGiven]]:
    """The change that the form says, None when there is none or cannot be such a one, which is told; and its lines."""
    checks, form = bound.checks, bound.form
    lines = lines_of(bound.rows, client.type, checks)
    removed = [row.number for row in bound.rows if row.removed]
    internet = _internet(form, checks)
    said: dict[str, Any] = {"add_lines": list(lines.values()), "remove_lines": removed, "internet": internet}
    said = {name: value for name, value in said.items() if value}
    if not said and checks.sent and not checks.wrong:
        checks.problem = "No line and no internet access is changed yet. Change one first."
    reason = {"reason": form.text("reason")} if form.text("reason") else {}
    body = checks.read(ServicesBody, {**said, **reason})
    return (body if said and not checks.stopped else None), lines


def _services_overtaken(client: ClientView, bound: BoundForm) -> bool:
    """Whether somebody has changed the same services meanwhile; it is told, and saving again is then meant."""
    now = {line.number: (line.office or "", line.protected) for line in client.lines}
    fresh: dict[str, str] = {}
    for row in bound.rows:
        theirs = now.get(row.number)
        if row.was is None or not (row.removed or row.changed) or (row.removed and theirs is None):
            continue
        if theirs is None:
            bound.checks.refuse(row.told_at, f"{row.number} was removed meanwhile. Reload the page, or add it anew")
        elif theirs != row.was and (row.removed or theirs != (row.office, row.protected)):
            where = f"in {theirs[0]}" if theirs[0] else "in no office"
            kept = "protected" if theirs[1] else "not protected"
            text = f"{row.number} was changed meanwhile: {where}, {kept}. Send it again to have yours instead"
            bound.checks.refuse(row.told_at, text)
            fresh[f"line-{row.place}"] = remembered(row.number, theirs[0], protected=theirs[1])
    fresh |= _internet_overtaken(client, bound)
    bound.form = Form({**bound.form.fields, **fresh}, bound.form.many)
    bound.rows = rows_of(bound.form)
    return bool(bound.checks.wrong)


def _internet_overtaken(client: ClientView, bound: BoundForm) -> dict[str, str]:
    """What the form is to remember of internet access that somebody else has changed meanwhile; it is told."""
    form, theirs = bound.form, _rates(client)
    was, wanted = ({name: form.text(f"{before}{name}") for name in RATES} for before in ("was-", ""))
    if form.text("end-internet"):
        wanted = dict.fromkeys(RATES, "")
    if wanted == was or theirs in (was, wanted):
        return {}
    vlan = f", VLAN {theirs['vlan']}" if theirs["vlan"] else ""
    told = f"changed to {theirs['down']}/{theirs['up']} Mbit/s{vlan}" if any(theirs.values()) else "ended"
    bound.checks.refuse("down", f"Internet access was {told} meanwhile. Send it again to have yours instead")
    return {f"was-{name}": rate for name, rate in theirs.items()}


def _rates(client: ClientView) -> dict[str, str]:
    internet = client.internet
    rates = (internet.down_mbps, internet.up_mbps, internet.vlan or "") if internet else ("", "", "")
    return dict(zip(RATES, map(str, rates), strict=True))


def _internet(form: Form, checks: FormErrors) -> InternetGiven | Literal["none"] | None:
    """What becomes of internet access; None when it stays."""
    was, now = (tuple(form.text(f"{before}{name}") for name in RATES) for before in ("was-", ""))
    if form.text("end-internet"):
        return "none"
    if now == was:
        return None
    if not any(now):
        checks.refuse("down", "To end internet access, tick “End internet access”; to keep it, give its rates")
    internet = internet_of(form, checks)
    if internet is not None:
        vlan = f", VLAN {internet.vlan}" if internet.vlan is not None else ""
        checks.tell("down", f"It becomes {internet.down_mbps}/{internet.up_mbps} Mbit/s{vlan}.")
    return internet


# -- both -------------------------------------------------------------------------------------------------------------


def _given(body: EditBody | ServicesBody) -> dict[str, Any]:
    return body.model_dump(exclude_unset=True)


async def _told(
    clients: ClientService, client: ClientView, message: AnyMessage, bound: BoundForm
) -> CommandAnswer | int:
    """The client's answer; when it refuses, or something is away, the code of that, told in the sheet."""
    try:
        return await clients.command(client.client_id, message)
    except Refusal as refusal:
        bound.command_id = new_command_id()  # that command was refused; what is sent next is another one
        return bound.checks.turned_away(refusal, bound.rows)
    except NoSuchClient:
        raise
    except StarterError as kept:  # it may be under way: the same form then answers
        return bound.checks.undone(kept)


def _done(answer: CommandAnswer) -> Response:
    return redirect(f"/clients/{answer.client_id}", notice=f"{answer.message.rstrip('.')}.")


def _asking(
    request: Request,
    client: ClientView,
    status: int = 200,
    *,
    details: BoundForm | None = None,
    services: BoundForm | None = None,
) -> Response:
    """Both forms; the one that was typed in as it was typed, the other as the client is."""
    details = details or _details_of(client)
    services = services or _services_of(client)
    last_day = _day(details.form.text("end_date"))
    if last_day is not None and last_day < local_day(datetime.now(UTC), client.timezone):
        last_day = None  # it would be refused
    plan = {"action": "decommission", "when": "day", **({"last_day": last_day.isoformat()} if last_day else {})}
    return page(
        request,
        "edit.html",
        status,
        client=client,
        details=details,
        services=services,
        manual=(details.form.text("activation") or client.activation) == Activation.MANUAL,
        last_day=last_day,
        plan=f"/clients/{client.client_id}/status?{urlencode(plan)}",
    )


def _details_of(client: ClientView) -> BoundForm:
    fields = _fields(client)
    form = Form({**fields, **{f"was-{name}": value for name, value in fields.items()}}, {})
    return BoundForm(form, FormErrors(), new_command_id())


def _services_of(client: ClientView) -> BoundForm:
    fields: dict[str, str] = {}
    for place, line in enumerate(client.lines):
        fields[f"line-{place}"] = remembered(line.number, line.office or "", protected=line.protected)
        fields[f"office-{place}"] = line.office or ""
        fields[f"protected-{place}"] = "yes" if line.protected else ""
    for name, rate in _rates(client).items():
        fields[name] = fields[f"was-{name}"] = rate
    form = Form(fields, {})
    return BoundForm(form, FormErrors(), new_command_id(), rows_of(form, more=1 if client.lines else ROWS))


def _order(rows: Sequence[LineRow]) -> tuple[str, ...]:
    return (*(name for row in rows for name in row.fields), *RATES, "reason")


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
