"""The routes about sites."""

from fastapi import APIRouter

from starter.contract.answers import Site, SitePage
from starter.contract.bodies import SiteGiven
from starter.web import problems
from starter.web.dependencies import Clients

router = APIRouter(tags=["sites"])


@router.get("/sites", summary="Every site", responses=problems.described())
async def list_sites(clients: Clients) -> SitePage:
    return await clients.directory.sites()


@router.post("/sites", summary="Add a site", status_code=201, responses=problems.described(409, 422))
async def add_site(clients: Clients, site: SiteGiven) -> Site:
    """The same site twice is one site."""
    return await clients.directory.add_site(site)
