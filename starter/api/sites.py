"""The routes about sites."""

from typing import Annotated

from fastapi import APIRouter, Path

from starter.contract.answers import Site, SitePage
from starter.contract.bodies import SiteEdit, SiteGiven
from starter.web import problems
from starter.web.dependencies import Clients

router = APIRouter(tags=["sites"])


@router.get("/sites", summary="Every site", responses=problems.described())
async def list_sites(clients: Clients) -> SitePage:
    return await clients.directory.sites()


@router.post("/sites", summary="Add a site", status_code=201, responses=problems.described(409, 422))
async def add_site(clients: Clients, site: SiteGiven) -> Site:
    """The same site twice is one site."""
    clients.catalogue.check(site.systems)
    return await clients.directory.add_site(site)


@router.patch("/sites/{site_id}", summary="Edit a site", responses=problems.described(404, 409, 422))
async def edit_site(clients: Clients, site_id: Annotated[str, Path(examples=["thames-house"])], edit: SiteEdit) -> Site:
    """What is left out stays. What clients of the site take newly is served by the instances that `systems` names. It
    is refused while a living client of the site has, or has planned, a service that another instance serves now."""
    clients.catalogue.check(edit.systems)
    return await clients.directory.edit_site(site_id, edit)
