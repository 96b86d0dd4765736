"""What is done with the clients that were selected in the list: a preview with counts, then one command to each."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request
from fastapi.responses import Response
from pydantic import BaseModel

from starter.clients import ClientService, refusal_in
from starter.console.forms.form import BoundForm
from starter.console.forms.labels import read_tags
from starter.console.many import AT_ONCE, ManyAnswers, command_many
from starter.console.pages.clients import download_headers
from starter.console.rendering import caller_of, page, page_router, redirect, safe_path
from starter.contract.bodies import CommandBody, EditBody, message_of
from starter.errors import StarterError
from starter.sheets import CLIENT, client_cells, csv_lines
from starter.web.dependencies import Clients
from workflows.domain.lifecycle import Kind
from workflows.wire.messages import BY_NAME, AnyMessage
from workflows.wire.previews import PreviewView
from workflows.wire.views import ClientView

PATH = "/clients/selected"
MOST = 100  # clients at once
DONE = {Kind.SUSPEND: "suspended", Kind.UNSUSPEND: "unsuspended", Kind.EDIT: "tagged"}
"""What can be done with many, and the word for those with whom it was done. All that is edited of many are tags."""
FIELDS = ("source", "add_tags", "remove_tags", "reason")

selected_clients = page_router()


@dataclass(frozen=True)
class PreviewOfOne:
    """What the command would do to one client: change it, nothing, or be refused; ``why`` says which of the latter."""

    client: ClientView
    preview: PreviewView
    why: str

    @property
    def fate(self) -> str:
        if self.preview.refusal:
            return "refused"
        return "changed" if self.preview.changed else "unchanged"


@selected_clients.get(PATH)
@selected_clients.get(f"{PATH}/check")
async def leave_selected(request: Request) -> Response:
    """The address of the forms below, when it is opened by itself."""
    return redirect(request, "/clients")


@selected_clients.post(f"{PATH}/check")
async def preview_selected(request: Request, clients: Clients) -> Response:
    """What would become of each client that was selected: nothing is done."""
    return await _page(request, clients, await BoundForm.read(request, FIELDS))


@selected_clients.post(PATH)
async def change_selected(request: Request, clients: Clients) -> Response:
    """Give each of them the command. Those that refuse are shown with why; a list of all goes back where it began."""
    bound = await BoundForm.read(request, FIELDS)
    kind, ids = _kind(bound), _ids(bound)
    message = _message(bound, kind, caller_of(request)) if kind and 0 < len(ids) <= MOST else None
    if kind is None or message is None:
        return await _page(request, clients, bound)
    answers = await command_many(clients, ids, message)
    if answers.refused:
        return await _page(request, clients, bound, answers)
    return redirect(request, safe_path(bound.form.text("next") or "/clients"), answers.sentences(DONE[kind]))


def _kind(bound: BoundForm) -> Kind | None:
    return next((kind for kind in DONE if kind == bound.form.text("action")), None)


def _ids(bound: BoundForm) -> list[str]:
    """The clients that are meant; while nothing is done yet, also those that it would not change."""
    names = ("client",) if bound.sent else ("client", "other")
    return list(dict.fromkeys(one for name in names for one in bound.form.getlist(name) if one))


@selected_clients.post(f"{PATH}.csv")
async def export_selected(request: Request, clients: Clients) -> Response:
    """The clients that were selected, as the list is exported."""
    ids = _ids(await BoundForm.read(request))
    views = await clients.these(ids[:MOST])
    lines = csv_lines(CLIENT, [client_cells(view.model_dump(mode="json")) for view in views])
    return Response("".join(lines), media_type="text/csv; charset=utf-8", headers=download_headers("clients.csv"))


def _message(bound: BoundForm, kind: Kind, by: str) -> AnyMessage | None:
    """The command to each of them; None while the form is not right, which its errors then say."""
    form, errors = bound.form, bound.errors
    if kind is Kind.EDIT:
        names = ("add_tags", "remove_tags")
        tags = {name: read_tags(form.text(name), errors, name) for name in names if form.text(name)}
        if not tags:
            errors.miss("add_tags", "Give a tag to add, or one to remove")
        body: BaseModel | None = errors.read(EditBody, {**tags, "reason": form.text("reason")})
    else:
        values = {"source": form.text("source") or "operator", "reason": form.text("reason")}
        body = errors.read(CommandBody, values)
    if body is None or errors.stopped:
        return None
    return message_of(BY_NAME[kind], body, by=by, command_id=bound.command_id)


async def _previews(clients: ClientService, views: Sequence[ClientView], message: AnyMessage) -> list[PreviewOfOne]:
    """What the command would do to each client, as it is now."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(view: ClientView) -> PreviewOfOne:
        async with gate:
            try:
                preview = await clients.preview(view.client_id, message)
            except StarterError as away:
                return PreviewOfOne(view, PreviewView(refusal={"type": "Away"}), str(away))
        refusal = refusal_in(preview)
        return PreviewOfOne(view, preview, refusal.why if refusal else preview.message)

    return list(await asyncio.gather(*map(one, views)))


async def _page(
    request: Request, clients: ClientService, bound: BoundForm, answers: ManyAnswers | None = None
) -> Response:
    kind, ids, errors = _kind(bound), _ids(bound), bound.errors
    if kind is None:
        errors.problem = "Choose what to do with the clients: suspend, unsuspend or tag them."
    elif not ids:
        errors.problem = "No client is selected. Go back to the list and tick some."
    elif len(ids) > MOST:
        errors.problem = f"{len(ids)} clients are too many at once. Select at most {MOST}."
    views, previews = [], []
    if not errors.problem:
        views = await clients.these(ids)
        message = _message(bound, kind, caller_of(request)) if kind else None
        if message is not None and answers is None:
            previews = await _previews(clients, views, message)
    status = 409 if answers and answers.refused else bound.status if bound.sent else 422 if errors.problem else 200
    return page(
        request,
        "selected.html",
        status,
        kind=kind,
        done=DONE,
        ids=ids,
        names={view.client_id: view.name for view in views},
        unknown=[] if errors.problem else [one for one in ids if one not in {view.client_id for view in views}],
        previews={fate: [it for it in previews if it.fate == fate] for fate in ("changed", "unchanged", "refused")},
        answers=answers,
        form=bound.form,
        errors=errors,
        command_id=bound.command_id,
        next=safe_path(bound.form.text("next") or "/clients"),
    )
