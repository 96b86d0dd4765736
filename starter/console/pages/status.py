"""The Edit status page: what can be done with a client, what that would do, and doing it."""

import hashlib
from dataclasses import replace
from functools import partial
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from starter.clients import ClientService, refusal_in
from starter.console.forms.action import PLAN, ActionForm, form_of_plan
from starter.console.forms.effects import THINGS, alike, thing_and_name
from starter.console.forms.errors import FormErrors
from starter.console.forms.form import CHECK, BoundForm, new_command_id
from starter.console.forms.internet import CHOICES
from starter.console.forms.lines import LINES, REMOVED, part_of_lines, place_of
from starter.console.forms.moment import NOW, WHEN
from starter.console.forms.services import choices, part_of_services
from starter.console.parts import PART_SIZE, part_of
from starter.console.rendering import Form, caller_of, page, page_router, redirect
from starter.console.switched import FOLDED_BEYOND
from starter.errors import NotDecided
from starter.web.dependencies import Clients
from starter.wording import sentences
from workflows.domain.errors import Refusal
from workflows.domain.lifecycle import Kind
from workflows.wire.previews import PreviewView
from workflows.wire.views import ClientView

OVERTAKEN = (
    "The client has changed since this was previewed, and it would now do something else. Nothing was done. "
    "Look at what would happen now, and confirm that."
)
NOT_THE_NAME = "That is not the client's name. Type it exactly as it is written above."

STATUS = "/clients/{client_id}/status"
NEW_LINES_PER_PART = 20  # new lines, which the form that confirms has, too

status_pages = page_router()


@status_pages.get(STATUS)
@status_pages.get(f"{STATUS}{CHECK}")
@status_pages.post(f"{STATUS}{CHECK}")
async def show_status(request: Request, clients: Clients, client_id: str) -> Response:
    """What can be done, and a preview of what is chosen: as one types, nothing is done.

    A reason stands in no address. Of a plan that is moved the address has the name, and the form what it says.
    """
    client, bound = await clients.client(client_id), await BoundForm.read(request)
    if request.method == "GET":
        bound.form = _with_reason_of_plan(_of_plan(bound.form, client), client)
    return await _page(
        request, clients, client, ActionForm.of(client, bound, clients.catalogue, await clients.country(client)), bound
    )


@status_pages.post(STATUS)
async def change_status(request: Request, clients: Clients, client_id: str) -> Response:
    """Do what was previewed. What is refused is shown with everything that was typed."""
    client, bound = await clients.client(client_id), await BoundForm.read(request)
    action = ActionForm.of(client, bound, clients.catalogue, await clients.country(client))
    errors = bound.errors
    if action is None:
        return redirect(request, f"/clients/{client_id}/status")
    message = action.message(caller_of(request), bound.command_id, errors)
    if action.kind is Kind.DECOMMISSION and plain_name(bound.form.text("confirmed")) != plain_name(client.name):
        errors.refuse("confirmed", NOT_THE_NAME)
    elif message is not None:
        try:
            preview = await clients.preview(client_id, message)
            if preview.changed and not preview.answered and seal(preview) != bound.form.text("seen"):
                errors.problem, bound.code = OVERTAKEN, 409
            else:
                answer = await clients.command(client_id, message)
                return redirect(
                    request,
                    f"/clients/{client_id}",
                    sentences(answer.message, *(warning.text for warning in answer.warnings[:2])),
                )
        except Refusal as refusal:
            bound.add_refusal(refusal)
            errors.problem = refusal_text(refusal)
        except NotDecided as undecided:  # sent again with the same id, it is the same command
            bound.code = errors.undone(undecided)
    if not errors.heading:
        bound.command_id = new_command_id()
    return await _page(request, clients, await clients.client(client_id), action, bound)


async def _page(
    request: Request, clients: ClientService, client: ClientView, action: ActionForm | None, bound: BoundForm
) -> Response:
    preview, message, errors = None, None, bound.errors
    if action is not None:
        action = replace(action, client=client)
        found = FormErrors() if errors.sent else errors
        message = action.message(caller_of(request), bound.command_id, found)
    if message is not None:
        preview = await clients.preview(client.client_id, message)
    refusal = refusal_in(preview) if preview else None
    if refusal is not None and action and (place := place_of(refusal, action.rows)) in errors.order:
        errors.refuse(place, refusal.why, finished=True)
    return page(
        request,
        "status.html",
        bound.status,
        client=client,
        why_not=why_not(client),
        action=action,
        form=bound.form,
        errors=errors,
        preview=preview,
        effects=[effect for kind in THINGS for effect in preview.effects if effect.kind == kind] if preview else [],
        folded_beyond=FOLDED_BEYOND,
        named=partial(thing_and_name, clients.catalogue),
        alike=partial(alike, clients.catalogue),
        **_parts_shown(action, errors),
        kinds=choices(clients.catalogue, client.type, client.services) if action else {},
        internet_choices=CHOICES,
        refused=refusal_text(refusal) if refusal else "",
        seal=seal(preview),
        command_id=bound.command_id,
    )


def _parts_shown(action: ActionForm | None, errors: FormErrors) -> dict[str, Any]:
    """Of the lines, the services and the rows of an action, those that the page shows; and what the form carries of
    the others."""
    if action is None:
        return {}
    form, placing = action.form, action.kind is Kind.CONVERT
    lines = part_of(LINES, action.client.lines, form, lambda line: (line.number, line.office or ""))
    rows = part_of_lines(
        action.rows, form, errors, LINES if placing else "rows", PART_SIZE if placing else NEW_LINES_PER_PART
    )
    offices = [(row.name("office"), form.text(row.name("office"))) for row in rows.hidden]
    ticked = {*action.removed}
    return {
        "line_part": lines,
        "ticked_not_shown": [(REMOVED, line.number) for line in lines.hidden if line.number in ticked],
        "row_part": rows,
        "offices_not_shown": [field for field in offices if field[1]],
        "service_part": part_of_services(action.services, form, errors),
    }


def _of_plan(form: Form, client: ClientView) -> Form:
    plan = next((plan for plan in client.planned if plan.change_id == form.text(PLAN)), None)
    return form_of_plan(plan, client.timezone) if plan else form


def _with_reason_of_plan(form: Form, client: ClientView) -> Form:
    moved = form.text(WHEN) not in ("", NOW)
    reasons = [plan.reason for plan in client.planned if moved and plan.kind == form.text("action")]
    fields = [(name, value) for name, value in form.multi_items() if name != "reason"]
    return Form([*fields, *(("reason", reason) for reason in reasons)])


def why_not(client: ClientView) -> dict[str, str]:
    """Why an action is not possible now; empty where it is. A hold that is only planned can be lifted as a plan."""
    why: dict[str, str] = {action.kind: action.why for action in client.actions}
    if {plan.kind for plan in client.planned} & {Kind.SUSPEND, Kind.UNSUSPEND}:
        why[Kind.UNSUSPEND] = ""
    return why


def refusal_text(refusal: Refusal) -> str:
    """A refusal in words; what is allowed instead stands beside it on this page."""
    planned = "; ".join(refusal.situation.planned)
    sentences = (refusal.why, planned and f"Planned: {planned}", refusal.remedy)
    return " ".join(f"{sentence.rstrip('.')}." for sentence in sentences if sentence)


def seal(preview: PreviewView | None) -> str:
    """What stands for a preview in the form that confirms it: another one has another seal."""
    if preview is None:
        return ""
    content = preview.model_dump_json(exclude={"goes": {"__all__": {"change_id"}}, "comes": {"__all__": {"change_id"}}})
    return hashlib.sha256(content.encode()).hexdigest()[:32]


def plain_name(name: str) -> str:
    """A name as a page shows it: blanks that follow each other are one."""
    return " ".join(name.split())
