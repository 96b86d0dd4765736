"""The routes about sites."""

from typing import Annotated

from fastapi import APIRouter, Path

from starter.api.assistants import TAG
from starter.api.commanding import Keyed
from starter.contract.answers import Site, SiteHistory, SitePage
from starter.contract.bodies import SiteEdit, SiteGiven
from starter.web import problems
from starter.web.dependencies import Clients
from starter.web.strict import StrictRoute

SiteId = Annotated[str, Path(examples=["thames-house"])]

router = APIRouter(tags=["sites"], route_class=StrictRoute)


@router.get("/sites", tags=[TAG], summary="Every site", responses=problems.answers())
async def list_sites(clients: Clients) -> SitePage:
    return await clients.directory.sites()


@router.post("/sites", summary="Add a site", status_code=201, responses=problems.answers(409, 422))
async def add_site(options: Keyed, site: SiteGiven) -> Site:
    """The same site twice is one site."""
    options.clients.catalogue.check(site.systems)
    return await options.once(site, Site, lambda directory: directory.add_site(site, options.by))


@router.patch("/sites/{site_id}", summary="Edit a site", responses=problems.answers(404, 409, 422))
async def edit_site(options: Keyed, site_id: SiteId, edit: SiteEdit) -> Site:
    """What is left out stays. A site is retired, or given another time zone, while no living client is there. What
    clients of the site take newly is served by the instances that `systems` names. It is refused while a living client
    of the site has, or has planned, a service that another instance serves now."""
    options.clients.catalogue.check(edit.systems)
    return await options.once(edit, Site, lambda directory: directory.edit_site(site_id, edit, options.by))


@router.get("/sites/{site_id}/history", tags=[TAG], summary="A site's history", responses=problems.answers(404, 422))
async def show_site_history(clients: Clients, site_id: SiteId) -> SiteHistory:
    """Who changed what of it, newest first."""
    return await clients.directory.site_history(site_id)
