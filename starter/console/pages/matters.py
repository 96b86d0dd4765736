"""The page Open matters: everything that a person should see to, what to do about it, and to whom it is assigned."""

import asyncio
from collections.abc import Mapping
from typing import Literal

from fastapi import Request
from fastapi.responses import Response
from pydantic import ValidationError

from starter.clients import ClientService
from starter.console.forms.form import command_id_of
from starter.console.pages.sites import ChosenSite, SiteChoice
from starter.console.rendering import Form, caller_of, page_router, reads_of, redirect, safe_path
from starter.contract.bodies import AssignBody, MatterFilter, SnoozeBody
from starter.contract.callers import Permission
from starter.directory.matters import END, OF_SYSTEMS, START
from starter.errors import NoSuchMatter, NotAcknowledged
from starter.matters import ACKNOWLEDGED, MatterActions, open_matters
from starter.permitted import check_may
from starter.web import dependencies
from starter.web.dependencies import Clients
from workflows.domain.errors import InvalidField

PATH = "/matters"
PAGE = 50
FILTERS = {"kind", "assigned_to", "snoozed"}
LINKS = {
    END: (("Decommission", "/status?action=decommission"), ("Edit end date", "/edit")),
    START: (("Activate", "/status?action=activate"), ("Edit start date", "/edit")),
    "plan_blocked": (("See the plan", ""), ("Edit status", "/status")),
    "plan_refused": (("Edit status", "/status"),),
}
"""Where a person does something about a matter of this kind: the word, and the page of the client."""

LOOKS = {"not_proven": "not_proven", "skipped": "skipped", "plan_blocked": "suspended", START: "new"}
"""The colour of a kind. All others are as bad as attention."""

WRONG_DAY = "Nothing was done. Give a future day, as 2027-01-04, and a name of at most 100 characters."
GONE = "That is not open any more. Nothing was done."

matter_pages = page_router()


@matter_pages.get(PATH)
async def show_matters(request: Request, clients: Clients, choice: ChosenSite) -> Response:
    """The state of each system, then what is open, the oldest first."""
    return await _page(request, clients, choice, request.query_params)


@matter_pages.post(f"{PATH}/{{verb}}")
async def act(request: Request, clients: Clients, verb: Literal["acknowledge", "assign", "snooze"]) -> Response:
    """Acknowledge, assign or snooze a matter, and go back to where it was asked."""
    form = await Form.read(request)
    if not form.text("client"):
        check_may(dependencies.caller_of(request), Permission.INSTANCE_MATTERS)
    actions = MatterActions(clients, form.text("client"), form.text("matter"), caller_of(request), command_id_of(form))
    try:
        match verb:
            case "acknowledge":
                answer = await actions.acknowledge()
            case "assign":
                answer = await actions.assign(AssignBody(assigned_to=form.text("assigned_to")).assigned_to)
            case "snooze":
                body = SnoozeBody.model_validate({"snoozed_until": form.text("snoozed_until") or None})
                answer = await actions.snooze(body.snoozed_until, end=bool(form.text("end")))
    except NoSuchMatter:
        return redirect(request, safe_path(form.text("next") or PATH), GONE)
    except (ValidationError, InvalidField, NotAcknowledged) as wrong:
        problem = WRONG_DAY if isinstance(wrong, ValidationError) else f"Nothing was done. {wrong}."
        return await _page(request, clients, await SiteChoice.of(clients, ""), form, 422, problem)
    return redirect(request, safe_path(form.text("next") or PATH), answer.message.rstrip(".") + ".")


async def _page(
    request: Request,
    clients: ClientService,
    choice: SiteChoice,
    query: Mapping[str, str],
    status: int = 200,
    problem: str = "",
) -> Response:
    filters = filter_of(query, choice)
    if filters is None:
        return redirect(request, PATH)
    states, matters, people = await asyncio.gather(
        clients.directory.systems(),
        open_matters(clients, filters, caller_of(request)),
        reads_of(request).people(),
    )
    chosen = filters.model_dump(include=FILTERS, exclude_defaults=True)
    kinds = dict(sorted(matters.kinds.items()))
    return choice.page(
        request,
        "open_matters.html",
        status,
        states=states.items,
        canaries=states.canaries,
        matters=matters,
        kinds=kinds if filters.kind in (None, *kinds) else kinds | {filters.kind: 0},
        people=people,
        filters=filters,
        filtered=bool(chosen or choice.site),
        address=lambda **changed: choice.address(PATH, **chosen | changed),
        attention=choice.address("/attention"),
        here=choice.address(PATH, **chosen),
        systems_kinds=OF_SYSTEMS,
        links=LINKS,
        looks=lambda kind: LOOKS.get(kind, "attention"),
        acknowledged=ACKNOWLEDGED,
        problem=problem,
    )


def filter_of(query: Mapping[str, str], choice: SiteChoice) -> MatterFilter | None:
    """The filter in an address; None when it makes no sense."""
    fields = {name: value for name, value in query.items() if name in {*FILTERS, "cursor"} and value}
    try:
        return MatterFilter.model_validate({**fields, "site": choice.site_id or None, "limit": PAGE})
    except ValidationError:
        return None
