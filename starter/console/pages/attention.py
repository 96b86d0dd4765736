"""The Attention page: how the systems are, who waits for a person, and asking many of them to try again."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from fastapi import Request
from fastapi.responses import Response
from pydantic import ValidationError

from starter.clients import ClientService
from starter.console.forms.form import command_id_of
from starter.console.many import ManyAnswers, command_many
from starter.console.pages.sites import ChosenSite, SiteChoice
from starter.console.rendering import Form, caller_of, page_router, redirect
from starter.contract.bodies import AttentionFilter
from starter.web.dependencies import Clients
from starter.wording import stage_word
from workflows.domain.systems import DIRECTORY, NAME, System
from workflows.wire.messages import Retry

PATH = "/attention"
PAGE = 100  # clients of one system on a page
MOST = 500  # clients asked at once

attention = page_router()


@dataclass(frozen=True)
class BulkRetry:
    """What became of asking many clients to try again: who does, who had no need to, and who refused, with why."""

    phrase: str
    answers: ManyAnswers

    @property
    def refused(self) -> list[tuple[str, str]]:
        return self.answers.refused

    def __str__(self) -> str:
        counts = (
            (len(self.answers.changed), f"asked to try {self.phrase} again"),
            (len(self.answers.unchanged), "had no need to: all is as decided"),
            (len(self.refused), "could not be asked"),
        )
        return " ".join(f"{number} client{'s' * (number != 1)} {what}." for number, what in counts if number)


@attention.get(PATH)
async def show_attention(request: Request, clients: Clients, choice: ChosenSite) -> Response:
    """The state of each system, then the clients that wait for a person, by system, the oldest first."""
    return await _page(request, clients, choice, request.query_params)


@attention.get(f"{PATH}/retry")
async def leave_retry(request: Request) -> Response:
    """The address of the form below, when it is opened by itself."""
    return redirect(request, PATH)


@attention.post(f"{PATH}/retry")
async def retry_many(request: Request, clients: Clients) -> Response:
    """Ask each client that was chosen, or all that were shown, to attempt a system at once."""
    form = await Form.read(request)
    choice = await SiteChoice.of(clients, form.text("site"))
    about, problem = form.text("about"), ""
    ids = list(dict.fromkeys(filter(None, form.getlist("shown" if form.text("all") else "client"))))
    if not NAME.fullmatch(about) or about == DIRECTORY:
        problem = "There is no such system. Choose clients below."
    elif not ids:
        problem = f"No client was chosen. Mark some under {clients.catalogue.title(about)}, or take “Retry all shown”."
    elif len(ids) > MOST:
        problem = f"{len(ids)} clients are too many at once. Choose at most {MOST}."
    if problem:
        return await _page(request, clients, choice, form, 422, problem=problem, chosen=ids)
    retried = await retry(clients, about, ids, command_id_of(form), caller_of(request))
    if retried.refused:
        refusers = [client_id for client_id, _ in retried.refused]
        return await _page(request, clients, choice, form, 409, retried=retried, chosen=refusers)
    there = choice.address(PATH, **{name: form.text(name) for name in ("system", "skipped")})
    return redirect(request, there, str(retried))


async def retry(
    clients: ClientService, system: System, client_ids: Iterable[str], command_id: str, by: str
) -> BulkRetry:
    """Give each of these clients a Retry. Once something is away, the others are not asked any more."""
    message = Retry.model_validate({"system": system, "command_id": command_id, "by": by})
    return BulkRetry(clients.catalogue.phrase(system), await command_many(clients, client_ids, message))


async def _page(
    request: Request,
    clients: ClientService,
    choice: SiteChoice,
    query: Mapping[str, str],
    status: int = 200,
    *,
    problem: str = "",
    retried: BulkRetry | None = None,
    chosen: Iterable[str] = (),
) -> Response:
    states = await clients.directory.systems()
    known = list(dict.fromkeys([*clients.catalogue.kinds, *(state.system for state in states.items)]))
    only = next((system for system in known if system == query.get("system")), None)
    skipped = query.get("skipped") == "true"
    base = AttentionFilter(site=choice.site_id or None, skipped=skipped, limit=PAGE)
    cursor = query.get("cursor") if only else None
    try:
        base = AttentionFilter.model_validate({**base.model_dump(), "cursor": cursor or None})
    except ValidationError:
        cursor = None
    listed = [only] if only else known
    stopped, pages = await asyncio.gather(
        clients.directory.attention(base.model_copy(update={"system": "workflow", "cursor": None})),
        asyncio.gather(*(clients.directory.attention(base.model_copy(update={"system": one})) for one in listed)),
    )
    here = {"system": only, "skipped": skipped}
    return choice.page(
        request,
        "attention.html",
        status,
        only=only,
        skipped=skipped,
        systems=known,
        states=states.items,
        canaries=states.canaries,
        stage_word=stage_word,
        stopped=stopped,
        groups=dict(zip(listed, pages, strict=True)),
        later=bool(cursor),
        address=lambda **changed: choice.address(PATH, **here | changed),
        problem=problem,
        retried=retried,
        chosen=set(chosen),
        here=choice.address(PATH, **here),
        matters=choice.address("/matters"),
    )
