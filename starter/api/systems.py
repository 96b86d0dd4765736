"""The routes about the systems that Connect switches: the state of each, and the clients that wait for a person."""

from typing import Annotated

from fastapi import APIRouter, Query

from activities.watch.matters import WORKFLOW
from starter.api.assistants import TAG
from starter.contract.answers import AttentionPage, SystemPage
from starter.contract.bodies import AttentionFilter
from starter.web import problems
from starter.web.dependencies import Clients

router = APIRouter(tags=["systems"])


@router.get("/systems", tags=[TAG], summary="How each system is, and who waits for it", responses=problems.answers())
async def list_systems(clients: Clients) -> SystemPage:
    """The workers report; the worst of their reports counts. A system that none has reported for a minute is
    `unknown`. `canaries` are the trials of the whole way, one per site (docs/operating.md): red where a stage fails,
    or where no worker reports any more."""
    page = await clients.directory.systems()
    return page.model_copy(update={"items": clients.catalogue.with_titles(page.items)})


@router.get("/attention", tags=[TAG], summary="Every client that waits for a person", responses=problems.answers(422))
async def list_attention(clients: Clients, filters: Annotated[AttentionFilter, Query()]) -> AttentionPage:
    """Clients whose workflow cannot run, and those in attention or not proven, by system, the oldest first: as last
    published, which is at the first failure and at every other error. `GET /clients/{client_id}` has the attempts of
    this moment."""
    if filters.system != WORKFLOW:
        clients.catalogue.check_kind(filters.system)
    page = await clients.directory.attention(filters)
    return page.model_copy(update={"items": clients.catalogue.with_titles(page.items)})
