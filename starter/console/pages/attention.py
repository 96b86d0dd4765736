"""The Attention page: how the systems are, who waits for a person, and asking many of them to try again."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError

from starter.clients import ClientService
from starter.console.forms.form import command_id_of
from starter.console.pages.sites import chosen_before, remembering
from starter.console.rendering import Page, caller_of, page, read_form, redirect
from starter.contract.answers import AttentionPage, Site
from starter.contract.bodies import AttentionFilter
from starter.errors import Away, NoSuchClient, StarterError
from starter.web.dependencies import Clients
from workflows.domain.errors import Refusal
from workflows.domain.systems import BUILT_IN, INTERNET, TELEPHONY, System
from workflows.wire.messages import Retry

PATH = "/attention"
SHOWN = 100  # clients of one system on a page
MOST = 500  # clients asked at once
AT_ONCE = 8  # of these, at the same time
NAMES = {TELEPHONY: "Telephone lines", INTERNET: "Internet access"}

attention = APIRouter(include_in_schema=False, route_class=Page)


@dataclass
class BulkRetry:
    """What became of asking many clients to try again: who does, who had no need to, and who refused, with why."""

    system: System
    trying: list[str] = field(default_factory=list)
    needless: list[str] = field(default_factory=list)
    refused: list[tuple[str, str]] = field(default_factory=list)

    def __str__(self) -> str:
        name = NAMES[self.system].lower()
        told = [f"{_clients(len(self.trying))} asked to try {name} again."] if self.trying else []
        told += [f"{_clients(len(self.needless))} had no need to: all is as decided."] if self.needless else []
        told += [f"{_clients(len(self.refused))} could not be asked."] if self.refused else []
        return " ".join(told)


@attention.get(PATH)
async def show_attention(request: Request, clients: Clients) -> Response:
    """The state of each system, then the clients that wait for a person, by system, the oldest first."""
    if before := chosen_before(request, (await clients.directory.sites()).items):
        return before
    return await _shown(request, clients, request.query_params)


@attention.get(f"{PATH}/retry")
async def show_again() -> Response:
    """Where an answer to a form stood, asked for anew."""
    return redirect(PATH)


@attention.post(f"{PATH}/retry")
async def retry_many(request: Request, clients: Clients) -> Response:
    """Ask each client that was chosen, or all that were shown, to attempt a system at once."""
    form = await read_form(request)
    said = {name: form.text(name) for name in ("site", "system", "skipped")}
    about = form.text("about")
    if about not in BUILT_IN:
        return await _shown(request, clients, said, 422, problem="There is no such system. Choose clients below.")
    chosen = form.many.get("shown" if form.text("all") else "client", [])
    ids = list(dict.fromkeys(client_id for client_id in chosen if client_id))
    if not ids:
        problem = f"No client was chosen. Mark some under {NAMES[System(about)]}, or take “Retry all shown”."
        return await _shown(request, clients, said, 422, problem=problem)
    if len(ids) > MOST:
        problem = f"{len(ids)} clients are too many at once. Choose at most {MOST}."
        return await _shown(request, clients, said, 422, problem=problem, chosen=ids)
    asked = await ask(clients, about, ids, command_id_of(form), caller_of(request))
    if asked.refused:
        return await _shown(request, clients, said, 409, asked=asked, chosen=[who for who, _ in asked.refused])
    there = {name: value for name, value in said.items() if value or name == "site"}
    return redirect(f"{PATH}?{urlencode(there)}", str(asked))


async def ask(clients: ClientService, system: System, client_ids: Iterable[str], command_id: str, by: str) -> BulkRetry:
    """Give each of these clients a Retry. Once something is away, the rest are told so and not asked."""
    message = Retry.model_validate({"system": system, "command_id": command_id, "by": by})
    asked, gate = BulkRetry(system), asyncio.Semaphore(AT_ONCE)
    away: list[str] = []

    async def one(client_id: str) -> None:
        async with gate:
            if away:
                asked.refused.append((client_id, away[0]))
                return
            try:
                answer = await clients.command(client_id, message)
                (asked.trying if answer.changed else asked.needless).append(client_id)
            except (StarterError, Refusal) as refused:
                unknown = isinstance(refused, NoSuchClient)
                asked.refused.append((client_id, "There is no such client." if unknown else str(refused)))
                if isinstance(refused, Away):
                    away.append(str(refused))

    await asyncio.gather(*map(one, client_ids))
    return asked


async def _shown(
    request: Request,
    clients: ClientService,
    said: Mapping[str, str],
    status: int = 200,
    *,
    problem: str = "",
    asked: BulkRetry | None = None,
    chosen: Iterable[str] = (),
) -> Response:
    sites = (await clients.directory.sites()).items
    site = next((site for site in sites if site.site_id == said.get("site")), None)
    only = next((system for system in BUILT_IN if system == said.get("system")), None)
    skipped = said.get("skipped") == "true"
    systems = [only] if only else list(BUILT_IN)
    cursor = said.get("cursor", "") if only else ""
    states, pages = await asyncio.gather(
        clients.directory.systems(),
        asyncio.gather(*(_waiting(clients, site, system, skipped, cursor) for system in systems)),
    )
    answer = page(
        request,
        "attention.html",
        status,
        sites=sites,
        site=site,
        only=only,
        skipped=skipped,
        names=NAMES,
        states=states.items,
        groups=dict(zip(systems, pages, strict=True)),
        later=bool(cursor),
        address=lambda **changed: address(site, only, skipped, **changed),
        problem=problem,
        asked=asked,
        chosen=set(chosen),
        here=address(site, only, skipped),
    )
    return remembering(request, answer, site)


async def _waiting(
    clients: ClientService, site: Site | None, system: System, skipped: bool, cursor: str
) -> AttentionPage:
    given = {"site": site and site.site_id, "system": system, "skipped": skipped, "limit": SHOWN}
    try:
        wanted = AttentionFilter.model_validate({**given, "cursor": cursor or None})
    except ValidationError:  # only a cursor can be wrong here
        wanted = AttentionFilter.model_validate(given)
    return await clients.directory.attention(wanted)


def address(site: Site | None, only: System | None, skipped: bool, **changed: Any) -> str:
    """Where this page shows something else. A site is always said: to say none means the one chosen last."""
    said = {"system": only, "skipped": "true" if skipped else "", **changed}
    told = {name: str(value) for name, value in said.items() if value}
    return f"{PATH}?{urlencode({'site': site.site_id if site else '', **told})}"


def _clients(number: int) -> str:
    return "1 client" if number == 1 else f"{number} clients"
