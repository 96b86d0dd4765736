"""Cancelling what is planned: a command like any other, previewed and confirmed on a page of its own."""

from fastapi import Request
from fastapi.responses import Response

from starter.clients import refusal_in
from starter.console.forms.form import BoundForm, new_command_id
from starter.console.labels import label
from starter.console.pages.status import OVERTAKEN, refusal_text, seal
from starter.console.rendering import caller_of, page, page_router, redirect, safe_path
from starter.contract.bodies import CommandBody
from starter.errors import NotDecided
from starter.web.dependencies import Clients
from starter.web.problems import code_of
from starter.wording import sentences
from workflows.domain.errors import NothingPlanned, Refusal
from workflows.domain.lifecycle import Kind, Status
from workflows.wire.messages import CancelPlanned
from workflows.wire.previews import PreviewView
from workflows.wire.views import PlannedView

GONE = "This change is not planned any more: it has happened, or somebody cancelled it. Nothing was done."
CANCEL = "/clients/{client_id}/planned/{change:path}/cancel"

cancelling = page_router()


@cancelling.get(CANCEL)
@cancelling.post(CANCEL)
async def cancel_planned(request: Request, clients: Clients, client_id: str, change: str) -> Response:
    """Cancel a planned change, named by its id or kind, once somebody has seen what becomes of the client."""
    bound, client = await BoundForm.read(request, ("reason",)), await clients.client(client_id)
    after = safe_path(bound.form.text("next") or f"/clients/{client_id}")
    plan = next((plan for plan in client.planned if change in (plan.change_id, plan.kind)), None)
    errors, confirmed = bound.errors, "seen" in bound.form
    body = errors.read(CommandBody, {"reason": bound.form.text("reason") if confirmed else ""}) or CommandBody()
    named = {"change": plan.change_id if plan else change[:200], "by": caller_of(request)}
    message = CancelPlanned(reason=body.reason, command_id=bound.command_id, **named)
    try:
        preview = await clients.preview(client_id, message)
        if confirmed and not errors.wrong and (preview.answered or seal(preview) == bound.form.text("seen")):
            answer = await clients.command(client_id, message)
            return redirect(
                request, after, sentences(answer.message, *(warning.text for warning in answer.warnings[:2]))
            )
        refused = refusal_in(preview)
    except Refusal as refusal:
        refused = refusal
    except NotDecided as undecided:  # sent again with the same id, it is the same command
        bound.code = errors.undone(undecided)
    if plan is None or refused is not None:
        refused = refused or NothingPlanned(GONE)
        why = GONE if isinstance(refused, NothingPlanned) else refusal_text(refused)
        return page(request, "refused.html", code_of(type(refused)), client=client, why=why, next=after)
    if confirmed and not errors.stopped:
        errors.problem, bound.code, bound.command_id = OVERTAKEN, 409, new_command_id()
    return page(
        request,
        "cancel.html",
        bound.status,
        client=client,
        plan=plan,
        becomes=what_becomes(plan, preview),
        preview=preview,
        form=bound.form,
        errors=errors,
        command_id=bound.command_id,
        seal=seal(preview),
        next=after,
    )


def what_becomes(plan: PlannedView, preview: PreviewView) -> str:
    """What becomes of a client whose plan is cancelled, in a sentence or two."""
    status = preview.status_after or Status.ACTIVE
    stays = f"The client stays {label(status)}"
    match plan.kind:
        case Kind.ACTIVATE:
            return f"{stays} and waits until somebody activates it, whatever its start date: nothing is switched on."
        case Kind.SUSPEND:
            return f"{stays}: nothing is switched off then."
        case Kind.UNSUSPEND:
            return f"{stays} until somebody lifts the hold."
        case Kind.DECOMMISSION if status is Status.SUSPENDED:
            return f"{stays}: its contract goes on, and its services stay off until the suspension ends."
        case Kind.DECOMMISSION if status is Status.NEW:
            return f"{stays}: its contract goes on, and its activation is as it was."
        case Kind.DECOMMISSION:
            return f"{stays}: its contract and its services go on, whatever its end date."
        case Kind.CONVERT:
            return f"{stays}, of the type that it is; offices, lines and internet access stay as they are."
        case _:
            return f"{stays}; its lines, internet access and other services stay as they are."
